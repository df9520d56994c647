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

@description('Origins of other web pages that may call the API.')
param corsOrigins array

@description('Client id of the app registration with which people sign in, in this tenant; empty: callers give a function key.')
param entraClientId string

@description('Setting -> reference to its secret in Key Vault.')
param vaultReferences object

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
  ENTRA_CLIENT_ID: entraClientId
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
      cors: {
        allowedOrigins: corsOrigins
      }
      appSettings: [
        for setting in items(union(settings, defaults, vaultReferences, overrides)): {
          name: setting.key
          value: setting.value
        }
      ]
    }
  }
}

// Whoever is not signed in gets the sign-in page. The excluded paths are anonymous in the app, or want a key of their own.
resource signIn 'Microsoft.Web/sites/config@2025-03-01' = if (!empty(entraClientId)) {
  // checkov:skip=CKV_AZURE_13:This resource is the authentication, in the second version of its settings.
  // checkov:skip=CKV_AZURE_63:The sign-in has no logs; Application Insights has a request for each call of the app.
  // checkov:skip=CKV_AZURE_65:The sign-in has no error pages of its own; those of the app are not detailed.
  // checkov:skip=CKV_AZURE_66:The sign-in traces no requests; Application Insights has those that failed.
  // checkov:skip=CKV_AZURE_80:The app is in Python, and the sign-in has no framework to choose.
  // checkov:skip=CKV_AZURE_88:The Flex Consumption plan has its package in a blob container, and no Azure Files.
  // checkov:skip=CKV_AZURE_222:The app's own resource above says why the internet can reach it.
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: true
    }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'RedirectToLoginPage'
      redirectToProvider: 'azureactivedirectory'
      excludedPaths: [
        '/api/health'
        '/api/openapi.json'
        '/api/swagger.json'
        '/api/webhooks/openai'
        '/runtime/webhooks/blobs'
      ]
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: entraClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: [
            entraClientId
            'api://${entraClientId}'
          ]
        }
      }
    }
    login: {
      tokenStore: {
        enabled: false
      }
    }
    httpSettings: {
      requireHttps: true
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
