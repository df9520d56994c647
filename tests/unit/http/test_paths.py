"""A document's path in a request: the same with `/` and `%2F`, in the URL and in the query, on every host."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import azure.functions as func
import pytest

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
from shared.http.reconcile import reconcile
from shared.http.route import Route, answer
from tests.unit.world import World

URL = "https://app.azurewebsites.net/api"
KEYED = "AccountName=acct;AccountKey=c2VjcmV0;BlobEndpoint=https://acct.blob.core.windows.net"
Ask = Callable[..., Any]


@pytest.fixture
def world() -> World:
    return World(environ={"AzureWebJobsStorage": f"DefaultEndpointsProtocol=https;{KEYED}"})


@pytest.fixture
def ask(world: World) -> Ask:
    async def ask(
        route: Route, where: str, *, body: bytes = b"", headers: dict[str, str] | None = None, **in_url: str
    ) -> tuple[int, Any]:
        """A request as Microsoft's host passes it on: `params` without empty values, which only `url` still has."""
        pairs = [pair.partition("=")[::2] for pair in where.partition("?")[2].split("&") if pair]
        request = func.HttpRequest(
            method="GET",
            url=f"{URL}{where}",
            headers={"Content-Type": "application/json", **(headers or {})},
            params={name: value for name, value in pairs if value},
            route_params=in_url,
            body=body,
        )
        response = await answer(lambda: world.app, request, route)
        return response.status_code, json.loads(response.get_body())

    return ask


# ---- one document, many spellings --------------------------------------------------------------------------------

NAME = "c/x/ein Maß ü.md"
SPELLINGS: dict[str, tuple[str, dict[str, str]]] = {
    "slashes": (f"/documents/{quote(NAME)}", {"path": NAME}),
    "encoded slashes": (f"/documents/{quote(NAME, safe='')}", {"path": NAME.replace("/", "%2F")}),
    "lower case": (f"/documents/{quote(NAME, safe='').replace('%2F', '%2f')}", {"path": NAME.replace("/", "%2f")}),
    "one of both": (f"/documents/{quote(NAME)}", {"path": NAME.replace("c/x", "c%2Fx")}),
    "query": (f"/documents?path={quote(NAME)}", {}),
    "query, encoded": (f"/documents?path={quote(NAME, safe='')}&code=key", {}),
    "query, other case": (f"/documents?PATH={quote(NAME, safe='')}", {}),
}


@pytest.mark.parametrize(("where", "in_url"), SPELLINGS.values(), ids=SPELLINGS)
async def test_every_spelling_is_the_same_document(world: World, ask: Ask, where: str, in_url: dict[str, str]) -> None:
    status, stored = await ask(put_document, where, body=b"The door code is 7315.", **in_url)
    assert (status, stored["path"], stored["collection"]) == (201, NAME, "c")
    assert world.blobs.names() == [NAME]
    await world.documents.index(NAME)
    await world.settle()
    by_query = not in_url
    status, shown = await ask(list_documents if by_query else read_document, where, **in_url)
    assert (status, shown["path"], shown["status"]) == (200, NAME, "indexed")
    assert (await ask(retry_document, where, **in_url))[0] == 202
    await world.settle()
    _, found = await ask(search, "/search", body=b'{"query": "door code", "collection": "c"}')
    assert {hit["document"] for hit in found["results"]} == {NAME}
    deleted = await ask(delete_below if by_query else delete_document, where, **in_url)
    assert deleted == (202, {"deleting": NAME})
    await world.settle()
    _, page = await ask(list_receipts, f"/receipts?path={quote(NAME, safe='')}")
    assert [receipt["path"] for receipt in page["receipts"]] == [NAME]
    assert world.blobs.names() == []


async def test_the_query_gives_what_the_url_gives_and_a_page_of_one(world: World, ask: Ask) -> None:
    """A GET of `/documents` has one schema, a page; what the URL gives is beside it."""
    await world.drop("c/a.md")
    await world.drop("c/b.md")
    status, by_query = await ask(list_documents, "/documents?path=c/a.md")
    _, by_url = await ask(read_document, "/documents/c/a.md", path="c/a.md")
    assert (status, by_query) == (200, {**by_url, "documents": by_query["documents"], "cursor": None})
    _, listed = await ask(list_documents, "/documents")
    assert by_query["documents"] == [item for item in listed["documents"] if item["path"] == "c/a.md"]
    assert (await ask(list_documents, "/documents?path=c/none.md"))[1]["code"] == "document_not_found"


