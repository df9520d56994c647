metadata description = 'Deletes old answers and old run records. Off unless a number of days is given.'

param storageName string

@description('Days after their last change after which answers and charts are deleted; 0: never.')
@minValue(0)
param answersDays int

@description('Days after their last change after which records of runs, threads and reports are deleted; 0: never.')
@minValue(0)
param recordsDays int

var names = loadJsonContent('../names.json')
var rules = [
  {
    name: 'answers'
    days: answersDays
    prefixes: [
      '${names.containers.answers}/run_'
    ]
  }
  {
    name: 'records'
    days: recordsDays
    prefixes: map(names.records, folder => '${names.containers.state}/${folder}')
  }
]

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: storageName
}

resource policy 'Microsoft.Storage/storageAccounts/managementPolicies@2025-01-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        for rule in filter(rules, rule => rule.days > 0): {
          name: rule.name
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: [
                'blockBlob'
              ]
              prefixMatch: rule.prefixes
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterModificationGreaterThan: rule.days
                }
              }
            }
          }
        }
      ]
    }
  }
}
