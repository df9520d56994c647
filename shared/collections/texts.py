"""The text of each indexed version, by its places: the app looks up there what an answer quotes.

No service says on which page a passage stands, and what it calls a passage is not always text of the document. So the
app keeps the text as it reads it itself, compressed, and deletes it with the version. A short text is a part of the
version's record, which saves a write for each small document; a long one is a blob under the version's etag.
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
from shared.models.documents import Document
from shared.storage.layout import TEXTS, document_name, text_name, texts_of
from shared.storage.missing import or_none
from shared.storage.records import Records, pack, unpack

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

SHORT_BYTES = 4096  # compressed; of English, about 10,000 characters
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
        self._records = Records(state, Document, name=document_name)
        self._cached: OrderedDict[str, PlaceIndex] = OrderedDict()

    async def keep(self, path: str, etag: str, places: Places) -> bytes | None:
        """Store the text of a version, or return it for its record if it is short.

        It replaces what an earlier try stored.
        """
        content = await asyncio.to_thread(lambda: zlib.compress(msgspec.json.encode(places), LEVEL))
        if len(content) <= SHORT_BYTES:
            return content
        metadata = {"version": pack(TextOf(path=path, etag=etag))}
        name = text_name(path, version_of(path, etag))
        await self._state.write(name, content, media_type="application/zlib", metadata=metadata)
        return None

    async def of(self, path: str, etag: str) -> PlaceIndex | None:
        """The text of a version; None if the app has kept none."""
        name = text_name(path, version_of(path, etag))
        if name in self._cached:
            self._cached.move_to_end(name)
            return self._cached[name]
        content = await self._in_record(path, etag)
        if content is None:
            blob = await or_none(self._state.read(name))
            content = blob.content if blob else None
        if content is None:
            return None
        index = await asyncio.to_thread(lambda: PlaceIndex(_unpacked(content)))
        self._cached[name] = index
        while len(self._cached) > 1 and (
            len(self._cached) > CACHED_MAX or sum(each.chars for each in self._cached.values()) > CACHED_MAX_CHARS
        ):
            self._cached.popitem(last=False)
        return index

    async def _in_record(self, path: str, etag: str) -> bytes | None:
        stored = await self._records.read(path)
        versions = (stored.value.live, stored.value.incoming, *stored.value.retired) if stored else ()
        return next((version.text for version in versions if version and version.etag == etag and version.text), None)

    async def drop(self, path: str, etags: Iterable[str]) -> None:
        """Delete the blobs with the texts of these versions of a document."""
        for etag in etags:
            await self._state.delete(text_name(path, version_of(path, etag)))

    async def kept(self, path: str) -> set[str]:
        """The etags of a document's versions whose text is a blob."""
        found = [unpack(blob.metadata["version"], TextOf) async for blob in self._state.list(texts_of(path))]
        return {version.etag for version in found if version.path == path}

    async def versions(self) -> AsyncIterator[TextOf]:
        """The versions of all documents whose text is a blob."""
        async for blob in self._state.list(TEXTS):
            yield unpack(blob.metadata["version"], TextOf)


def _unpacked(content: bytes) -> Places:
    return msgspec.json.decode(zlib.decompress(content), type=Places)
