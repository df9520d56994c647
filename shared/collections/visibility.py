"""What a question may use of its collection.

Beside each document's record stands a visibility blob, whose metadata holds a `DocumentVisibility`: the data file that
code interpreter is offered, the versions that file search must exclude, and whether a version is being indexed. A
version other than the live one is excluded from before its upload begins until the service is proven to have nothing of
it. A run lists these blobs once. Writing the blob is the moment at which a new
version replaces the old one for questions. A document with nothing to say has no visibility blob.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from shared.engines.stores import all_of
from shared.errors import BlobChanged, ServiceBusy
from shared.models.documents import Document
from shared.models.ids import made_at
from shared.models.runs import DataFile
from shared.storage.layout import ACTIVE, VISIBILITY, active_run_id, visibility_in, visibility_name
from shared.storage.missing import or_none
from shared.storage.records import UPDATE_TRIES, pack, unpack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.storage.blobs import Blobs

TERMS_MAX_BYTES = 900
VERSIONS_MAX = 30  # excluded versions of one document: more do not fit into the blob's metadata
EXCLUDED_MAX = 500  # excluded versions of one question: the filter must stay small
RETRY_AFTER_S = 30


@dataclass(frozen=True, kw_only=True)
class DocumentVisibility:
    """What questions need to know of one document."""

    path: str
    indexing: bool = False
    excluded: tuple[str, ...] = ()
    all_excluded: bool = False  # more versions than fit here: no version of the document may be found
    data_file_id: str | None = None
    clean_file_ids: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()

    @property
    def data_file_ids(self) -> tuple[str, ...]:
        return (*((self.data_file_id,) if self.data_file_id else ()), *self.clean_file_ids)


@dataclass(frozen=True, kw_only=True)
class CollectionVisibility:
    """`files` maps each data file to the terms by which a question selects it."""

    files: dict[DataFile, tuple[str, ...]]
    excluded: tuple[str, ...]
    indexing: int  # documents with a version that is being indexed


@dataclass(frozen=True)
class Before:
    """The etag of a visibility blob, read before this process wrote the document's record. None: there was no blob."""

    etag: str | None


class VisibilityBlobs:
    def __init__(self, state: Blobs) -> None:
        self._state = state

    async def of(self, collection: str) -> CollectionVisibility:
        """Read what a question may use, with one listing.

        Raises:
            ServiceBusy: more versions have to be excluded than a filter takes.
        """
        files: dict[DataFile, tuple[str, ...]] = {}
        excluded: list[str] = []
        indexing = 0
        async for document in self.list(collection):
            excluded += [all_of(document.path)] if document.all_excluded else document.excluded
            indexing += document.indexing
            if document.data_file_id:
                files[DataFile(path=document.path, file_id=document.data_file_id)] = document.terms
        if len(excluded) > EXCLUDED_MAX:
            raise ServiceBusy(
                f"More than {EXCLUDED_MAX} versions of documents in {collection!r} are being replaced or deleted. "
                "Ask again in a minute.",
                code="collection_busy",
                retry_after_s=RETRY_AFTER_S,
            )
        return CollectionVisibility(files=files, excluded=tuple(excluded), indexing=indexing)

    async def list(self, collection: str | None = None) -> AsyncIterator[DocumentVisibility]:
        """The visibility of each document that has a visibility blob. None: in all collections."""
        async for blob in self._state.list(visibility_in(collection) if collection else VISIBILITY):
            yield unpack(blob.metadata["entry"], DocumentVisibility)

    async def find(self, path: str) -> DocumentVisibility | None:
        """The published visibility of one document. None if unrestricted."""
        blob = await or_none(self._state.info(visibility_name(path)))
        return unpack(blob.metadata["entry"], DocumentVisibility) if blob else None

    async def before(self, path: str) -> Before:
        """What `publish` needs to save two requests. Call it before the document's record is written."""
        blob = await or_none(self._state.info(visibility_name(path)))
        return Before(blob.etag if blob else None)

    async def publish(
        self,
        path: str,
        read: Callable[[], Awaitable[Document | None]],
        *,
        written: tuple[Before, Document] | None = None,
    ) -> Before | None:
        """Publish a document's visibility; delete it when empty.

        The blob's etag is read before the record, and the write must match that etag, so a slow writer cannot overwrite
        newer state.

        Args:
            read: Reads the document's record.
            written: The record that this process has written, and the blob's etag from before; tried first.

        Returns:
            The etag for the next `written`. None if the record was read: it may not be the one of this process.

        Raises:
            BlobChanged: another process wrote the blob at each try.
        """
        if written:
            before, document = written
            if before.etag or visibility_of(document):  # else there is no request that could meet another etag
                with suppress(BlobChanged):
                    return await self._write(path, before, document)
        for _ in range(UPDATE_TRIES):
            before = await self.before(path)
            with suppress(BlobChanged):
                await self._write(path, before, await read())
                return None
        raise BlobChanged(f"The visibility of {path} was changed by others at each of {UPDATE_TRIES} tries.")

    async def _write(self, path: str, before: Before, document: Document | None) -> Before:
        """Raises BlobChanged when the blob has another etag."""
        name, etag = visibility_name(path), before.etag
        if visibility := visibility_of(document) if document else None:
            metadata = {"entry": pack(visibility)}
            missing = None if etag else "*"
            written = await self._state.write(
                name, b"", media_type="text/plain", metadata=metadata, if_match=etag, if_none_match=missing
            )
            return Before(written)
        if etag:
            await self._state.delete(name, if_match=etag)
        return Before(None)

    async def has_run_started_before(self, at: datetime) -> bool:
        """Whether a run is still active that started before `at`: it may search for the versions of that time."""
        async for marker in self._state.list(ACTIVE):
            if made_at(active_run_id(marker.name)) <= at:
                return True
        return False


def visibility_of(document: Document) -> DocumentVisibility | None:
    """The visibility that a document's record implies. None if unrestricted."""
    live, incoming = document.live, document.incoming
    # A first version may be found as soon as the service has it: no other version can contradict it.
    hidden = [*([incoming] if incoming and live else []), *document.retired]
    versions = dict.fromkeys(version_of(document.path, v.etag) for v in hidden if v.may_exist)
    if live:  # it may be at the service twice, after an upload that got no answer
        versions.pop(version_of(document.path, live.etag), None)
    visibility = DocumentVisibility(
        path=document.path,
        indexing=incoming is not None,
        # Too many for the blob's metadata: no version of this document is found until some of them are gone.
        excluded=tuple(versions) if len(versions) <= VERSIONS_MAX else (),
        all_excluded=len(versions) > VERSIONS_MAX,
        data_file_id=live.data_file_id if live else None,
        clean_file_ids=live.clean_file_ids if live else (),
        terms=_shortened(live.terms) if live and live.data_file_id else (),
    )
    return None if visibility == DocumentVisibility(path=document.path) else visibility


def version_of(path: str, etag: str) -> str:
    """The id of a document's version: an attribute of its files at the service, used in search filters."""
    return sha256(f"{path}\n{etag}".encode()).hexdigest()[:24]


def _shortened(terms: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(" ".join(terms).encode()[:TERMS_MAX_BYTES].decode(errors="ignore").split(" "))
