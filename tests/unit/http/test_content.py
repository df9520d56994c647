"""`GET /api/documents/{path}/content`: the bytes of a document, whole or in ranges, never as a page."""

from __future__ import annotations

import azure.functions as func
import pytest

from shared.http.content import (
    RANGE_MAX_BYTES,
    SHOWN,
    WHOLE_MAX_BYTES,
    get_content,
    head_content,
    headers_of,
    range_of,
)
from shared.http.documents import read_document
from shared.http.route import Route, answer
from tests.unit.world import World

URL = "https://app.example/api/documents"


async def ask(world: World, route: Route, *, path: str = "", query: str = "", **headers: str) -> func.HttpResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = func.HttpRequest(
        method="GET", url=f"{URL}/{path}{query}", headers=named, route_params={"path": path}, body=b""
    )
    return await answer(lambda: world.app, request, route)


@pytest.mark.parametrize("path", ["c/a.txt/content", "c%2Fa.txt/content", "c%2Fa.txt%2Fcontent", "c/a.txt/CONTENT"])
async def test_the_path_is_in_the_url(world: World, path: str) -> None:
    etag = world.blobs.put("c/a.txt", b"0123456789")
    response = await ask(world, read_document, path=path)
    assert (response.status_code, response.get_body()) == (200, b"0123456789")
    assert response.headers["ETag"] == f'"{etag}"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_path_is_in_the_query(world: World) -> None:
    world.blobs.put("c/a.txt", b"0123456789")
    assert (await ask(world, get_content, query="?path=c/a.txt")).get_body() == b"0123456789"
    assert (await ask(world, get_content, path="c/b.txt", query="?path=c/a.txt")).status_code == 400


async def test_head_has_no_body(world: World) -> None:
    world.blobs.put("c/a.pdf", b"0123456789")
    for path, query in (("c/a.pdf/content", ""), ("content", "?path=c/a.pdf")):
        response = await ask(world, head_content, path=path, query=query)
        assert (response.status_code, response.get_body()) == (200, b"")
        assert response.headers["Content-Length"] == "10"
        assert response.headers["Content-Type"] == "application/pdf"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("bytes=0-3", (0, 4)),
        ("bytes=4-", (4, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=8-99", (8, 10)),
        ("bytes=5-2", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("pages=1-2", None),
        ("bytes=٣-4", None),
    ],
)
def test_a_range(text: str | None, expected: tuple[int, int] | None) -> None:
    assert range_of(text, 10) == expected


def test_a_long_range_is_answered_with_its_beginning() -> None:
    assert range_of("bytes=5-", 600_000_000) == (5, 5 + RANGE_MAX_BYTES)


async def test_a_range_is_of_one_version(world: World) -> None:
    etag = world.blobs.put("a.txt", b"0123456789")
    response = await ask(world, read_document, path="a.txt/content", range="bytes=2-4", if_range=f'"{etag}"')
    assert (response.status_code, response.get_body()) == (206, b"234")
    assert response.headers["Content-Range"] == "bytes 2-4/10"
    other = await ask(world, read_document, path="a.txt/content", range="bytes=2-4", if_range='"0x0"')
    assert (other.status_code, other.get_body()) == (200, b"0123456789")
    known = await ask(world, read_document, path="a.txt/content", if_none_match=f'"0x0", W/"{etag}"')
    assert (known.status_code, known.get_body()) == (304, b"")


async def test_a_range_that_is_not_there(world: World) -> None:
    world.blobs.put("a.txt", b"0123456789")
    world.blobs.put("empty.txt", b"")
    for path, header, size in (
        ("a.txt", "bytes=10-", 10),
        ("a.txt", "bytes=-0", 10),
        ("empty.txt", "bytes=0-", 0),
    ):
        response = await ask(world, read_document, path=f"{path}/content", range=header)
        assert response.status_code == 416
        assert response.headers["Content-Range"] == f"bytes */{size}"
    assert (await ask(world, read_document, path="empty.txt/content")).get_body() == b""


async def test_what_is_too_large_to_be_sent_at_once(world: World) -> None:
    world.blobs.put("a.txt", bytes(WHOLE_MAX_BYTES + 1))
    assert (await ask(world, read_document, path="a.txt/content")).status_code == 413
    part = await ask(world, read_document, path="a.txt/content", range="bytes=0-9")
    assert (part.status_code, part.get_body()) == (206, bytes(10))


@pytest.mark.parametrize("ending", ["html", "htm", "svg", "js", "xml", "xhtml", "css", "php", "mhtml", "HTML", "x", ""])
async def test_active_content_is_a_file_to_save(world: World, ending: str) -> None:
    path = f"c/a.{ending}".rstrip(".")
    world.blobs.put(path, b"<script>alert(1)</script>", media_type="text/html")
    response = await ask(world, read_document, path=f"{path}/content")
    assert response.mimetype == response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"].startswith("attachment; ")
    assert response.headers["Content-Security-Policy"].startswith("sandbox; ")


def test_no_shown_type_is_active() -> None:
    assert not [media for media in SHOWN.values() if any(word in media for word in ("html", "svg", "script", "xml"))]


async def test_a_name_cannot_add_a_header(world: World) -> None:
    name = 'c/a"\r\nX-Evil: 1 "é.txt'
    world.blobs.put(name, b"x")
    headers = headers_of(await world.blobs.info(name))
    assert headers["Content-Disposition"] == "inline; filename*=UTF-8''a%22%0D%0AX-Evil%3A%201%20%22%C3%A9.txt"


async def test_a_document_that_is_not_there(world: World) -> None:
    for route, path in ((read_document, "a.txt/content"), (head_content, "a.txt/content")):
        assert (await ask(world, route, path=path)).status_code == 404