REFUSED: list[tuple[Route, str, dict[str, str], str]] = [
    # A hidden slash makes no segment that a plain one does not make.
    (delete_document, "/documents/c%2F..%2Fd", {"path": "c%2F..%2Fa.md"}, "invalid_path"),
    (put_document, "/documents/..%2Fruns", {"path": "..%2Fruns"}, "invalid_path"),
    (read_document, "/documents/c%2F%2Fa.md", {"path": "c%2F%2Fa.md"}, "invalid_path"),
    (delete_document, "/documents/c%2F", {"path": "c%2F"}, "invalid_path"),
    (delete_document, "/documents/%2F", {"path": "%2F"}, "invalid_path"),
    # In the query and in JSON, every host decodes once: what is left is part of the name.
    (list_documents, "/documents?path=c%252Fa.md", {}, "invalid_path"),
    (put_document, "/documents?path=c%252fa.md", {}, "invalid_path"),
    (list_receipts, "/receipts?path=c%252Fa.md", {}, "invalid_path"),
    (delete_below, "/documents?prefix=c%252Fx/", {}, "invalid_prefix"),
    (list_documents, "/documents?collection=c%252Fa", {}, "invalid_collection"),
    # One thing at a time.
    (delete_below, "/documents?path=c/a.md&prefix=c/", {}, "path_given_twice"),
    (delete_below, "/documents?path=&prefix=c/", {}, "path_given_twice"),
    (delete_below, "/documents?path=c/a.md&prefix=", {}, "path_given_twice"),
    (list_documents, "/documents?path=c/a.md&prefix=c/", {}, "path_given_twice"),
    (delete_document, "/documents/c/a.md?path=c/a.md", {"path": "c/a.md"}, "path_given_twice"),
    (put_document, "/documents/c/a.md?prefix=c/", {"path": "c/a.md"}, "path_given_twice"),
    # An empty value is none of the values that are allowed, and does not count as missing.
    (delete_below, "/documents", {}, "invalid_prefix"),
    (delete_below, "/documents?", {}, "invalid_prefix"),
    (delete_below, "/documents?prefix=", {}, "invalid_prefix"),
    (delete_below, "/documents?prefix", {}, "invalid_prefix"),
    (delete_below, "/documents?path=", {}, "invalid_path"),
    (delete_below, "/documents?path", {}, "invalid_path"),
    (list_documents, "/documents?path=", {}, "invalid_path"),
    (list_documents, "/documents?collection=", {}, "invalid_collection"),
    (list_documents, "/documents?Collection=", {}, "invalid_collection"),
    (list_documents, "/documents?status=", {}, "invalid_status"),
    (list_documents, "/documents?limit=", {}, "invalid_limit"),
    (list_documents, "/documents?cursor=", {}, "invalid_cursor"),
    (list_receipts, "/receipts?path=", {}, "invalid_path"),
    (put_document, "/documents?path=", {}, "invalid_path"),
    (put_document, "/documents", {}, "invalid_path"),
    (retry_document, "/documents", {}, "invalid_path"),
    (reconcile, "/documents/reconcile?dry_run=", {}, "invalid_flag"),
    (reconcile, "/documents/reconcile?dry_run", {}, "invalid_flag"),
    (reconcile, "/documents/reconcile?DRY_RUN=&code=key", {}, "invalid_flag"),
    (reconcile, "/documents/reconcile?dry_run=false&dry_run=true", {}, "repeated_parameter"),
    (reconcile, "/documents/reconcile?dry_run=false&collection=", {}, "invalid_collection"),
]


@pytest.mark.parametrize(
    ("route", "where", "in_url", "code"), REFUSED, ids=[f"{n}-{case[3]}" for n, case in enumerate(REFUSED)]
)
async def test_what_names_no_document_changes_nothing(
    world: World, ask: Ask, route: Route, where: str, in_url: dict[str, str], code: str
) -> None:
    world.blobs.put("c/a.md", b"Words.")
    assert (await ask(route, where, body=b"x", **in_url))[1]["code"] == code
    assert (world.blobs.names(), world.state.names(), world.indexing.messages) == (["c/a.md"], [], [])


async def test_dot_segments_are_refused_or_were_resolved_by_the_host(world: World, ask: Ask) -> None:
    """`PUT documents/a/../b.md` arrives as `b.md` from Microsoft's host, and as it was sent from others."""
    assert (await ask(put_document, "/documents/b.md", body=b"x", path="b.md"))[1]["path"] == "b.md"
    assert (await ask(put_document, "/documents/a/../b.md", body=b"x", path="a/../b.md"))[1]["code"] == "invalid_path"
    assert world.blobs.names() == ["b.md"]


@pytest.mark.parametrize(
    ("query", "repairs"), [("", False), ("?dry_run=true", False), ("?dry_run=false", True), ("?collection=c", False)]
)
async def test_only_an_explicit_false_repairs(world: World, ask: Ask, query: str, repairs: bool) -> None:
    world.blobs.put("c/a.md", b"Words.")
    world.clock.forward(3600)  # so late that its event counts as lost
    status, report = await ask(reconcile, f"/documents/reconcile{query}")
    assert (status, report["dry_run"]) == (202, not repairs)
    await world.settle()
    assert ("c/a.md" in {path for path, item in (await world.listing()).items() if item.status == "indexed"}) is repairs


