"""Checks of a deployment in Azure: over HTTP, and its resources with `az` and the values of the azd environment."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2

from local.doctor.app import check_app, check_event_flow
from local.doctor.finding import Finding
from local.paths import ROOT

INFRA = ROOT / "infra"
FIXED = (  # settings that the template sets itself, in addition to those of infra/settings.json
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
FORBIDDEN = ("AzureWebJobsStorage", "OPENAI_API_KEY")  # secrets; the deployment uses identities
ROLES = (
    "Storage Blob Data Owner",
    "Storage Queue Data Contributor",
    "Cognitive Services OpenAI Contributor",
    "Monitoring Metrics Publisher",
)
SCOPES = ("https://ai.azure.com/.default", "https://cognitiveservices.azure.com/.default")
PROVISION, CONNECT = "azd provision", "./infra/scripts/postdeploy.sh connect"


class Unknown(Exception):
    """`az` or `azd` failed; the message is its last line."""


def check_deployment(url: str, *, key: str, deep: bool, environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Check a deployment: over HTTP, and its resources if `az` and its azd environment are available.

    Args:
        url: The app's address.
        key: Function key.
        deep: Also upload a document and ask about it.
        environ: Values of the azd environment; `azd` is asked if they are not in it.
    """
    url = url.rstrip("/")
    yield from check_app(url, key=key, fix="az functionapp restart -g GROUP -n APP, then its log")
    yield from check_resources(environ, url)
    if deep and not environ.get("DOCUMENTS_URL") and not is_azd_environment_of(environ, url):
        yield Finding(
            name="event flow",
            detail="cannot upload a document: the azd environment belongs to another deployment",
            fix="DOCUMENTS_URL='https://ACCOUNT.blob.core.windows.net/documents?SAS'",
        )
    elif deep:
        yield check_event_flow(url, key=key, documents_url=environ.get("DOCUMENTS_URL", ""))


def check_resources(environ: Mapping[str, str], url: str) -> Iterator[Finding]:
    """Every check that needs `az`; a single finding with the reason if they cannot run."""
    if not shutil.which("az"):
        yield Finding(name="resources", detail="not checked: there is no Azure CLI on PATH")
        return
    try:
        values = _azd_values(environ)
    except Unknown as exc:
        yield Finding(name="resources", detail=f"not checked: {exc}")
        return
    if not is_azd_environment_of(environ, url):
        yield Finding(name="resources", detail="not checked: the azd environment belongs to another deployment")
        return
    checks = (
        ("settings", settings),
        ("roles", roles),
        ("events", subscriptions),
        ("model", model),
        ("token scope", token_scope),
    )
    for name, check in checks:
        try:
            yield check(values)
        except Unknown as exc:
            yield Finding(name=name, detail=str(exc), fix="az login")


def is_azd_environment_of(environ: Mapping[str, str], url: str) -> bool:
    """Whether the azd environment is the one that deployed this app."""
    try:
        return _azd_values(environ).get("AZURE_FUNCTION_APP_URL", "").rstrip("/") == url.rstrip("/")
    except Unknown:
        return False


def settings(values: Mapping[str, str]) -> Finding:
    """The app has every setting of the templates, and no secret."""
    given = {
        pair["name"]: pair.get("value") or ""
        for pair in _az("functionapp", "config", "appsettings", "list", *_app(values))
    }
    found = set(given)
    listed = json.loads((INFRA / "settings.json").read_text())
    missing = sorted({*FIXED, *listed} - found)
    if keys := sorted(key for key in FORBIDDEN if key in given and not given[key].startswith("@Microsoft.KeyVault(")):
        fix = f"az functionapp config appsettings delete {' '.join(_app(values))} --setting-names {' '.join(keys)}"
        return Finding(name="settings", detail=f"secrets in the settings: {', '.join(keys)}", fix=fix)
    if missing:
        return Finding(name="settings", detail=f"missing: {', '.join(missing)}", fix=PROVISION)
    return Finding(name="settings", detail=f"all {len(FIXED) + len(listed)} are set")


