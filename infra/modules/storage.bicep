metadata description = 'The storage account: documents, answers and state in private containers, and the queues between the functions. No keys, no public blobs.'

param name string
param location string
param tags object

@description('Closed to the internet but for allowedIps, private endpoints and Event Grid, which comes as a trusted service.')
param closed bool

@description('IPv4 addresses or ranges that reach a closed account, such as those of the people who drop documents.')
param allowedIps array

@description('Days for which deleted or overwritten blobs can be brought back.')
param softDeleteDays int

@description('Locally redundant, zone-redundant or geo-redundant.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
])
param sku string

param workspaceId string

var names = loadJsonContent('../names.json')

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  // checkov:skip=CKV_AZURE_35:Denied with privateNetwork; otherwise people drop documents from anywhere, with a role and never a key.
  // checkov:skip=CKV_AZURE_59:Public blobs are off (allowBlobPublicAccess); the endpoint stays, as trusted services need it.
  // checkov:skip=CKV_AZURE_206:Parameter storageSku; locally redundant by default, since documents exist where they came from.
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      // Event Grid delivers to the queue and writes dead letters as a trusted service, with its own identity.
      bypass: 'AzureServices'
      defaultAction: closed ? 'Deny' : 'Allow'
      ipRules: [for ip in allowedIps: {
        value: ip
        action: 'Allow'
      }]
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
  }
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = [for item in items(names.containers): {
  parent: blobs
  name: item.value
  properties: {
    publicAccess: 'None'
  }
}]

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-01-01' = {
  parent: account
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' = [for queue in names.queues: {
  parent: queueService
  name: queue
}]

resource deletions 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobs
  name: 'deletions'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        // Who deleted what. Reads and writes are the app's own and would cost more than they tell.
        category: 'StorageDelete'
        enabled: true
      }
    ]
  }
}

output id string = account.id
output name string = account.name
output blobUrl string = account.properties.primaryEndpoints.blob
output queueUrl string = account.properties.primaryEndpoints.queue
output tableUrl string = account.properties.primaryEndpoints.table
