metadata description = 'Both sample workflows as Consumption Logic Apps. After the deployment, sign in to the Office 365 connection in the portal.'

param location string = resourceGroup().location

@description('URL of the app: the output AZURE_FUNCTION_APP_URL.')
param appUrl string

@description('A function key for this Logic App: az functionapp keys set --key-type functionKeys --key-name logic-app')
@secure()
param functionKey string

@description('Resource id of an API connection to Office 365 Outlook.')
param office365ConnectionId string

var connections = {
  office365: {
    connectionId: office365ConnectionId
    connectionName: last(split(office365ConnectionId, '/'))
    id: subscriptionResourceId('Microsoft.Web/locations/managedApis', location, 'office365')
  }
}
var parameters = {
  appUrl: {
    value: appUrl
  }
  functionKey: {
    value: functionKey
  }
  '$connections': {
    value: connections
  }
}

resource runAndMail 'Microsoft.Logic/workflows@2019-05-01' = {
  name: 'ask-and-mail'
  location: location
  properties: {
    definition: loadJsonContent('run-and-mail.json')
    parameters: parameters
  }
}

resource runWithCallback 'Microsoft.Logic/workflows@2019-05-01' = {
  name: 'ask-with-callback'
  location: location
  properties: {
    definition: loadJsonContent('run-with-callback.json')
    parameters: parameters
  }
}
