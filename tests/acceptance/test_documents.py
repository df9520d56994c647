"""Replace, delete, reconcile: what is in the container is what can be asked, over HTTP with real processes."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from azure.core.exceptions import ResourceNotFoundError
from fpdf import FPDF

from local.client import Client
from local.stack import Stack
from shared.catalogue import _tags
from shared.models import Document
from tests.acceptance import storage
from tests.acceptance.api import Api, Json
from tests.acceptance.service import entries, files, service, stores_of

Drop = Callable[[dict[str, bytes]], dict[str, dict[str, Any]]]
CSV = b"month,visits\njan,1\nfeb,2\n"


@pytest.fixture
def api(stack: Stack) -> Iterator[Api]:
    made = Api(stack)
    yield made
    made.http.close()


def pdf(*pages: str) -> bytes:
    document = FPDF()
    for text in pages:
        document.add_page()
        document.set_font("helvetica", size=12)
        document.cell(text=text)
    return bytes(document.output())


def search(api: Api, collection: str, query: str, **more: Any) -> list[Json]:
    found: list[Json] = api("POST", "/search", 200, {"query": query, "collection": collection, **more})["results"]
    return found


def reconciled(api: Api, collection: str, *, dry_run: bool = False) -> Json:
    """One comparison of a collection, to its end."""
    where = f"/documents/reconcile?collection={collection}&dry_run={str(dry_run).lower()}"
    report = api("POST", where, 202)
    storage.wait_until(lambda: api.http.get(f"/reports/{report['id']}").status_code == 200)
    return api("GET", f"/reports/{report['id']}", 200)


def kinds(report: Json) -> set[tuple[str, str]]:
    return {(drift["kind"], drift["what"]) for drift in report["drift"]}


# ---- replacing ---------------------------------------------------------------------------------------------------


def test_replaced_under_load_each_answer_is_of_one_version(
    api: Api, client: Client, collection: str, drop: Drop, stack: Stack
) -> None:
    path = f"{collection}/gate.md"

    def text(n: int) -> bytes:
        return f"# Gate\n\nThe code of the gate is {n:04}.\n\nAsk the porter when the gate is stuck.\n".encode()

    drop({path: text(1000)})
    ended = threading.Event()
    seen: list[tuple[str, list[int], list[Json]]] = []

    def ask() -> None:
        while not ended.is_set():
            run = client.wait(
                client.ask("What is the code of the gate?", collection=collection), on_look=lambda _: None
            )
            assert run["status"] == "completed", run
            seen.append(("run", numbers(run["answer"]), run["citations"]))

    def look() -> None:
        while not ended.is_set():
            hits = search(api, collection, "code of the gate")
            seen.append(("search", numbers(" ".join(hit["text"] for hit in hits)), hits))

    threads = [threading.Thread(target=target) for target in (ask, ask, look, look)]
    for thread in threads:
        thread.start()
    etags = {}
    for n in range(1001, 1009):
        etags[n] = client.drop_bytes(text(n), path)
        assert client.wait_indexed({path: etags[n]}, on_final=lambda _: None), n
    ended.set()
    for thread in threads:
        thread.join()
    assert len(seen) > 20
    for where, found, sources in seen:
        assert len(set(found)) == 1, f"{where} saw {found}"
        assert len({source["etag"] for source in sources}) == 1, f"{where}: {sources}"
    assert {found[0] for _, found, _ in seen} >= {1008} or numbers(search(api, collection, "gate")[0]["text"]) == [1008]
    assert len({found[0] for _, found, _ in seen}) > 2
    last = search(api, collection, "code of the gate")
    assert {(hit["etag"], hit["document"]) for hit in last} == {(etags[1008], path)}
    assert all(hit["last_modified_at"] for hit in last)
    storage.wait_until(lambda: len(entries(stack, collection)) == 1)


def numbers(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"\b1\d{3}\b", text)]


def test_a_new_version_that_cannot_be_indexed_leaves_the_old_one(api: Api, collection: str, drop: Drop) -> None:
    path = f"{collection}/rules.md"
    old = drop({path: b"The pool opens at seven."})[path]
    new = drop({path: b""})[path]
    assert (new["status"], new["reason"]["code"], new["answers_etag"]) == ("failed", "empty_file", old["etag"])
    assert [hit["etag"] for hit in search(api, collection, "When does the pool open?")] == [old["etag"]]


# ---- deleting ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["http", "storage"])
def test_delete_leaves_nothing(api: Api, stack: Stack, collection: str, drop: Drop, by: str) -> None:
    before = files(stack)
    paths = {
        f"{collection}/a.md": b"Alpha is the first.",
        f"{collection}/deep/b.pdf": pdf("Beta is on page one.", "Beta is also on page two."),
        f"{collection}/t.csv": CSV,
    }
    drop(paths)
    assert len(files(stack)) == len(before) + 4
    for path in paths:
        if by == "http":
            api("DELETE", f"/documents/{path}", 202)
        else:
            with storage.blobs(stack) as blobs:
                blobs.get_blob_client("documents", path).delete_blob()
    storage.wait_until(lambda: api("GET", f"/documents?collection={collection}", 200)["documents"] == [])
    storage.wait_until(lambda: all(receipt(api, path).get("complete") for path in paths))
    assert entries(stack, collection) == {}
    assert files(stack) == before
    assert storage.names(stack, "state", f"index/{collection}/") == []
    assert storage.names(stack, "state", f"scope/{collection}/") == []
    assert search(api, collection, "Alpha Beta visits") == []
    assert {thing["kind"] for thing in receipt(api, f"{collection}/t.csv")["removed"]} == {
        "store_entry",
        "data_card",
        "code_interpreter_copy",
        "record",
    }
    for path in paths:
        assert all(thing["gone"] for thing in receipt(api, path)["removed"])
        assert api.problem("GET", f"/documents/{path}", 404) == "document_not_found"
        with storage.blobs(stack) as blobs, pytest.raises(ResourceNotFoundError):
            blobs.get_blob_client("documents", path).get_blob_properties()
    again = drop({f"{collection}/a.md": b"Alpha is the second."})
    assert again[f"{collection}/a.md"]["status"] == "indexed"
    assert "second" in search(api, collection, "Alpha")[0]["text"]


def receipt(api: Api, path: str) -> Json:
    found: list[Json] = api("GET", f"/receipts?path={quote(path)}", 200)["receipts"]
    return found[0] if found else {}


def test_a_folder_and_a_collection(api: Api, stack: Stack, collection: str, drop: Drop) -> None:
    drop({f"{collection}/{folder}/{n}.md": b"Words." for folder in ("old", "older") for n in range(5)})
    api("DELETE", f"/documents?prefix={collection}/old/", 202)

    def left() -> set[str]:
        return {d["path"] for d in api("GET", f"/documents?collection={collection}", 200)["documents"]}

    storage.wait_until(lambda: left() == {f"{collection}/older/{n}.md" for n in range(5)})
    [store] = stores_of(stack, collection)
    api("DELETE", f"/collections/{collection}", 202)
    storage.wait_until(lambda: api.http.get(f"/collections/{collection}").status_code == 404)
    assert left() == set()
    with service(stack) as client:
        assert store not in {found.id for found in client.vector_stores.list()}
    assert api.problem("DELETE", f"/collections/{collection}", 404) == "collection_not_found"
    drop({f"{collection}/new.md": b"New words."})
    assert search(api, collection, "new words")


# ---- drift made by hand ------------------------------------------------------------------------------------------


def lose_record(stack: Stack, collection: str) -> None:
    with storage.blobs(stack) as blobs:
        blobs.get_blob_client("state", f"index/{collection}/{collection}/a.md.json").delete_blob()


def leave_ghost(stack: Stack, collection: str) -> None:
    """A record whose blob is gone, and of which nobody was told."""
    record = storage.read_json(stack, "state", f"index/{collection}/{collection}/a.md.json")
    ghost = msgspec.convert({**record, "path": f"{collection}/ghost.md", "live": None}, Document)
    with storage.blobs(stack) as blobs:
        name = f"index/{collection}/{collection}/ghost.md.json"
        blobs.get_blob_client("state", name).upload_blob(msgspec.json.encode(ghost), metadata=_tags(ghost))


def attach_foreign(stack: Stack, collection: str) -> None:
    with service(stack) as client:
        file = client.files.create(file=("foreign.txt", b"Foreign words."), purpose="assistants")
        client.vector_stores.files.create_and_poll(file.id, vector_store_id=stores_of(stack, collection)[0])
        made_at = client.vector_stores.files.retrieve(file.id, vector_store_id=stores_of(stack, collection)[0])
    storage.wait_until(lambda: time.time() - made_at.created_at > 6)


def detach(stack: Stack, collection: str) -> None:
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


Damage = Callable[[Stack, str], None]
DAMAGES: dict[Damage, set[tuple[str, str]]] = {
    lose_record: {("missing", "document"), ("orphaned", "store_entry")},
    leave_ghost: {("orphaned", "document")},
    attach_foreign: {("orphaned", "store_entry")},
    detach: {("missing", "document")},
    lose_data_file: {("missing", "document")},
    lose_store: {("missing", "vector_store"), ("missing", "document")},
}


def test_reconcile_mends_what_was_damaged_by_hand(api: Api, stack: Stack, collection: str, drop: Drop) -> None:
    """Each kind of damage in a collection of its own: first a dry run, which changes nothing, then the repair."""
    contents = {"a.md": b"Alpha is the first.", "t.csv": CSV}
    collections = {f"{collection}-{damage.__name__.replace('_', '-')}": damage for damage in DAMAGES}
    drop({f"{name}/{file}": content for name in collections for file, content in contents.items()})
    time.sleep(6)  # what has just come is left to its event
    for name, damage in collections.items():
        damage(stack, name)
        expected = DAMAGES[damage]
        dry = reconciled(api, name, dry_run=True)
        assert expected <= kinds(dry) <= expected | {("stale", "scope")}, (name, dry["drift"])
        assert not any(drift["done"] for drift in dry["drift"])
        wet = reconciled(api, name)
        assert kinds(wet) == kinds(dry), name
        assert all(drift["done"] for drift in wet["drift"])
    for name in collections:
        paths = {f"{name}/{file}" for file in contents}
        storage.wait_until(lambda name=name, paths=paths: is_whole(api, stack, name, paths))  # type: ignore[misc]
        assert reconciled(api, name, dry_run=True)["drift"] == [], name
        assert "first" in search(api, name, "Alpha")[0]["text"]
        record = storage.read_json(stack, "state", f"index/{name}/{name}/t.csv.json")
        assert record["live"]["data_file_id"] in files(stack)


def is_whole(api: Api, stack: Stack, collection: str, paths: set[str]) -> bool:
    documents = api("GET", f"/documents?collection={collection}", 200)["documents"]
    statuses = {document["path"]: document["status"] for document in documents}
    return statuses == dict.fromkeys(paths, "indexed") and sorted(entries(stack, collection).values()) == sorted(paths)


def test_a_container_that_was_full_before(api: Api, stack: Stack, collection: str, drop: Drop) -> None:
    """All that the app knew is gone; the documents are taken up again, each once."""
    paths = {f"{collection}/{n:03}.md": f"Number {n}.".encode() for n in range(60)}
    drop(paths)
    with storage.blobs(stack) as blobs:
        state = blobs.get_container_client("state")
        for name in storage.names(stack, "state", f"index/{collection}/"):
            state.delete_blob(name)
    time.sleep(6)
    assert reconciled(api, collection)["counts"]["missing"] == 60

    def indexed() -> bool:
        documents = api("GET", f"/documents?collection={collection}&status=indexed&limit=100", 200)["documents"]
        return len(documents) == 60

    storage.wait_until(indexed)
    storage.wait_until(lambda: sorted(entries(stack, collection).values()) == sorted(paths))


def test_a_run_that_meets_a_lost_store_says_so(api: Api, stack: Stack, collection: str, drop: Drop) -> None:
    drop({f"{collection}/a.md": b"Alpha is the first."})
    lose_store(stack, collection)
    ended = api.until(api.ask("What is Alpha?", collection=collection), "failed")
    assert (ended["error"]["code"], ended["error"]["retryable"]) == ("collection_rebuilding", True)
    storage.wait_until(lambda: list(entries(stack, collection).values()) == [f"{collection}/a.md"])
    run = api.until(api.ask("What is Alpha?", collection=collection), "completed")
    assert "first" in run["answer"]


# ---- names, metadata, listings -----------------------------------------------------------------------------------


def test_identity_is_the_full_path(api: Api, collection: str, drop: Drop, stack: Stack) -> None:
    names = [
        "a.md",
        "sub/a.md",
        "A.md",
        "caf\u00e9.md",
        "cafe\u0301.md",
        "with space.md",
        "100% #1?.md",
        "x" * 200 + "/" + "y" * 200 + "/" + "z" * 300 + ".md",
    ]
    paths = {f"{collection}/{name}": f"The word of document {n} is parrot{n}.".encode() for n, name in enumerate(names)}
    documents = drop(paths)
    assert {document["status"] for document in documents.values()} == {"indexed"}
    for n, path in enumerate(paths):
        [best, *_] = search(api, collection, f"parrot{n}")
        assert (best["document"], f"parrot{n}" in best["text"]) == (path, True)
        assert api("GET", f"/documents/{quote(path)}", 200)["path"] == path
    api("DELETE", f"/documents/{quote(list(paths)[6])}", 202)
    storage.wait_until(lambda: len(entries(stack, collection)) == len(names) - 1)
    assert set(entries(stack, collection).values()) <= set(paths) | {p[:512] for p in paths}


def test_metadata_can_be_filtered_by(api: Api, collection: str) -> None:
    for team, year in (("hr", 2023), ("hr", 2024), ("it", 2024)):
        headers = {"x-ms-meta-Team": team, "x-ms-meta-year": str(year)}
        put = api.http.put(f"/documents/{collection}/{team}-{year}.md", content=b"Holiday rules.", headers=headers)
        assert put.status_code == 201, put.text

    def all_there() -> bool:
        found = api("GET", f"/documents?collection={collection}&status=indexed", 200)["documents"]
        return len(found) == 3

    storage.wait_until(all_there)
    by_team = {"type": "eq", "key": "team", "value": "hr"}
    by_year = {"type": "gte", "key": "year", "value": 2024}
    assert len(search(api, collection, "holiday", filters=by_team)) == 2
    both = {"type": "and", "filters": [by_team, by_year]}
    [hit] = search(api, collection, "holiday", filters=both)
    assert (hit["document"], hit["metadata"]) == (f"{collection}/hr-2024.md", {"team": "hr", "year": 2024.0})
    body = {"query": "holiday", "collection": collection, "filters": {"type": "like"}}
    assert api.problem("POST", "/search", 400, body) == "invalid_filters"


def test_pages_hold_each_document_once(api: Api, collection: str, drop: Drop) -> None:
    paths = {f"{collection}/{n:02}.md": b"Words." for n in range(23)}
    bad = {f"{collection}/x{n}.png": b"\x89PNG\r\n\x1a\n" for n in range(2)}
    drop(paths | bad)
    seen, cursor, pages = [], "", 0
    while True:
        page = api("GET", f"/documents?collection={collection}&limit=10{cursor}", 200)
        seen += [document["path"] for document in page["documents"]]
        pages += 1
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert sorted(seen) == sorted(paths | bad)
    assert pages == 3
    unsupported = api("GET", f"/documents?collection={collection}&status=unsupported", 200)["documents"]
    assert [document["path"] for document in unsupported] == sorted(bad)
    again = api("POST", f"/documents/{collection}/x0.png", 202)
    assert (again["status"], len(again["attempts"])) == ("unsupported", 2)
