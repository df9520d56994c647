metadata description = 'The storage account: documents, answers and state in private containers, and the queues between the functions. No keys, no public blobs.'

param name string
param location string
param tags object

@description('Close the account to the internet, except for allowedIps, private endpoints and Event Grid (as a trusted service).')
param closed bool

@description('IPv4 addresses or ranges that can reach a closed account, such as those of people who upload documents.')
param allowedIps array

@description('Days for which deleted or overwritten blobs can be restored.')
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
  // checkov:skip=CKV_AZURE_35:Denied with privateNetwork; otherwise people upload documents from anywhere, with a role and never a key.
  // checkov:skip=CKV_AZURE_59:Public blobs are disabled (allowBlobPublicAccess); trusted services need the public endpoint.
  // checkov:skip=CKV_AZURE_206:Set by the parameter storageSku; locally redundant by default, because the documents also exist at their origin.
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
      ipRules: [
        for ip in allowedIps: {
          value: ip
          action: 'Allow'
        }
      ]
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

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = [
  for item in items(names.containers): {
    parent: blobs
    name: item.value
    properties: {
      publicAccess: 'None'
    }
  }
]

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-01-01' = {
  parent: account
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' = [
  for queue in names.queues: {
    parent: queueService
    name: queue
  }
]

resource deletions 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobs
  name: 'deletions'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        // Logs deletions only. Reads and writes are nearly all the app's own, and their logs would cost too much.
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
