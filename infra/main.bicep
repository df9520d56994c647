metadata description = 'All resources of Assistant Functions: one resource group, one identity, no keys. See README.md.'

targetScope = 'subscription'

@description('Name of the azd environment; the names of resources are derived from it.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Region of all resources. Each of these has the Responses API with file search and code interpreter.')
@allowed([
  'australiaeast'
  'canadaeast'
  'eastus'
  'eastus2'
  'francecentral'
  'germanywestcentral'
  'japaneast'
  'koreacentral'
  'norwayeast'
  'polandcentral'
  'southindia'
  'swedencentral'
  'switzerlandnorth'
  'uaenorth'
  'uksouth'
  'westus3'
])
param location string

@description('Empty: rg- followed by the environment name.')
param resourceGroupName string = ''

@description('Object id of the user who deploys, who gets the role to upload documents and read answers; azd sets it.')
param principalId string = ''

@allowed([
  'User'
  'Group'
  'ServicePrincipal'
])
param principalType string = 'User'

@description('Name of an existing Azure OpenAI (or Foundry) account to use; empty: a new one is created.')
param existingOpenAiName string = ''

@description('Resource group of the existing account, in this subscription; empty: the resource group of this deployment.')
param existingOpenAiResourceGroup string = ''

@description('Name of an existing storage account to use; empty: a new one is created. Its settings stay as they are.')
param existingStorageName string = ''

@description('Resource group of the existing storage account, in this subscription; empty: the resource group of this deployment.')
param existingStorageResourceGroup string = ''

@description('Name of an existing Application Insights resource, with a workspace; empty: a new one is created.')
param existingInsightsName string = ''

@description('Resource group of the existing Application Insights, in this subscription; empty: the resource group of this deployment.')
param existingInsightsResourceGroup string = ''

@description('Resource id of an existing subnet, delegated to Microsoft.App/environments, for what the app sends; empty: none, or with privateNetwork a new one.')
param existingSubnetId string = ''

@description('Name of the model deployment. With an existing account it must exist there.')
param modelDeployment string = 'gpt-5.4-mini'

param modelName string = 'gpt-5.4-mini'
param modelVersion string = '2026-03-17'

@description('GlobalStandard, DataZoneStandard or Standard.')
param modelSku string = 'GlobalStandard'

@description('Thousands of tokens per minute.')
param modelCapacity int = 50

@description('Audience of the tokens for the model service.')
param openAiScope string = 'https://ai.azure.com/.default'

@description('Instances kept running for HTTP. With 1 or more there are no cold starts; README.md gives the price.')
@minValue(0)
param alwaysReadyHttp int = 0

@description('Instances kept running for the blob trigger. With 0, the first document after a pause can wait for a retry by Event Grid.')
@minValue(0)
param alwaysReadyBlob int = 1

@description('Instances kept running for the function that looks at runs: an answer is then noticed within seconds.')
@minValue(0)
param alwaysReadyRuns int = 0

@description('Instances kept running for the function that follows documents while they are indexed.')
@minValue(0)
param alwaysReadyIndexing int = 0

