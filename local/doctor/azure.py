"""What `az` tells the doctor of a deployment: settings, roles, the event subscription, the model deployment."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from local.doctor.finding import Finding
from local.paths import ROOT

INFRA = ROOT / "infra"
FIXED = (  # beside those of infra/settings.json
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__queueServiceUri",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AZURE_CLIENT_ID",
    "OPENAI_BASE_URL",
    "OPENAI_MODEL",
    "OPENAI_SCOPE",
)
FORBIDDEN = ("AzureWebJobsStorage", "OPENAI_API_KEY")  # keys, where identities are used
ROLES = (
    "Storage Blob Data Owner",
    "Storage Queue Data Contributor",
    "Cognitive Services OpenAI Contributor",
    "Monitoring Metrics Publisher",
)
PROVISION, CONNECT = "azd provision", "./infra/scripts/postdeploy.sh connect"


class Unknown(Exception):
    """`az` could not say; the message holds its own words."""


def resources(environ: Mapping[str, str], url: str) -> Iterator[Finding]:
    """Every check that needs `az`; one line that says why not, where it or the azd environment is missing."""
    if not shutil.which("az"):
        yield Finding(name="resources", said="not looked at: there is no Azure CLI on PATH")
        return
    try:
        values = _azd_values(environ)
    except Unknown as exc:
        yield Finding(name="resources", said=f"not looked at: {exc}")
        return
    if not is_of(environ, url):
        yield Finding(name="resources", said="not looked at: the azd environment is of another deployment")
        return
    for check in (settings, roles, subscriptions, model):
        try:
            yield check(values)
        except Unknown as exc:
            yield Finding(name=check.__name__, said=str(exc), mend="az login")


def is_of(environ: Mapping[str, str], url: str) -> bool:
    """Whether the azd environment is the one of this app."""
    try:
        return _azd_values(environ).get("AZURE_FUNCTION_APP_URL", "").rstrip("/") == url.rstrip("/")
    except Unknown:
        return False


def settings(values: Mapping[str, str]) -> Finding:
    """All that the templates set, and no key."""
    found = {pair["name"] for pair in _az("functionapp", "config", "appsettings", "list", *_app(values))}
    listed = json.loads((INFRA / "settings.json").read_text())
    missing = sorted({*FIXED, *listed} - found)
    if keys := sorted(found & set(FORBIDDEN)):
        mend = f"az functionapp config appsettings delete {' '.join(_app(values))} --setting-names {' '.join(keys)}"
        return Finding(name="settings", said=f"there are keys: {', '.join(keys)}", mend=mend)
    if missing:
        return Finding(name="settings", said=f"missing: {', '.join(missing)}", mend=PROVISION)
    return Finding(name="settings", said=f"all {len(FIXED) + len(listed)} are there")


def roles(values: Mapping[str, str]) -> Finding:
    """The roles of the app's identity, wherever they are assigned."""
    identities = _az("functionapp", "identity", "show", *_app(values)).get("userAssignedIdentities") or {}
    principals = [identity["principalId"] for identity in identities.values()]
    if not principals:
        return Finding(name="roles", said="the app has no identity", mend=PROVISION)
    assigned = _az("role", "assignment", "list", "--assignee", principals[0], "--all")
    missing = [role for role in ROLES if role not in {found["roleDefinitionName"] for found in assigned}]
    if missing:
        return Finding(name="roles", said=f"missing: {', '.join(missing)}", mend=PROVISION)
    return Finding(name="roles", said=f"all {len(ROLES)} are there")


def subscriptions(values: Mapping[str, str]) -> Finding:
    """Both event subscriptions, what they take and whom they call."""
    names = json.loads((INFRA / "names.json").read_text())
    topic = ("--system-topic-name", _value(values, "AZURE_EVENT_GRID_TOPIC_NAME"))
    where = ("-g", _value(values, "AZURE_RESOURCE_GROUP"), *topic)
    found = {each["name"]: each for each in _az("eventgrid", "system-topic", "event-subscription", "list", *where)}
    for name, type, mend in (
        (names["createdSubscription"], "BlobCreated", CONNECT),
        (names["deletedSubscription"], "BlobDeleted", PROVISION),
    ):
        if name not in found:
            return Finding(name="events", said=f"there is no subscription {name}", mend=mend)
        if found[name].get("provisioningState") != "Succeeded":
            return Finding(name="events", said=f"{name} is {found[name].get('provisioningState')}", mend=mend)
        if found[name]["filter"]["includedEventTypes"] != [f"Microsoft.Storage.{type}"]:
            return Finding(name="events", said=f"{name} takes other events than {type}", mend=mend)
    called = (found[names["createdSubscription"]].get("destination") or {}).get("endpointBaseUrl") or ""
    if called and not called.startswith(values["AZURE_FUNCTION_APP_URL"]):
        return Finding(name="events", said=f"they go to {called}, which is another app", mend=CONNECT)
    return Finding(name="events", said="both subscriptions are well")


def model(values: Mapping[str, str]) -> Finding:
    """The model deployment exists. An account elsewhere, brought by the owner, is not looked at."""
    account, deployment = _value(values, "AZURE_OPENAI_NAME"), _value(values, "OPENAI_MODEL")
    group = values.get("EXISTING_OPENAI_RESOURCE_GROUP") or _value(values, "AZURE_RESOURCE_GROUP")
    found = _az("cognitiveservices", "account", "deployment", "list", "-g", group, "-n", account)
    if deployment not in {each["name"] for each in found}:
        return Finding(name="model", said=f"{account} has no deployment {deployment}", mend=PROVISION)
    return Finding(name="model", said=f"{account} has the deployment {deployment}")


def _azd_values(environ: Mapping[str, str]) -> Mapping[str, str]:
    if environ.get("AZURE_FUNCTION_APP_NAME"):
        return environ
    lines = _run("azd", "env", "get-values").splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def _value(values: Mapping[str, str], name: str) -> str:
    if value := values.get(name):
        return value
    raise Unknown(f"{name} is not in the azd environment")


def _app(values: Mapping[str, str]) -> tuple[str, ...]:
    return ("-g", _value(values, "AZURE_RESOURCE_GROUP"), "-n", _value(values, "AZURE_FUNCTION_APP_NAME"))


def _az(*arguments: str) -> Any:
    return json.loads(_run("az", *arguments, "-o", "json") or "null")


def _run(program: str, *arguments: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise Unknown(f"there is no {program} on PATH")
    result = subprocess.run([path, *arguments], capture_output=True, text=True, check=False, timeout=120)
    if result.returncode:
        raise Unknown((result.stderr.strip().splitlines() or [f"{program} failed"])[-1])
    return result.stdout