async def test_an_empty_file_may_be_sent_as_one(world: World, ask: Ask) -> None:
    for path, headers in (("c/a.md", {"Content-Length": "0"}), ("c/b.md", {})):
        status, stored = await ask(put_document, f"/documents/{path}", headers=headers, path=path)
        assert (status, stored["size_bytes"]) == (201, 0)


# ---- upload URLs -------------------------------------------------------------------------------------------------

UPLOADS: dict[str, tuple[Route, str, dict[str, str]]] = {
    "in the URL": (retry_document, f"/documents/{quote(NAME)}/upload", {"path": f"{NAME}/upload"}),
    "encoded": (
        retry_document,
        f"/documents/{quote(NAME, safe='')}/upload",
        {"path": NAME.replace("/", "%2F") + "/upload"},
    ),
    "any case": (retry_document, f"/Documents/{quote(NAME)}/Upload", {"path": f"{NAME}/Upload"}),
}


@pytest.mark.parametrize(("route", "where", "in_url"), UPLOADS.values(), ids=UPLOADS)
async def test_an_upload_url_says_what_to_send(
    world: World, ask: Ask, route: Route, where: str, in_url: dict[str, str]
) -> None:
    body = b'{"content_type": "text/markdown", "metadata": {"team": "hr"}}'
    status, target = await ask(route, where, body=body, headers={"x-ms-meta-year": "2026"}, **in_url)
    assert (status, target["path"], target["collection"], target["method"]) == (200, NAME, "c", "PUT")
    assert target["headers"] == {
        "x-ms-blob-type": "BlockBlob",
        "Content-Type": "text/markdown",
        "x-ms-meta-team": "hr",
        "x-ms-meta-year": "2026",
    }
    blob, _, signature = target["url"].partition("?")
    assert blob == f"https://acct.blob.core.windows.net/documents/{quote(NAME)}"
    assert "sp=cw&" in signature  # create and write, nothing else
    assert "sr=b&" in signature  # one blob
    assert "spr=https&" in signature
    assert target["expires_at"] == "2026-11-22T12:15:00Z"
    assert "se=2026-11-22T12%3A15%3A00Z" in signature
    assert "c2VjcmV0" not in signature
    assert (world.blobs.names(), world.state.names()) == ([], [])


async def test_an_upload_url_without_a_body(ask: Ask) -> None:
    status, target = await ask(retry_document, "/documents/c/a.md/upload", path="c/a.md/upload")
    assert (status, target["headers"]["Content-Type"]) == (200, "application/octet-stream")


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/upload", b"", "invalid_path"),
        ("c/../a.md/upload", b"", "invalid_path"),
        ("c//upload", b"", "invalid_path"),
        ("c/a.md/upload", b'{"content_type": "a\\nb"}', "invalid_content_type"),
        ("c/a.md/upload", b'{"content_type": ""}', "invalid_content_type"),
        ("c/a.md/upload", b'{"metadata": {"a b": "c"}}', "invalid_metadata"),
        ("c/a.md/upload", b'{"path": "d.md"}', "invalid_body"),
        ("c/a.md/upload", b"Words.", "malformed_json"),
    ],
)
async def test_no_url_for_what_could_not_be_uploaded(ask: Ask, path: str, body: bytes, code: str) -> None:
    assert (await ask(retry_document, f"/documents/{path}", body=body, path=path))[1]["code"] == code


async def test_a_connection_string_without_a_key_signs_nothing(ask: Ask, world: World) -> None:
    world.environ["AzureWebJobsStorage"] = "BlobEndpoint=https://acct.blob.core.windows.net;SharedAccessSignature=sv=1"
    world.app = world.instance()
    status, problem = await ask(retry_document, "/documents/c/a.md/upload", path="c/a.md/upload")
    assert (status, problem["code"]) == (500, "setting_invalid")
    assert "AccountKey" in problem["detail"]


async def test_a_document_named_upload_is_tried_again_by_query(world: World, ask: Ask) -> None:
    world.blobs.put("c/upload", b"Words.")
    status, shown = await ask(retry_document, "/documents?path=c/upload")
    assert (status, shown["path"]) == (202, "c/upload")


async def test_too_large_names_the_upload_url(world: World, ask: Ask) -> None:
    world.environ["UPLOAD_MAX_BYTES"] = "3"
    world.app = world.instance()
    status, problem = await ask(put_document, "/documents/c/a.md", body=b"1234", path="c/a b.md")
    assert (status, problem["code"]) == (413, "document_too_large")
    assert "POST /api/documents/upload?path=c/a%20b.md" in problem["detail"]
    assert world.blobs.names() == []
