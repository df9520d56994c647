"""`doctor`: what is wrong with the stack on this machine, or with a deployment, and the command that mends it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx2
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from azure.storage.queue import QueueServiceClient

from local.client import PATIENCE
from local.doctor.finding import Finding, Json
from local.errors import LocalError
from local.paths import ROOT
from local.settings import Service, environ_with_dotenv
from local.stack.provision import CONTAINERS, HOST_POISON_QUEUE, QUEUES
from local.stack.record import Running, ended
from local.terminal import Terminal

SKEW_S = 120  # Azure takes no request whose clock is 15 minutes off; tokens suffer earlier
STUCK_AFTER = timedelta(minutes=30)
RESTART = "make down && make up"
PROVE = ROOT / "infra" / "scripts" / "postdeploy.py"


def report(terminal: Terminal, findings: Iterator[Finding]) -> int:
    """Show each finding as it comes; 1 when something is wrong."""
    wrong = 0
    for found in findings:
        terminal.pair(found.name, f"{'ok   ' if found.well else 'WRONG'}  {found.said}", "" if found.well else "red")
        if not found.well:
            wrong += 1
            terminal.say(f"{'':26}mend it: {found.mend}", style="yellow")
    terminal.say()
    terminal.say("Everything that was looked at is well." if not wrong else f"{wrong} wrong; mend the first one first.")
    return 1 if wrong else 0


# ---- the stack on this machine -----------------------------------------------------------------------------------


def laptop(found: Running, *, deep: bool) -> Iterator[Finding]:
    """The stack that is up."""
    for name, pid in found.pids.items():
        gone = ended(pid)
        yield Finding(name=name, said="has ended" if gone else f"runs (pid {pid})", mend=RESTART if gone else "")
    yield settings(found.service)
    yield service(found.service)
    yield from storage(found.storage)
    yield from app(found.app_url, key="", mend=RESTART)
    if deep:
        yield flow(found.app_url, key="", documents=_documents_url(found.storage))


def settings(running: Service) -> Finding:
    """Whether the settings can be used, and are those that the stack was started with."""
    try:
        named = Service.from_environ(environ_with_dotenv())
    except LocalError as exc:
        return Finding(name="settings", said=str(exc), mend=exc.advice)
    if (named is None) != running.is_emulator or (named and named != running):
        said = "the environment or .env names another model service than the one in use"
        return Finding(name="settings", said=said, mend=RESTART)
    return Finding(name="settings", said="as the stack was started with")


def service(named: Service) -> Finding:
    """Whether the model service answers and takes the key."""
    try:
        url, headers = f"{named.base_url.rstrip('/')}/models", {"Authorization": f"Bearer {named.api_key}"}
        status = httpx2.get(url, headers=headers, timeout=20, trust_env=not named.is_emulator).status_code
    except httpx2.HTTPError as exc:
        mend = RESTART if named.is_emulator else f"check OPENAI_BASE_URL and the network: curl {named.base_url}models"
        return Finding(name="model", said=f"{named.base_url} does not answer ({type(exc).__name__})", mend=mend)
    mends = {
        401: "set OPENAI_API_KEY to a key of that service",
        404: "let OPENAI_BASE_URL end in /openai/v1/ (or /v1/)",
    }
    mend = "" if status == 200 else mends.get(status, f"curl -i {named.base_url}models")
    return Finding(name="model", said=f"{named.model} at {named.base_url} answers {status}", mend=mend)


def storage(connection: str) -> Iterator[Finding]:
    """Containers and queues are there, and no message was given up on."""
    try:
        with BlobServiceClient.from_connection_string(connection, **PATIENCE) as blobs:
            containers = {container.name for container in blobs.list_containers()}
        with QueueServiceClient.from_connection_string(connection, **PATIENCE) as queues:
            there = {queue.name for queue in queues.list_queues()}
            poison = {
                name: queues.get_queue_client(name).get_queue_properties().approximate_message_count
                for name in sorted(there)
                if name.endswith("-poison")
            }
    except (AzureError, ValueError) as exc:
        yield Finding(name="storage", said=str(exc).partition("\n")[0], mend=RESTART)
        return
    wanted = {*QUEUES, *(f"{name}-poison" for name in QUEUES), HOST_POISON_QUEUE}
    yield _all_there("containers", set(CONTAINERS), containers)
    yield _all_there("queues", wanted, there)
    full = [f"{count} in {name}" for name, count in poison.items() if count]
    mend = (
        "look into .local/logs/host.log for the messages' ids; `make down`, delete .local/data, `make up` forgets them"
    )
    yield Finding(name="poison queues", said=", ".join(full) or "empty", mend=mend if full else "")


def _all_there(name: str, wanted: set[str], there: set[str]) -> Finding:
    missing = sorted(wanted - there)
    return Finding(
        name=name, said=f"missing: {', '.join(missing)}" if missing else "all there", mend=RESTART if missing else ""
    )


def _documents_url(connection: str) -> str:
    """The container `documents` with a SAS for an hour."""
    with BlobServiceClient.from_connection_string(connection) as blobs:
        sas = generate_container_sas(
            str(blobs.account_name),
            "documents",
            account_key=blobs.credential.account_key,
            permission=ContainerSasPermissions(write=True, create=True, delete=True),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        return f"{blobs.url.rstrip('/')}/documents?{sas}"


# ---- any app, by its URL -----------------------------------------------------------------------------------------


def deployment(url: str, *, key: str, deep: bool, environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """A deployment: over HTTP, and with `az` and the azd environment where they are at hand."""
    from local.doctor.azure import is_of, resources

    yield from app(url.rstrip("/"), key=key, mend="az functionapp restart -g GROUP -n APP, then its log")
    yield from resources(environ, url)
    if deep and not environ.get("DOCUMENTS_URL") and not is_of(environ, url):
        mend = "DOCUMENTS_URL='https://ACCOUNT.blob.core.windows.net/documents?SAS'"
        yield Finding(
            name="event flow", said="cannot drop a document: not the deployment of this azd environment", mend=mend
        )
    elif deep:
        yield flow(url.rstrip("/"), key=key, documents=environ.get("DOCUMENTS_URL", ""))


def app(url: str, *, key: str, mend: str) -> Iterator[Finding]:
    """Health, clock, key, the deep check where the app has one, and documents that got stuck."""
    headers = {"x-functions-key": key} if key else {}
    with httpx2.Client(base_url=url, headers=headers, timeout=60, trust_env=not url.startswith("http://127.")) as http:
        try:
            response = http.get("/api/health")
        except httpx2.HTTPError as exc:
            yield Finding(name="app", said=f"{url} does not answer ({type(exc).__name__})", mend=mend)
            return
        well = response.status_code == 200
        yield Finding(name="app", said=f"{url} answers {response.status_code}", mend="" if well else mend)
        yield clock(response.headers.get("Date", ""))
        if well:
            yield from _with_key(http, url)


def clock(date: str, *, now: Callable[[], float] = time.time) -> Finding:
    """How far this machine's clock is from the app's."""
    if not date:
        return Finding(name="clock", said="the app does not say what time it is")
    skew_s = abs(parsedate_to_datetime(date).timestamp() - now())
    mend = "sudo timedatectl set-ntp true (Windows: w32tm /resync)" if skew_s > SKEW_S else ""
    return Finding(name="clock", said=f"{skew_s:.0f} s apart", mend=mend)


def _with_key(http: httpx2.Client, url: str) -> Iterator[Finding]:
    try:
        response = http.get("/api/documents")
        deep = http.get("/api/health/deep")
    except httpx2.HTTPError as exc:
        yield Finding(name="documents", said=f"{url} broke off ({type(exc).__name__})", mend="run this again")
        return
    yield documents(response)
    if deep.status_code != 404:
        yield from deep_health(deep)


def documents(response: httpx2.Response) -> Finding:
    """What `GET /api/documents` says: the key, storage behind it, and documents that do not come to an end."""
    if response.status_code == 401:
        mend = "APP_KEY=$(az functionapp keys list -g GROUP -n APP --query functionKeys.default -o tsv)"
        return Finding(name="key", said="the app wants another function key", mend=mend)
    if response.status_code != 200:
        said = f"GET /api/documents answers {response.status_code}: {_json(response).get('detail', 'no word why')}"
        return Finding(name="documents", said=said, mend="see the app's log; 404 means that no functions are loaded")
    found: list[Json] = _json(response).get("documents", [])
    stuck = [document["path"] for document in found if _stuck(document)]
    if stuck:
        mend = "see the log of check_indexing; then upload these files again"
        return Finding(name="documents", said=f"{len(stuck)} got stuck, such as {stuck[0]}", mend=mend)
    return Finding(name="documents", said=f"{len(found)}, none stuck")


def _stuck(document: Json) -> bool:
    if document.get("status") not in ("pending", "indexing", "removing"):
        return False
    since = document.get("updated_at")
    return bool(since) and datetime.now(UTC) - datetime.fromisoformat(str(since)) > STUCK_AFTER


def deep_health(response: httpx2.Response) -> Iterator[Finding]:
    """What the app finds when it looks at its own services, each with its identity."""
    body = _json(response)
    checks = body.get("checks", {})
    named = checks.items() if isinstance(checks, dict) else [(check.get("name", "?"), check) for check in checks]
    for name, check in named:
        check = check if isinstance(check, dict) else {"status": check}
        well = check.get("ok", str(check.get("status")).lower() in ("ok", "healthy", "pass", "true"))
        said = str(check.get("detail") or check.get("message") or check.get("status") or ("ok" if well else "not well"))
        yield Finding(name=f"app: {name}", said=said, mend="" if well else str(check.get("mend") or _mend(name)))
    if not named:
        well = response.status_code == 200
        mend = "" if well else "see the app's log"
        yield Finding(name="app: deep", said=f"answers {response.status_code}", mend=mend)


def _mend(name: str) -> str:
    mends = {
        "settings": "azd provision",
        "storage": "azd provision (it assigns the roles), then wait ten minutes",
        "queue": "azd provision (it assigns the roles), then wait ten minutes",
        "model": "azd provision; is OPENAI_SCOPE right? az cognitiveservices account deployment list -g GROUP -n NAME",
    }
    return next((mend for part, mend in mends.items() if part in name.lower()), "see the app's log")


def flow(url: str, *, key: str, documents: str) -> Finding:
    """Drop a document, see it indexed, ask about it, see it forgotten: the script that proves deployments."""
    where = ["--url", url, "--documents", documents, "--every-s", "1"] if documents else []
    environ = {**os.environ, "APP_KEY": key}
    command = [sys.executable, str(PROVE), "prove", *where]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    if result.returncode == 0:
        return Finding(name="event flow", said="a document was dropped, indexed, asked about and forgotten")
    lines = result.stderr.replace("FAILED: ", "").strip().splitlines() or ["no word why"]
    return Finding(name="event flow", said=lines[0], mend=" ".join(lines[1:]) or "see the app's log")


def _json(response: httpx2.Response) -> Json:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
