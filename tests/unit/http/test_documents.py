"""The routes of documents, search, collections and reconcile: answers and errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import azure.functions as func
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AppError
from shared.http.collections import delete_collection, get_collection, list_collections, put_collection
from shared.http.document_input import filters_from
from shared.http.documents import (
    delete_below,
    delete_document,
    list_documents,
    list_receipts,
    put_document,
    read_document,
    retry_document,
    search,
)
from shared.http.fields import FILTERS_DEPTH_MAX, FILTERS_MAX
from shared.http.reconcile import get_report, reconcile
from shared.http.route import Route, answer
from shared.http.shapes.documents import DocumentChanged
from shared.services import Services
from tests.unit.world import CALLBACK, World

URL = "https://app.azurewebsites.net/api/documents"
COLLECTIONS_URL = "https://app.azurewebsites.net/api/collections"
TEAM = {"type": "eq", "key": "team", "value": "hr"}


@pytest.fixture
def services(world: World) -> Callable[[], Services]:
    return lambda: world.app


@pytest.fixture
def ask(services: Callable[[], Services]) -> Callable[..., Any]:
    async def ask(
        route: Route,
        *,
        url: str = URL,
        params: dict[str, str] | None = None,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        **route_params: str,
    ) -> tuple[int, Any, dict[str, str]]:
        request = func.HttpRequest(
            method="GET",
            url=url,
            headers={"Content-Type": "application/json", **(headers or {})},
            params=params or {},
            route_params=route_params,
            body=body,
        )
        response = await answer(services, request, route)
        return response.status_code, json.loads(response.get_body()), dict(response.headers)

    return ask


Ask = Callable[..., Any]


# ---- documents ---------------------------------------------------------------------------------------------------


async def test_a_document_has_its_history(world: World, ask: Ask) -> None:
    etag = await world.drop("c/a.md")
    world.blobs.put("c/a.md", b"")
    await world.documents.index("c/a.md")
    await world.settle()
    status, shown, _ = await ask(read_document, path="c/a.md")
    assert status == 200
    assert (shown["status"], shown["reason"]["code"], shown["answers_etag"]) == ("failed", "empty_file", etag)
    assert [attempt["status"] for attempt in shown["attempts"]] == ["failed", "indexed"]  # the newest first
    assert shown["deadline_at"] is None


async def test_a_blob_without_a_record_is_pending(world: World, ask: Ask) -> None:
    world.blobs.put("c/a.md", b"Words.")
    status, shown, _ = await ask(read_document, path="c/a.md")
    assert (status, shown["status"], shown["attempts"]) == (200, "pending", [])


async def test_metadata_comes_with_the_upload(world: World, ask: Ask) -> None:
    headers = {"X-MS-Meta-Team": "hr", "x-ms-meta-year": "2026"}
    status, stored, _ = await ask(put_document, path="c/a.md", body=b"Words.", headers=headers)
    assert (status, stored["collection"], stored["size_bytes"]) == (201, "c", 6)
    await world.documents.index("c/a.md")
    await world.settle()
    _, shown, _ = await ask(read_document, path="c/a.md")
    assert shown["metadata"] == {"team": "hr", "year": "2026"}


async def test_a_failed_document_can_be_tried_again(world: World, ask: Ask) -> None:
    await world.drop("c/a.md", b"")
    status, shown, _ = await ask(retry_document, path="c/a.md")
    assert (status, shown["path"]) == (202, "c/a.md")
    await world.settle()
    _, shown, _ = await ask(read_document, path="c/a.md")
    assert len(shown["attempts"]) == 2


async def test_a_document_is_deleted_with_a_receipt(world: World, ask: Ask) -> None:
    etag = await world.drop("c/a.md")
    assert (await ask(delete_document, path="c/a.md"))[:2] == (202, {"deleting": "c/a.md"})
    assert world.blobs.names() == []
    await world.settle()
    _, page, _ = await ask(list_receipts, params={"path": "c/a.md"})
    (receipt,) = page["receipts"]
    assert (receipt["etag"], receipt["complete"]) == (etag, True)
    assert (await ask(delete_document, path="c/a.md"))[1]["code"] == "document_not_found"


async def test_a_folder_is_deleted(world: World, ask: Ask) -> None:
    for path in ("c/x/a.md", "c/x/y/b.md", "c/xx.md"):
        await world.drop(path)
    assert (await ask(delete_below, params={"prefix": "c/x/"}))[:2] == (202, {"deleting": "c/x/"})
    await world.settle()
    assert world.blobs.names() == ["c/xx.md"]


async def test_pages_and_statuses(world: World, ask: Ask) -> None:
    for n in range(5):
        await world.drop(f"c/{n}.md", b"" if n == 3 else b"Words.")
    seen, cursor = [], None
    while cursor or not seen:
        _, page, _ = await ask(list_documents, params={"limit": "2", **({"cursor": cursor} if cursor else {})})
        seen += [document["path"] for document in page["documents"]]
        cursor = page["cursor"]
    assert seen == [f"c/{n}.md" for n in range(5)]
    _, page, _ = await ask(list_documents, params={"status": "failed"})
    assert [document["path"] for document in page["documents"]] == ["c/3.md"]


# ---- reconcile ---------------------------------------------------------------------------------------------------


async def test_a_reconcile_pass_is_polled_until_its_report(world: World, ask: Ask) -> None:
    world.blobs.put("c/a.md", b"Words.")
    world.clock.forward(3600)  # so late that its event counts as lost
    url = f"{URL}/reconcile?dry_run=true&code=key%3D"
    status, report, headers = await ask(reconcile, url=url, params={"dry_run": "true"})
    where = f"https://app.azurewebsites.net/api/reports/{report['id']}?code=key%3D"
    assert (status, report["status"], report["dry_run"]) == (202, "queued", True)
    assert (headers["Location"], int(headers["Retry-After"]) >= 1) == (where, True)
    status, _, headers = await ask(get_report, url=where, id=report["id"])
    assert (status, headers["Location"]) == (202, where)
    await world.settle()
    status, report, _ = await ask(get_report, url=where, id=report["id"])
    assert (status, report["status"], report["counts"]) == (200, "completed", {"missing": 1})


# ---- search, collections -----------------------------------------------------------------------------------------


async def test_search(world: World, ask: Ask) -> None:
    etag = await world.drop("c/a.md", b"The door code is 7315.")
    status, found, _ = await ask(search, body=msgspec.json.encode({"query": " door ", "collection": "c"}))
    assert (status, found["query"], found["collection"], found["indexing"]) == (200, "door", "c", 0)
    (hit,) = found["results"]
    assert (hit["document"], hit["etag"]) == ("c/a.md", etag)
    assert 0 <= hit["score"] <= 1
    assert (await ask(search, body=b'{"query": "door"}'))[1]["code"] == "collection_not_found"


async def test_collections(world: World, ask: Ask) -> None:
    await world.drop("c/a.md")
    _, listed, _ = await ask(list_collections)
    assert [(held["name"], held["documents"]) for held in listed["collections"]] == [("c", 1)]
    status, held, _ = await ask(put_collection, name="c", body=b'{"expires_days": 30}')
    assert (status, held["expires_days"]) == (200, 30)
    assert (await ask(get_collection, name="c"))[1]["expires_days"] == 30
    assert (await ask(put_collection, name="c", body=b'{"expires_days": null}'))[1]["expires_days"] is None
    assert (await ask(delete_collection, name="c"))[:2] == (202, {"deleting": "c"})
    await world.settle()
    assert (await ask(get_collection, name="c"))[:1] == (404,)


async def test_collections_come_in_pages(world: World, ask: Ask) -> None:
    for name in "abcde":
        await world.drop(f"{name}/x.md")
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        url = f"{COLLECTIONS_URL}?limit=2{f'&cursor={cursor}' if cursor else ''}"
        _, page, _ = await ask(list_collections, url=url)
        assert len(page["collections"]) <= 2
        found += [each["name"] for each in page["collections"]]
        cursor = page["cursor"]
    assert found == list("abcde")
    assert (await ask(list_collections, url=f"{COLLECTIONS_URL}?limit=0"))[1]["code"] == "invalid_limit"


async def test_notifications_match_their_description(world: World) -> None:
    await world.app.push.subscribe(CALLBACK, ("document.indexed", "document.failed", "document.removed"))
    await world.drop("c/a.md")
    await world.drop("c/b.md", b"")
    world.blobs.take_away("c/a.md")
    await world.documents.remove("c/a.md")
    await world.settle()
    told = [msgspec.convert(sent.message["body"], DocumentChanged) for sent in world.callbacks.messages]
    assert [news.type for news in told] == ["document.indexed", "document.failed", "document.removed"]
    fields = {name for sent in world.callbacks.messages for name in sent.message["body"]["data"]}
    assert fields == set(msgspec.structs.asdict(told[0].data))


# ---- errors ------------------------------------------------------------------------------------------------------


REFUSED = [
    (read_document, {"path": ""}, 400, "invalid_path"),
    (read_document, {"path": "c/../a.md"}, 400, "invalid_path"),
    (read_document, {"path": "c//a.md"}, 400, "invalid_path"),
    (read_document, {"path": "x" * 201 + "/a.md"}, 400, "invalid_collection"),
    (read_document, {"path": "c/none.md"}, 404, "document_not_found"),
    (retry_document, {"path": "c/none.md"}, 404, "document_not_found"),
    (retry_document, {"path": "c/a\n.md"}, 400, "invalid_path"),
    (delete_document, {"path": "c/none.md"}, 404, "document_not_found"),
    (delete_document, {"path": "c/"}, 400, "invalid_path"),
    (put_document, {"path": "../a.md"}, 400, "invalid_path"),
    (put_document, {"path": "a.md", "headers": {"x-ms-meta-two words": "x"}}, 400, "invalid_metadata"),
    (put_document, {"path": "a.md", "headers": {"x-ms-meta-": "x"}}, 400, "invalid_metadata"),
    (put_document, {"path": "a.md", "headers": {"x-ms-meta-1st": "x"}}, 400, "invalid_metadata"),
    (put_document, {"path": "a.md", "headers": {f"x-ms-meta-{'n' * 65}": "x"}}, 400, "invalid_metadata"),
    (put_document, {"path": "a.md", "headers": {"x-ms-meta-team": "é"}}, 400, "invalid_metadata"),
    (put_document, {"path": "a.md", "headers": {"x-ms-meta-team": "x" * 9_000}}, 400, "invalid_metadata"),
    (delete_below, {}, 400, "invalid_prefix"),
    (delete_below, {"params": {"prefix": ""}}, 400, "invalid_prefix"),
    (delete_below, {"params": {"prefix": "/"}}, 400, "invalid_prefix"),
    (delete_below, {"params": {"prefix": "c"}}, 400, "invalid_prefix"),
    (delete_below, {"params": {"prefix": "c/../"}}, 400, "invalid_prefix"),
    (list_documents, {"params": {"limit": "0"}}, 400, "invalid_limit"),
    (list_documents, {"params": {"limit": "1001"}}, 400, "invalid_limit"),
    (list_documents, {"params": {"limit": "²"}}, 400, "invalid_limit"),
    (list_documents, {"params": {"status": "done"}}, 400, "invalid_status"),
    (list_documents, {"params": {"cursor": "no cursor"}}, 400, "invalid_cursor"),
    (list_documents, {"params": {"cursor": "AAA"}}, 400, "invalid_cursor"),
    (list_documents, {"params": {"collection": ""}}, 400, "invalid_collection"),
    (list_receipts, {"params": {"path": ".."}}, 400, "invalid_path"),
    (list_receipts, {"params": {"limit": "-1"}}, 400, "invalid_limit"),
    (reconcile, {"params": {"dry_run": "yes"}}, 400, "invalid_flag"),
    (reconcile, {"params": {"collection": "a/b"}}, 400, "invalid_collection"),
    (get_report, {"id": "rec_1"}, 404, "report_not_found"),
    (get_report, {"id": "rec_" + "0" * 24}, 404, "report_not_found"),
    (get_report, {"id": "../runs/x"}, 404, "report_not_found"),
    (search, {"body": b'{"query": " "}'}, 400, "empty_query"),
    (search, {"body": b'{"query": "%s"}' % (b"x" * 8_001)}, 400, "query_too_long"),
    (search, {"body": b'{"query": "x", "limit": 51}'}, 400, "invalid_body"),
    (search, {"body": b'{"query": "x", "limit": 0}'}, 400, "invalid_body"),
    (search, {"body": b'{"query": "x", "collection": "a/b"}'}, 400, "invalid_collection"),
    (search, {"body": b'{"query": "x", "filters": {}}'}, 400, "invalid_filters"),
    (search, {"body": b'{"query": "x", "filters": []}'}, 400, "invalid_body"),
    (get_collection, {"name": "none"}, 404, "collection_not_found"),
    (get_collection, {"name": ".."}, 400, "invalid_collection"),
    (put_collection, {"name": "c", "body": b"{}"}, 400, "invalid_body"),
    (put_collection, {"name": "c", "body": b'{"expires_days": 0}'}, 400, "invalid_body"),
    (put_collection, {"name": "c", "body": b'{"expires_days": 366}'}, 400, "invalid_body"),
    (put_collection, {"name": "none", "body": b'{"expires_days": 1}'}, 404, "collection_not_found"),
    (delete_collection, {"name": "none"}, 404, "collection_not_found"),
]


@pytest.mark.parametrize(
    ("route", "asked", "status", "code"), REFUSED, ids=[f"{n}-{case[3]}" for n, case in enumerate(REFUSED)]
)
async def test_bad_input_is_refused_and_stores_nothing(
    world: World, ask: Ask, route: Route, asked: dict[str, Any], status: int, code: str
) -> None:
    got, problem, _ = await ask(route, **asked)
    assert (got, problem["code"]) == (status, code)
    assert problem["detail"].endswith(".")
    assert [*world.blobs.names(), *world.state.names(), *world.indexing.messages] == []


async def test_an_upload_over_the_limit(world: World, ask: Ask) -> None:
    world.app = replace(world.app, settings=replace(world.app.settings, upload_max_bytes=3))
    assert (await ask(put_document, path="a.md", body=b"1234"))[1]["code"] == "document_too_large"
    assert world.blobs.names() == []


def nested(depth: int) -> dict[str, Any]:
    return TEAM if depth == 1 else {"type": "and", "filters": [nested(depth - 1)]}


@pytest.mark.parametrize(
    "filters",
    [
        None,
        TEAM,
        {"type": "ne", "key": "done", "value": True},
        {"type": "gte", "key": "year", "value": 2026.5},
        {"type": "nin", "key": "team", "value": ["hr", 1, False]},
        {"type": "or", "filters": [TEAM] * FILTERS_MAX},
        nested(FILTERS_DEPTH_MAX),
    ],
)
def test_a_valid_filter_is_not_changed(filters: Any) -> None:
    assert filters_from(filters) == filters


@pytest.mark.parametrize(
    ("filters", "word"),
    [
        ({"type": "eq"}, "'key'"),
        ({"key": "team", "value": "hr"}, "'type'"),
        ({**TEAM, "more": 1}, "nothing else"),
        ({**TEAM, "key": ""}, "'key'"),
        ({**TEAM, "key": "k" * 65}, "'key'"),
        ({**TEAM, "key": 1}, "'key'"),
        ({**TEAM, "type": "like"}, "'like'"),
        ({**TEAM, "type": ["eq"]}, "no type"),
        ({**TEAM, "value": None}, "string or a number"),
        ({**TEAM, "value": ["hr"]}, "string or a number"),
        ({**TEAM, "type": "gt", "value": True}, "string or a number"),
        ({**TEAM, "type": "in"}, "list"),
        ({**TEAM, "type": "in", "value": []}, "list"),
        ({**TEAM, "type": "in", "value": [None]}, "list"),
        ({**TEAM, "type": "in", "value": ["x"] * 101}, "100"),
        ({"type": "and", "filters": []}, "1 to 16"),
        ({"type": "or", "filters": [TEAM] * (FILTERS_MAX + 1)}, "1 to 16"),
        ({"type": "or", "filters": TEAM}, "list"),
        ({"type": "or", "filters": ["hr"]}, "object"),
        ({"type": "and", "filters": [TEAM], "key": "team"}, "nothing else"),
        (nested(FILTERS_DEPTH_MAX + 1), "4 deep"),
    ],
)
def test_an_invalid_filter_is_explained(filters: Any, word: str) -> None:
    with pytest.raises(AppError) as caught:
        filters_from(filters)
    assert caught.value.code == "invalid_filters"
    assert word in caught.value.message


NODES = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["eq", "in", "gt", "and", "or"]) | st.none() | st.lists(st.text(), max_size=1),
            "key": st.text(max_size=70) | st.integers(),
            "value": st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.lists(st.text(), max_size=3),
        },
    ),
    lambda inner: st.fixed_dictionaries({"type": st.sampled_from(["and", "or"]), "filters": st.lists(inner)}),
    max_leaves=6,
)


@given(NODES)
def test_any_filter_is_accepted_or_refused(filters: dict[str, Any]) -> None:
    try:
        assert filters_from(filters) is filters
    except AppError as exc:
        assert exc.code == "invalid_filters"
