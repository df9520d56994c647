"""An HTTP proxy in front of Azurite's blob or queue port that loses answers, cuts connections, or answers 403.

Azurite itself carries out what it is asked, so nothing is lost in storage. `lose` drops the answers to the next
requests that match, after they were carried out; `outage` takes storage away for all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, Literal, TypeVar

T = TypeVar("T")

DENIED = (
    b"HTTP/1.1 403 This request is not authorized\r\nx-ms-error-code: AuthorizationFailure\r\nContent-Length: 0\r\n\r\n"
)


@dataclass
class Proxy:
    """`port` is where it listens; `requests` lists `METHOD path` of each request it saw."""

    upstream: int
    port: int = 0
    requests: list[str] = field(default_factory=list)
    outage: Literal["cut", "403"] | None = None
    _losses: list[str] = field(default_factory=list)

    def lose(self, request: str, *, times: int = 1) -> None:
        """Lose the answers of the next requests whose `METHOD path` contains this text."""
        self._losses += [request] * times

    def connection_string(self, original: str) -> str:
        """The connection string of a storage account whose blob endpoint is this proxy."""
        return original.replace(f":{self.upstream}/", f":{self.port}/")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await self._forward_one(reader, writer):
                pass
        writer.close()

    async def _forward_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Forward one request and its answer. False: the connection is to be closed."""
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        request = f"{method} {target}"
        self.requests.append(request)
        if self.outage == "cut":
            return False
        if self.outage == "403":
            await _body(head, reader)
            writer.write(DENIED)
            await writer.drain()
            return True
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            up_writer.write(head + await _body(head, reader))
            await up_writer.drain()
            answer_head = await up_reader.readuntil(b"\r\n\r\n")
            no_body = method == "HEAD" or answer_head.split(b" ", 2)[1] in (b"204", b"304")
            answer = answer_head if no_body else answer_head + await _body(answer_head, up_reader)
        finally:
            up_writer.close()
        lost = next((text for text in self._losses if text in request), None)
        if lost is not None:
            self._losses.remove(lost)
            return False
        writer.write(answer)
        await writer.drain()
        return True


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        body = b""
        while True:
            size = await reader.readuntil(b"\r\n")
            chunk = await reader.readexactly(int(size.split(b";")[0], 16) + 2)
            body += size + chunk
            if chunk == b"\r\n":
                return body
    return await reader.readexactly(int(headers.get(b"content-length", b"0")))


@asynccontextmanager
async def proxy_before(upstream: int) -> AsyncIterator[Proxy]:
    """A proxy before this port of 127.0.0.1."""
    proxy = Proxy(upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=2**20)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()


async def _end_connections() -> None:
    connections = asyncio.all_tasks() - {asyncio.current_task()}
    for connection in connections:
        connection.cancel()
    await asyncio.gather(*connections, return_exceptions=True)


@contextmanager
def proxies_in_thread(*upstreams: int) -> Iterator[list[Proxy]]:
    """The same for tests without an event loop: a proxy before each port, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(timeout=120)

    with ExitStack() as cleanup:
        cleanup.callback(loop.close)
        cleanup.callback(thread.join, 10)
        cleanup.callback(loop.call_soon_threadsafe, loop.stop)
        cleanup.callback(lambda: run(_end_connections()))
        proxies = []
        for upstream in upstreams:
            context = proxy_before(upstream)
            proxies.append(run(context.__aenter__()))
            cleanup.callback(run, context.__aexit__(None, None, None))
        yield proxies
