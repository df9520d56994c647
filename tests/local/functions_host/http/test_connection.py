"""The HTTP server over plain sockets: limits, framing, and what a client may do to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.functions_host import serving
from local.functions_host.http.asgi import MAX_BODY_BYTES
from tests.local.functions_host.apps import host, write_app

APP = """
    import json

    @app.route(route="echo", auth_level="ANONYMOUS")
    async def echo(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(f"{req.method} {len(req.get_body())}")

    @app.route(route="give/{length}", auth_level="ANONYMOUS")
    async def give(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("12345", headers={"Content-Length": req.route_params["length"]})

    @app.route(route="status/{status}", auth_level="ANONYMOUS")
    async def status(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("body", status_code=int(req.route_params["status"]))

    @app.route(route="header", auth_level="ANONYMOUS")
    async def header(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("body", headers={"X-A": "é"})
"""
DEADLINE_S = 180.0


class Client:
    """Sends bytes to the host, and reads what comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def all(self, data: bytes) -> bytes:
        """Everything that is answered, until the host closes the connection."""
        self.writer.write(data)
        async with asyncio.timeout(DEADLINE_S):
            return await self.reader.read()

    async def until(self, end: bytes) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            return await self.reader.readuntil(end)


@asynccontextmanager
async def connected(tmp_path: Path, **environ: str) -> AsyncIterator[Client]:
    environ = {"ALLOWED_HOSTS": "a"} | environ
    async with host(write_app(tmp_path / "app", APP), environ=environ) as running, serving(running.asgi) as url:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request after which the connection ends."""
    return "\r\n".join([f"{line} HTTP/1.1", "Host: a", "Connection: close", *headers, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(request(f"GET /api/echo?{'a' * 8100}"), 200, id="a line below 8 KB"),
        pytest.param(request(f"GET /api/echo?{'a' * 8192}"), 414, id="a line above 8 KB"),
        pytest.param(b"a" * 9000, 414, id="a line without an end"),
        pytest.param(request("GET /api/echo", f"A: {'a' * 30_000}"), 200, id="headers below 32 KB"),
        pytest.param(request("GET /api/echo", f"A: {'a' * 33_000}"), 431, id="headers above 32 KB"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"a" * 40_000, 431, id="headers without an end"),
        pytest.param(request("GET /api/echo", *(f"A{n}: 1" for n in range(98))), 200, id="100 headers"),
        pytest.param(request("GET /api/echo", *(f"A{n}: 1" for n in range(99))), 431, id="101 headers"),
        pytest.param(b"GET /api/echo HTTP/1.1\r\n\r\n", 400, id="no Host"),
        pytest.param(request("GET /api/echo", "Host: b"), 400, id="two Hosts"),
        pytest.param(request("GET /api/echo", "no colon"), 400, id="a header without a colon"),
        pytest.param(request("GET /api/echo", "A : 1"), 400, id="a space before the colon"),
        pytest.param(request("GET /api/echo", "Content-Length: 1", "Content-Length: 2"), 400, id="two lengths"),
        pytest.param(request("GET /api/echo", "Content-Length: x"), 400, id="no number as length"),
        pytest.param(request("GET /api/echo", f"Content-Length: {'9' * 5000}"), 400, id="a length of 5,000 digits"),
        pytest.param(request("GET /api/e cho"), 400, id="a space in the target"),
        pytest.param(b"GET /api/echo HTTP/3\r\nHost: a\r\n\r\n", 505, id="another version"),
        pytest.param(request("FOO /api/echo"), 200, id="any method"),
        pytest.param(request("GET /api/%"), 404, id="a percent sign alone"),
    ],
)
async def test_the_head_of_a_request_has_the_real_hosts_limits(tmp_path: Path, sent: bytes, status: int) -> None:
    async with connected(tmp_path) as client:
        answer = await client.all(sent)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


async def test_a_chunked_body_reaches_no_function_and_the_next_request_is_read(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        client.writer.write(
            b"POST /api/echo HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        client.writer.write(b"5\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n" + request("PUT /api/echo"))
        answer = await client.all(b"")
    assert b"POST 0" in answer
    assert b"PUT 0" in answer


async def test_chunks_that_are_not_valid_end_the_connection(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        answer = await client.all(
            b"POST /runtime/webhooks/blobs HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\n"
            b"Transfer-Encoding: chunked\r\n\r\nnothing\r\n"
        )
    assert answer.startswith(b"HTTP/1.1 400 ") or answer == b""


@pytest.mark.parametrize(("limit", "status"), [("", 500), (str(MAX_BODY_BYTES + 1), 200)])
async def test_a_body_over_the_limit_is_refused_before_it_is_sent(tmp_path: Path, limit: str, status: int) -> None:
    """The answer is 500, as from the real host; a setting raises the limit."""
    async with connected(tmp_path, FUNCTIONS_REQUEST_BODY_SIZE_LIMIT=limit) as client:
        head = f"Content-Length: {MAX_BODY_BYTES + 1}", "Expect: 100-continue"
        client.writer.write(request("PUT /api/echo", *head))
        begin = await client.until(b"\r\n")
        if status == 500:
            assert begin == b"HTTP/1.1 500 Internal Server Error\r\n"
            assert b"Content-Length: 0\r\n" in await client.until(b"\r\n\r\n")
        else:
            assert begin == b"HTTP/1.1 100 Continue\r\n"


async def test_a_body_is_waited_for_and_arrives_whole(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        client.writer.write(request("PUT /api/echo", "Content-Length: 3000000", "Expect: 100-continue"))
        assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        answer = await client.all(b"x" * 3_000_000)
    assert b"PUT 3000000" in answer


async def test_an_answer_with_a_body_is_chunked(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        head, _, body = (await client.all(request("GET /api/echo"))).partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n")[1:]]
    assert names == [b"Content-Type", b"Date", b"Server", b"Transfer-Encoding"]
    assert body == b"5\r\nGET 0\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("line", "begin", "end"),
    [
        ("GET /api/give/5", b"HTTP/1.1 200 OK", b"\r\n\r\n12345"),
        ("GET /api/give/3", b"HTTP/1.1 500 ", b"Content-Length: 0\r\n\r\n"),
        ("GET /api/give/9", b"HTTP/1.1 200 OK", b"\r\n\r\n12345"),
        ("HEAD /api/echo", b"HTTP/1.1 200 OK", b"Server: Kestrel\r\n\r\n"),
        ("GET /api/status/204", b"HTTP/1.1 204 No Content", b"Server: Kestrel\r\n\r\n"),
        ("GET /api/status/304", b"HTTP/1.1 304 Not Modified", b"Server: Kestrel\r\n\r\n"),
        ("GET /api/status/999", b"HTTP/1.1 999 \r\n", b"4\r\nbody\r\n0\r\n\r\n"),
        ("GET /api/header", b"HTTP/1.1 500 ", b"Content-Length: 0\r\n\r\n"),
        ("GET /nothing", b"HTTP/1.1 404 ", b"Content-Length: 0\r\n\r\n"),
    ],
)
async def test_an_answer_is_framed_as_by_the_real_host(tmp_path: Path, line: str, begin: bytes, end: bytes) -> None:
    """A function's Content-Length is kept: too small is an error, too large cuts the connection."""
    async with connected(tmp_path) as client:
        answer = await client.all(request(line))
    assert answer.startswith(begin)
    assert answer.endswith(end)


async def test_a_client_that_ends_its_side_still_gets_the_answer(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        client.writer.write(b"GET /api/echo HTTP/1.1\r\nHost: a\r\n\r\n")
        client.writer.write_eof()
        assert await client.until(b"GET 0\r\n0\r\n\r\n")


async def test_an_old_client_gets_no_chunks(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        answer = await client.all(b"GET /api/echo HTTP/1.0\r\n\r\n")
    assert answer.endswith(b"\r\n\r\nGET 0")
