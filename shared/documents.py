"""Documents: what is in the container `documents` is what can be asked. Idempotent by path and ETag.

A document's record says what is still to be done for it, and `look` does the next step: send the incoming version to
the service, see whether it is indexed, put it in the place of the old one, delete what is retired. A look that finds
the service busy, or the work not done yet, puts a delayed message on the queue `indexing` and returns; nothing sleeps.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.collections import Collections
from shared.datacards import NotATable
from shared.engines.base import VectorStores
from shared.errors import BlobChanged, BlobMissing, ServiceBusy, ServiceError, ServiceMissing
from shared.filetypes import Refused, classify
from shared.intake import Intake
from shared.models import (
    DataFile,
    Document,
    DocumentStatus,
    DocumentSummary,
    Reason,
    Version,
    collection_of,
)
from shared.polling import look_delay_s, retry_delay_s
from shared.records import Records, Stored, key_of, pack, unpack

if TYPE_CHECKING:
    from shared.storage import BlobInfo, Blobs, Queue

log = logging.getLogger(__name__)

CLAIM = timedelta(minutes=10)  # as long as a function may run
WRITE_TRIES = 5
TIMEOUT = Reason(code="timeout", message="The service did not finish indexing in time. Upload the file again to retry.")
REASON_MAX_CHARS = 200  # of a reason in listings, whose room is limited
TERMS_MAX_BYTES = 1_000


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A data file as the questions of its collection see it."""

    path: str
    file_id: str
    terms: tuple[str, ...]


