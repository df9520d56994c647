"""Reads Azurite's access log while it grows; it has one line for each request to storage.

Only path-style URLs (`http://host:port/<account>/...`) are supported; Azurite uses these.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

logger = logging.getLogger(__name__)

LINE = re.compile(r'\S+ \S+ \S+ \[(?P<at>[^\]]+)\] "(?P<method>[A-Z]+) (?P<target>\S+) HTTP/[\d.]+" (?P<status>\d{3})')
FIRST_WAIT_S, LONGEST_WAIT_S = 0.005, 0.025  # between two reads: shorter costs processor time, longer adds latency
READ_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Access:
    """A request to storage, successful or failed."""

    at: datetime  # whole seconds
    method: str
    area: str  # container or queue
    name: str  # blob, or "messages[/<id>]"; empty for a request to the container or queue itself
    query: Mapping[str, str]
    status: int

    @classmethod
    def from_line(cls, line: str) -> Access | None:
        """Parse a line of the log; None if it is not a request."""
        match = LINE.match(line)
        if match is None:
            return None
        parts = urlsplit(match["target"])
        _, _, rest = parts.path.lstrip("/").partition("/")  # without the account
        area, _, name = rest.partition("/")
        return cls(
            at=datetime.strptime(match["at"], "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC),
            method=match["method"],
            area=unquote(area),
            name=unquote(name),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            status=int(match["status"]),
        )

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    @property
    def blob_written(self) -> bool:
        """Whether this is Put Blob, Put Block List or Copy Blob: only these raise BlobCreated."""
        return (
            self.succeeded
            and self.method == "PUT"
            and bool(self.name)
            and "popreceipt" not in self.query  # else it updates a queue message
            and self.query.get("comp", "blocklist") == "blocklist"
        )

    @property
    def blob_deleted(self) -> bool:
        """Whether this is Delete Blob for the blob itself, not for a snapshot or a version."""
        return (
            self.succeeded
            and self.method == "DELETE"
            and bool(self.name)
            and not self.query.keys() & {"popreceipt", "snapshot", "versionid", "comp", "restype"}
        )

    @property
    def message_visible_in_s(self) -> float | None:
        """The visibility timeout of a queue message that was sent or updated; None for any other request."""
        is_message = self.name == "messages" or self.name.startswith("messages/")
        if not (self.succeeded and self.method in {"POST", "PUT"} and is_message):
            return None
        text = self.query.get("visibilitytimeout", "0")
        return float(text) if text.isdigit() else 0.0


@dataclass(frozen=True, kw_only=True)
class Position:
    """A position in a log, saved in the file `path`, so that a restarted host continues there."""

    path: Path
    inode: int = 0
    offset_bytes: int = 0

    @classmethod
    def load(cls, path: Path) -> Position:
        """The saved position; the beginning of the log if there is none."""
        try:
            content = json.loads(path.read_text())
            return cls(path=path, inode=int(content["inode"]), offset_bytes=int(content["offset_bytes"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(path=path)

    def save(self) -> None:
        """Replace the file atomically."""
        new = self.path.with_name(self.path.name + ".new")
        new.write_text(json.dumps({"inode": self.inode, "offset_bytes": self.offset_bytes}))
        new.replace(self.path)


async def follow(log: Path, position: Position) -> AsyncIterator[tuple[list[Access], Position]]:
    """Read the requests in a growing log, from a position on, without end.

    Yields:
        The requests of the complete lines, and the position after them. A log that was replaced or truncated is read
        from its beginning.
    """
    wait_s = FIRST_WAIT_S
    while True:
        chunk, position = read_chunk(log, position)
        if chunk:
            wait_s = FIRST_WAIT_S
            lines = chunk.decode(errors="replace").splitlines()
            yield [access for line in lines if (access := Access.from_line(line))], position
        else:
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 1.2, LONGEST_WAIT_S)


def read_chunk(log: Path, position: Position) -> tuple[bytes, Position]:
    """The complete lines after a position, at most `READ_BYTES`, and the position after them."""
    try:
        status = log.stat()
    except FileNotFoundError:
        return b"", position
    offset_bytes = position.offset_bytes
    if status.st_ino != position.inode or status.st_size < offset_bytes:
        offset_bytes = 0
    if status.st_size == offset_bytes:
        return b"", Position(path=position.path, inode=status.st_ino, offset_bytes=offset_bytes)
    with log.open("rb") as file:
        file.seek(offset_bytes)
        chunk = file.read(READ_BYTES)
    whole = chunk[: chunk.rfind(b"\n") + 1]
    return whole, Position(path=position.path, inode=status.st_ino, offset_bytes=offset_bytes + len(whole))
