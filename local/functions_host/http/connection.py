"""One HTTP/1.1 connection: reads requests, calls the ASGI app, frames its answers as the real host's server does.

No server library is used, because those refuse what the real host's accepts (unknown methods, a percent sign alone)
and have other limits: see `head.py`.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, cast

from local.functions_host.http.asgi import Receive, Scope, Send
from local.functions_host.http.body import BadBody, Body
from local.functions_host.http.head import BadHead, Head, read_head

logger = logging.getLogger(__name__)

KEEP_ALIVE_S = 130.0
DRAIN_S = 5.0  # how long the rest of a body is read after its answer
WITHOUT_BODY = {204, 205, 304}
PHRASES = {status.value: status.phrase for status in HTTPStatus}

App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Connection(asyncio.Protocol):
    """Serves one request after the other. `connections` holds all that are open."""

    def __init__(self, app: App, connections: set[Connection]) -> None:
        self._app = app
        self._connections = connections
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._head: Head | None = None
        self._body: Body | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answered = False
        self._closing = False
        self._ended = False  # nothing more is written
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._connections.add(self)
        self._close_after(KEEP_ALIVE_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._transport = None
        self.closed.set()
        self._close_after(None)
        if self._body:
            self._body.disconnect()

    def eof_received(self) -> bool:
        """The client sends no more; it still gets the answer to what it has sent."""
        if self._body and not self._body.complete:
            self._body.disconnect()
        self._closing = True
        return self._task is not None and not self._task.done()

    def data_received(self, data: bytes) -> None:
        if not self._ended:
            self._buffer += data
            self._advance()

    def shut_down(self) -> asyncio.Task[None] | None:
        """Accept no further request; the task of the request that is being answered, if any."""
        self._closing = True
        if self._task is None or self._task.done():
            self._close()
            return None
        return self._task

    def abort(self) -> None:
        """Drop the connection."""
        if self._task:
            self._task.cancel()
        if self._transport:
            self._transport.abort()

    def _advance(self) -> None:
        """Take from the buffer what belongs to the current request, or begin the next one."""
        while self._transport and not self._transport.is_closing():
            if self._head is None:
                if self._closing or not self._begin():
                    return
            elif self._body:
                self._feed(self._body)
                if not (self._body.complete and self._answered):
                    return
                self._end()

    def _begin(self) -> bool:
        try:
            head = read_head(self._buffer)
        except BadHead as exc:
            self._refuse(exc.status)
            return False
        if head is None:
            return False
        self._close_after(None)
        self._head, self._answered = head, False
        self._body = Body(head.length_bytes, resume=self._resume)
        self._task = asyncio.create_task(self._serve(head, self._body))
        return True

    def _feed(self, body: Body) -> None:
        try:
            body.feed(self._buffer)
        except BadBody:
            body.disconnect()
            self._refuse(400)
            return
        if self._transport and body.is_full:
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.resume_reading()

    def _end(self) -> None:
        if not self._head or not self._head.keep_alive or self._closing:
            self._close()
        self._head, self._body, self._task = None, None, None
        self._close_after(KEEP_ALIVE_S)

    async def _serve(self, head: Head, body: Body) -> None:
        answer = Answer(head, self._write)
        try:
            await self._app(self._scope(head), functools.partial(self._receive, head, body), answer.send)
        except Exception:
            logger.exception("http.app_failed")
        if not answer.begun:
            await answer.send({"type": "http.response.start", "status": 500, "headers": []})
            await answer.send({"type": "http.response.body", "body": b""})
        if answer.cut or self._closing:
            self._close()
            return
        self._answered = True
        body.discard()
        if not body.complete:
            self._close_after(DRAIN_S)
        self._advance()

    async def _receive(self, head: Head, body: Body) -> dict[str, Any]:
        if head.expects_continue and not body.begun:
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await body.receive()

    def _scope(self, head: Head) -> dict[str, Any]:
        path, _, query = head.target.partition(b"?")
        return {
            "type": "http",
            "http_version": head.version,
            "method": head.method,
            "scheme": "http",
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "headers": head.headers,
            "server": self._transport.get_extra_info("sockname")[:2] if self._transport else None,
        }

    def _refuse(self, status: int) -> None:
        self._write(head_bytes(status, [(b"content-length", b"0"), (b"connection", b"close")]))
        self._buffer.clear()
        self._linger()

    def _linger(self) -> None:
        """Send the end, and read on for a moment: a reset would take the answer from a client that still sends."""
        self._closing = self._ended = True
        self._head, self._body = None, None
        if self._transport:
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._close_after(DRAIN_S)

    def _write(self, data: bytes) -> None:
        if self._transport and not self._transport.is_closing() and not self._ended:
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport:
            self._transport.close()

    def _close_after(self, delay_s: float | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._close) if delay_s is not None else None


class Answer:
    """Frames an answer: chunked, if it has a body and the app gives no Content-Length.

    Attributes:
        begun: Whether the head was written.
        cut: Whether the connection must end, because the end of the body is not marked otherwise.
    """

    def __init__(self, head: Head, write: Callable[[bytes], None]) -> None:
        self._head = head
        self._write = write
        self._start: dict[str, Any] = {}
        self.begun = False
        self.cut = False

    async def send(self, message: Any) -> None:
        """Take a message of the app; a body in parts is not supported."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self.begun = True
        body: bytes = message.get("body", b"")
        status, headers = self._start["status"], list(self._start["headers"])
        if status in WITHOUT_BODY or self._head.method == "HEAD":
            self._write(head_bytes(status, headers))
            return
        stated = next((int(value) for name, value in headers if name == b"content-length"), None)
        if stated is not None:
            self.cut = stated > len(body)
        elif not body:
            headers.append((b"content-length", b"0"))
        elif self._head.version == "1.0":
            self.cut = True
        else:
            headers.append((b"transfer-encoding", b"chunked"))
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        self._write(head_bytes(status, headers) + body)


def head_bytes(status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
    """The head of an answer, in the real host's order: Content-Type, Date, Server, then the rest."""
    lines = [status_line(status)]
    lines += [b"Content-Type: " + value for name, value in headers if name == b"content-type"]
    lines.append(date_and_server(int(time.time())))
    lines += [shown_name(name) + value for name, value in headers if name != b"content-type"]
    return b"\r\n".join(lines) + b"\r\n\r\n"


@functools.lru_cache
def status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {PHRASES.get(status, '')}".encode()


@functools.lru_cache(maxsize=1000)
def shown_name(name: bytes) -> bytes:
    """`Cache-Control: ` of `cache-control`."""
    return b"-".join(part.capitalize() for part in name.split(b"-")) + b": "


@functools.lru_cache(maxsize=1)
def date_and_server(at: int) -> bytes:
    return f"Date: {formatdate(at, usegmt=True)}\r\nServer: Kestrel".encode()