class Documents:
    def __init__(
        self,
        *,
        documents: Blobs,
        state: Blobs,
        indexing: Queue,
        stores: VectorStores,
        collections: Collections,
        now: Callable[[], datetime],
        max_bytes: int,
        deadline_s: int,
    ) -> None:
        self._blobs = documents
        self._state = state
        self._queue = indexing
        self._stores = stores
        self._collections = collections
        self._intake = Intake(documents, stores, collections)
        self._now = now
        self._max_bytes = max_bytes
        self._deadline = timedelta(seconds=deadline_s)
        self._records = Records(state, Document, name=_record_name, tags=_tags)

    # ---- events --------------------------------------------------------------------------------------------------

    async def index(self, path: str) -> None:
        """A blob was written: take up its current version, unless that was done already."""
        for _ in range(WRITE_TRIES):
            # The record first: what the blob says afterwards is at least as new, and a lost race shows at the write.
            stored = await self._records.read(path)
            info = await self._info(path)
            if info is None:
                return  # deleted since; that has an event of its own
            if stored and stored.value.etag == info.etag and stored.value.status != "removing":
                await self._step(stored)  # the same event again: at most, what a crash left undone
                return
            try:
                stored = await self._take_up(path, info, stored)
            except BlobChanged:
                continue
            await self._step(stored)
            return
        raise BlobChanged(f"The record of {path} keeps changing.")

    async def look(self, path: str) -> None:
        """Do the next step for a document."""
        if stored := await self._records.read(path):
            await self._step(stored)

    async def remove(self, path: str) -> None:
        """A blob was deleted: so is everything that was made of it."""
        for _ in range(WRITE_TRIES):
            stored = await self._records.read(path)
            if stored is None or await self._info(path):
                return  # never taken up; or it is there again, and the event an old one
            old = stored.value
            removing = replace(
                old,
                status="removing",
                live=None,
                incoming=None,
                retired=old.retired + _files(old),
                offer_due=True,
                claimed_until=None,
            )
            try:
                stored = await self._write(stored, removing)
            except BlobChanged:
                continue
            await self._step(stored)
            return
        raise BlobChanged(f"The record of {path} keeps changing.")

    async def give_up(self, path: str, message: str) -> None:
        """The host has stopped trying: the document is `failed`, and an older version goes on answering."""
        stored, info = await self._records.read(path), await self._info(path)
        if stored is None and info:  # not even that was possible before
            stored = await self._take_up(path, info, None)
        if stored and stored.value.status == "indexing":
            await self._settle(stored, "failed", Reason(code="gave_up", message=message))

    async def put(self, path: str, content: bytes, *, media_type: str) -> str:
        """Write a blob for a caller without access to storage, and answer its etag. Its event does the rest."""
        return await self._blobs.write(path, content, media_type=media_type)

    # ---- questions -----------------------------------------------------------------------------------------------

    async def find(self, path: str) -> Document | None:
        stored = await self._records.read(path)
        return stored.value if stored else None

    async def list(self, collection: str | None = None) -> AsyncIterator[DocumentSummary]:
        """Every document with its status, by path; a blob nobody has taken up yet is `pending`."""
        known: dict[str, DocumentSummary] = {}
        async for blob in self._state.list(f"index/{key_of(collection)}/" if collection else "index/"):
            summary = unpack(blob.metadata["summary"], DocumentSummary)
            known[summary.path] = replace(summary, collection=collection_of(summary.path))
        async for blob in self._blobs.list():
            if blob.name not in known and collection in (None, collection_of(blob.name)):
                known[blob.name] = _pending(blob)
        for path in sorted(known):
            yield known[path]

    async def data_files(self, collection: str) -> dict[DataFile, tuple[str, ...]]:
        """The data files of a collection that answer now, and the words by which a question finds each."""
        found = {}
        async for blob in self._state.list(f"data/{key_of(collection)}/"):
            offer = unpack(blob.metadata["offer"], Offer)
            found[DataFile(path=offer.path, file_id=offer.file_id)] = offer.terms
        return found

    async def _info(self, path: str) -> BlobInfo | None:
        try:
            return await self._blobs.info(path)
        except BlobMissing:
            return None

    # ---- steps ---------------------------------------------------------------------------------------------------

    async def _step(self, stored: Stored[Document]) -> None:
        """Do what the record says is next."""
        document, incoming = stored.value, stored.value.incoming
        if document.claimed_until and document.claimed_until > self._now():
            await self._look_again(document.path, delay_s=look_delay_s(60))
            return
        try:
            if incoming and document.deadline_at and self._now() > document.deadline_at:
                await self._settle(stored, "failed", TIMEOUT)
            elif incoming and not incoming.file_id:
                await self._send(stored, incoming)
            elif incoming:
                await self._check(stored, incoming)
            elif document.retired or document.offer_due or document.status == "removing":
                await self._clear(stored)
        except BlobChanged:
            await self._look_again(document.path)  # someone else took a step: see what is left to do
        except ServiceBusy as exc:
            await self._put_off(document.path, exc)

    async def _take_up(self, path: str, info: BlobInfo, stored: Stored[Document] | None) -> Stored[Document]:
        """Make the blob's current version the incoming one, or say at once why it cannot be."""
        old = stored.value if stored else None
        kind = classify(path, info.size_bytes, max_bytes=self._max_bytes)
        refused = kind if isinstance(kind, Refused) else None
        version = Version(
            etag=info.etag,
            size_bytes=info.size_bytes,
            last_modified_at=info.last_modified_at,
            kind="text" if isinstance(kind, Refused) else kind,
        )
        now = self._now()
        document = Document(
            path=path,
            collection=collection_of(path),
            status=("unsupported" if refused.unsupported else "failed") if refused else "indexing",
            reason=refused.reason if refused else None,
            updated_at=now,
            etag=info.etag,
            size_bytes=info.size_bytes,
            live=old.live if old else None,
            incoming=None if refused else version,
            retired=(old.retired + (old.incoming.file_ids if old.incoming else ())) if old else (),
            indexed_at=old.indexed_at if old else None,
            deadline_at=now + self._deadline,
        )
        return await (self._write(stored, document) if stored else self._records.create(path, document))

    async def _send(self, stored: Stored[Document], incoming: Version) -> None:
        """Bring the incoming version to the service, under a claim so that a second event does not do it, too."""
        document = stored.value
        claimed = await self._write(stored, replace(document, claimed_until=self._now() + CLAIM))
        try:
            sent = await self._intake.take_in(document.path, incoming, collection=document.collection)
        except (BlobChanged, BlobMissing):  # it is another version by now, or gone; whose event may have come before
            await self._write(claimed, replace(document, claimed_until=None))
            await self.remove(document.path)
            await self.index(document.path)
            return
        except NotATable as exc:
            await self._settle(claimed, "failed", Reason(code="not_a_table", message=str(exc)))
            return
        except ServiceBusy:
            raise  # put off, as every step is
        except ServiceError as exc:
            await self._refuse(claimed, exc.code, exc.message)
            return
        except Exception:
            await self._write(claimed, replace(document, claimed_until=None))  # the host tries again, then gives up
            raise
        try:
            await self._write(claimed, replace(document, incoming=sent, claimed_until=None, faults=0))
        except BlobChanged:  # a newer version came while this one was on its way
            await self._discard(document.collection, sent.file_ids)
            raise
        await self._look_again(document.path)

    async def _check(self, stored: Stored[Document], incoming: Version) -> None:
        """Is the incoming version indexed? Then it takes the place of the old one."""
        document = stored.value
        collection = await self._collections.find(document.collection)
        try:
            if collection is None or incoming.file_id is None:
                raise ServiceMissing("The collection's record is gone.")
            state = await self._stores.state(collection.store_id, incoming.file_id)
        except ServiceMissing:
            await self._refuse(stored, "vanished", "The file was lost while it was indexed. Upload it again.")
            return
        if state.status == "completed":
            await self._promote(stored, incoming)
        elif state.status == "failed":
            await self._refuse(stored, state.code or "failed", state.message or "The service gave no reason.")
        else:
            await self._look_again(document.path, delay_s=look_delay_s(self._age_s(document)))

    async def _promote(self, stored: Stored[Document], incoming: Version) -> None:
        """The new version answers from here on; only then is the old one retired."""
        old, now = stored.value, self._now()
        was_data = bool(old.live and old.live.data_file_id)
        indexed = replace(
            old,
            status="indexed",
            live=incoming,
            incoming=None,
            retired=old.retired + (old.live.file_ids if old.live else ()),
            reason=None,
            indexed_at=now,
            faults=0,
            offer_due=was_data or bool(incoming.data_file_id),
        )
        written = await self._write(stored, indexed)
        log.info("document.indexed", extra={"path": old.path, "etag": incoming.etag})
        await self._clear(written)

    async def _refuse(self, stored: Stored[Document], code: str, message: str) -> None:
        status: DocumentStatus = "unsupported" if code == "unsupported_file" else "failed"
        await self._settle(stored, status, Reason(code=code, message=message))

    async def _settle(self, stored: Stored[Document], status: DocumentStatus, reason: Reason) -> None:
        """The incoming version will not be indexed; an older one, if there is one, goes on answering."""
        old = stored.value
        dropped = old.incoming.file_ids if old.incoming else ()
        settled = replace(
            old,
            status=status,
            reason=reason,
            incoming=None,
            retired=old.retired + dropped,
            claimed_until=None,
            faults=0,
        )
        written = await self._write(stored, settled)
        log.warning("document.%s", status, extra={"path": old.path, "code": reason.code})
        await self._clear(written)

    async def _clear(self, stored: Stored[Document]) -> None:
        """Bring everything else in line with the record; last, delete the record of a document that was removed."""
        document = stored.value
        if document.offer_due:
            await self._offer(document)
        await self._discard(document.collection, document.retired)
        if document.status == "removing":
            await self._records.delete(document.path, stored)
            log.info("document.removed", extra={"path": document.path})
        elif document.retired or document.offer_due:
            try:
                await self._write(stored, replace(document, retired=(), offer_due=False))
            except BlobChanged:  # a newer version may have made its offer before this one
                await self._offer_again(document.path)
                raise

    async def _discard(self, collection: str, file_ids: tuple[str, ...]) -> None:
        found = await self._collections.find(collection) if file_ids else None
        for file_id in file_ids:
            await self._stores.discard(found.store_id if found else None, file_id)

    async def _put_off(self, path: str, exc: ServiceBusy) -> None:
        """The service is busy: try again later. The deadline ends it."""
        stored = await self._records.read(path)
        if stored is None:
            return
        faults = stored.value.faults + 1
        await self._write(stored, replace(stored.value, claimed_until=None, faults=faults))
        log.info("document.put_off", extra={"path": path, "faults": faults, "why": exc.message})
        await self._look_again(path, delay_s=retry_delay_s(faults, exc.retry_after_s))

    # ---- small things --------------------------------------------------------------------------------------------

    async def _write(self, stored: Stored[Document], value: Document) -> Stored[Document]:
        return await self._records.replace(value.path, stored, replace(value, updated_at=self._now()))

    async def _look_again(self, path: str, *, delay_s: int = 0) -> None:
        await self._queue.send({"path": path}, delay_s=delay_s)

    async def _offer(self, document: Document) -> None:
        """Name a data file to the questions of its collection, or take it back."""
        name, live = _offer_name(document.path), document.live
        if live is None or live.data_file_id is None:
            await self._state.delete(name)
            return
        terms = " ".join(live.terms).encode()[:TERMS_MAX_BYTES].decode(errors="ignore").split(" ")
        offer = Offer(path=document.path, file_id=live.data_file_id, terms=tuple(terms))
        await self._state.write(name, b"", media_type="text/plain", metadata={"offer": pack(offer)})

    async def _offer_again(self, path: str) -> None:
        for _ in range(WRITE_TRIES):
            stored = await self._records.read(path)
            if stored is None:
                await self._state.delete(_offer_name(path))
                return
            try:
                await self._write(stored, replace(stored.value, offer_due=True))
            except BlobChanged:
                continue
            return

    def _age_s(self, document: Document) -> float:
        started_at = document.deadline_at - self._deadline if document.deadline_at else self._now()
        return (self._now() - started_at).total_seconds()


