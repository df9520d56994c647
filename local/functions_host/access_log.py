"""Azurite's access log as a change feed: one line for each request, read as it grows.

Only path-style addresses (`http://host:port/<account>/...`) are understood, which is what Azurite's own use.
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
FIRST_WAIT_S, LONGEST_WAIT_S = 0.005, 0.025  # between two looks at a quiet log: it costs processor time, and latency
READ_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Access:
    """One successful or failed request to storage."""

    at: datetime  # whole seconds
    method: str
    area: str  # container or queue
    name: str  # blob, or "messages[/<id>]"; empty when the request was about the area itself
    query: Mapping[str, str]
    status: int

    @classmethod
    def from_line(cls, line: str) -> Access | None:
        """Read a line of the log, None for any other line Azurite writes."""
        match = LINE.match(line)
        if match is None:
            return None
        parts = urlsplit(match["target"])
        _, _, rest = parts.path.lstrip("/").partition("/")  # drop the account
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
        """Put Blob, Put Block List or Copy Blob: what raises BlobCreated. Block, metadata, tier, lease do not."""
        return (
            self.succeeded
            and self.method == "PUT"
            and bool(self.name)
            and "popreceipt" not in self.query  # an updated queue message
            and self.query.get("comp", "blocklist") == "blocklist"
        )

    @property
    def blob_deleted(self) -> bool:
        """Delete Blob of the blob itself, not of a snapshot or a version."""
        return (
            self.succeeded
            and self.method == "DELETE"
            and bool(self.name)
            and not self.query.keys() & {"popreceipt", "snapshot", "versionid", "comp", "restype"}
        )

    @property
    def message_visible_in_s(self) -> float | None:
        """For a queue message sent or updated: seconds after `at` until it can be received."""
        is_message = self.name == "messages" or self.name.startswith("messages/")
        if not (self.succeeded and self.method in {"POST", "PUT"} and is_message):
            return None
        text = self.query.get("visibilitytimeout", "0")
        return float(text) if text.isdigit() else 0.0


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far a log was read, kept in a small file beside it so that a restarted host goes on where it stopped."""

    path: Path
    inode: int = 0
    offset_bytes: int = 0

    @classmethod
    def load(cls, path: Path) -> Position:
        """The saved position, the beginning when there is none."""
        try:
            content = json.loads(path.read_text())
            return cls(path=path, inode=int(content["inode"]), offset_bytes=int(content["offset_bytes"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(path=path)

    def save(self) -> None:
        """Replace the file in one step."""
        new = self.path.with_name(self.path.name + ".new")
        new.write_text(json.dumps({"inode": self.inode, "offset_bytes": self.offset_bytes}))
        new.replace(self.path)


async def follow(log: Path, position: Position) -> AsyncIterator[tuple[list[Access], Position]]:
    """Read the requests in a growing log from a position on; endless.

    Yields:
        The requests of the lines that are complete, and the position behind them. A log that was replaced or cut is
        read from its beginning.
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
    """The whole lines behind a position, at most `READ_BYTES`, and the position behind them."""
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
