metadata description = 'Alerts: poison messages, failed runs, stalled indexing, events that could not be delivered.'

param namePrefix string
param location string
param tags object
param workspaceId string
param topicId string

@description('Email address that gets the alerts.')
param email string

var rules = [
  {
    name: 'poison-messages'
    text: 'A queue message was moved to a poison queue. The app ends its run or document as failed; the log has the reason.'
    severity: 1
    window: 'PT15M'
    query: loadTextContent('../queries/poison-messages.kql')
    threshold: 0
  }
  {
    name: 'failed-runs'
    text: 'More than three runs failed, expired or ended incomplete within 15 minutes.'
    severity: 2
    window: 'PT15M'
    query: loadTextContent('../queries/failed-runs.kql')
    threshold: 3
  }
  {
    name: 'indexing-stands-still'
    text: 'Documents have been waiting for more than 20 minutes, and none was finished in that time.'
    severity: 2
    window: 'PT30M'
    query: loadTextContent('../queries/indexing-stands-still.kql')
    threshold: 0
  }
  {
    name: 'dead-callbacks'
    text: 'Notifications were given up after a day, or refused by their receiver.'
    severity: 2
    window: 'PT15M'
    query: loadTextContent('../queries/dead-callbacks.kql')
    threshold: 0
  }
  {
    name: 'access-denied'
    text: 'The model service or storage refuses the identity of the app for 15 minutes: a role is missing.'
    severity: 1
    window: 'PT15M'
    query: loadTextContent('../queries/access-denied.kql')
    threshold: 10
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${namePrefix}-people'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'assistant'
    enabled: true
    emailReceivers: [
      {
        name: 'mail'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource logAlerts 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for rule in rules: {
    name: '${namePrefix}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.name
      description: rule.text
      severity: rule.severity
      enabled: true
      scopes: [
        workspaceId
      ]
      evaluationFrequency: 'PT5M'
      windowSize: rule.window
      autoMitigate: true
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: rule.threshold
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: [
          people.id
        ]
      }
    }
  }
]

// A newer version may be missing in the compiler that a deployer has.
#disable-next-line use-recent-api-versions
resource undelivered 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${namePrefix}-dead-letters'
  location: 'global'
  tags: tags
  properties: {
    description: 'Event Grid gave up on events: the app does not know of some uploaded or deleted documents. See the container dead-letters.'
    severity: 1
    enabled: true
    scopes: [
      topicId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'dead-lettered'
          criterionType: 'StaticThresholdCriterion'
          metricName: 'DeadLetteredCount'
          operator: 'GreaterThan'
          threshold: 0
          timeAggregation: 'Total'
        }
      ]
    }
    actions: [
      {
        actionGroupId: people.id
      }
    ]
  }
}
