"""The body of a request while it arrives."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

BUFFERED_BYTES = 1 << 20  # more is not read from the connection until the app asks for it
MAX_CHUNK_LINE_BYTES = 4096
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)


class BadBody(Exception):
    """A chunked body is not framed as HTTP wants it."""


class Body:
    """A body of `length_bytes`, or a chunked one if that is None.

    Attributes:
        complete: Whether all of it has arrived.
        begun: Whether the app has asked for it, or a part has arrived.
    """

    def __init__(self, length_bytes: int | None, *, resume: Callable[[], None]) -> None:
        self._chunked = length_bytes is None
        self._left_bytes = length_bytes or 0
        self._in_chunk = False
        self._trailer = False
        self._parts: list[bytes] = []
        self._buffered_bytes = 0
        self._discarding = False
        self._disconnected = False
        self._arrived = asyncio.Event()
        self._resume = resume
        self.complete = not self._chunked and self._left_bytes == 0
        self.begun = self.complete

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be read until the app has taken what is here."""
        return self._buffered_bytes > BUFFERED_BYTES and not self.complete

    def feed(self, buffer: bytearray) -> None:
        """Take from the buffer what belongs to this body.

        Raises:
            BadBody: the chunks are not valid.
        """
        while buffer and not self.complete:
            if self._left_bytes:
                self._take(buffer)
            elif not self._chunk_line(buffer):
                break
            if not self._chunked:
                self.complete = self._left_bytes == 0
        if self._parts or self.complete:
            self._arrived.set()

    def _take(self, buffer: bytearray) -> None:
        part = bytes(memoryview(buffer)[: self._left_bytes])
        del buffer[: len(part)]
        self.begun = True
        self._left_bytes -= len(part)
        if not self._discarding:
            self._parts.append(part)
            self._buffered_bytes += len(part)

    def _chunk_line(self, buffer: bytearray) -> bool:
        """Read the line before or after a chunk, or one of the trailer; False if it is not there yet."""
        end = buffer.find(b"\r\n", 0, MAX_CHUNK_LINE_BYTES)
        if end < 0:
            if len(buffer) > MAX_CHUNK_LINE_BYTES:
                raise BadBody
            return False
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        if self._trailer:
            self.complete = not line
        elif self._in_chunk:
            self._in_chunk = False
            if line:
                raise BadBody
        elif match := CHUNK_SIZE.fullmatch(line):
            self._left_bytes = int(match[1], 16)
            self._in_chunk = self._left_bytes > 0
            self._trailer = not self._in_chunk
        else:
            raise BadBody
        return True

    async def receive(self) -> dict[str, Any]:
        """The next ASGI message for the app."""
        self.begun = True
        while not (self._parts or self.complete or self._disconnected):
            self._arrived.clear()
            self._resume()
            await self._arrived.wait()
        if self._disconnected and not self.complete:
            return {"type": "http.disconnect"}
        content = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts, self._buffered_bytes = [], 0
        if not self.complete:
            self._resume()
        return {"type": "http.request", "body": content, "more_body": not self.complete}

    def discard(self) -> None:
        """Keep nothing more of it: the request was answered."""
        self._discarding = True
        self._parts, self._buffered_bytes = [], 0
        self._resume()

    def disconnect(self) -> None:
        """The client has gone."""
        self._disconnected = True
        self._arrived.set()
