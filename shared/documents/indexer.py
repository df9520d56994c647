"""Documents: what is in the container `documents` is what can be asked. Idempotent by path and ETag.

A document's record says what is still to be done for it, and `look` does the next step: send the incoming version to
the service, see whether it is indexed, put it in the place of the old one, delete what is retired. A look that finds
the service busy, or the work not done yet, puts a delayed message on the queue `indexing` and returns; nothing sleeps.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.collections.stores import Collections
from shared.collections.visibility import Scopes
from shared.delays import look_delay_s, retry_delay_s
from shared.documents import lifecycle
from shared.documents.record import document_records
from shared.documents.removal import Removal
from shared.documents.upload_rate import Gate
from shared.documents.uploading import Intake
from shared.engines.stores import IndexState, VectorStores
from shared.errors import BlobChanged, BlobMissing, Busy, NotFound, ServiceBusy, ServiceError, ServiceMissing, StoreLost
from shared.formats.base import UnusableFile
from shared.formats.filetypes import classify
from shared.models.documents import Document, DocumentStatus, Reason, Version
from shared.settings import Settings
from shared.storage.records import Stored

if TYPE_CHECKING:
    from shared.push.notices import Push
    from shared.storage.blobs import BlobInfo, Blobs, Queue

log = logging.getLogger(__name__)

WRITE_TRIES = 5
READERS_MAX = timedelta(hours=1)  # a replaced version is kept no longer for runs that began before
READERS_LOOK_S = 5
SEARCH_MAX = timedelta(seconds=5)  # a search leaves no mark as runs do: a replaced version is kept at least so long
SOON_S = 2


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of one document: its size, its time, its tries; and how many are sent to the service at once."""

    max_bytes: int
    max_tokens: int
    deadline_s: int
    tries: int
    concurrency: int

    @classmethod
    def from_settings(cls, settings: Settings) -> Limits:
        return cls(
            max_bytes=settings.document_max_bytes,
            max_tokens=settings.file_max_tokens,
            deadline_s=settings.indexing_max_s,
            tries=settings.indexing_tries,
            concurrency=settings.indexing_concurrency,
        )


