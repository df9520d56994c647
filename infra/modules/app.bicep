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

@description('Instances kept running for HTTP: 0, or 1 and more to avoid cold starts.')
param alwaysReadyHttp int

@description('Instances kept running for the blob trigger. With 0, the first events after a pause can be refused; Event Grid then retries.')
param alwaysReadyBlob int

@description('Instances kept running for advance_run, which looks at runs. With 0, a look can wait for the scale controller.')
param alwaysReadyRuns int

@description('Instances kept running for check_indexing, which follows documents.')
param alwaysReadyIndexing int

@description('HTTP requests that one instance handles at the same time. Without a value, Python gets one.')
param httpConcurrency int

@allowed([
  512
  2048
  4096
])
param instanceMemoryMb int
param maximumInstances int

@description('Subnet for outgoing traffic; empty: none.')
param subnetId string

@description('Setting -> reference to its secret in Key Vault.')
param secretReferences object

@description('Values for settings in settings.json, by name, instead of the defaults.')
param overrides object

var names = loadJsonContent('../names.json')
var listed = items(loadJsonContent('../settings.json'))
var defaults = toObject(listed, setting => setting.key, setting => setting.value.default)
var groups = [
  {
    name: 'http'
    instanceCount: alwaysReadyHttp
  }
  {
    name: 'blob'
    instanceCount: alwaysReadyBlob
  }
  {
    name: 'function:${names.runsFunction}'
    instanceCount: alwaysReadyRuns
  }
  {
    name: 'function:${names.indexingFunction}'
    instanceCount: alwaysReadyIndexing
  }
]
var settings = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__blobServiceUri: blobUrl
  AzureWebJobsStorage__queueServiceUri: queueUrl
  AzureWebJobsStorage__tableServiceUri: tableUrl
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  AZURE_CLIENT_ID: identityClientId
  AzureWebJobsDisableHomepage: 'true'
  OPENAI_BASE_URL: openAiBaseUrl
  OPENAI_MODEL: openAiModel
  OPENAI_SCOPE: openAiScope
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  // checkov:skip=CKV_AZURE_225:Zone redundancy needs two always-ready instances per group; when a zone fails, a run's message stays in the queue.
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
  // checkov:skip=CKV_AZURE_222:Event Grid's webhook and Logic Apps call from the internet; every route needs a key, except health, the API descriptions and the signed webhook.
  // checkov:skip=CKV_AZURE_17:The Flex Consumption plan has no client certificates, and Event Grid could not send one.
  // checkov:skip=CKV_AZURE_212:The plan scales with the load; alwaysReadyHttp and alwaysReadyBlob set the minimum.
  // checkov:skip=CKV_AZURE_78:The Flex Consumption plan has no FTP and refuses ftpsState; publishing passwords are disabled below.
  // checkov:skip=CKV_AZURE_213:The Flex Consumption plan does not have App Service health checks.
  name: name
  location: location
  // azd finds the target of the service "app" in azure.yaml by this tag.
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
    // Event Grid and callers reach the app from the internet, each with a key.
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identityId
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
        alwaysReady: filter(groups, group => group.instanceCount > 0)
        triggers: {
          http: {
            perInstanceConcurrency: httpConcurrency
          }
        }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      http20Enabled: true
      remoteDebuggingEnabled: false
      appSettings: [
        for setting in items(union(settings, defaults, secretReferences, overrides)): {
          name: setting.key
          value: setting.value
        }
      ]
    }
  }
}

// Deployment uses an identity; publishing passwords are disabled.
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
