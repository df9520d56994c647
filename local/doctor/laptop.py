"""Checks of the stack that runs on this machine: processes, settings, model service, storage, app."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from azure.storage.queue import QueueServiceClient

from local.blobs import RETRIES
from local.doctor.app import check_app, check_event_flow
from local.doctor.finding import Finding
from local.errors import LocalError
from local.paths import AGAIN, LOCAL, shown
from local.private import is_foreign, is_open, owner_fix
from local.settings import Service, environ_with_dotenv
from local.stack.model import Model
from local.stack.probe import silent, storage_urls
from local.stack.provision import CONTAINERS, HOST_POISON_QUEUE, QUEUES
from local.stack.record import Running
from local.stack.system import has_ended

RESTART = AGAIN


def check_laptop(running: Running, *, deep: bool, state: Path = LOCAL) -> Iterator[Finding]:
    """Check a running stack and the folder with its data; `deep` also uploads a document and asks about it."""
    for name, pid in running.pids.items():
        ended = has_ended(pid)
        yield Finding(name=name, detail="has ended" if ended else f"runs (pid {pid})", fix=RESTART if ended else "")
    for path in (state, state / "data", state / "logs", state / "stack.json"):
        if path.exists():
            yield check_private(path)
    yield check_settings(running)
    if quiet := silent(storage_urls(running.storage)):
        detail = f"{quiet[0].partition('?')[0]} does not answer: Azurite has ended or hangs"
        yield Finding(name="storage", detail=detail, fix=f"{RESTART}; nothing else is checked until storage answers")
        return
    yield check_service(running.service)
    yield check_model(running.model)
    yield from check_storage(running.storage)
    yield from check_app(running.app_url, key="", fix=RESTART)
    if deep:
        yield check_event_flow(running.app_url, key="", documents_url=documents_sas_url(running.storage))


def check_private(path: Path) -> Finding:
    """Check that a folder or file belongs to this user and that no other user has a right on it."""
    status = path.stat()
    if is_foreign(path):
        detail = f"belongs to user {status.st_uid}, not to you"
        return Finding(name=path.name, detail=detail, fix=owner_fix(path))
    if is_open(path):
        detail = f"open to other users (mode {status.st_mode & 0o777:o}), with documents and keys in it"
        return Finding(name=path.name, detail=detail, fix=f"chmod -R go-rwx {shown(path)}")
    return Finding(name=path.name, detail="only you can read it")


def check_settings(running: Running) -> Finding:
    """Compare the model that this shell and `.env` name, if they name one, with the one of the running stack."""
    environ = environ_with_dotenv()
    try:
        named = Service.from_environ(environ)
    except LocalError as exc:
        return Finding(name="settings", detail=str(exc), fix=exc.advice)
    in_use = running.model
    if not named and not environ.get("EMULATOR_MODEL_URL"):
        where = f"; {', '.join(running.given)}: set in the terminal of `make up`" if running.given else ""
        return Finding(name="settings", detail=f"the stack uses {in_use}{where}")
    here = Model.of(named or Service.emulated(""), environ)
    if here == in_use and (named is None or named == running.service):
        return Finding(name="settings", detail=f"the stack uses {in_use}, as this terminal and .env say")
    detail = f"this terminal or .env names {here}, and the running stack uses {in_use}"
    keep = "to keep the model in use, nothing is to be done but to unset the settings here"
    return Finding(name="settings", detail=detail, fix=f"to use {here}: `make down`, then `make up` here; {keep}")


def check_model(model: Model) -> Finding:
    """Check that the server of a model behind the emulator answers."""
    ok = model.reached()
    fix = "" if ok else f"start that server, or check EMULATOR_MODEL_URL: curl {model.url}/models"
    return Finding(name="answers", detail=model.state(), fix=fix)


def check_service(service: Service) -> Finding:
    """Check that the model service answers and accepts the key."""
    try:
        url, headers = f"{service.base_url.rstrip('/')}/models", {"Authorization": f"Bearer {service.api_key}"}
        status = httpx2.get(url, headers=headers, timeout=8, trust_env=not service.is_emulator).status_code
    except httpx2.HTTPError as exc:
        curl = f"check OPENAI_BASE_URL and the network: curl {service.base_url}models"
        detail = f"{service.base_url} does not answer ({type(exc).__name__})"
        return Finding(name="model", detail=detail, fix=RESTART if service.is_emulator else curl)
    fixes = {
        401: "set OPENAI_API_KEY to a key of that service",
        404: "OPENAI_BASE_URL must end in /openai/v1/ (or /v1/)",
    }
    fix = "" if status == 200 else fixes.get(status, f"curl -i {service.base_url}models")
    return Finding(name="model", detail=f"{service.model} at {service.base_url} answers {status}", fix=fix)


def check_storage(connection_string: str) -> Iterator[Finding]:
    """Check that all containers and queues exist and that the poison queues are empty."""
    try:
        with BlobServiceClient.from_connection_string(connection_string, **RETRIES) as blobs:
            containers = {container.name for container in blobs.list_containers()}
        with QueueServiceClient.from_connection_string(connection_string, **RETRIES) as queues:
            names = {queue.name for queue in queues.list_queues()}
            poisoned = {
                name: queues.get_queue_client(name).get_queue_properties().approximate_message_count
                for name in sorted(names)
                if name.endswith("-poison")
            }
    except (AzureError, ValueError) as exc:
        yield Finding(name="storage", detail=str(exc).partition("\n")[0], fix=RESTART)
        return
    required = {*QUEUES, *(f"{name}-poison" for name in QUEUES), HOST_POISON_QUEUE}
    yield _all_exist("containers", set(CONTAINERS), containers)
    yield _all_exist("queues", required, names)
    counts = [f"{count} in {name}" for name, count in poisoned.items() if count]
    fix = (
        "search .local/logs/host.log for the message ids; to drop the messages and all other data: "
        "`make down`, delete .local/data, `make up`"
    )
    yield Finding(name="poison queues", detail=", ".join(counts) or "empty", fix=fix if counts else "")


def _all_exist(name: str, required: set[str], existing: set[str]) -> Finding:
    if missing := sorted(required - existing):
        return Finding(name=name, detail=f"missing: {', '.join(missing)}", fix=RESTART)
    return Finding(name=name, detail="all exist")


def documents_sas_url(connection_string: str) -> str:
    """URL of the container `documents` with a SAS that is valid for an hour."""
    with BlobServiceClient.from_connection_string(connection_string) as blobs:
        sas = generate_container_sas(
            str(blobs.account_name),
            "documents",
            account_key=blobs.credential.account_key,
            permission=ContainerSasPermissions(write=True, create=True, delete=True),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        return f"{blobs.url.rstrip('/')}/documents?{sas}"
