metadata description = 'The role of the app on Application Insights, new or existing, and what others need to know of it.'

param insightsName string
param principalId string

// Telemetry without an instrumentation key.
var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, principalId, metricsPublisher)
  scope: insights
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
  }
}

output workspaceId string = insights.properties.WorkspaceResourceId
output connectionString string = insights.properties.ConnectionString
