"""The text of each indexed version, by its places, beside the records: the app looks up there what an answer quotes.

No service says on which page a passage stands, and what it calls a passage is not always text of the document. So the
app keeps the text as it reads it itself, compressed and under the version's etag, and deletes it with the version.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from shared.collections.visibility import version_of
from shared.formats.places.base import Places
from shared.formats.places.quotes import PlaceIndex
from shared.storage.layout import TEXTS, text_name, texts_of
from shared.storage.missing import or_none
from shared.storage.records import pack, unpack

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

CACHED_MAX = 32  # versions whose text an instance keeps in memory
CACHED_MAX_CHARS = 8_000_000
LEVEL = 1  # of compression: a fifth of the size, at 100 MB/s


@dataclass(frozen=True, kw_only=True)
class TextOf:
    """The version that a text blob belongs to."""

    path: str
    etag: str


class Texts:
    def __init__(self, state: Blobs) -> None:
        self._state = state
        self._cached: OrderedDict[str, PlaceIndex] = OrderedDict()

    async def keep(self, path: str, etag: str, places: Places) -> None:
        """Store the text of a version. It replaces what an earlier try stored."""
        content = await asyncio.to_thread(lambda: zlib.compress(msgspec.json.encode(places), LEVEL))
        metadata = {"version": pack(TextOf(path=path, etag=etag))}
        name = text_name(path, version_of(path, etag))
        await self._state.write(name, content, media_type="application/zlib", metadata=metadata)

    async def of(self, path: str, etag: str) -> PlaceIndex | None:
        """The text of a version; None if the app has kept none."""
        name = text_name(path, version_of(path, etag))
        if name in self._cached:
            self._cached.move_to_end(name)
            return self._cached[name]
        blob = await or_none(self._state.read(name))
        if blob is None:
            return None
        index = await asyncio.to_thread(lambda: PlaceIndex(_unpacked(blob.content)))
        self._cached[name] = index
        while len(self._cached) > 1 and (
            len(self._cached) > CACHED_MAX or sum(each.chars for each in self._cached.values()) > CACHED_MAX_CHARS
        ):
            self._cached.popitem(last=False)
        return index

    async def drop(self, path: str, etags: Iterable[str]) -> None:
        """Delete the texts of these versions of a document."""
        for etag in etags:
            await self._state.delete(text_name(path, version_of(path, etag)))

    async def kept(self, path: str) -> set[str]:
        """The etags of a document's versions that have a text."""
        found = [unpack(blob.metadata["version"], TextOf) async for blob in self._state.list(texts_of(path))]
        return {version.etag for version in found if version.path == path}

    async def versions(self) -> AsyncIterator[TextOf]:
        """The versions of all documents that have a text."""
        async for blob in self._state.list(TEXTS):
            yield unpack(blob.metadata["version"], TextOf)


def _unpacked(content: bytes) -> Places:
    return msgspec.json.decode(zlib.decompress(content), type=Places)
