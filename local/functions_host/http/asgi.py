"""Reads a request and sends a response over ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 210 * 1024 * 1024  # the real host's default of FUNCTIONS_REQUEST_BODY_SIZE_LIMIT


@dataclass(frozen=True, kw_only=True)
class Request:
    """An HTTP request with its whole body."""

    method: str
    path: str  # percent-encoded, as it was sent
    query: dict[str, str]  # values of the same name are joined with ","
    headers: dict[str, str]  # names in lower case; values of the same name are joined with ","
    url: str
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Response:
    """An HTTP response."""

    status: int
    body: bytes = b""
    headers: Iterable[tuple[str, str]] = field(default=())

    async def send(self, send: Send) -> None:
        """Send the response with a Content-Length."""
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in self.headers
            if name.lower() not in {"content-length", "transfer-encoding"}
        ]
        if self.status >= 200 and self.status != 204:
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class BodyTooLong(Exception):
    """The body is longer than `MAX_BODY_BYTES`."""


class Disconnected(Exception):
    """The caller closed the connection before the request was complete."""


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Read a request.

    Raises:
        BodyTooLong: the body is longer than the real host allows.
        Disconnected: the caller closed the connection early.
    """
    headers = join_duplicates(
        (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]
    )
    path = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1")
    query = scope.get("query_string", b"").decode("latin-1")
    server = scope.get("server") or ("localhost", None)
    host = headers.get("host") or (f"{server[0]}:{server[1]}" if server[1] else server[0])
    return Request(
        method=scope["method"],
        path=path,
        query=join_duplicates(parse_qsl(query, keep_blank_values=True)),
        headers=headers,
        url=f"{scope.get('scheme', 'http')}://{host}{path}" + (f"?{query}" if query else ""),
        body=await read_body(receive),
    )


async def read_body(receive: Receive) -> bytes:
    chunks, length_bytes, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunks.append(message.get("body", b""))
        length_bytes += len(chunks[-1])
        if length_bytes > MAX_BODY_BYTES:
            raise BodyTooLong
        more = message.get("more_body", False)
    return b"".join(chunks)


def join_duplicates(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    result: dict[str, str] = {}
    for name, value in pairs:
        result[name] = f"{result[name]},{value}" if name in result else value
    return result