def _files(document: Document) -> tuple[str, ...]:
    versions = (document.live, document.incoming)
    return tuple(file_id for version in versions if version for file_id in version.file_ids)


def _record_name(path: str) -> str:
    # The whole path below the collection: `a.pdf` and `default/a.pdf` are two documents of one collection.
    return f"index/{key_of(collection_of(path))}/{key_of(path)}.json"


def _offer_name(path: str) -> str:
    return f"data/{key_of(collection_of(path))}/{key_of(path)}"


def summary_of(document: Document) -> DocumentSummary:
    """What listings show."""
    shown = document.incoming or document.live
    reason = document.reason
    return DocumentSummary(
        path=document.path,
        collection=document.collection,
        status=document.status,
        reason=replace(reason, message=reason.message[:REASON_MAX_CHARS]) if reason else None,
        kind=shown.kind if shown else None,
        size_bytes=document.size_bytes,
        etag=document.etag,
        file_id=document.live.file_id if document.live else None,
        answers_etag=document.live.etag if document.live else None,
        updated_at=document.updated_at,
        indexed_at=document.indexed_at,
    )


def _tags(document: Document) -> dict[str, str]:
    # 8 KiB is all that metadata may take; the collection can be told from the path.
    return {"summary": pack(replace(summary_of(document), collection=""))}


def _pending(blob: BlobInfo) -> DocumentSummary:
    return DocumentSummary(
        path=blob.name,
        collection=collection_of(blob.name),
        status="pending",
        size_bytes=blob.size_bytes,
        etag=blob.etag,
        updated_at=blob.last_modified_at,
    )
