metadata description = 'The function app on the Flex Consumption plan, with all its settings.'

param name string
param planName string
param location string
param tags object
param identityId string
param identityClientId string
param blobUrl string
param queueUrl string
param tableUrl string
param insightsConnectionString string
param openAiBaseUrl string
param openAiModel string
param openAiScope string

@description('Instances that are kept running for HTTP: 0, or 1 and more against cold starts.')
param alwaysReadyHttp int

@description('The same for the blob trigger. With 0 the first events after a pause can be refused and come again later.')
param alwaysReadyBlob int

@allowed([
  512
  2048
  4096
])
param instanceMemoryMb int
param maximumInstances int

@description('Subnet for outgoing traffic; empty: none.')
param subnetId string

@description('Your own values for settings of settings.json, by name.')
param overrides object

var names = loadJsonContent('../names.json')
var defaults = toObject(items(loadJsonContent('../settings.json')), setting => setting.key, setting => setting.value.default)
var readyHttp = alwaysReadyHttp > 0 ? [
  {
    name: 'http'
    instanceCount: alwaysReadyHttp
  }
] : []
var readyBlob = alwaysReadyBlob > 0 ? [
  {
    name: 'blob'
    instanceCount: alwaysReadyBlob
  }
] : []
var settings = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__blobServiceUri: blobUrl
  AzureWebJobsStorage__queueServiceUri: queueUrl
  AzureWebJobsStorage__tableServiceUri: tableUrl
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  AZURE_CLIENT_ID: identityClientId
  OPENAI_BASE_URL: openAiBaseUrl
  OPENAI_MODEL: openAiModel
  OPENAI_SCOPE: openAiScope
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  // checkov:skip=CKV_AZURE_225:Zone redundancy takes two always-ready instances a group; a run survives its zone in the queue.
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  // checkov:skip=CKV_AZURE_222:Event Grid's webhook and Logic Apps call from the internet; every route but health asks for a key.
  // checkov:skip=CKV_AZURE_17:The Flex Consumption plan has no client certificates, and Event Grid could not send one.
  // checkov:skip=CKV_AZURE_212:Instances come and go with the load; alwaysReadyHttp and alwaysReadyBlob keep some.
  // checkov:skip=CKV_AZURE_213:Health check of App Service is not a feature of the Flex Consumption plan.
  name: name
  location: location
  // The tag by which azd finds where to deploy the service "app" of azure.yaml.
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    // Event Grid's webhook and callers come from the internet, each with a key.
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobUrl}${names.containers.package}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.12'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMb
        maximumInstanceCount: maximumInstances
        alwaysReady: concat(readyHttp, readyBlob)
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
      appSettings: [for setting in items(union(settings, defaults, overrides)): {
        name: setting.key
        value: setting.value
      }]
    }
  }
}

// Deployment goes by identity: no publishing password exists.
resource noFtpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource noScmPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

output id string = app.id
output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
