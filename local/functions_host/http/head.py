"""Parses the head of an HTTP/1.1 request with the limits of the real host's server.

Source: https://learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel/options (`KestrelServerLimits`)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPMethod

MAX_LINE_BYTES = 8 * 1024
MAX_HEADERS_BYTES = 32 * 1024
MAX_HEADERS = 100
METHODS = frozenset(HTTPMethod)
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
HOST = re.compile(rb"(?:[A-Za-z0-9._~\-]+|\[[0-9A-Fa-f:.]+\])(?::\d*)?")
LENGTH = re.compile(rb"0*\d{1,18}")  # of a body: more digits than a 64-bit number has are no length
LINE_END, HEAD_END = b"\r\n", b"\r\n\r\n"


class BadHead(Exception):
    """The head of a request is refused with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Head:
    """The head of a request. `length_bytes` is None for a chunked body."""

    method: str
    target: bytes
    version: str
    headers: list[tuple[bytes, bytes]]  # names in lower case
    length_bytes: int | None
    keep_alive: bool
    expects_continue: bool


def read_head(buffer: bytearray) -> Head | None:
    """Take the head of a request from a buffer; None if it is not complete.

    Raises:
        BadHead: the head is not valid or too long.
    """
    while buffer.startswith(LINE_END):
        del buffer[:2]
    line_end = buffer.find(LINE_END, 0, MAX_LINE_BYTES)
    if line_end < 0:
        if len(buffer) >= MAX_LINE_BYTES:
            raise BadHead(414)
        return None
    method, target, version = request_line(bytes(buffer[:line_end]))
    end = buffer.find(HEAD_END, line_end, line_end + MAX_HEADERS_BYTES + len(HEAD_END))
    if end < 0:
        if len(buffer) - line_end > MAX_HEADERS_BYTES:
            raise BadHead(431)
        return None
    lines = bytes(buffer[line_end + 2 : end]).split(LINE_END) if end > line_end else []
    del buffer[: end + len(HEAD_END)]
    if len(lines) > MAX_HEADERS:
        raise BadHead(431)
    return checked(method, target, version, [header(line) for line in lines])


def request_line(line: bytes) -> tuple[str, bytes, str]:
    parts = line.split(b" ")
    if len(parts) != 3 or not TOKEN.fullmatch(parts[0]) or not parts[1]:
        raise BadHead(400)
    method, target, version = parts
    if version not in {b"HTTP/1.1", b"HTTP/1.0"}:
        raise BadHead(505 if version.startswith(b"HTTP/") else 400)
    name = method.decode()
    return name.upper() if name.upper() in METHODS else name, target, version[5:].decode()


def header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not TOKEN.fullmatch(name) or b"\0" in value or b"\n" in value or b"\r" in value:
        raise BadHead(400)
    try:
        value.decode()
    except UnicodeDecodeError as exc:
        raise BadHead(400) from exc
    return name.lower(), value.strip(b" \t")


def checked(method: str, target: bytes, version: str, headers: list[tuple[bytes, bytes]]) -> Head:
    hosts = values_of(headers, b"host")
    if len(hosts) > 1 or (version == "1.1" and not hosts) or not all(HOST.fullmatch(host) for host in hosts if host):
        raise BadHead(400)
    codings = b",".join(values_of(headers, b"transfer-encoding")).lower().replace(b" ", b"")
    lengths = values_of(headers, b"content-length")
    if (codings and codings != b"chunked") or len(lengths) > 1 or not all(LENGTH.fullmatch(n) for n in lengths):
        raise BadHead(400)
    if codings:  # a length beside it would be ambiguous
        headers = [pair for pair in headers if pair[0] != b"content-length"]
    connection = b",".join(values_of(headers, b"connection")).lower()
    return Head(
        method=method,
        target=target,
        version=version,
        headers=headers,
        length_bytes=None if codings else int(lengths[0]) if lengths else 0,
        keep_alive=b"keep-alive" in connection if version == "1.0" else b"close" not in connection,
        expects_continue=b"".join(values_of(headers, b"expect")).lower() == b"100-continue",
    )


def values_of(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]
