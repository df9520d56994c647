metadata description = 'Key Vault with the secrets of the app. The app gets references, never values.'

param name string
param location string
param tags object

@description('The settings whose secrets are stored.')
param settings array

@description('Setting -> secret.')
@secure()
param secrets object

@description('Principal id of the app identity, which reads the secrets.')
param principalId string

// Reads the values of secrets, and nothing else.
var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  // checkov:skip=CKV_AZURE_42:Deleted secrets can be restored for 7 days; whoever deploys has them as well.
  // checkov:skip=CKV_AZURE_109:The plan's changing addresses have to reach it when it reads references; access needs a role.
  // checkov:skip=CKV_AZURE_110:With purge protection the same environment could not be deployed again after azd down for 90 days.
  // checkov:skip=CKV_AZURE_189:As CKV_AZURE_109: the platform reads references from outside any network of the app.
  // checkov:skip=CKV2_AZURE_32:As CKV_AZURE_109: the platform reads references from outside any network of the app.
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    publicNetworkAccess: 'Enabled'
  }
}

resource values 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = [
  for setting in settings: {
    // checkov:skip=CKV_AZURE_41:The app stops working with an expired secret; whoever sets it decides when to replace it.
    parent: vault
    name: toLower(replace(setting, '_', '-'))
    properties: {
      contentType: 'text/plain'
      value: secrets[setting]
    }
  }
]

resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, secretsUser)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
  }
}

var prefix = '@Microsoft.KeyVault(VaultName=${name};SecretName='

// Without a version: the app gets a new value within a day.
output references object = toObject(
  settings,
  setting => setting,
  setting => '${prefix}${toLower(replace(setting, '_', '-'))})'
)
