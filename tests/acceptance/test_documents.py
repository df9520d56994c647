"""Replace, delete and list documents: questions are answered from the blobs in the container."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from azure.core.exceptions import ResourceNotFoundError
from fpdf import FPDF

from local.client import Client
from local.stack.stack import Stack
from shared.engines.stores import ATTRIBUTE_MAX_CHARS
from tests.acceptance import storage
from tests.acceptance.api import Api, Json
from tests.acceptance.service import entries, files, service, stores_of

Drop = Callable[[dict[str, bytes]], dict[str, dict[str, Any]]]
CSV = b"month,visits\njan,1\nfeb,2\n"


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


# ---- replacing ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One answer. `codes`: the gate codes in its text, which tell the version. `by`: the function that asked."""

    by: str
    asked_at: datetime
    answered_at: datetime
    codes: list[int]
    sources: list[Json]


@pytest.mark.long
def test_while_a_document_is_replaced_each_answer_uses_one_version(
    api: Api, client: Client, collection: str, drop: Drop, stack: Stack
) -> None:
    path = f"{collection}/gate.md"

    def text(n: int) -> bytes:
        return f"# Gate\n\nThe code of the gate is {n:04}.\n\nAsk the porter when the gate is stuck.\n".encode()

    def ask() -> tuple[str, list[Json]]:
        asked = client.ask("What is the code of the gate?", collection=collection)
        run = client.wait(asked, on_look=lambda _: None)
        assert run["status"] == "completed", run
        return run["answer"], run["citations"]

    def look() -> tuple[str, list[Json]]:
        hits = search(api, collection, "code of the gate")
        return " ".join(hit["text"] for hit in hits), hits

    versions = {1000: drop({path: text(1000)})[path]["etag"]}
    modified_at = {1000: _modified_at(stack, path)}
    dropped_at, indexed_at = {1000: datetime.now(UTC)}, {1000: datetime.now(UTC)}
    with asking(ask, look, look) as samples:
        for n in range(1001, 1009):
            dropped_at[n] = datetime.now(UTC)
            versions[n] = client.drop_bytes(text(n), path)
            assert client.wait_indexed({path: versions[n]}, on_final=lambda _: None), n
            indexed_at[n] = datetime.now(UTC)
            modified_at[n] = _modified_at(stack, path)
    assert {each.by for each in samples} == {"ask", "look"}
    assert len({each.codes[0] for each in samples if each.codes}) > 2
    for each in samples:
        assert len(set(each.codes)) == 1, each
        [n] = set(each.codes)
        assert {source["etag"] for source in each.sources} == {versions[n]}, each
        assert {datetime.fromisoformat(s["last_modified_at"]) for s in each.sources} == {modified_at[n]}, each
        assert dropped_at[n] <= each.answered_at, each
        assert n + 1 not in indexed_at or each.asked_at <= indexed_at[n + 1], each
    last = search(api, collection, "code of the gate")
    assert {(hit["etag"], hit["document"]) for hit in last} == {(versions[1008], path)}
    storage.wait_until(lambda: len(entries(stack, collection)) == 1)


@contextmanager
def asking(*questions: Callable[[], tuple[str, list[Json]]]) -> Iterator[list[Sample]]:
    """Call each function repeatedly in its own thread. Fails at the end if one of them raised."""
    ended = threading.Event()
    samples: list[Sample] = []
    faults: list[BaseException] = []

    def repeat(question: Callable[[], tuple[str, list[Json]]]) -> None:
        try:
            while not ended.is_set():
                asked_at = datetime.now(UTC)
                text, sources = question()
                codes = [int(found) for found in re.findall(r"\b1\d{3}\b", text)]
                samples.append(
                    Sample(
                        by=question.__name__,
                        asked_at=asked_at,
                        answered_at=datetime.now(UTC),
                        codes=codes,
                        sources=sources,
                    )
                )
        except BaseException as exc:  # the test, in another thread, checks `faults`
            faults.append(exc)

    threads = [threading.Thread(target=repeat, args=(question,)) for question in questions]
    for thread in threads:
        thread.start()
    try:
        yield samples
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not faults, faults


def _modified_at(stack: Stack, path: str) -> datetime:
    with storage.blobs(stack) as blobs:
        return blobs.get_blob_client("documents", path).get_blob_properties().last_modified


def test_when_a_new_version_cannot_be_indexed_the_old_one_stays(api: Api, collection: str, drop: Drop) -> None:
    path = f"{collection}/rules.md"
    old = drop({path: b"The pool opens at seven."})[path]
    new = drop({path: b""})[path]
    assert (new["status"], new["reason"]["code"], new["answers_etag"]) == ("failed", "empty_file", old["etag"])
    assert [hit["etag"] for hit in search(api, collection, "When does the pool open?")] == [old["etag"]]


# ---- deleting ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["http", "storage"])
def test_delete_removes_everything(api: Api, stack: Stack, collection: str, drop: Drop, by: str) -> None:
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
    assert storage.names(stack, "state", f"visibility/{collection}/") == []
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


def test_delete_a_folder_and_a_collection(api: Api, stack: Stack, collection: str, drop: Drop) -> None:
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


# ---- names, metadata, listings -----------------------------------------------------------------------------------


