using './main.bicep'

// azd sets these three; set the others with `azd env set NAME VALUE`. Each has the default of the template.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'assistant')
param location = readEnvironmentVariable('AZURE_LOCATION', 'swedencentral')
param principalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param principalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')

// Resources that you have.
param existingOpenAiName = readEnvironmentVariable('EXISTING_OPENAI_NAME', '')
param existingOpenAiResourceGroup = readEnvironmentVariable('EXISTING_OPENAI_RESOURCE_GROUP', '')
param existingStorageName = readEnvironmentVariable('EXISTING_STORAGE_NAME', '')
param existingStorageResourceGroup = readEnvironmentVariable('EXISTING_STORAGE_RESOURCE_GROUP', '')
param existingInsightsName = readEnvironmentVariable('EXISTING_INSIGHTS_NAME', '')
param existingInsightsResourceGroup = readEnvironmentVariable('EXISTING_INSIGHTS_RESOURCE_GROUP', '')
param existingSubnetId = readEnvironmentVariable('EXISTING_SUBNET_ID', '')
param existingTopicName = readEnvironmentVariable('EXISTING_TOPIC_NAME', '')

param modelDeployment = readEnvironmentVariable('MODEL_DEPLOYMENT', 'gpt-5.4-mini')
param modelName = readEnvironmentVariable('MODEL_NAME', 'gpt-5.4-mini')
param modelVersion = readEnvironmentVariable('MODEL_VERSION', '2026-03-17')
param modelSku = readEnvironmentVariable('MODEL_SKU', 'GlobalStandard')
param modelCapacity = int(readEnvironmentVariable('MODEL_CAPACITY', '50'))

// Instances kept running: faster, but at a price.
param alwaysReadyHttp = int(readEnvironmentVariable('ALWAYS_READY_HTTP', '0'))
param alwaysReadyBlob = int(readEnvironmentVariable('ALWAYS_READY_BLOB', '1'))
param alwaysReadyRuns = int(readEnvironmentVariable('ALWAYS_READY_RUNS', '0'))
param alwaysReadyIndexing = int(readEnvironmentVariable('ALWAYS_READY_INDEXING', '0'))
param httpConcurrency = int(readEnvironmentVariable('HTTP_CONCURRENCY', '16'))
param openAiScope = readEnvironmentVariable('OPENAI_SCOPE', 'https://ai.azure.com/.default')

// A private network. Add your own address; otherwise nobody outside the network can upload a document.
param privateNetwork = bool(readEnvironmentVariable('PRIVATE_NETWORK', 'false'))
var ips = split(readEnvironmentVariable('ALLOWED_IPS', ''), ',')
param allowedIps = filter(map(ips, ip => trim(ip)), ip => !empty(ip))

// Who may call the app from a browser, and how people sign in.
var origins = split(readEnvironmentVariable('CORS_ORIGINS', ''), ',')
param corsOrigins = filter(map(origins, origin => trim(origin)), origin => !empty(origin))
param entraClientId = readEnvironmentVariable('ENTRA_CLIENT_ID', '')

param alertEmail = readEnvironmentVariable('ALERT_EMAIL', '')

// What is kept for how long, and what it may cost.
param budgetAmount = int(readEnvironmentVariable('BUDGET_AMOUNT', '0'))
param answersDays = int(readEnvironmentVariable('ANSWERS_DAYS', '0'))
param recordsDays = int(readEnvironmentVariable('RECORDS_DAYS', '0'))

// Secrets; set them with `azd env set-secret`. They are kept in Key Vault.
param callbackSecret = readEnvironmentVariable('CALLBACK_SECRET', '')
param openAiWebhookSecret = readEnvironmentVariable('OPENAI_WEBHOOK_SECRET', '')
param eventGridTopicKey = readEnvironmentVariable('EVENT_GRID_TOPIC_KEY', '')
param openAiKey = readEnvironmentVariable('OPENAI_KEY', '')

// Settings of the app with another value than in settings.json, such as { RUN_MAX_S: '1800' }.
param appSettings = {
  TELEMETRY: readEnvironmentVariable('TELEMETRY', 'off')
}
