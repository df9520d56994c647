metadata description = 'Sends an event for every run that ends to your webhook, such as a Logic App with a Request trigger. The app writes answer.json once, as the last file, so the event is BlobCreated of answer.json.'

param topicName string
param storageAccountId string

@description('URL of the webhook. It has to answer the validation handshake of Event Grid; Logic Apps and Functions do so by themselves.')
@secure()
param endpointUrl string

var names = loadJsonContent('../names.json')

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

resource finished 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'run-finished'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: endpointUrl
      }
    }
    filter: {
      includedEventTypes: [
        'Microsoft.Storage.BlobCreated'
      ]
      subjectBeginsWith: '/blobServices/default/containers/${names.containers.answers}/blobs/run_'
      subjectEndsWith: '/answer.json'
      isSubjectCaseSensitive: true
    }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: storageAccountId
          blobContainerName: names.containers.deadLetters
        }
      }
    }
  }
}