class Documents:
    def __init__(
        self,
        *,
        documents: Blobs,
        state: Blobs,
        indexing: Queue,
        stores: VectorStores,
        collections: Collections,
        scopes: Scopes,
        gate: Gate,
        removal: Removal,
        push: Push,
        filters: bool,
        limits: Limits,
        now: Callable[[], datetime],
    ) -> None:
        self._blobs = documents
        self._queue = indexing
        self._stores = stores
        self._collections = collections
        self._scopes = scopes
        self._gate = gate
        self._removal = removal
        self._push = push
        self._filters = filters
        self._limits = limits
        self._now = now
        self._intake = Intake(documents, stores, collections, max_tokens=limits.max_tokens, now=now)
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._records = document_records(state)

    # ---- events --------------------------------------------------------------------------------------------------

    async def index(self, path: str) -> None:
        """A blob was written: take up its current version, unless that was done already."""
        if await self._is_first(path):
            return
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
                await self._begin(path, info, stored, tries=1)
            except BlobChanged:
                continue
            return
        raise BlobChanged(f"The record of {path} keeps changing.")

    async def _is_first(self, path: str) -> bool:
        """Take up a document that has no record yet, as most have not, without asking for one first."""
        info = await self._info(path)
        try:
            if info:
                await self._begin(path, info, None, tries=1)
        except BlobChanged:
            return False  # it has one
        return True

    async def retry(self, path: str, *, afresh: bool) -> None:
        """Index the blob's current version anew. `afresh`: the count of its tries begins again.

        Raises:
            NotFound: there is no such blob.
            Busy: it is being sent to the service at this moment.
        """
        stored, info = await self._records.read(path), await self._info(path)
        if info is None:
            raise NotFound(f"There is no document {path!r} in the container 'documents'.", code="document_not_found")
        if stored and stored.value.claimed_until and stored.value.claimed_until > self._now():
            raise Busy(f"The document {path!r} is being sent to the service at this moment.", code="document_busy")
        going = stored and (stored.value.incoming or lifecycle.is_due(stored.value))
        if stored and going and stored.value.etag == info.etag and not afresh:
            await self._step(stored)  # it goes on by itself, and at most a message of it was lost
            return
        again = stored and stored.value.etag == info.etag and not afresh
        await self._begin(path, info, stored, tries=stored.value.tries + 1 if stored and again else 1)

    async def look(self, path: str, *, admitted: bool = False) -> None:
        """Do the next step for a document. `admitted`: its turn to be sent has come."""
        if stored := await self._records.read(path):
            await self._step(stored, admitted=admitted)
        else:
            await self._removal.finish(path)

    async def remove(self, path: str) -> None:
        """A blob was deleted: so is everything that was made of it."""
        for _ in range(WRITE_TRIES):
            stored = await self._records.read(path)
            if stored is None:
                await self._removal.finish(path)
                return
            if await self._info(path):
                return  # it is there again, and the event an old one
            try:
                stored = await self._write(stored, lifecycle.removing(stored.value, self._now()))
            except BlobChanged:
                continue
            await self._step(stored)
            return
        raise BlobChanged(f"The record of {path} keeps changing.")

    async def give_up(self, path: str, message: str) -> None:
        """The host has stopped trying: the document is `failed`, and an older version goes on answering."""
        stored, info = await self._records.read(path), await self._info(path)
        if stored is None and info:  # not even that was possible before
            stored = await self._take_up(path, info, None, tries=1, claim=False)
        if stored and stored.value.status == "indexing":
            await self._settle(stored, "failed", Reason(code="gave_up", message=message, retryable=True))

    async def check_stores(self, collection: str) -> bool:
        """Whether the service has lost a vector store of this collection. If so, it is built anew."""
        found = await self._collections.find(collection)
        lost = [store_id for store_id in (found.stores if found else ()) if await self._collections.is_gone(store_id)]
        for store_id in lost:
            await self._lose_store(collection, store_id)
        return bool(lost)

    async def put(self, path: str, content: bytes, *, media_type: str, metadata: dict[str, str]) -> str:
        """Write a blob for a caller without access to storage, and answer its etag. Its event does the rest."""
        return await self._blobs.write(path, content, media_type=media_type, metadata=metadata)

    async def _info(self, path: str) -> BlobInfo | None:
        try:
            return await self._blobs.info(path)
        except BlobMissing:
            return None

    # ---- steps ---------------------------------------------------------------------------------------------------

    async def _step(self, stored: Stored[Document], *, admitted: bool = False) -> None:
        """Do what the record says is next."""
        document, incoming = stored.value, stored.value.incoming
        if document.claimed_until and document.claimed_until > self._now():
            await self._look_again(document.path, delay_s=look_delay_s(60))
            return
        try:
            if incoming and document.deadline_at and self._now() > document.deadline_at:
                await self._settle(stored, "failed", lifecycle.too_late(document))
            elif incoming and (wait_s := await self._turn_s(incoming, admitted=admitted)):
                await self._look_again(document.path, delay_s=wait_s, admitted=not incoming.parts)
            elif incoming and not incoming.parts:
                await self._claim_and_send(stored)
            elif incoming:
                await self._check(stored, incoming)
            elif document.retired or document.scope_due or document.news_due or document.status == "removing":
                await self._clear(stored)
        except BlobChanged:
            await self._look_again(document.path)  # someone else took a step: see what is left to do
        except ServiceBusy as exc:
            await self._put_off(document.path, exc)

    async def _turn_s(self, incoming: Version, *, admitted: bool) -> int:
        """Seconds until it may go on: what is to be sent stands in a row, and a closed gate holds up everything."""
        if closed_s := await self._gate.closed_s():
            # Apart from one another: what waits for the gate should not come back in one wave.
            return closed_s + random.randint(0, closed_s)  # noqa: S311
        return 0 if admitted or incoming.parts else await self._gate.admit()

    async def _begin(self, path: str, info: BlobInfo, stored: Stored[Document] | None, *, tries: int) -> None:
        """Take up the blob's current version, and send it at once if its turn has come.

        Raises:
            BlobChanged: someone else took it up; nothing was done.
        """
        kind = classify(path, info.size_bytes, max_bytes=self._limits.max_bytes)
        refused = isinstance(kind, UnusableFile)
        delay_s = 0 if refused else await self._gate.admit()
        taken = await self._take_up(path, info, stored, tries=tries, claim=not refused and not delay_s)
        if refused:
            await self._step(taken)
            return
        try:
            if taken.value.told:  # before the service has it: no question may find two versions
                await self.tell_scope(path)
            if delay_s:
                await self._look_again(path, delay_s=delay_s, admitted=True)
            else:
                await self._send(taken)
        except BlobChanged:
            await self._look_again(path)
        except ServiceBusy as exc:
            await self._put_off(path, exc)

    async def _take_up(
        self, path: str, info: BlobInfo, stored: Stored[Document] | None, *, tries: int, claim: bool
    ) -> Stored[Document]:
        blob = lifecycle.Blob(
            path=path,
            etag=info.etag,
            size_bytes=info.size_bytes,
            last_modified_at=info.last_modified_at,
            metadata=dict(info.metadata),
        )
        document = lifecycle.taken_up(
            blob,
            stored.value if stored else None,
            classify(path, info.size_bytes, max_bytes=self._limits.max_bytes),
            tries=tries,
            claim=claim,
            news=self._push.on,
            deadline_s=self._limits.deadline_s,
            now=self._now(),
        )
        return await (self._write(stored, document) if stored else self._records.create(path, document))

    async def _claim_and_send(self, stored: Stored[Document]) -> None:
        """Under a claim, so that a second event does not send it, too."""
        claimed = await self._write(stored, lifecycle.claimed(stored.value, self._now()))
        await self.tell_scope(claimed.value.path)
        await self._send(claimed)

    async def _send(self, claimed: Stored[Document]) -> None:
        """Bring the incoming version to the service."""
        document, incoming = claimed.value, claimed.value.incoming
        assert incoming
        try:
            async with self._slots:
                sent, state = await self._intake.take_in(document.path, incoming, collection=document.collection)
        except (BlobChanged, BlobMissing):  # it is another version by now, or gone; whose event may have come before
            await self._write(claimed, replace(document, claimed_until=None))
            await self.remove(document.path)
            await self.index(document.path)
        except UnusableFile as exc:
            await self._settle(claimed, "unsupported" if exc.unsupported else "failed", exc.reason)
        except StoreLost as exc:
            await self._write(claimed, replace(document, claimed_until=None))
            await self._lose_store(exc.collection, exc.store_id)
            await self._look_again(document.path)
        except ServiceBusy:
            raise  # put off, as every step is
        except ServiceError as exc:
            await self._refuse(claimed, exc.code, exc.message)
        except Exception:
            await self._write(claimed, replace(document, claimed_until=None))  # the host tries again, then gives up
            raise
        else:
            await self._have_sent(claimed, sent, state)

    async def _have_sent(self, claimed: Stored[Document], sent: Version, state: IndexState) -> None:
        """A small document may be indexed by now, which saves all looks."""
        having = replace(claimed.value, incoming=sent, claimed_until=None, faults=0)
        after = self._seen(having, sent, state) if len(sent.parts) == 1 else having
        try:
            written = await self._write(claimed, after)
        except BlobChanged:  # a newer version came while this one was on its way
            await self._removal.discard((sent,))
            raise
        if after.incoming:
            await self._look_again(having.path)
            return
        log.info("document.%s", after.status, extra={"path": after.path, "etag": sent.etag})
        await self._clear(written)

    def _seen(self, having: Document, sent: Version, state: IndexState) -> Document:
        """The record after a look at the one file of a version."""
        news, now = self._push.on, self._now()
        if state.status == "completed":
            return lifecycle.promoted(having, replace(sent, ready=1), news=news, now=now)
        if state.status == "failed":
            status, reason = lifecycle.refusal(state.code, state.message)
            return lifecycle.settled(having, status, reason, tries_max=self._limits.tries, news=news, now=now)
        return having

    async def _check(self, stored: Stored[Document], incoming: Version) -> None:
        """Are all parts of the incoming version indexed? Then it takes the place of the old one."""
        document, ready = stored.value, incoming.ready
        assert incoming.store_id
        for file_id in incoming.parts[ready:]:
            try:
                state = await self._stores.state(incoming.store_id, file_id)
            except ServiceMissing:
                await self._send_again(stored, incoming)
                return
            if state.status == "failed":
                await self._refuse(stored, state.code, state.message)
                return
            if state.status == "in_progress":
                break
            ready += 1
        if ready == len(incoming.parts):
            await self._promote(stored, replace(incoming, ready=ready))
            return
        if ready > incoming.ready:
            await self._write(stored, replace(document, incoming=replace(incoming, ready=ready)))
        age_s = self._age_s(document)
        if age_s > SOON_S and not document.told:  # of a first version questions are told only when it takes a while
            latest = await self._records.read(document.path)
            if latest and latest.value.incoming:
                await self._write(latest, replace(latest.value, told=True))
                await self.tell_scope(document.path)
        await self._look_again(document.path, delay_s=look_delay_s(age_s))

    async def _send_again(self, stored: Stored[Document], incoming: Version) -> None:
        """What was sent is gone: with its whole store, or by itself."""
        document = stored.value
        assert incoming.store_id
        if not await self._collections.is_gone(incoming.store_id):
            await self._refuse(stored, "vanished", "The file was lost while it was indexed. Upload it again.")
            return
        await self._write(stored, lifecycle.unsent(document, incoming))
        await self._lose_store(document.collection, incoming.store_id)
        await self._look_again(document.path)

    async def _lose_store(self, collection: str, store_id: str) -> None:
        """A vector store is gone: what it held is found by reconciling its collection, and indexed anew."""
        log.warning("collection.store_lost", extra={"collection": collection, "store_id": store_id})
        await self._collections.lose(collection, store_id)
        await self._queue.send({"reconcile": collection})

    async def _promote(self, stored: Stored[Document], incoming: Version) -> None:
        """The new version answers from here on; only then is the old one retired."""
        old = stored.value
        written = await self._write(stored, lifecycle.promoted(old, incoming, news=self._push.on, now=self._now()))
        log.info("document.indexed", extra={"path": old.path, "etag": incoming.etag})
        await self._clear(written)

    async def _refuse(self, stored: Stored[Document], code: str | None, message: str | None) -> None:
        await self._settle(stored, *lifecycle.refusal(code, message))

    async def _settle(self, stored: Stored[Document], status: DocumentStatus, reason: Reason) -> None:
        """The incoming version will not be indexed; an older one, if there is one, goes on answering."""
        old, tries_max = stored.value, self._limits.tries
        written = await self._write(
            stored,
            lifecycle.settled(old, status, reason, tries_max=tries_max, news=self._push.on, now=self._now()),
        )
        log.warning("document.%s", status, extra={"path": old.path, "code": reason.code})
        await self._clear(written)

    async def _clear(self, stored: Stored[Document]) -> None:
        """Bring everything else in line with the record; last, delete the record of a document that was removed."""
        document = stored.value
        if document.status == "removing":
            await self.tell_scope(document.path)
            await self._removal.complete(stored)
            return
        if document.scope_due:
            await self.tell_scope(document.path)
        read = bool(document.retired) and await self._is_read(document)
        after = replace(document, scope_due=False, news_due=False)
        if document.retired and not read:
            await self._removal.discard(document.retired)
            after = replace(after, retired=(), retired_at=None)
            await self.tell_scope(document.path, without=document.retired)
        if document.news_due:
            await self._tell(document)
        if after != document:
            await self._write(stored, after)
        if read:
            await self._look_again(document.path, delay_s=READERS_LOOK_S)

    async def _is_read(self, document: Document) -> bool:
        """Whether a run or a search may go on that sees the retired versions and not those that took their place."""
        since = document.retired_at
        if not since or not self._filters or self._now() - since > READERS_MAX:
            return False
        if document.scope_due or self._now() - since < SEARCH_MAX:
            return True
        # Questions are told a moment after `since`: a run that began in between still looks for the old version.
        return await self._scopes.are_asked_since_before(since + SEARCH_MAX)

    async def _put_off(self, path: str, exc: ServiceBusy) -> None:
        """The service is busy: nobody asks it for a while, and this document comes back. Its deadline ends it."""
        await self._gate.close(exc.retry_after_s)
        stored = await self._records.read(path)
        if stored is None:
            return
        waiting = lifecycle.put_off(stored.value, exc)
        await self._write(stored, waiting)
        if waiting.incoming:
            await self.tell_scope(path)
        log.info("document.put_off", extra={"path": path, "faults": waiting.faults, "why": exc.message})
        await self._look_again(path, delay_s=retry_delay_s(waiting.faults, exc.retry_after_s))

    # ---- small things --------------------------------------------------------------------------------------------

    async def _write(self, stored: Stored[Document], value: Document) -> Stored[Document]:
        return await self._records.replace(value.path, stored, replace(value, updated_at=self._now()))

    async def _look_again(self, path: str, *, delay_s: int = 0, admitted: bool = False) -> None:
        await self._queue.send({"path": path, "admitted": admitted}, delay_s=delay_s)

    async def _tell(self, document: Document) -> None:
        """What became of this version; repeats carry the same id."""
        reason = document.reason
        data = {
            "path": document.path,
            "collection": document.collection,
            "etag": document.etag,
            "status": document.status,
            "reason": {"code": reason.code, "message": reason.message} if reason else None,
        }
        event = "document.indexed" if document.status == "indexed" else "document.failed"
        await self._push.announce(event, id=f"{document.path}@{document.etag}#{document.tries}", data=data)

    async def tell_scope(self, path: str, *, without: tuple[Version, ...] = ()) -> None:
        """Bring what questions are told of a document in line with its record as it is now.

        Args:
            without: retired versions whose files are gone, as the record does not say yet.
        """

        async def read() -> Document | None:
            stored = await self._records.read(path)
            if stored is None or stored.value.status == "removing":
                return None
            return replace(stored.value, retired=tuple(v for v in stored.value.retired if v not in without))

        await self._scopes.tell(path, read)

    def _age_s(self, document: Document) -> float:
        since = document.attempts[-1].started_at if document.attempts else self._now()
        return (self._now() - since).total_seconds()
