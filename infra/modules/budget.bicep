metadata description = 'A budget of the resource group, which sends mail. It does not stop anything.'

param name string

@description('Amount a month, in the currency of the subscription.')
@minValue(1)
param amount int

param email string

@description('First day of a month. A budget that exists keeps its own.')
param startDate string = utcNow('yyyy-MM-01')

// A newer version may be missing in the compiler that a deployer has.
#disable-next-line use-recent-api-versions
resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: name
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: {
      startDate: startDate
    }
    notifications: {
      spent80: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 80
        thresholdType: 'Actual'
        contactEmails: [
          email
        ]
      }
      forecast100: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: [
          email
        ]
      }
    }
  }
}
