metadata description = 'A workbook of runs, documents and the model service, over the log and the metrics of the app.'

@description('A GUID.')
param name string
param location string
param tags object
param workspaceId string

var tiles = [
  {
    title: 'Runs by status'
    query: loadTextContent('../queries/runs.kql')
    visualization: 'barchart'
  }
  {
    title: 'Seconds to an answer'
    query: loadTextContent('../queries/time-to-answer.kql')
    visualization: 'linechart'
  }
  {
    title: 'Seconds by which looks at runs were late'
    query: loadTextContent('../queries/lag.kql')
    visualization: 'linechart'
  }
  {
    title: 'Documents by status'
    query: loadTextContent('../queries/documents.kql')
    visualization: 'barchart'
  }
  {
    title: 'Age of the oldest document that is not indexed, in seconds'
    query: loadTextContent('../queries/backlog-age.kql')
    visualization: 'linechart'
  }
  {
    title: 'Tokens and cost'
    query: loadTextContent('../queries/cost.kql')
    visualization: 'linechart'
  }
  {
    title: 'Requests that the model service put off or refused'
    query: loadTextContent('../queries/put-off.kql')
    visualization: 'barchart'
  }
]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Assistant Functions'
    category: 'workbook'
    sourceId: workspaceId
    version: 'Notebook/1.0'
    serializedData: string({
      version: 'Notebook/1.0'
      items: map(tiles, tile => {
        type: 3
        content: {
          version: 'KqlItem/1.0'
          query: tile.query
          size: 0
          title: tile.title
          timeContext: {
            durationMs: 86400000
          }
          queryType: 0
          resourceType: 'microsoft.operationalinsights/workspaces'
          visualization: tile.visualization
        }
      })
      fallbackResourceIds: [
        workspaceId
      ]
    })
  }
}