def roles(values: Mapping[str, str]) -> Finding:
    """The app's identity has every role, at any scope."""
    identities = _az("functionapp", "identity", "show", *_app(values)).get("userAssignedIdentities") or {}
    principals = [identity["principalId"] for identity in identities.values()]
    if not principals:
        return Finding(name="roles", detail="the app has no identity", fix=PROVISION)
    assigned = _az("role", "assignment", "list", "--assignee", principals[0], "--all")
    missing = [role for role in ROLES if role not in {found["roleDefinitionName"] for found in assigned}]
    if missing:
        return Finding(name="roles", detail=f"missing: {', '.join(missing)}", fix=PROVISION)
    return Finding(name="roles", detail=f"all {len(ROLES)} are assigned")


def subscriptions(values: Mapping[str, str]) -> Finding:
    """Both event subscriptions exist, with the right event type and destination."""
    names = json.loads((INFRA / "names.json").read_text())
    topic = ("--system-topic-name", _value(values, "AZURE_EVENT_GRID_TOPIC_NAME"))
    where = ("-g", _value(values, "AZURE_RESOURCE_GROUP"), *topic)
    found = {each["name"]: each for each in _az("eventgrid", "system-topic", "event-subscription", "list", *where)}
    for name, type, fix in (
        (names["createdSubscription"], "BlobCreated", CONNECT),
        (names["deletedSubscription"], "BlobDeleted", PROVISION),
    ):
        if name not in found:
            return Finding(name="events", detail=f"there is no subscription {name}", fix=fix)
        if found[name].get("provisioningState") != "Succeeded":
            return Finding(name="events", detail=f"{name} is {found[name].get('provisioningState')}", fix=fix)
        if found[name]["filter"]["includedEventTypes"] != [f"Microsoft.Storage.{type}"]:
            return Finding(name="events", detail=f"{name} has other event types than {type}", fix=fix)
    called = (found[names["createdSubscription"]].get("destination") or {}).get("endpointBaseUrl") or ""
    if called and not called.startswith(values["AZURE_FUNCTION_APP_URL"]):
        return Finding(name="events", detail=f"events go to {called}, which is another app", fix=CONNECT)
    return Finding(name="events", detail="both subscriptions are ok")


def model(values: Mapping[str, str]) -> Finding:
    """The model deployment exists in the Azure OpenAI account, which may be in another resource group."""
    account, deployment = _value(values, "AZURE_OPENAI_NAME"), _value(values, "OPENAI_MODEL")
    group = values.get("EXISTING_OPENAI_RESOURCE_GROUP") or _value(values, "AZURE_RESOURCE_GROUP")
    found = _az("cognitiveservices", "account", "deployment", "list", "-g", group, "-n", account)
    if deployment not in {each["name"] for each in found}:
        return Finding(name="model", detail=f"{account} has no deployment {deployment}", fix=PROVISION)
    return Finding(name="model", detail=f"{account} has the deployment {deployment}")


def token_scope(values: Mapping[str, str]) -> Finding:
    """Which of the two scopes the model service takes tokens of: Azure's own pages disagree.

    A token that is refused for lack of a role (403) was understood; one of another audience is refused with 401.
    """
    url = _value(values, "OPENAI_BASE_URL").rstrip("/") + "/models"
    set_ = values.get("OPENAI_SCOPE") or SCOPES[0]
    status = {scope: _status(url, _token(scope)) for scope in dict.fromkeys((set_, *SCOPES))}
    works = [scope for scope, answered in status.items() if answered in (200, 403)]
    detail = ", ".join(f"{scope} answers {answered}" for scope, answered in status.items())
    if set_ in works:
        return Finding(name="token scope", detail=detail)
    fix = f"azd env set OPENAI_SCOPE {works[0]} && azd provision" if works else "az login; is the endpoint right?"
    return Finding(name="token scope", detail=detail, fix=fix)


def _token(scope: str) -> str:
    return str(_az("account", "get-access-token", "--scope", scope)["accessToken"])


def _status(url: str, token: str) -> int:
    try:
        return httpx2.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code
    except httpx2.HTTPError as exc:
        raise Unknown(f"{url} cannot be reached ({type(exc).__name__})") from exc


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
