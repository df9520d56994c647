metadata description = 'A new storage account. No keys, no public blobs. containers.bicep says what is in it.'

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

@description('Origins of pages that may put a large document straight into storage, with an upload URL of the app.')
param corsOrigins array

param workspaceId string

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
    // A page can only write, and only with a signed URL of one blob.
    cors: {
      corsRules: [
        {
          allowedOrigins: corsOrigins
          allowedMethods: [
            'PUT'
          ]
          allowedHeaders: [
            'content-type'
            'x-ms-blob-type'
            'x-ms-meta-*'
          ]
          exposedHeaders: [
            'etag'
          ]
          maxAgeInSeconds: 3600
        }
      ]
    }
  }
}

// The stable versions of this type are of 2016 and before.
#disable-next-line use-recent-api-versions
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
