"""Reconcile finds, reports and repairs damage that the tests cause in storage and at the service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from local.stack.stack import Stack
from shared.documents.record import document_records
from shared.models.documents import Document
from shared.settings import StorageAccount
from shared.storage.blobs import connect
from tests.acceptance import storage
from tests.acceptance.api import Api, Json
from tests.acceptance.service import entries, files, service, stores_of

pytestmark = pytest.mark.aside

Drop = Callable[[dict[str, bytes]], dict[str, dict[str, Any]]]
CSV = b"month,visits\njan,1\nfeb,2\n"


def reconciled(api: Api, collection: str, *, dry_run: bool = False) -> Json:
    """Reconcile a collection, and return the report when it is complete."""
    where = f"/documents/reconcile?collection={collection}&dry_run={str(dry_run).lower()}"
    report = api("POST", where, 202)
    storage.wait_until(lambda: api.http.get(f"/reports/{report['id']}").status_code == 200)
    return api("GET", f"/reports/{report['id']}", 200)


def kinds(report: Json) -> set[tuple[str, str]]:
    return {(drift["kind"], drift["what"]) for drift in report["drift"]}


def rewrite(stack: Stack, path: str, change: Callable[[Document], Document]) -> None:
    """Change a document's record. It is written under the path in the changed record."""

    async def written() -> None:
        async with connect(StorageAccount(connection_string=stack.azurite.connection_string)) as opened:
            records = document_records(opened.state)
            stored = await records.read(path)
            assert stored
            changed = change(stored.value)
            await records.put(changed.path, changed)

    asyncio.run(written())


def lose_records(stack: Stack, collection: str) -> None:
    with storage.blobs(stack) as blobs:
        for name in storage.names(stack, "state", f"index/{collection}/"):
            blobs.get_blob_client("state", name).delete_blob()


def leave_orphaned_record(stack: Stack, collection: str) -> None:
    """Add a record without a blob, as if the event of the deletion was lost."""
    rewrite(stack, f"{collection}/a.md", lambda document: replace(document, path=f"{collection}/orphan.md", live=None))


def lose_update_event(stack: Stack, collection: str) -> None:
    """Make the record and the indexed version older than the blob, as if the event of the new version was lost."""

    def older(document: Document) -> Document:
        assert document.live
        return replace(document, etag="0x1", live=replace(document.live, etag="0x1"))

    rewrite(stack, f"{collection}/a.md", older)


def lose_next_message(stack: Stack, collection: str) -> None:
    """Make the record look as if indexing of a new version began an hour ago, and the next message was lost."""

    def stuck(document: Document) -> Document:
        assert document.live
        incoming = replace(document.live, parts=(), store_id=None, ready=0)
        long_ago = document.updated_at - timedelta(hours=1)
        live = replace(document.live, etag="0x1")
        return replace(
            document, status="indexing", live=live, incoming=incoming, updated_at=long_ago, incoming_published=True
        )

    rewrite(stack, f"{collection}/a.md", stuck)


def attach_foreign_file(stack: Stack, collection: str) -> None:
    with service(stack) as client:
        file = client.files.create(file=("foreign.txt", b"Foreign words."), purpose="assistants")
        client.vector_stores.files.create_and_poll(file.id, vector_store_id=stores_of(stack, collection)[0])


def delete_store_entry(stack: Stack, collection: str) -> None:
    with service(stack) as client:
        [file_id] = [i for i, path in entries(stack, collection).items() if path.endswith("/a.md")]
        client.vector_stores.files.delete(file_id, vector_store_id=stores_of(stack, collection)[0])
        client.files.delete(file_id)


def lose_data_file(stack: Stack, collection: str) -> None:
    record = storage.read_json(stack, "state", f"index/{collection}/{collection}/t.csv.json")
    with service(stack) as client:
        client.files.delete(record["live"]["data_file_id"])


def lose_store(stack: Stack, collection: str) -> None:
    with service(stack) as client:
        client.vector_stores.delete(stores_of(stack, collection)[0])


STALE = {("stale", "visibility")}  # follows from some damages
Damage = Callable[[Stack, str], None]
DAMAGES: dict[Damage, set[tuple[str, str]]] = {
    lose_records: {("missing", "document"), ("orphaned", "store_entry")},
    leave_orphaned_record: {("orphaned", "document")},
    lose_update_event: {("stale", "document")},
    lose_next_message: {("stuck", "document")},
    attach_foreign_file: {("orphaned", "store_entry")},
    delete_store_entry: {("missing", "document")},
    lose_data_file: {("missing", "document")},
    lose_store: {("missing", "vector_store"), ("missing", "document")},
}


