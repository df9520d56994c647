using './main.bicep'

// azd fills these three; the rest come from `azd env set NAME VALUE`, each with the template's own default.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'assistant')
param location = readEnvironmentVariable('AZURE_LOCATION', 'swedencentral')
param principalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param principalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')

// An account and a model that you have already.
param existingOpenAiName = readEnvironmentVariable('EXISTING_OPENAI_NAME', '')
param existingOpenAiResourceGroup = readEnvironmentVariable('EXISTING_OPENAI_RESOURCE_GROUP', '')
param modelDeployment = readEnvironmentVariable('MODEL_DEPLOYMENT', 'gpt-4.1-mini')
param modelName = readEnvironmentVariable('MODEL_NAME', 'gpt-4.1-mini')
param modelVersion = readEnvironmentVariable('MODEL_VERSION', '2025-04-14')
param modelSku = readEnvironmentVariable('MODEL_SKU', 'GlobalStandard')
param modelCapacity = int(readEnvironmentVariable('MODEL_CAPACITY', '50'))

// Speed against price.
param alwaysReadyHttp = int(readEnvironmentVariable('ALWAYS_READY_HTTP', '0'))
param alwaysReadyBlob = int(readEnvironmentVariable('ALWAYS_READY_BLOB', '1'))

// A network of its own. Give your address, or nothing outside the network can drop a document.
param privateNetwork = bool(readEnvironmentVariable('PRIVATE_NETWORK', 'false'))
param allowedIps = empty(readEnvironmentVariable('ALLOWED_IPS', '')) ? [] : split(readEnvironmentVariable('ALLOWED_IPS', ''), ',')

param alertEmail = readEnvironmentVariable('ALERT_EMAIL', '')

// Settings of the app that differ from settings.json, such as { RUN_MAX_S: '1800' }.
param appSettings = {}
