"""Blobs and queues in memory."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import msgspec

from shared.errors import BlobChanged, BlobMissing, ListingFailed
from shared.storage.blobs import Blob
from shared.storage.listings import BlobInfo
from tests.fakes.outside import Clock, Outside, outside

UNLISTABLE = re.compile(
    "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ufffe\\uffff]"
)  # Azurite answers 500, storage in Azure encodes it


@dataclass(frozen=True)
class _Kept:
    content: bytes
    media_type: str
    info: BlobInfo


class InMemoryBlobs:
    def __init__(self, label: str = "blobs", outside: Outside | None = None, clock: Clock | None = None) -> None:
        self.label = label
        self.outside = outside or Outside()
        self._clock = clock or Clock()
        self._kept: dict[str, _Kept] = {}
        self._etags = count(1)

    @outside
    async def read(self, name: str) -> Blob:
        kept = self._find(name)
        return Blob(content=kept.content, etag=kept.info.etag)

    @outside
    async def write(
        self,
        name: str,
        content: bytes,
        *,
        media_type: str,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> str:
        old = self._kept.get(name)
        if (if_match and (old is None or old.info.etag != if_match)) or (if_none_match and old):
            raise BlobChanged(f"{name} was written by another process.")
        return self.put(name, content, media_type=media_type, metadata=metadata)

    @outside
    async def info(self, name: str) -> BlobInfo:
        return self._find(name).info

    @outside
    async def delete(self, name: str, *, if_match: str | None = None) -> bool:
        old = self._kept.get(name)
        if old and if_match and old.info.etag != if_match:
            raise BlobChanged(f"{name} was written by another process.")
        return self._kept.pop(name, None) is not None

    @outside
    async def reachable(self) -> None:
        pass

    @outside
    async def exists(self, name: str) -> bool:
        return name in self._kept

    @outside
    async def page(self, prefix: str, *, limit: int, cursor: str | None) -> tuple[Sequence[BlobInfo], str | None]:
        found = [name for name in self.names(prefix) if cursor is None or name > cursor]
        page = [self._kept[name].info for name in _listed(found[:limit])]
        return page, page[-1].name if len(found) > limit else None

    async def list_names(self, prefix: str = "") -> AsyncIterator[str]:
        async with self.outside.call(f"{self.label}.list_names {prefix}"):
            found = _listed(self.names(prefix))
        for name in found:
            yield name

    async def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        async with self.outside.call(f"{self.label}.list {prefix}"):
            found = [self._kept[name].info for name in _listed(self.names(prefix))]
        for info in found:
            yield info

    @outside
    async def read_range(self, name: str, *, start: int, end: int, etag: str) -> bytes:
        kept = self._find(name)
        if kept.info.etag != etag:
            raise BlobChanged(f"{name} was written by another process.")
        return kept.content[start:end]

    async def stream(self, name: str, *, etag: str) -> AsyncIterator[bytes]:
        async with self.outside.call(f"{self.label}.stream {name}"):
            kept = self._find(name)
            if kept.info.etag != etag:
                raise BlobChanged(f"{name} was written by another process.")
        for start in range(0, len(kept.content), 4 * 1024 * 1024):
            yield kept.content[start : start + 4 * 1024 * 1024]

    # ---- for tests; not counted as calls of the app

    def put(
        self, name: str, content: bytes, *, media_type: str = "text/plain", metadata: Mapping[str, str] | None = None
    ) -> str:
        info = BlobInfo(
            name=name,
            etag=f"0x{next(self._etags):X}",
            size_bytes=len(content),
            last_modified_at=self._clock(),
            metadata=dict(metadata or {}),
        )
        self._kept[name] = _Kept(content, media_type, info)
        return info.etag

    def take_away(self, name: str) -> None:
        del self._kept[name]

    def names(self, prefix: str = "") -> Sequence[str]:
        return sorted(name for name in self._kept if name.startswith(prefix))

    def info_of(self, name: str) -> BlobInfo:
        return self._kept[name].info

    def content(self, name: str) -> bytes:
        return self._kept[name].content

    def _find(self, name: str) -> _Kept:
        if name not in self._kept:
            raise BlobMissing(f"{name} does not exist.")
        return self._kept[name]


def _listed(names: Sequence[str]) -> Sequence[str]:
    if any(map(UNLISTABLE.search, names)):
        raise ListingFailed("A blob's name has a control character, U+FFFE or U+FFFF. Delete that blob.")
    return names


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A message in a queue."""

    message: dict[str, Any]
    delay_s: int
    due_at: datetime


class InMemoryQueue:
    def __init__(self, label: str = "queue", outside: Outside | None = None, clock: Clock | None = None) -> None:
        self.label = label
        self.outside = outside or Outside()
        self._clock = clock or Clock()
        self.messages: list[Sent] = []

    @outside
    async def reachable(self) -> None:
        pass

    @outside
    async def send(self, message: msgspec.Struct, *, delay_s: int = 0) -> None:
        due_at = self._clock() + timedelta(seconds=delay_s)
        self.messages.append(Sent(message=msgspec.to_builtins(message), delay_s=delay_s, due_at=due_at))

    def take(self) -> Sent:
        """Remove and return the message that is due first."""
        first = min(self.messages, key=lambda sent: sent.due_at)
        self.messages.remove(first)
        return first