def test_reconcile_repairs_each_kind_of_damage(api: Api, stack: Stack, collection: str, drop: Drop) -> None:
    """Each kind of damage has its own collection. First a dry run, which changes nothing, then the repair."""
    contents = {"a.md": b"Alpha is the first.", "t.csv": CSV}
    collections = {f"{collection}-{damage.__name__.replace('_', '-')}": damage for damage in DAMAGES}
    drop({f"{name}/{file}": content for name in collections for file, content in contents.items()})
    for name, damage in collections.items():
        assert reconciled(api, name)["drift"] == [], name
        damage(stack, name)
    before = files(stack), storage.names(stack, "state", f"index/{collection}-")
    dry = {name: dry_run_that_finds(api, name, DAMAGES[damage]) for name, damage in collections.items()}
    for name, damage in collections.items():
        assert kinds(dry[name]) <= DAMAGES[damage] | STALE, (name, dry[name]["drift"])
        assert not any(drift["done"] for drift in dry[name]["drift"])
    after = files(stack), storage.names(stack, "state", f"index/{collection}-")
    assert set(before[0].items()) ^ set(after[0].items()) == set()
    assert before[1] == after[1]
    for name in collections:
        wet = reconciled(api, name)
        # A repair can be done before the pass comes to the visibility blobs.
        assert kinds(wet) | STALE == kinds(dry[name]) | STALE, name
        assert all(drift["done"] for drift in wet["drift"])
    for name in collections:
        paths = {f"{name}/{file}" for file in contents}
        storage.wait_until(lambda name=name, paths=paths: is_whole(api, stack, name, paths))  # type: ignore[misc]
        assert reconciled(api, name, dry_run=True)["drift"] == [], name
        assert "first" in api("POST", "/search", 200, {"query": "Alpha", "collection": name})["results"][0]["text"]
        record = storage.read_json(stack, "state", f"index/{name}/{name}/t.csv.json")
        assert record["live"]["data_file_id"] in files(stack)


def is_whole(api: Api, stack: Stack, collection: str, paths: set[str]) -> bool:
    documents = api("GET", f"/documents?collection={collection}", 200)["documents"]
    statuses = {document["path"]: document["status"] for document in documents}
    return statuses == dict.fromkeys(paths, "indexed") and sorted(entries(stack, collection).values()) == sorted(paths)


def dry_run_that_finds(api: Api, collection: str, expected: set[tuple[str, str]]) -> Json:
    """The first dry run that finds the damage. Reconcile ignores changes of the last seconds: their event may come."""
    dry: Json = {}

    def found() -> bool:
        dry.update(reconciled(api, collection, dry_run=True))
        return expected <= kinds(dry)

    storage.wait_until(found)
    return dry


@pytest.mark.long
def test_reconcile_indexes_a_container_without_records(api: Api, stack: Stack, collection: str, drop: Drop) -> None:
    """All records are lost; each document is indexed again, once."""
    paths = {f"{collection}/{n:03}.md": f"Number {n}.".encode() for n in range(120)}
    drop(paths)
    lose_records(stack, collection)

    def all_are_missing() -> bool:
        counts = reconciled(api, collection, dry_run=True)["counts"]
        return (counts.get("missing"), counts.get("orphaned")) == (len(paths), len(paths))

    storage.wait_until(all_are_missing)
    reconciled(api, collection)

    def indexed() -> bool:
        documents = api("GET", f"/documents?collection={collection}&status=indexed&limit=200", 200)["documents"]
        return len(documents) == len(paths)

    storage.wait_until(indexed)
    storage.wait_until(lambda: sorted(entries(stack, collection).values()) == sorted(paths))


def test_a_run_whose_vector_store_is_lost_fails_clearly(api: Api, stack: Stack, collection: str, drop: Drop) -> None:
    drop({f"{collection}/a.md": b"Alpha is the first."})
    lose_store(stack, collection)
    ended = api.until(api.ask("What is Alpha?", collection=collection), "failed")
    assert (ended["error"]["code"], ended["error"]["retryable"]) == ("collection_rebuilding", True)
    storage.wait_until(lambda: list(entries(stack, collection).values()) == [f"{collection}/a.md"])
    run = api.until(api.ask("What is Alpha?", collection=collection), "completed")
    assert "first" in run["answer"]
