metadata description = 'New resources for telemetry: Application Insights on a Log Analytics workspace; only identities can write.'

param workspaceName string
param insightsName string
param location string
param tags object

@description('Days for which logs are kept; 30 days are included in the price of ingestion.')
param retentionDays int

@description('Limit of ingestion per day, in GB: it limits the bill; -1: no limit.')
param dailyCapGb int

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    workspaceCapping: {
      dailyQuotaGb: dailyCapGb
    }
    features: {
      disableLocalAuth: true
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}
