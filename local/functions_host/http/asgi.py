"""Reads a request and sends a response over ASGI."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from local.functions_host.http.target import decoded_path, encoded_path, joined, query_pairs, split_target

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 100 * 1024 * 1024  # the real host's default of FUNCTIONS_REQUEST_BODY_SIZE_LIMIT
HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
WITHOUT_BODY = {204, 205, 304}


@dataclass(frozen=True, kw_only=True)
class Request:
    """An HTTP request; its body is read separately, see `Incoming`."""

    method: str
    path: str  # decoded, but for %2F, with its dot segments resolved
    query: Mapping[str, str]  # names are merged without regard to case; values are joined with ",", empty ones dropped
    first_values: Mapping[str, str]  # of the query, by name in lower case
    headers: Mapping[str, str]  # names in lower case; values of the same name are joined with ","
    first_headers: Mapping[str, str]
    url: str
    server: str  # the address at which the request arrived, without its port
    body: bytes = b""

    @classmethod
    def from_scope(cls, scope: Scope) -> Request:
        """Raises: BadTarget: the path or the query is not valid."""
        pairs = [(name.decode("latin-1").lower(), value.decode(errors="replace")) for name, value in scope["headers"]]
        headers = joined(pairs)
        server = scope.get("server") or ("localhost", None)
        host = headers.get("host") or (f"{server[0]}:{server[1]}" if server[1] else str(server[0]))
        raw = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
        path, query = split_target(raw + b"?" + scope.get("query_string", b""), host)
        path, values = decoded_path(path), query_pairs(query)
        return cls(
            method=scope["method"],
            path=path,
            query={name: value for name, value in joined(values).items() if value},
            first_values=first(values),
            headers=headers,
            first_headers=first(pairs),
            server=str(server[0]),
            url=f"{scope.get('scheme', 'http')}://{host}{encoded_path(path)}" + (f"?{query}" if query else ""),
        )

    @property
    def content_length(self) -> int | None:
        """The stated length of the body; None for a chunked body."""
        if "transfer-encoding" in self.headers:
            return None
        text = self.headers.get("content-length", "0")
        return int(text) if text.isdecimal() else 0


@dataclass(frozen=True, kw_only=True)
class Response:
    """An HTTP response. Without a Content-Length in `headers`, the server states the length or sends chunks."""

    status: int
    body: bytes = b""
    headers: Iterable[tuple[str, str]] = field(default=())

    async def send(self, send: Send) -> None:
        """Send the response; 500 if a header cannot be sent or the stated Content-Length is too small."""
        headers = [(name.lower(), value) for name, value in self.headers if name.lower() != "transfer-encoding"]
        if not self._is_valid(headers):
            await Response(status=500).send(send)
            return
        raw = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if self.status in WITHOUT_BODY else self.body})

    def _is_valid(self, headers: Iterable[tuple[str, str]]) -> bool:
        for name, value in headers:
            if not HEADER_VALUE.fullmatch(value) or not HEADER_VALUE.fullmatch(name):
                return False
            if name == "content-length" and not (value.isdecimal() and int(value) >= len(self.body)):
                return False
        return True


class BodyTooLong(Exception):
    """The body is longer than the limit."""


class Disconnected(Exception):
    """The caller closed the connection before the request was complete."""


async def read_body(receive: Receive, *, max_bytes: int) -> bytes:
    """Read a body to its end.

    Raises:
        BodyTooLong: it is longer than `max_bytes`.
        Disconnected: the caller closed the connection early.
    """
    chunks, length_bytes, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunks.append(message.get("body", b""))
        length_bytes += len(chunks[-1])
        if length_bytes > max_bytes:
            raise BodyTooLong
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def first(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The first value of each name; names in lower case."""
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name.lower(), value)
    return found
