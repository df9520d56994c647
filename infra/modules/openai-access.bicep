metadata description = 'The role of the app on the Azure OpenAI account, new or existing, and the address of the account.'

param accountName string
param principalId string

// Contributor, not User: the app uploads files and creates vector stores; it is not documented that User may.
var openAiContributor = 'a001fd3d-188f-4b5d-821b-7da978bf7442'

resource account 'Microsoft.CognitiveServices/accounts@2025-06-01' existing = {
  name: accountName
}

resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, openAiContributor)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', openAiContributor)
  }
}

output baseUrl string = 'https://${account.properties.customSubDomainName}.openai.azure.com/openai/v1/'
