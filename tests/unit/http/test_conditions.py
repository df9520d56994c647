"""Writes with a condition, and requests that say one thing twice or in no known way: a 4xx with a code."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import azure.functions as func
import pytest

from shared.documents.conditions import Condition
from shared.errors import BlobMissing
from shared.http.collections import put_collection
from shared.http.documents import delete_below, delete_document, list_documents, put_document, read_document
from shared.http.route import Route, answer
from shared.http.runs import list_runs, start_run
from tests.unit.world import World

URL = "https://app.azurewebsites.net/api"
OTHER = '"0x999"'

Ask = Callable[..., Any]


@pytest.fixture
def ask(world: World) -> Ask:
    async def ask(route: Route, where: str = "/x", *, body: bytes = b"", **more: Any) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json", **more.pop("headers", {})}
        request = func.HttpRequest(
            method="PUT", url=f"{URL}{where}", headers=headers, params={}, route_params=more, body=body
        )
        response = await answer(lambda: world.app, request, route)
        sent = json.loads(response.get_body())
        if response.status_code >= 400:
            assert response.mimetype == "application/problem+json"
            assert sent["detail"].endswith(".")
        return response.status_code, sent

    return ask


# ---- If-Match and If-None-Match ----------------------------------------------------------------------------------

NOT_MET: list[tuple[str, str]] = [
    ("If-Match", OTHER),
    ("If-Match", f'{OTHER}, "0x998"'),
    ("If-None-Match", "*"),
    ("If-None-Match", "{etag}"),
    ("If-None-Match", f"{OTHER} , {{etag}}"),
]
MET: list[tuple[str, str]] = [
    ("If-Match", "{etag}"),
    ("If-Match", "{bare}"),
    ("If-Match", f"{OTHER},{{etag}}"),
    ("If-Match", "*"),
    ("If-None-Match", OTHER),
]
INVALID: list[tuple[str, str]] = [
    ("If-Match", ""),
    ("If-Match", 'W/"0x1"'),
    ("If-Match", '"*"'),
    ("If-Match", '"0x1" "0x2"'),
    ("If-Match", "0x1,,0x2"),
    ("If-Match", "\xff"),
    ("If-None-Match", '*, "0x1"'),
    ("If-None-Match", ",".join(['"0x1"'] * 2_000)),
    ("If-Unmodified-Since", "Thu, 26 Nov 2026 00:00:00 GMT"),
    ("If-Modified-Since", "Thu, 26 Nov 2026 00:00:00 GMT"),
]


def filled(value: str, etag: str) -> str:
    return value.replace("{etag}", f'"{etag}"').replace("{bare}", etag)


@pytest.mark.parametrize("route", [put_document, delete_document])
@pytest.mark.parametrize(("name", "value"), NOT_MET)
async def test_a_condition_that_does_not_hold_changes_nothing(
    world: World, ask: Ask, route: Route, name: str, value: str
) -> None:
    etag = world.blobs.put("c/a.md", b"Old.")
    refused = await ask(route, path="c/a.md", body=b"New.", headers={name: filled(value, etag)})
    assert (refused[0], refused[1]["code"]) == (412, "not_the_version")
    assert (world.blobs.content("c/a.md"), world.blobs.info_of("c/a.md").etag) == (b"Old.", etag)


@pytest.mark.parametrize(("name", "value"), MET)
async def test_a_condition_that_holds_lets_the_write_through(world: World, ask: Ask, name: str, value: str) -> None:
    etag = world.blobs.put("c/a.md", b"Old.")
    status, _ = await ask(put_document, path="c/a.md", body=b"New.", headers={name: filled(value, etag)})
    assert (status, world.blobs.content("c/a.md")) == (201, b"New.")
    etag = world.blobs.info_of("c/a.md").etag
    status, _ = await ask(delete_document, path="c/a.md", headers={name: filled(value, etag)})
    assert (status, world.blobs.names()) == (202, [])


async def test_a_document_that_is_not_there(world: World, ask: Ask) -> None:
    status, problem = await ask(put_document, path="c/a.md", body=b"New.", headers={"If-Match": "*"})
    assert (status, problem["code"], world.blobs.names()) == (412, "not_the_version", [])
    assert (await ask(put_document, path="c/a.md", body=b"New.", headers={"If-None-Match": "*"}))[0] == 201


@pytest.mark.parametrize(("name", "value"), INVALID)
async def test_other_conditions_are_refused(world: World, ask: Ask, name: str, value: str) -> None:
    world.blobs.put("c/a.md", b"Old.")
    for route in (put_document, delete_document):
        status, problem = await ask(route, path="c/a.md", body=b"New.", headers={name: value})
        assert (status, problem["code"]) == (400, "invalid_condition")
    assert world.blobs.content("c/a.md") == b"Old."


async def test_a_folder_has_no_version(world: World, ask: Ask) -> None:
    status, problem = await ask(delete_below, "/documents?prefix=c/", headers={"If-Match": "*"})
    assert (status, problem["code"], world.indexing.messages) == (400, "invalid_condition", [])


async def test_a_version_that_is_replaced_meanwhile_is_not_overwritten(world: World) -> None:
    """The write itself has the condition too: between look and write, nothing can slip in."""
    etag = world.blobs.put("c/a.md", b"Old.")
    look, only_if = world.blobs.info, Condition(match=(etag,))

    async def slow_look(name: str) -> Any:
        found = await look(name)
        world.blobs.put("c/a.md", b"Other.")
        return found

    world.blobs.info = slow_look  # type: ignore[method-assign]
    with pytest.raises(Exception, match="written by another upload"):
        await world.app.library.uploads.put("c/a.md", b"New.", media_type="a/b", metadata={}, only_if=only_if)
    assert world.blobs.content("c/a.md") == b"Other."


# ---- bytes that are no text, values given twice, bodies in another coding ------------------------------------------


@pytest.mark.parametrize("bad", ["%ff", "%C3%28", "%ed%a0%80", "%80", "%f5%80%80%80", "%C3"])
async def test_bytes_that_are_not_utf_8_name_no_document(world: World, ask: Ask, bad: str) -> None:
    as_text = f"c/x{bad}.md"  # as Microsoft's host passes on such a path
    seen = [
        await ask(put_document, f"/documents/c/x{bad}.md", path=as_text, body=b"x"),
        await ask(put_document, f"/documents?path=c/x{bad}.md", body=b"x"),
        await ask(read_document, f"/documents/c/x{bad}.md", path=as_text),
        await ask(list_documents, f"/documents?collection={bad}"),
        await ask(put_collection, f"/collections/{bad}", name=bad, body=b"{}"),
        await ask(start_run, f"/runs?x={bad}", body=b'{"question": "x"}'),
    ]
    assert {(status, problem["code"]) for status, problem in seen} == {(400, "invalid_encoding")}
    assert world.blobs.names() == []


@pytest.mark.parametrize("name", ["c/\ufffd.md", "c/100%ff.md", "c/é.md"])
async def test_any_text_can_be_named_in_the_query(world: World, ask: Ask, name: str) -> None:
    status, _ = await ask(put_document, f"/documents?path={quote(name)}", body=b"x")
    assert (status, world.blobs.names()) == (201, [name])


@pytest.mark.parametrize(
    ("route", "where"),
    [
        (put_document, "/documents?path=c/a.md&path=c/b.md"),
        (put_document, "/documents?path=c/a.md&PATH=c/a.md"),
        (list_documents, "/documents?path=&path=c/a.md"),
        (list_documents, "/documents?collection=a&collection=b"),
        (list_documents, "/documents?limit=1&limit=1"),
        (delete_below, "/documents?prefix=c/&prefix=d/"),
        (delete_below, "/documents?path=c/a.md&path=c/b.md"),
        (list_runs, "/runs?thread_id=a&thread_id=b"),
    ],
)
async def test_a_parameter_is_given_once(world: World, ask: Ask, route: Route, where: str) -> None:
    status, problem = await ask(route, where, body=b"x")
    assert (status, problem["code"]) == (400, "repeated_parameter")
    assert (world.blobs.names(), world.indexing.messages) == ([], [])


@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP", "identity, gzip", "aws-chunked", "x" * 5_000, "\xff"])
async def test_an_encoded_body_is_refused(world: World, ask: Ask, coding: str) -> None:
    headers = {"Content-Encoding": coding}
    seen = [
        await ask(put_document, path="c/a.md", body=b"\x1f\x8b", headers=headers),
        await ask(start_run, body=b'{"question": "x"}', headers=headers),
    ]
    assert {(status, problem["code"]) for status, problem in seen} == {(415, "unsupported_encoding")}
    with pytest.raises(BlobMissing):
        await world.blobs.info("c/a.md")


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
async def test_no_encoding_is_an_encoding(ask: Ask, coding: str) -> None:
    assert (await ask(put_document, path="c/a.md", body=b"x", headers={"Content-Encoding": coding}))[0] == 201
