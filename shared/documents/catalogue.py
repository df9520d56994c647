"""Lists documents and receipts, page by page. Reads only."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.documents.record import document_records, receipt_records, summary_in, summary_of
from shared.errors import BadRequest, NotFound
from shared.models.documents import Document, DocumentStatus, DocumentSummary, Receipt, collection_of
from shared.storage.layout import document_name, documents_in, receipts_in, receipts_of
from shared.storage.missing import or_none

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs
    from shared.storage.listings import BlobInfo


PAGES_MAX = 20  # read at most, to find documents that match a filter
PENDING = "pending:"  # prefix of a cursor into the blobs without a record


class Catalogue:
    def __init__(self, documents: Blobs, state: Blobs) -> None:
        self._blobs = documents
        self._state = state
        self._records = document_records(state)
        self._receipts = receipt_records(state)

    # ---- documents -----------------------------------------------------------------------------------------------

    async def find(self, path: str) -> Document | None:
        stored = await self._records.read(path)
        return stored.value if stored else None

    async def get(self, path: str) -> Document:
        """A document as its blob is now: the event of a write or of a deletion comes later.

        The record is read first: a blob that is newer than the record is then the newest.

        Raises:
            NotFound: there is neither record nor blob.
        """
        found = await self.find(path)
        blob = await or_none(self._blobs.info(path))
        if shown := as_of(found, blob):
            return shown
        raise NotFound(
            f"There is no document {path!r}. Give its path in the container 'documents', as GET /api/documents lists "
            "it.",
            code="document_not_found",
        )

    async def blob(self, path: str) -> BlobInfo:
        """The newest version of a document's blob.

        Raises:
            BlobMissing: it was deleted, or never existed.
        """
        return await self._blobs.info(path)

    async def content(self, blob: BlobInfo, *, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end` of this version.

        Raises:
            BlobChanged: the blob has another version.
        """
        return await self._blobs.read_range(blob.name, start=start, end=end, etag=blob.etag)

    async def page(
        self,
        *,
        collection: str | None = None,
        status: DocumentStatus | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[DocumentSummary], str | None]:
        """Documents by path within each collection; blobs without a record (`pending`) come last.

        A page may hold less than `limit` or nothing; the listing goes on as long as there is a cursor.
        """
        found: list[DocumentSummary] = []
        place = _decoded(cursor)
        if status != "pending" and (place is None or not place.startswith(PENDING)):
            for _ in range(PAGES_MAX):
                page, place = await self._state.page(documents_in(collection), limit=limit - len(found), cursor=place)
                found += [summary for summary in map(summary_in, page) if status in (None, summary.status)]
                if place is None or len(found) >= limit:
                    break
            if place is not None:
                return found, _encoded(place)
        if status not in (None, "pending"):
            return found, None
        if len(found) >= limit:
            return found, _encoded(PENDING)
        after = place.removeprefix(PENDING) if place else ""
        pending, more = await self._pending(collection, limit=limit - len(found), after=after)
        return found + pending, _encoded(PENDING + pending[-1].path) if more else None

    async def all(self, collection: str | None = None) -> AsyncIterator[DocumentSummary]:
        """Every document that has a record."""
        async for blob in self._state.list(documents_in(collection)):
            yield summary_in(blob)

    async def _pending(self, collection: str | None, *, limit: int, after: str) -> tuple[list[DocumentSummary], bool]:
        found = [name for name in await self.without_record(collection) if name > after]
        infos = await asyncio.gather(*(or_none(self._blobs.info(name)) for name in found[:limit]))
        return [summary_of(_pending_document(info)) for info in infos if info], len(found) > limit

    async def without_record(self, collection: str | None) -> list[str]:
        """Paths of blobs without a record, found by two listings of names."""
        known = {name async for name in self._state.list_names(documents_in(collection))}
        return sorted([name async for name in names_in(self._blobs, collection) if document_name(name) not in known])

    async def outdated(self, versions: Mapping[str, str]) -> dict[str, str]:
        """Of versions, path -> etag, those whose blob is another one now: path -> "replaced" or "deleted"."""
        blobs = await asyncio.gather(*(or_none(self._blobs.info(path)) for path in versions))
        return {
            path: "replaced" if blob else "deleted"
            for (path, etag), blob in zip(versions.items(), blobs, strict=True)
            if blob is None or blob.etag != etag
        }

    # ---- receipts ------------------------------------------------------------------------------------------------

    async def receipts(
        self, *, collection: str | None, path: str | None, limit: int, cursor: str | None
    ) -> tuple[list[Receipt], str | None]:
        """Receipts of one document, newest first; without a path, by document."""
        prefix = receipts_of(path) if path else receipts_in(collection)
        page, place = await self._state.page(prefix, limit=limit, cursor=_decoded(cursor))
        stored = await asyncio.gather(*(self._receipts.read_named(blob.name) for blob in page))
        return [each.value for each in stored if each], _encoded(place) if place else None


async def names_in(documents: Blobs, collection: str | None) -> AsyncIterator[str]:
    """The paths of a collection's blobs. Blobs without a folder are in `default`."""
    prefix = f"{collection}/" if collection and collection != "default" else ""
    async for name in documents.list_names(prefix):
        if collection is None or collection_of(name) == collection:
            yield name


def as_of(document: Document | None, blob: BlobInfo | None) -> Document | None:
    """What the record says, unless the blob has changed since. Pure."""
    if blob is None:
        return replace(document, status="removing", reason=None) if document else None
    if document is None:
        return _pending_document(blob)
    if document.etag == blob.etag and document.status != "removing":
        return document
    return replace(
        document,
        status="pending",
        reason=None,
        incoming=None,
        etag=blob.etag,
        size_bytes=blob.size_bytes,
        updated_at=blob.last_modified_at,
        tries=0,
    )


def _pending_document(blob: BlobInfo) -> Document:
    """A blob without a record, as if it had one."""
    return Document(
        path=blob.name,
        collection=collection_of(blob.name),
        status="pending",
        size_bytes=blob.size_bytes,
        etag=blob.etag,
        updated_at=blob.last_modified_at,
    )


# ---- cursors: those of storage, encoded; a foreign cursor is rejected ---------------------------------------------


def _encoded(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode()


def _decoded(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as exc:
        raise BadRequest("The cursor is not one that this API has given out.", code="invalid_cursor") from exc
