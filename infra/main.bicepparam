using './main.bicep'

// azd sets these three; set the others with `azd env set NAME VALUE`. Each has the default of the template.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'assistant')
param location = readEnvironmentVariable('AZURE_LOCATION', 'swedencentral')
param principalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param principalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')

// An existing account and model.
param existingOpenAiName = readEnvironmentVariable('EXISTING_OPENAI_NAME', '')
param existingOpenAiResourceGroup = readEnvironmentVariable('EXISTING_OPENAI_RESOURCE_GROUP', '')
param modelDeployment = readEnvironmentVariable('MODEL_DEPLOYMENT', 'gpt-4.1-mini')
param modelName = readEnvironmentVariable('MODEL_NAME', 'gpt-4.1-mini')
param modelVersion = readEnvironmentVariable('MODEL_VERSION', '2025-04-14')
param modelSku = readEnvironmentVariable('MODEL_SKU', 'GlobalStandard')
param modelCapacity = int(readEnvironmentVariable('MODEL_CAPACITY', '50'))

// Instances kept running: faster, but at a price.
param alwaysReadyHttp = int(readEnvironmentVariable('ALWAYS_READY_HTTP', '0'))
param alwaysReadyBlob = int(readEnvironmentVariable('ALWAYS_READY_BLOB', '1'))

// A private network. Add your own address; otherwise nobody outside the network can upload a document.
param privateNetwork = bool(readEnvironmentVariable('PRIVATE_NETWORK', 'false'))
param allowedIps = empty(readEnvironmentVariable('ALLOWED_IPS', '')) ? [] : split(readEnvironmentVariable('ALLOWED_IPS', ''), ',')

param alertEmail = readEnvironmentVariable('ALERT_EMAIL', '')

// Settings of the app with another value than in settings.json, such as { RUN_MAX_S: '1800' }.
param appSettings = {}
