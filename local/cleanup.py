"""`cleanup`: delete the vector stores, files and containers that the app created at the OpenAI service.

Their ids are in the app's records, in the blob container `state`. The app's vector stores without a record (such as
those of a deleted storage account) are found at the service by their metadata `made_by`.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azure.storage.blob import BlobServiceClient, ContainerClient

from local.blobs import storage_errors
from local.errors import LocalError
from local.paths import COMMAND
from local.settings import Service
from local.terminal import Terminal

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import VectorStore

MADE_BY = "assistant-functions"
INDEX_RECORDS = ("collections/", "index/", "visibility/")  # deleted, so that the documents are indexed again

# Vector storage, per GB and day beyond the first GB. Source: https://openai.com/api/pricing
GB = 1024**3
USD_PER_GB_DAY = 0.10


@dataclass(kw_only=True)
class Resources:
    """Ids of what the app created at the service."""

    stores: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    containers: set[str] = field(default_factory=set)
    records: list[str] = field(default_factory=list)  # names of blobs in `state` to delete
    stored_bytes: int = 0  # vector storage
    unrecorded: int = 0  # vector stores of the app at the service that no record here names


def cleanup(terminal: Terminal, *, storage: str, service: Service, dry_run: bool, everything: bool) -> int:
    """List what the app created at the service and, unless `dry_run`, delete it.

    Args:
        terminal: For the output.
        storage: Connection string of the app's storage account.
        service: The OpenAI service.
        dry_run: Only list.
        everything: Also delete the app's vector stores that no record names. They may belong to another deployment
            of the app at the same service. At the emulator they are always deleted.

    Raises:
        LocalError: storage or the service failed.
    """
    from openai import OpenAIError  # takes 0.4 s; no other command needs it

    terminal.heading(f"Resources of the app at {service.base_url}")
    with BlobServiceClient.from_connection_string(storage) as blobs, _openai(service) as openai:
        state = blobs.get_container_client("state")
        try:
            with storage_errors():
                found = read_records(state)
            compare_with_service(openai, found, everything=everything or service.is_emulator)
            _show(terminal, found)
            if dry_run:
                terminal.next_step(f"`{COMMAND} cleanup` without --dry-run deletes all this.")
                return 0
            deleted = delete(openai, found)
        except OpenAIError as exc:
            raise LocalError(f"The service failed: {exc}", "Run it again: the records are kept until the end.") from exc
        with storage_errors():
            for name in found.records:
                state.delete_blob(name)
    terminal.say(f"\n  Deleted {deleted} vector stores, files and containers.", style="green")
    terminal.next_step("The documents stay in the blob container; a running app indexes them again within a minute.")
    return 0


def read_records(state: ContainerClient) -> Resources:
    """Collect every id in the app's records."""
    found = Resources()
    for blob in state.list_blobs():
        if blob.name.startswith(INDEX_RECORDS):
            found.records.append(blob.name)
        if not blob.name.endswith(".json"):
            continue
        for key, value in fields(json.loads(state.download_blob(blob.name).readall())):
            if key in ("store_id", "stores"):
                found.stores.add(value)
            elif key in ("file_id", "data_file_id", "clean_file_ids", "parts"):
                found.files.add(value)
            elif key == "containers":
                found.containers.add(value)
    return found


def fields(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield each non-empty string of a JSON value with its key; the items of a list have the list's key."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from fields(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner, key)
    elif isinstance(value, str) and value:
        yield key, value


def compare_with_service(openai: "OpenAI", found: Resources, *, everything: bool) -> None:
    """Drop the ids that no longer exist; add the files of the vector stores and, if asked, unrecorded vector stores."""
    recorded, found.stores = found.stores, set()
    for store in openai.vector_stores.list():
        if store.id in recorded or (everything and is_made_by_app(store)):
            found.stores.add(store.id)
            found.stored_bytes += store.usage_bytes
            found.files.update(file.id for file in openai.vector_stores.files.list(store.id))
        elif is_made_by_app(store):
            found.unrecorded += 1
    found.files &= {file.id for file in openai.files.list()}
    found.containers &= {container.id for container in openai.containers.list()}


def is_made_by_app(store: "VectorStore") -> bool:
    """Whether a deployment of the app created this vector store; the app writes that into the metadata."""
    return (store.metadata or {}).get("made_by") == MADE_BY


def delete(openai: "OpenAI", found: Resources) -> int:
    """Delete everything, vector stores before their files; return how many were deleted."""
    steps: list[tuple[Callable[[str], object], Iterable[str]]] = [
        (openai.vector_stores.delete, found.stores),
        (openai.files.delete, found.files),
        (openai.containers.delete, found.containers),
    ]
    return sum(_deleted(remove, an_id) for remove, ids in steps for an_id in sorted(ids))


def saved_usd_a_day(stored_bytes: int) -> float:
    """List price of this much vector storage per day; the first GB is free."""
    return max(stored_bytes - GB, 0) / GB * USD_PER_GB_DAY


def _deleted(remove: Callable[[str], object], an_id: str) -> bool:
    """Delete one resource; False if it no longer exists."""
    from openai import NotFoundError

    try:
        remove(an_id)
    except NotFoundError:
        return False
    return True


def _show(terminal: Terminal, found: Resources) -> None:
    terminal.pair("vector stores", f"{len(found.stores)}, holding {found.stored_bytes / 1e6:,.2f} MB")
    terminal.pair("files", str(len(found.files)))
    terminal.pair("containers", f"{len(found.containers)} of code interpreter; they also expire by themselves")
    terminal.pair("records", f"{len(found.records)} in the blob container `state`")
    price = f"the first GB is free, then ${USD_PER_GB_DAY:.2f} per GB and day"
    terminal.pair("saves", f"${saved_usd_a_day(found.stored_bytes):.2f} a day of vector storage ({price})")
    if found.unrecorded:
        others = f"{found.unrecorded} more vector stores have the app's metadata but no record here."
        terminal.say(
            f"  {others} They may belong to another deployment and are kept; --all deletes them, too.", style="yellow"
        )


def _openai(service: Service) -> "OpenAI":
    """A client that uses the key or, without one, Microsoft Entra ID."""
    from openai import OpenAI

    if service.api_key:
        return OpenAI(base_url=service.base_url, api_key=service.api_key)
    from azure.identity import DefaultAzureCredential, get_bearer_token_provider

    token = get_bearer_token_provider(DefaultAzureCredential(), "https://ai.azure.com/.default")
    return OpenAI(base_url=service.base_url, api_key=token)