@description('HTTP requests that one instance handles at the same time; 16 uploads of 8 MiB take 1.1 GB of memory.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 16

@allowed([
  512
  2048
  4096
])
param instanceMemoryMb int = 2048

@description('Upper limit of instances: it limits the bill.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

@description('Origins of other web pages that may call the API, such as https://intranet.example.com.')
param corsOrigins array = []

@description('Client id of an app registration: people then sign in with Entra, and no function key is needed. README.md says how. Empty: callers give a function key.')
param entraClientId string = ''

@description('Create a virtual network and private endpoints, and close storage and the model to the internet. With existingSubnetId, the network and its endpoints are yours.')
param privateNetwork bool = false

@description('With privateNetwork: IPv4 addresses that can still reach storage, such as your own.')
param allowedIps array = []

param networkPrefix string = '10.42.0.0/16'
param appSubnetPrefix string = '10.42.0.0/24'
param endpointSubnetPrefix string = '10.42.1.0/27'

@description('Standard_LRS, Standard_ZRS or Standard_GRS.')
param storageSku string = 'Standard_LRS'

@minValue(1)
@maxValue(365)
param softDeleteDays int = 7

@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Limit of telemetry per day, in GB; -1: no limit.')
param logDailyCapGb int = 1

@description('Email address that gets alerts on poison messages, failed runs, stalled indexing and dead letters; empty: no alerts are created.')
param alertEmail string = ''

@description('Monthly amount, in the currency of the subscription, at which alertEmail gets mail; 0: no budget.')
@minValue(0)
param budgetAmount int = 0

@description('Days after which answers and charts are deleted; 0: never.')
@minValue(0)
param answersDays int = 0

@description('Days after which records of runs, threads and reports are deleted, 30 or more; 0: never.')
@minValue(0)
param recordsDays int = 0

@description('Name of an existing Event Grid system topic of the storage account, such as that of Defender; empty: a new one.')
param existingTopicName string = ''

@description('Key that signs callbacks; it is kept in Key Vault. Empty: none.')
@secure()
param callbackSecret string = ''

@description('Signing secret of the webhook of the model service; it is kept in Key Vault. Empty: none.')
@secure()
param openAiWebhookSecret string = ''

@description('Key of the custom topic EVENT_GRID_TOPIC_ENDPOINT; it is kept in Key Vault. Empty: the role is used.')
@secure()
param eventGridTopicKey string = ''

@description('Key of the model service, in Key Vault, instead of the identity, where an operation refuses tokens. Empty: none.')
@secure()
param openAiKey string = ''

@description('Values for settings in settings.json, by name, instead of the defaults.')
param appSettings object = {}

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = {
  'azd-env-name': environmentName
}
var groupName = empty(resourceGroupName) ? 'rg-${environmentName}' : resourceGroupName
var appName = 'func-${token}'
var makesOpenAi = empty(existingOpenAiName)
var secrets = {
  CALLBACK_SECRET: callbackSecret
  EVENT_GRID_TOPIC_KEY: eventGridTopicKey
  OPENAI_API_KEY: openAiKey
  OPENAI_WEBHOOK_SECRET: openAiWebhookSecret
}
var hasSecrets = !empty('${callbackSecret}${eventGridTopicKey}${openAiKey}${openAiWebhookSecret}')
var openAiName = makesOpenAi ? 'oai-${token}' : existingOpenAiName
var makesStorage = empty(existingStorageName)
var storageName = makesStorage ? 'st${token}' : existingStorageName
var storageGroup = makesStorage || empty(existingStorageResourceGroup) ? groupName : existingStorageResourceGroup
var makesInsights = empty(existingInsightsName)
var insightsName = makesInsights ? 'appi-${token}' : existingInsightsName
var insightsGroup = makesInsights || empty(existingInsightsResourceGroup) ? groupName : existingInsightsResourceGroup
var makesNetwork = privateNetwork && empty(existingSubnetId)
var openAiGroup = makesOpenAi || empty(existingOpenAiResourceGroup) ? groupName : existingOpenAiResourceGroup

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: groupName
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  scope: group
  params: {
    name: 'id-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = if (makesInsights) {
  scope: group
  params: {
    workspaceName: 'log-${token}'
    insightsName: insightsName
    location: location
    tags: tags
    retentionDays: logRetentionDays
    dailyCapGb: logDailyCapGb
  }
}

module insightsAccess 'modules/insights-access.bicep' = {
  scope: resourceGroup(insightsGroup)
  dependsOn: [
    monitoring
  ]
  params: {
    insightsName: insightsName
    principalId: identity.outputs.principalId
  }
}

module storage 'modules/storage.bicep' = if (makesStorage) {
  scope: group
  params: {
    name: storageName
    location: location
    tags: tags
    sku: storageSku
    closed: privateNetwork
    allowedIps: allowedIps
    softDeleteDays: softDeleteDays
    corsOrigins: union(['https://${appName}.azurewebsites.net'], corsOrigins)
    workspaceId: insightsAccess.outputs.workspaceId
  }
}

module containers 'modules/containers.bicep' = {
  scope: resourceGroup(storageGroup)
  dependsOn: [
    storage
  ]
  params: {
    storageName: storageName
  }
}

module topic 'modules/topic.bicep' = {
  scope: resourceGroup(storageGroup)
  params: {
    name: empty(existingTopicName) ? 'evgt-${token}' : existingTopicName
    existing: !empty(existingTopicName)
    location: containers.outputs.location
    tags: tags
    storageId: containers.outputs.id
  }
}

module roles 'modules/roles.bicep' = {
  scope: resourceGroup(storageGroup)
  dependsOn: [
    storage
  ]
  params: {
    storageName: storageName
    appPrincipalId: identity.outputs.principalId
    topicPrincipalId: topic.outputs.principalId
    deployerPrincipalId: principalId
    deployerPrincipalType: principalType
  }
}

module deletedEvents 'modules/deleted-events.bicep' = {
  scope: resourceGroup(storageGroup)
  // Event Grid checks when the subscription is created that the topic may write to its destinations.
  dependsOn: [
    roles
  ]
  params: {
    topicName: topic.outputs.name
    storageId: containers.outputs.id
  }
}

module openAi 'modules/openai.bicep' = if (makesOpenAi) {
  scope: group
  params: {
    name: openAiName
    location: location
    tags: tags
    deploymentName: modelDeployment
    modelName: modelName
    modelVersion: modelVersion
    deploymentSku: modelSku
    capacity: modelCapacity
    closed: privateNetwork
    workspaceId: insightsAccess.outputs.workspaceId
  }
}

module openAiAccess 'modules/openai-access.bicep' = {
  scope: resourceGroup(openAiGroup)
  dependsOn: [
    openAi
  ]
  params: {
    accountName: openAiName
    principalId: identity.outputs.principalId
  }
}

module vault 'modules/vault.bicep' = if (hasSecrets) {
  scope: group
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    settings: map(filter(items(secrets), secret => !empty(secret.value)), secret => secret.key)
    secrets: secrets
    principalId: identity.outputs.principalId
  }
}

module network 'modules/network.bicep' = if (makesNetwork) {
  scope: group
  params: {
    name: 'vnet-${token}'
    location: location
    tags: tags
    addressPrefix: networkPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
    storageId: containers.outputs.id
    openAiId: makesOpenAi ? openAi!.outputs.id : ''
  }
}

module app 'modules/app.bicep' = {
  scope: group
  // The platform reads the package and the host takes its leases with the identity's roles.
  dependsOn: [
    roles
  ]
  params: {
    name: appName
    planName: 'plan-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    blobUrl: containers.outputs.blobUrl
    queueUrl: containers.outputs.queueUrl
    tableUrl: containers.outputs.tableUrl
    insightsConnectionString: insightsAccess.outputs.connectionString
    openAiBaseUrl: openAiAccess.outputs.baseUrl
    openAiModel: modelDeployment
    openAiScope: openAiScope
    alwaysReadyHttp: alwaysReadyHttp
    alwaysReadyBlob: alwaysReadyBlob
    alwaysReadyRuns: alwaysReadyRuns
    alwaysReadyIndexing: alwaysReadyIndexing
    httpConcurrency: httpConcurrency
    instanceMemoryMb: instanceMemoryMb
    maximumInstances: maximumInstances
    subnetId: makesNetwork ? network!.outputs.appSubnetId : existingSubnetId
    corsOrigins: corsOrigins
    entraClientId: entraClientId
    vaultReferences: hasSecrets ? vault!.outputs.references : {}
    overrides: appSettings
  }
}

module alerts 'modules/alerts.bicep' = if (!empty(alertEmail)) {
  scope: group
  params: {
    namePrefix: 'alert-${token}'
    location: location
    tags: tags
    workspaceId: insightsAccess.outputs.workspaceId
    topicId: topic.outputs.id
    email: alertEmail
  }
}

module workbook 'modules/workbook.bicep' = {
  scope: group
  params: {
    name: guid(group.id, 'workbook')
    location: location
    tags: tags
    workspaceId: insightsAccess.outputs.workspaceId
  }
}

module budget 'modules/budget.bicep' = if (budgetAmount > 0 && !empty(alertEmail)) {
  scope: group
  params: {
    name: 'budget-${token}'
    amount: budgetAmount
    email: alertEmail
  }
}

// A storage account has one policy: that of an existing account stays as it is.
module lifecycle 'modules/lifecycle.bicep' = if (makesStorage && (answersDays > 0 || recordsDays > 0)) {
  scope: group
  dependsOn: [
    storage
  ]
  params: {
    storageName: storageName
    answersDays: answersDays
    recordsDays: recordsDays
  }
}

// Read by scripts/postdeploy.py. Names and addresses only: no output is a secret.
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_APP_NAME string = app.outputs.name
output AZURE_FUNCTION_APP_URL string = app.outputs.url
output AZURE_SIGN_IN_CLIENT_ID string = entraClientId
output AZURE_STORAGE_ACCOUNT_NAME string = storageName
output AZURE_STORAGE_ACCOUNT_ID string = containers.outputs.id
output AZURE_STORAGE_BLOB_URL string = containers.outputs.blobUrl
output AZURE_STORAGE_RESOURCE_GROUP string = storageGroup
output AZURE_EVENT_GRID_TOPIC_NAME string = topic.outputs.name
output AZURE_OPENAI_NAME string = openAiName
output OPENAI_BASE_URL string = openAiAccess.outputs.baseUrl
output OPENAI_MODEL string = modelDeployment
