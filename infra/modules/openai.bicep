metadata description = 'Azure OpenAI with one model deployment; access with identities only.'

@description('Name of the account and of its custom subdomain; authentication with tokens needs a custom subdomain.')
param name string
param location string
param tags object

@description('Name of the deployment; the app sends it as the model.')
param deploymentName string
param modelName string
param modelVersion string

@description('GlobalStandard, DataZoneStandard or Standard.')
param deploymentSku string

@description('Thousands of tokens per minute.')
param capacity int

@description('Closed to the internet: only the private endpoint can reach the account.')
param closed bool
param workspaceId string

resource account 'Microsoft.CognitiveServices/accounts@2025-06-01' = {
  // checkov:skip=CKV_AZURE_134:Closed with privateNetwork; otherwise the plan's changing addresses have to reach it, with tokens only.
  name: name
  location: location
  tags: tags
  kind: 'OpenAI'
  sku: {
    name: 'S0'
  }
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    customSubDomainName: name
    disableLocalAuth: true
    publicNetworkAccess: closed ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: closed ? 'Deny' : 'Allow'
    }
  }
}

resource deployment 'Microsoft.CognitiveServices/accounts/deployments@2025-06-01' = {
  parent: account
  name: deploymentName
  sku: {
    name: deploymentSku
    capacity: capacity
  }
  properties: {
    model: {
      format: 'OpenAI'
      name: modelName
      version: modelVersion
    }
    versionUpgradeOption: 'OnceCurrentVersionExpired'
  }
}

// The stable versions of this type are of 2016 and before.
#disable-next-line use-recent-api-versions
resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: account
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'Audit'
        enabled: true
      }
    ]
  }
}

output id string = account.id
output name string = account.name
