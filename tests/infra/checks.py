"""Checks that the templates are consistent with one another and with the app. Each check yields the faults it finds."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from local.stack import provision
from shared.settings import Settings
from shared.storage import layout
from tests.infra import app_facts
from tests.infra.tools import Json, Templates, body

# Settings that the host or the platform reads, and the app does not.
HOST_SETTINGS = {
    "AzureWebJobsDisableHomepage",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__tableServiceUri",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
}
# The Flex Consumption plan has these in functionAppConfig, or not at all. It rejects or ignores the settings, and
# rejects most of the properties ("Site.SiteConfig.FtpsState for Flex Consumption sites is invalid").
# Source: https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations
FLEX_REFUSES = {
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTOVERVNET",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_DNS_SERVER",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_NODE_DEFAULT_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_SKIP_CONTENTSHARE_VALIDATION",
    "WEBSITE_VNET_ROUTE_ALL",
}
FLEX_REFUSED_PROPERTIES = {
    "alwaysOn",
    "containerSize",
    "ftpsState",
    "functionAppScaleLimit",
    "isReserved",
    "isXenon",
    "javaVersion",
    "linuxFxVersion",
    "minimumElasticInstanceCount",
    "netFrameworkVersion",
    "powerShellVersion",
    "preWarmedInstanceCount",
    "use32BitWorkerProcess",
    "vnetBackupRestoreEnabled",
    "vnetContentShareEnabled",
    "vnetImagePullEnabled",
    "vnetRouteAllEnabled",
    "windowsFxVersion",
}
# These have another default in Azure: an instance has 0.8 GB of temporary disk, and few places for requests that wait.
OTHER_IN_AZURE = {"DOCUMENT_MAX_BYTES", "TEMP_MAX_BYTES", "WAIT_MAX_S"}
TEMP_DISK_BYTES = 800_000_000
LONGEST_WAIT_S = 10

ROLES = {  # all role assignments: (principal, role, scope)
    ("appPrincipalId", "Storage Blob Data Owner", "storage"),
    ("appPrincipalId", "Storage Queue Data Contributor", "storage"),
    ("principalId", "Monitoring Metrics Publisher", "insights"),
    ("topicPrincipalId", "Storage Queue Data Message Sender", "storage"),
    ("topicPrincipalId", "Storage Blob Data Contributor", "storage"),
    ("deployerPrincipalId", "Storage Blob Data Contributor", "storage"),
    ("principalId", "Cognitive Services OpenAI Contributor", "account"),
    ("principalId", "Key Vault Secrets User", "vault"),
}
# Source: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLE_IDS = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a": "Storage Queue Data Message Sender",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "a001fd3d-188f-4b5d-821b-7da978bf7442": "Cognitive Services OpenAI Contributor",
}

# These versions were reviewed. A preview or another version has to be reviewed first.
API_VERSIONS = {
    "Microsoft.Storage/storageAccounts/managementPolicies": "2025-01-01",
    "Microsoft.KeyVault/vaults/secrets": "2025-05-01",
    "Microsoft.KeyVault/vaults": "2025-05-01",
    "Microsoft.Insights/workbooks": "2023-06-01",
    "Microsoft.Consumption/budgets": "2024-08-01",
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.CognitiveServices/accounts": "2025-06-01",
    "Microsoft.CognitiveServices/accounts/deployments": "2025-06-01",
    "Microsoft.EventGrid/systemTopics": "2025-02-15",
    "Microsoft.EventGrid/systemTopics/eventSubscriptions": "2025-02-15",
    "Microsoft.EventGrid/topics": "2025-02-15",
    "Microsoft.Insights/actionGroups": "2023-01-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/diagnosticSettings": "2021-05-01-preview",  # the stable ones are of 2016 and before
    "Microsoft.Insights/metricAlerts": "2018-03-01",
    "Microsoft.Insights/scheduledQueryRules": "2026-03-01",
    "Microsoft.Logic/workflows": "2019-05-01",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2024-11-30",
    "Microsoft.Network/networkSecurityGroups": "2025-05-01",
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "2024-06-01",
    "Microsoft.Network/privateEndpoints": "2025-05-01",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "2025-05-01",
    "Microsoft.Network/virtualNetworks": "2025-05-01",
    "Microsoft.OperationalInsights/workspaces": "2025-07-01",
    "Microsoft.Resources/resourceGroups": "2025-04-01",
    "Microsoft.Storage/storageAccounts": "2025-01-01",
    "Microsoft.Storage/storageAccounts/blobServices": "2025-01-01",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "2025-01-01",
    "Microsoft.Storage/storageAccounts/queueServices": "2025-01-01",
    "Microsoft.Storage/storageAccounts/queueServices/queues": "2025-01-01",
    "Microsoft.Web/serverfarms": "2025-03-01",
    "Microsoft.Web/sites": "2025-03-01",
    "Microsoft.Web/sites/config": "2025-03-01",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": "2025-03-01",
}


# ---- among the templates ------------------------------------------------------------------------------------------


def references(templates: Templates) -> Iterator[str]:
    """Modules, parameters, outputs and JSON files that a template names exist."""
    for path, tree in templates.bicep.items():
        text = templates.text(path)
        for symbol, module in tree.get("modules", {}).items():
            yield from _module(templates, path, symbol, module)
        for symbol, output in re.findall(r"\b(\w+)!?\.outputs\.(\w+)", text):
            target = _target(path, tree["modules"][symbol]) if symbol in tree.get("modules", {}) else None
            if target not in templates.trees or output not in templates.trees[target].get("outputs", {}):
                yield f"{path}: {symbol}.outputs.{output} is not declared"
        for name in tree.get("parameters", {}):
            if len(re.findall(rf"\b{name}\b", text)) < 2:
                yield f"{path}: parameter {name} is not used"
        for file in re.findall(r"loadJsonContent\('([^']+)'\)", text):
            if not (templates.folder / path).parent.joinpath(file).exists():
                yield f"{path}: {file} does not exist"
        yield from _names(templates, path, text)
    yield from _parameter_file(templates)


def _module(templates: Templates, path: str, symbol: str, module: Json) -> Iterator[str]:
    target = _target(path, module)
    if target not in templates.trees:
        yield f"{path}: module {symbol} is in {target}, which does not exist"
        return
    declared = templates.trees[target].get("parameters", {})
    given = set(body(module).get("params", {}))
    yield from (f"{path}: {target} has no parameter {name}" for name in given - declared.keys())
    yield from (f"{path}: {target} is not given its parameter {name}" for name in _required(declared) - given)


def _target(path: str, module: Json) -> str:
    return str(Path(path).parent / module["detail"]["full"]).removeprefix("./")


def _names(templates: Templates, path: str, text: str) -> Iterator[str]:
    for dotted in re.findall(r"(?<!/)\bnames((?:\.\w+)+)", text):
        value = templates.json("names.json")
        for part in dotted.strip(".").split("."):
            if part not in value:
                yield f"{path}: names{dotted} is not in names.json"
                break
            value = value[part]


def _parameter_file(templates: Templates) -> Iterator[str]:
    declared = templates.trees["main.bicep"]["parameters"]
    variables = set(re.findall(r"^var (\w+)", templates.text("main.bicepparam"), flags=re.M))
    given = set(templates.trees["main.bicepparam"]["variables"]) - variables
    yield from (f"main.bicepparam: main.bicep has no parameter {name}" for name in given - declared.keys())
    yield from (f"main.bicepparam: {name} is missing" for name in _required(declared) - given)


def _required(declared: Json) -> set[str]:
    return {name for name, parameter in declared.items() if parameter.get("default") is None}


def api_versions(templates: Templates) -> Iterator[str]:
    """Every resource has the reviewed API version."""
    for path, tree in templates.bicep.items():
        for symbol, resource in tree.get("resources", {}).items():
            if API_VERSIONS.get(resource["type"]) != resource["api_version"]:
                yield f"{path}: {symbol} is {resource['type']}@{resource['api_version']}"


# ---- templates and app --------------------------------------------------------------------------------------------


def settings(templates: Templates) -> Iterator[str]:
    """The templates set exactly the settings that the app reads, with the same defaults."""
    fixed = set(templates.trees["modules/app.bicep"]["variables"]["settings"]["value"])
    listed = templates.json("settings.json")
    read, made = app_facts.settings_read(), fixed | listed.keys()
    yield from (f"the app reads {name}, which infra/ does not set" for name in read - made - app_facts.NOT_IN_AZURE)
    yield from (f"infra/ sets {name}, which neither app nor host reads" for name in made - read - HOST_SETTINGS)
    yield from (f"{name} must not be set" for name in made & (app_facts.NOT_IN_AZURE | FLEX_REFUSES))
    yield from (f"{name} is both fixed and listed" for name in fixed & listed.keys())
    for name, setting in listed.items():
        given = {**app_facts.IN_AZURE, name: setting["default"]}
        differs = Settings.from_environ(given) != Settings.from_environ(app_facts.IN_AZURE)
        if differs != (name in OTHER_IN_AZURE):
            yield f"settings.json: {name} is {setting['default']!r}, which is not the app's default"
        if not _is(setting["type"], setting["default"]):
            yield f"settings.json: {name} is {setting['default']!r}, which is not of the type {setting['type']}"
        if not setting["about"]:
            yield f"settings.json: {name} has no description"


def _is(type: str, value: object) -> bool:
    patterns = {"text": ".*", "whole": "[1-9][0-9]*", "price": r"\d+(\.\d+)?", "secret": "", "cron": r"\S+( \S+){5}"}
    return isinstance(value, str) and re.fullmatch(patterns[type], value) is not None


def names(templates: Templates) -> Iterator[str]:
    """Containers, queues and functions are those of the app and of the local stack."""
    given = templates.json("names.json")
    containers, queues = given["containers"], given["queues"]
    app_containers = set(provision.CONTAINERS)
    app_queues = {name for queue in provision.QUEUES for name in (queue, f"{queue}-poison")}
    app_queues.add(provision.HOST_POISON_QUEUE)
    yield from (f"the container {name} is not created" for name in app_containers - set(containers.values()))
    extra = set(containers.values()) - app_containers - {containers["package"], containers["deadLetters"]}
    yield from (f"the container {name} is not used" for name in extra)
    yield from (f"the queue {name} is not created" for name in app_queues - set(queues))
    yield from (f"the queue {name} is not used" for name in set(queues) - app_queues)
    triggers = app_facts.triggers()
    for function, trigger in triggers.items():
        if trigger["type"] == "queueTrigger" and trigger["queueName"] not in queues:
            yield f"{function} reads the queue {trigger['queueName']}, which is not created"
    indexer = triggers.get(given["indexFunction"], {})
    if indexer.get("type") != "blobTrigger":
        yield f"Event Grid calls the function {given['indexFunction']}, which is not a blob trigger of the app"
    elif indexer["path"].split("/")[0] != containers["documents"]:
        yield f"Event Grid sends events of {containers['documents']}, and the trigger is on {indexer['path']}"
    if triggers.get("remove_document", {}).get("queueName") != given["deletedEventsQueue"]:
        yield f"no function reads the deletions in {given['deletedEventsQueue']}"


def alerts(templates: Templates) -> Iterator[str]:
    """The functions and log events in the queries of the alerts exist in the app."""
    quoted = _alert_words(templates)
    functions = {name for name in quoted if "_" in name and "." not in name}
    yield from (
        f"an alert looks for {name}, which is not a function" for name in functions - app_facts.triggers().keys()
    )
    yield from _never_logged({name for name in quoted if "." in name and not name.startswith("run.")})


def run_alerts(templates: Templates) -> Iterator[str]:
    """The log events of ended runs in the queries of the alerts exist in the app."""
    yield from _never_logged({name for name in _alert_words(templates) if name.startswith("run.")})


def _alert_words(templates: Templates) -> set[str]:
    text = "".join(path.read_text() for path in sorted((templates.folder / "queries").glob("*.kql")))
    named = set(re.findall(r'"([a-z_]+\.?[a-z_]+)"', text))
    return {name for name in named if "_" in name or "." in name} - app_facts.metrics()


def _never_logged(events: set[str]) -> Iterator[str]:
    logged = app_facts.log_events()
    for event in events:
        if event not in logged and f"{event.split('.')[0]}.%s" not in logged:
            yield f"an alert looks for {event}, which is never logged"


# ---- security -----------------------------------------------------------------------------------------------------


def roles(templates: Templates) -> Iterator[str]:
    """The role assignments are exactly those in `ROLES`."""
    found = set()
    for path, symbol, config in templates.resources("Microsoft.Authorization/roleAssignments"):
        properties = config["properties"]
        role = properties["roleDefinitionId"]["function"]["parameters"]["resource_name_1"]
        guid = templates.trees[path]["variables"].get(role, {}).get("value")
        if guid not in ROLE_IDS:
            yield f"{path}: {symbol} assigns a role with the unknown id {guid}"
            continue
        found.add((properties["principalId"], ROLE_IDS[guid], config["scope"]))
    yield from (f"{who} lacks {role} on {what}" for who, role, what in sorted(ROLES - found))
    yield from (f"{who} has {role} on {what}, which is not in the list" for who, role, what in sorted(found - ROLES))


LOCKS = [  # (type, dotted property, what it must be)
    ("Microsoft.Storage/storageAccounts", "allowSharedKeyAccess", False),
    ("Microsoft.Storage/storageAccounts", "allowBlobPublicAccess", False),
    ("Microsoft.Storage/storageAccounts", "allowCrossTenantReplication", False),
    ("Microsoft.Storage/storageAccounts", "supportsHttpsTrafficOnly", True),
    ("Microsoft.Storage/storageAccounts", "minimumTlsVersion", "TLS1_2"),
    ("Microsoft.Storage/storageAccounts", "networkAcls.bypass", "AzureServices"),
    ("Microsoft.Storage/storageAccounts/blobServices", "deleteRetentionPolicy.enabled", True),
    ("Microsoft.Storage/storageAccounts/blobServices", "containerDeleteRetentionPolicy.enabled", True),
    ("Microsoft.Storage/storageAccounts/blobServices/containers", "publicAccess", "None"),
    ("Microsoft.CognitiveServices/accounts", "disableLocalAuth", True),
    ("Microsoft.CognitiveServices/accounts", "customSubDomainName", "name"),
    ("Microsoft.Insights/components", "DisableLocalAuth", True),
    ("Microsoft.OperationalInsights/workspaces", "features.disableLocalAuth", True),
    ("Microsoft.Web/serverfarms", "reserved", True),
    ("Microsoft.Web/sites", "httpsOnly", True),
    ("Microsoft.Web/sites", "siteConfig.minTlsVersion", "1.2"),
    ("Microsoft.Web/sites", "keyVaultReferenceIdentity", "identityId"),
    ("Microsoft.KeyVault/vaults", "enableRbacAuthorization", True),
    ("Microsoft.KeyVault/vaults", "enableSoftDelete", True),
    ("Microsoft.Web/sites", "functionAppConfig.runtime.version", "3.12"),
    ("Microsoft.Web/sites", "functionAppConfig.deployment.storage.authentication.type", "UserAssignedIdentity"),
    ("Microsoft.Web/sites/basicPublishingCredentialsPolicies", "allow", False),
]


def locks(templates: Templates) -> Iterator[str]:
    """No keys, no public blobs, no secrets in outputs."""
    for type, dotted, wanted in LOCKS:
        found = templates.resources(type)
        if not found:
            yield f"there is no {type}"
        for path, symbol, config in found:
            value = config["properties"]
            for part in dotted.split("."):
                value = value.get(part, {})
            if value != wanted:
                yield f"{path}: {symbol}.{dotted} is {value!r} and should be {wanted!r}"
    for path, tree in templates.bicep.items():
        for name, output in tree.get("outputs", {}).items():
            if re.search(r"list_?keys|list_?secrets|sas", json.dumps(output), re.I):
                yield f"{path}: the output {name} contains a secret"
        if "listKeys" in templates.text(path) and path != "modules/created-events.bicep":
            yield f"{path}: reads keys"


DOCUMENTS = "/blobServices/default/containers/${names.containers.documents}/blobs/"


def events(templates: Templates) -> Iterator[str]:
    """Both subscriptions: the event type, the container, the dead-letter container and the destination."""
    found = {
        symbol: config["properties"]
        for _, symbol, config in templates.resources("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    }
    for symbol, type in (("created", "Microsoft.Storage.BlobCreated"), ("deleted", "Microsoft.Storage.BlobDeleted")):
        if symbol not in found:
            yield f"there is no subscription {symbol}"
            continue
        filter_ = found[symbol].get("filter", {})
        if filter_.get("includedEventTypes") != [type]:
            yield f"{symbol} takes {filter_.get('includedEventTypes')} and should take only {type}"
        if filter_.get("subjectBeginsWith") != DOCUMENTS:
            yield f"{symbol} takes events of {filter_.get('subjectBeginsWith')}, which needs to end in /blobs/"
        letters = found[symbol].get("deadLetterWithResourceIdentity", {}).get("deadLetterDestination", {})
        if "deadLetters" not in json.dumps(letters):
            yield f"{symbol} loses events that cannot be delivered"
    url = found.get("created", {}).get("destination", {}).get("properties", {}).get("endpointUrl", "")
    if url != "${webhook}?functionName=Host.Functions.${names.indexFunction}&code=${key}":
        yield f"created calls {url!r}"
    delivery = found.get("deleted", {}).get("deliveryWithResourceIdentity", {})
    if delivery.get("destination", {}).get("endpointType") != "StorageQueue":
        yield "deleted is not delivered to a queue with the identity of the topic"


# ---- what only the service's own rules know ------------------------------------------------------------------------


def flex(templates: Templates) -> Iterator[str]:
    """The app has nothing that the Flex Consumption plan refuses, and what it needs there."""
    for path, symbol, config in templates.resources("Microsoft.Web/sites"):
        properties = config["properties"]
        refused = {name.lower() for name in FLEX_REFUSED_PROPERTIES}
        for where in (properties, properties.get("siteConfig", {})):
            yield from (f"{path}: {symbol} has {name}, which Flex refuses" for name in where if name.lower() in refused)
        scale = properties["functionAppConfig"]["scaleAndConcurrency"]
        http = scale.get("triggers", {}).get("http", {})
        if "perInstanceConcurrency" not in http:
            yield f"{path}: {symbol} handles one HTTP request per instance"
        if "alwaysReady" not in scale:
            yield f"{path}: {symbol} has no always-ready instances"
    groups = set(re.findall(r"name: '([\w:]+|function:\$\{names\.(\w+)\})'", templates.text("modules/app.bicep")))
    functions = app_facts.triggers()
    for _, key in groups:
        if key and functions.get(templates.json("names.json").get(key, ""), {}).get("type") != "queueTrigger":
            yield f"names.json: {key} is no function with a queue"
    listed = templates.json("settings.json")
    if int(listed["TEMP_MAX_BYTES"]["default"]) > TEMP_DISK_BYTES:
        yield "TEMP_MAX_BYTES is more than an instance has"
    if 2 * int(listed["DOCUMENT_MAX_BYTES"]["default"]) > int(listed["TEMP_MAX_BYTES"]["default"]):
        yield "a document of DOCUMENT_MAX_BYTES never fits into TEMP_MAX_BYTES"
    if int(listed["WAIT_MAX_S"]["default"]) > LONGEST_WAIT_S:
        yield f"a request waits for more than {LONGEST_WAIT_S} s, and holds a place of its instance"


def secrets(templates: Templates) -> Iterator[str]:
    """A secret comes in as a secure parameter, goes into Key Vault, and nowhere else."""
    parameters = templates.trees["main.bicep"]["parameters"]
    text = templates.text("main.bicep")
    stored = dict(re.findall(r"^  ([A-Z_]+): (\w+)$", text[text.index("var secrets = {") :].split("}")[0], flags=re.M))
    wanted = {name for name, setting in templates.json("settings.json").items() if setting["type"] == "secret"}
    yield from (f"{name} is not kept in Key Vault" for name in wanted - stored.keys())
    looks_secret = {n for n in templates.json("settings.json") if re.search(r"SECRET|_KEY$|PASSWORD", n)}
    yield from (f"settings.json: {name} is a secret, and not of the type secret" for name in looks_secret - wanted)
    for path, tree in templates.bicep.items():
        declared = tree.get("parameters", {})
        for name in declared:
            before = templates.text(path).split(f"param {name} ")[0].split("\n\n")[-1]
            if (name in stored.values() or re.search(r"secret|key$|password", name, re.I)) and (
                "@secure()" not in before
            ):
                yield f"{path}: the parameter {name} is not secure"
    yield from (f"main.bicep has no parameter {name}" for name in set(stored.values()) - parameters.keys())
    app = text[text.index("module app ") :].split("\n}\n")[0]
    yield from (f"main.bicep gives {name} to the app" for name in stored.values() if re.search(rf"\b{name}\b", app))


def budget_and_lifecycle(templates: Templates) -> Iterator[str]:
    """Both are off by default, and the lifecycle names what the app keeps of runs, never its documents or stores."""
    parameters = templates.trees["main.bicep"]["parameters"]
    for name in ("budgetAmount", "answersDays", "recordsDays"):
        if parameters[name]["default"] != 0:
            yield f"{name} is on by default"
    records = templates.json("names.json")["records"]
    known = set(re.findall(r"^(\w[\w-]*/)", layout.__doc__ or "", flags=re.M))
    yield from (f"names.json: {folder} is no folder of the container state" for folder in set(records) - known)
    keep = {layout.DOCUMENTS, layout.COLLECTIONS, layout.VISIBILITY, layout.TEXTS, layout.ASSISTANTS, layout.RECEIPTS}
    yield from (f"the lifecycle deletes {folder}" for folder in keep & set(records))


ALL = (references, api_versions, settings, names, alerts, roles, locks, events, flex, secrets, budget_and_lifecycle)