def test_documents_are_identified_by_their_full_path(api: Api, collection: str, drop: Drop, stack: Stack) -> None:
    names = [
        "a.md",
        "sub/a.md",
        "A.md",
        "caf\u00e9.md",
        "cafe\u0301.md",
        "with space.md",
        "100% #1?.md",
        "/".join(letter * 190 for letter in "vwxyz") + "z" * (1_000 - len(f"{collection}/") - 957) + ".md",
    ]
    paths = {f"{collection}/{name}": f"The word of document {n} is parrot{n}.".encode() for n, name in enumerate(names)}
    documents = drop(paths)
    assert {document["status"] for document in documents.values()} == {"indexed"}
    assert max(map(len, paths)) == 1_000
    for n, path in enumerate(paths):
        [best, *_] = search(api, collection, f"parrot{n}")
        assert (best["document"], f"parrot{n}" in best["text"]) == (path, True)
        assert api("GET", f"/documents/{quote(path)}", 200)["path"] == path
    runs = {
        path: api.ask(f"What is the word of document {n}, parrot{n}?", collection=collection)
        for n, path in enumerate(paths)
    }
    for path, run in runs.items():
        assert path in {citation["document"] for citation in api.until(run, "completed")["citations"]}
    left = list(paths)
    for path in list(paths)[::2]:
        api("DELETE", f"/documents/{quote(path)}", 202)
        left.remove(path)
    storage.wait_until(
        lambda: sorted(entries(stack, collection).values()) == sorted(path[:ATTRIBUTE_MAX_CHARS] for path in left)
    )
    storage.wait_until(lambda: all(receipt(api, path).get("complete") for path in paths if path not in left))

    def listed() -> list[str]:
        return sorted(found["path"] for found in api("GET", f"/documents?collection={collection}", 200)["documents"])

    storage.wait_until(lambda: listed() == sorted(left))  # a record is deleted after its receipt is complete


def test_search_filters_by_metadata(api: Api, collection: str) -> None:
    for team, year in (("hr", 2023), ("hr", 2024), ("it", 2024)):
        headers = {"x-ms-meta-Team": team, "x-ms-meta-year": str(year)}
        put = api.http.put(f"/documents/{collection}/{team}-{year}.md", content=b"Holiday rules.", headers=headers)
        assert put.status_code == 201, put.text

    def all_indexed() -> bool:
        found = api("GET", f"/documents?collection={collection}&status=indexed", 200)["documents"]
        return len(found) == 3

    storage.wait_until(all_indexed)
    by_team = {"type": "eq", "key": "team", "value": "hr"}
    by_year = {"type": "gte", "key": "year", "value": 2024}
    assert len(search(api, collection, "holiday", filters=by_team)) == 2
    both = {"type": "and", "filters": [by_team, by_year]}
    [hit] = search(api, collection, "holiday", filters=both)
    assert (hit["document"], hit["metadata"]) == (f"{collection}/hr-2024.md", {"team": "hr", "year": 2024.0})
    body = {"query": "holiday", "collection": collection, "filters": {"type": "like"}}
    assert api.problem("POST", "/search", 400, body) == "invalid_filters"


def test_an_answer_notes_documents_that_are_being_indexed(
    api: Api, client: Client, collection: str, drop: Drop, stack: Stack
) -> None:
    path = f"{collection}/a.md"
    drop({path: b"Alpha is the first."})
    slow = {"path": "/vector_stores/*/files", "method": "POST", "delay_ms": 3_000}
    with httpx2.Client(base_url=stack.emulator_url, headers={"api-key": stack.admin_key}, trust_env=False) as emulator:
        fault = emulator.post("/admin/faults", json=slow).raise_for_status().json()["id"]
        try:
            etag = client.drop_bytes(b"Alpha is the second.", path)
            storage.wait_until(lambda: api("GET", f"/documents/{path}", 200)["status"] == "indexing")
            early = api.until(api.ask("What is Alpha?", collection=collection), "completed")
        finally:
            emulator.delete(f"/admin/faults/{fault}").raise_for_status()
    assert any("One document was still being indexed" in note for note in early["notes"]), early
    assert client.wait_indexed({path: etag}, on_final=lambda _: None)
    late = api.until(api.ask("What is Alpha?", collection=collection), "completed")
    assert not any("being indexed" in note for note in late["notes"]), late
    assert "second" in late["answer"]


def test_listing_in_pages_returns_each_document_once(api: Api, collection: str, drop: Drop) -> None:
    paths = {f"{collection}/{n:02}.md": b"Words." for n in range(23)}
    bad = {f"{collection}/x{n}.png": b"\x89PNG\r\n\x1a\n" for n in range(2)}
    drop(paths | bad)
    listed, cursor, pages = [], "", 0
    while True:
        page = api("GET", f"/documents?collection={collection}&limit=10{cursor}", 200)
        listed += [document["path"] for document in page["documents"]]
        pages += 1
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert sorted(listed) == sorted(paths | bad)
    assert pages == 3
    unsupported = api("GET", f"/documents?collection={collection}&status=unsupported", 200)["documents"]
    assert [document["path"] for document in unsupported] == sorted(bad)
    again = api("POST", f"/documents/{collection}/x0.png", 202)
    assert (again["status"], len(again["attempts"])) == ("unsupported", 2)
