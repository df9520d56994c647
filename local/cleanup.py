"""`cleanup`: delete what the app made at the OpenAI service, so that it costs nothing any more.

What that is stands in the app's own records, in the blob container `state`. Vector stores that carry the app's mark and
stand in no record, such as those of a storage account deleted since, are found at the service.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azure.storage.blob import BlobServiceClient, ContainerClient

from local.client import storage_errors
from local.errors import LocalError
from local.paths import COMMAND
from local.settings import Service
from local.terminal import Terminal

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import VectorStore

MADE_BY = "assistant-functions"
FORGOTTEN = ("collections/", "index/", "scope/")  # records to remove, so that documents are indexed anew

# Vector storage, per GB and day beyond the first GB. Source: https://openai.com/api/pricing
GB = 1024**3
USD_PER_GB_DAY = 0.10


@dataclass(kw_only=True)
class Made:
    """What the app made at the service, by id."""

    stores: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    containers: set[str] = field(default_factory=set)
    records: list[str] = field(default_factory=list)  # names of state blobs
    stored_bytes: int = 0  # of vector storage
    unrecorded: int = 0  # marked stores at the service that no record here names


def cleanup(terminal: Terminal, *, storage: str, service: Service, dry_run: bool, everything: bool) -> int:
    """List what the app made and, unless `dry_run`, delete it.

    Args:
        everything: Also delete marked vector stores that are not in this storage account's records. They may belong to
            another deployment of the app at the same service; at the emulator they cannot, and always go.
    """
    from openai import OpenAIError  # 0.4 s, which only this command pays

    terminal.heading(f"What the app made at {service.base_url}")
    with BlobServiceClient.from_connection_string(storage) as blobs, _openai(service) as openai:
        state = blobs.get_container_client("state")
        try:
            with storage_errors():
                made = recorded(state)
            look_at_service(openai, made, everything=everything or service.is_emulator)
            _show(terminal, made)
            if dry_run:
                terminal.next_step(f"`{COMMAND} cleanup` without --dry-run deletes all this.")
                return 0
            deleted = delete(openai, made)
        except OpenAIError as exc:
            raise LocalError(f"The service failed: {exc}", "Run it again: what is left is still on record.") from exc
        with storage_errors():
            for name in made.records:
                state.delete_blob(name)
    terminal.say(f"\n  Deleted {deleted} vector stores, files and containers.", style="green")
    terminal.next_step(
        "The documents are still in the blob container: while the app runs, its next comparison indexes them anew."
    )
    return 0


def recorded(state: ContainerClient) -> Made:
    """Every id that the app's records name."""
    made = Made()
    for blob in state.list_blobs():
        if not blob.name.endswith(".json"):
            continue
        for key, value in fields(json.loads(state.download_blob(blob.name).readall())):
            if key in ("store_id", "stores"):
                made.stores.add(value)
            elif key in ("file_id", "data_file_id", "parts"):
                made.files.add(value)
            elif key == "containers":
                made.containers.add(value)
        if blob.name.startswith(FORGOTTEN):
            made.records.append(blob.name)
    return made


def fields(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every non-empty text in a JSON value with the key it stands under; items of a list stand under the list's."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from fields(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner, key)
    elif isinstance(value, str) and value:
        yield key, value


def look_at_service(openai: "OpenAI", made: Made, *, everything: bool) -> None:
    """Add what only the service knows, marked stores and the files in them, and leave out what is gone already."""
    recorded, made.stores = made.stores, set()
    for store in openai.vector_stores.list():
        if store.id in recorded or (everything and is_marked(store)):
            made.stores.add(store.id)
            made.stored_bytes += store.usage_bytes
            made.files.update(file.id for file in openai.vector_stores.files.list(store.id))
        elif is_marked(store):
            made.unrecorded += 1
    made.files &= {file.id for file in openai.files.list()}
    made.containers &= {container.id for container in openai.containers.list()}


def is_marked(store: "VectorStore") -> bool:
    """Whether the app made it, wherever it ran."""
    return (store.metadata or {}).get("made_by") == MADE_BY


def delete(openai: "OpenAI", made: Made) -> int:
    """Delete all of it, stores before their files; returns how many that were."""
    steps: list[tuple[Callable[[str], object], Iterable[str]]] = [
        (openai.vector_stores.delete, made.stores),
        (openai.files.delete, made.files),
        (openai.containers.delete, made.containers),
    ]
    return sum(_deleted(remove, an_id) for remove, ids in steps for an_id in sorted(ids))


def saved_usd_a_day(stored_bytes: int) -> float:
    """What this much vector storage costs a day: the list price, the first GB free."""
    return max(stored_bytes - GB, 0) / GB * USD_PER_GB_DAY


def _deleted(remove: Callable[[str], object], an_id: str) -> bool:
    from openai import NotFoundError

    try:
        remove(an_id)
    except NotFoundError:
        return False
    return True


def _show(terminal: Terminal, made: Made) -> None:
    terminal.pair("vector stores", f"{len(made.stores)}, holding {made.stored_bytes / 1e6:,.2f} MB")
    terminal.pair("files", str(len(made.files)))
    terminal.pair("containers", f"{len(made.containers)} of code interpreter; they also end by themselves")
    terminal.pair("records", f"{len(made.records)} in the blob container `state`")
    price = f"the first GB is free, then ${USD_PER_GB_DAY:.2f} per GB and day"
    terminal.pair("saves", f"${saved_usd_a_day(made.stored_bytes):.2f} a day of vector storage ({price})")
    if made.unrecorded:
        others = f"{made.unrecorded} more vector stores carry the app's mark but are not in these records."
        terminal.say(
            f"  {others} They stay, as they may be another deployment's; --all takes them too.", style="yellow"
        )


def _openai(service: Service) -> "OpenAI":
    """A client with the key, or signed in as the app itself is when there is none."""
    from openai import OpenAI

    if service.api_key:
        return OpenAI(base_url=service.base_url, api_key=service.api_key)
    from azure.identity import DefaultAzureCredential, get_bearer_token_provider

    token = get_bearer_token_provider(DefaultAzureCredential(), "https://ai.azure.com/.default")
    return OpenAI(base_url=service.base_url, api_key=token)
