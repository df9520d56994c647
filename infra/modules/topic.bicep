metadata description = 'The Event Grid system topic of the storage account. A storage account can have only one; Defender for Storage may have made it.'

param name string
param location string
param tags object
param storageId string

@description('Use the topic of this name, which is in the resource group of the storage account and has a system-assigned identity.')
param existing bool

resource made 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (!existing) {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    source: storageId
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource found 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = if (existing) {
  name: name
}

output id string = existing ? found!.id : made!.id
output name string = name
output principalId string = existing ? found!.identity.principalId : made!.identity.principalId
