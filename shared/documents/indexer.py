"""Indexes the blobs of the container `documents`. Idempotent by path and etag.

A document's record holds its state, and each look does the next step: upload the incoming version, check whether it is
indexed, replace the live version, delete the retired one. When the service is busy or has not finished, the look
enqueues a delayed message on the queue `indexing` and returns; no function sleeps.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared import telemetry
from shared.collections.visibility import Before
from shared.delays import look_delay_s, retry_delay_s
from shared.documents import lifecycle
from shared.documents.claims import Claim, renewing
from shared.documents.clearing import Clearing
from shared.documents.follow_up import FollowUp
from shared.documents.lifecycle import NextStep
from shared.documents.limits import Limits
from shared.documents.lost_stores import LostStores
from shared.documents.messages import LookAtDocument
from shared.documents.record import document_records
from shared.documents.sent import Sent
from shared.documents.upload_rate import UploadRate
from shared.engines.stores import IndexState, VectorStores
from shared.errors import (
    BlobChanged,
    BlobMissing,
    Busy,
    NotFound,
    ServiceBusy,
    ServiceError,
    ServiceMissing,
    StoreLost,
)
from shared.formats.base import UnusableFile
from shared.formats.filetypes import classify
from shared.logs import event
from shared.models.documents import Document, DocumentStatus, Reason, Version
from shared.storage.missing import or_none
from shared.storage.records import Stored

if TYPE_CHECKING:
    from shared.documents.uploading import Uploader
    from shared.push.notices import Push
    from shared.storage.blobs import Storage
    from shared.storage.listings import BlobInfo

log = logging.getLogger(__name__)

WRITE_TRIES = 5
GAVE_UP = "Indexing failed several times in a row; see the app's log. Upload the file again to retry."
SOON_S = 2  # a first version that takes longer is published as being indexed
INDEXED_MAX = 10_000
CLAIMED_AGE_S = 60  # how often to look at a document that another process uploads: as if it were so old


class Documents:
    def __init__(
        self,
        storage: Storage,
        stores: VectorStores,
        lost_stores: LostStores,
        uploader: Callable[[], Uploader],
        follow_up: FollowUp,
        upload_rate: UploadRate,
        clearing: Clearing,
        push: Push,
        limits: Limits,
        now: Callable[[], datetime],
    ) -> None:
        self._blobs = storage.documents
        self._queue = storage.indexing
        self._stores = stores
        self._lost_stores = lost_stores
        self._follow_up = follow_up
        self._upload_rate = upload_rate
        self._clearing = clearing
        self._push = push
        self._limits = limits
        self._now = now
        self._uploader, self._slots = uploader, asyncio.Semaphore(limits.concurrency)
        self._indexed: dict[str, None] = {}  # the newest paths that have a record
        self._records = document_records(storage.state)

    # ---- events --------------------------------------------------------------------------------------------------

    async def index(self, path: str) -> None:
        """A blob was written: start indexing its current version, unless that was done before."""
        if path not in self._indexed and await self._begin_first(path):
            return
        for _ in range(WRITE_TRIES):
            # Read the record before the blob: the blob is then at least as new, and a lost race fails at the write.
            stored, before = await asyncio.gather(self._records.read(path), self._follow_up.before(path))
            info = await or_none(self._blobs.info(path))
            if info is None:
                return  # deleted since: the deletion has its own event
            if stored and stored.value.etag == info.etag and stored.value.status != "removing":
                await self._step(stored)  # the same event again: do what a crash may have left undone
                return
            try:
                await self._begin(path, info, stored, tries=1, before=before)
            except BlobChanged:
                continue
            return
        raise BlobChanged(f"The record of {path} was changed by others at each of {WRITE_TRIES} tries.")

    async def _begin_first(self, path: str) -> bool:
        """Create the record optimistically: most events are for new documents. False: there is a record."""
        info = await or_none(self._blobs.info(path))
        try:
            if info:
                await self._begin(path, info, None, tries=1)
        except BlobChanged:
            return False
        return True

    async def retry(self, path: str, *, reset_tries: bool) -> None:
        """Index the blob's current version again. `reset_tries`: count its tries from 1.

        Raises:
            NotFound: there is no such blob.
            Busy: a process is uploading it.
        """
        stored, info = await self._records.read(path), await or_none(self._blobs.info(path))
        if info is None:
            raise NotFound(f"There is no document {path!r} in the container 'documents'.", code="document_not_found")
        if stored and stored.value.claimed_until and stored.value.claimed_until > self._now():
            raise Busy(f"The document {path!r} is being uploaded to the service at this moment.", code="document_busy")
        going = stored and (stored.value.incoming or lifecycle.is_due(stored.value))
        if stored and going and stored.value.etag == info.etag and not reset_tries:
            await self._step(stored)  # it is in progress: at most a message was lost
            return
        again = stored and stored.value.etag == info.etag and not reset_tries
        await self._begin(path, info, stored, tries=stored.value.tries + 1 if stored and again else 1)

    async def look(self, path: str, *, slot_reserved: bool = False) -> None:
        """Do the next step for a document. `slot_reserved`: the time of its upload slot has come."""
        stored = await self._records.read(path)
        if stored is None:
            await self._finish_removal(path)
        elif not lifecycle.is_early(stored.value, self._now()):  # else another message is on its way
            await self._step(stored, slot_reserved=slot_reserved)

    async def _finish_removal(self, path: str) -> None:
        """Do what a crash left undone after the record was deleted."""
        await self._clearing.finish(path)
        await self._follow_up.publish_visibility(path)

    async def remove(self, path: str) -> None:
        """A blob was deleted: delete everything that was made of it."""
        for _ in range(WRITE_TRIES):
            stored, before = await asyncio.gather(self._records.read(path), self._follow_up.before(path))
            if stored is None:
                await self._finish_removal(path)
                return
            if await or_none(self._blobs.info(path)):
                return  # the blob exists again: the event is old
            try:
                stored = await self._write(stored, lifecycle.removing(stored.value, self._now()))
            except BlobChanged:
                continue
            await self._step(stored, before=before)
            return
        raise BlobChanged(f"The record of {path} was changed by others at each of {WRITE_TRIES} tries.")

    async def give_up(self, path: str) -> None:
        """No more tries: the blob's current version is `failed`, and the live version stays."""
        stored, info = await self._records.read(path), await or_none(self._blobs.info(path))
        if info and (stored is None or stored.value.etag != info.etag):  # no try got as far as the record
            stored = await self._take_up(path, info, stored, tries=1, claim=False)
        if stored and stored.value.status == "indexing":
            await self._settle(stored, "failed", Reason(code="gave_up", message=GAVE_UP, retryable=True))

    # ---- steps ---------------------------------------------------------------------------------------------------

    async def _step(
        self, stored: Stored[Document], *, slot_reserved: bool = False, before: Before | None = None
    ) -> None:
        """Do the document's next step. `before`: as for `Clearing.clear`."""
        with telemetry.span("document.step", parent=stored.value.trace, path=stored.value.path):
            await self._do_step(stored, slot_reserved, before)

    async def _do_step(self, stored: Stored[Document], slot_reserved: bool, before: Before | None) -> None:
        document = stored.value
        try:
            match lifecycle.next_step(document, self._now()):
                case NextStep.WAIT:
                    await self._look_again(document.path, delay_s=look_delay_s(CLAIMED_AGE_S))
                case NextStep.EXPIRE:
                    await self._settle(stored, "failed", lifecycle.too_late(document))
                case NextStep.SEND:
                    if wait_s := await self._paused_s() or (
                        0 if slot_reserved else await self._upload_rate.reserve_slot()
                    ):
                        await self._look_again(document.path, delay_s=wait_s, slot_reserved=True)
                    else:
                        await self._claim_and_send(stored)
                case NextStep.CHECK:
                    if wait_s := await self._paused_s():
                        await self._look_again(document.path, delay_s=wait_s)
                    else:
                        await self._check(stored)
                case NextStep.CLEAR:
                    await self._clearing.clear(stored, before)
        except BlobChanged:
            await self._look_again(document.path)  # another process did a step: look what is left
        except ServiceBusy as exc:
            await self._put_off(document.path, exc)

    async def _paused_s(self) -> int:
        """Seconds until uploads may go on: uploads queue; a pause delays all of them. 0: no pause."""
        paused_s = await self._upload_rate.paused_s()
        # At random, so that the delayed documents do not all come back at the same moment.
        return paused_s + random.randint(0, paused_s) if paused_s else 0  # noqa: S311

    async def _begin(
        self, path: str, info: BlobInfo, stored: Stored[Document] | None, *, tries: int, before: Before | None = None
    ) -> None:
        """Make the blob's current version the incoming one, and upload it at once if an upload slot is free.

        `before`: what `FollowUp.before` has returned, if that was called.

        Raises:
            BlobChanged: another process did so; nothing was done.
        """
        kind = classify(path, info.size_bytes, max_bytes=self._limits.max_bytes)
        refused = isinstance(kind, UnusableFile)
        delay_s = 0 if refused else await self._upload_rate.reserve_slot()
        taken = await self._take_up(path, info, stored, tries=tries, claim=not refused and not delay_s)
        self._note_record(path)
        if refused:
            await self._step(taken)
            return
        try:
            if taken.value.incoming_published:  # before the upload: no question may find two versions
                before = await self._follow_up.publish_visibility(path, written=taken.value, before=before)
            if delay_s:
                await self._look_again(path, delay_s=delay_s, slot_reserved=True)
            else:
                await self._send(taken, before)
        except BlobChanged:
            await self._look_again(path)
        except ServiceBusy as exc:
            await self._put_off(path, exc)

    async def _take_up(
        self, path: str, info: BlobInfo, stored: Stored[Document] | None, *, tries: int, claim: bool
    ) -> Stored[Document]:
        document = lifecycle.taken_up(
            info,
            stored.value if stored else None,
            classify(path, info.size_bytes, max_bytes=self._limits.max_bytes),
            tries=tries,
            claim=claim,
            news=self._push.on,
            deadline_s=self._limits.deadline_s,
            now=self._now(),
        )
        document = replace(document, trace=telemetry.current())
        return await (self._write(stored, document) if stored else self._records.create(path, document))

    async def _claim_and_send(self, stored: Stored[Document]) -> None:
        """Claim the document and upload it: the claim keeps a second event from uploading it, too."""
        claimed = await self._write(stored, lifecycle.claimed(stored.value, self._now()))
        await self._follow_up.publish_visibility(claimed.value.path)
        await self._send(claimed)

    async def _send(self, claimed: Stored[Document], before: Before | None = None) -> None:
        """Upload the incoming version, and renew the claim until that has ended."""
        assert claimed.value.incoming
        claim = Claim(self._records, claimed, now=self._now)
        sent = Sent(claimed.value.incoming)
        error = await renewing(claim, self._upload(claim, sent))
        if error is None:
            await self._have_sent(claim, sent, before)
            return
        path, left = claimed.value.path, sent.left(self._now())
        if isinstance(error, UnusableFile) and not left.may_exist:
            given_up = Stored(lifecycle.given_up(claim.stored.value, left), claim.stored.etag)
        else:
            given_up = await self._record_left(claim, left)
        match error:
            case BlobChanged() | BlobMissing():
                # Replaced or deleted since, and its event may have come before the claim.
                await self.remove(path)
                await self.index(path)
            case UnusableFile(unsupported=unsupported, reason=reason):
                await self._settle(given_up, "unsupported" if unsupported else "failed", reason)
            case StoreLost(collection=collection, store_id=store_id):
                await self._lost_stores.lose(collection, store_id)
                await self._look_again(path)
            case ServiceError() if not isinstance(error, ServiceBusy):
                await self._refuse(given_up, error.code, error.message)
            case _:
                raise error  # of a busy service: the caller postpones the step

    async def _upload(self, claim: Claim, sent: Sent) -> None:
        async with self._slots:
            uploader = await asyncio.to_thread(self._uploader)  # the first call imports much
            await uploader.upload(claim, sent)

    async def _record_left(self, claim: Claim, left: Version) -> Stored[Document]:
        """Write what a failed upload has left at the service. The claim ends.

        Raises:
            BlobChanged: another process has changed the record; it lists the files all the same.
        """
        try:
            return await self._write(claim.stored, lifecycle.given_up(claim.stored.value, left))
        except BlobChanged:
            await self._tell(claim.stored.value.path, left)
            raise

    async def _tell(self, path: str, sent: Version) -> None:
        """Name the files of an upload during which the record was changed: there, they are to be deleted."""
        if await self._records.update(path, lambda document: lifecycle.told(document, sent)) is None and sent.may_exist:
            await self._records.create(path, lifecycle.remains(path, sent, self._now()))

    async def _have_sent(self, claim: Claim, sent: Sent, before: Before | None) -> None:
        """Record the upload. A small document may be indexed already, which saves all looks."""
        claimed, version = claim.stored, sent.complete(self._now())
        having = replace(claimed.value, incoming=version, faults=0)
        after = self._seen(having, version, sent.state) if len(version.parts) == 1 else having
        try:
            written = await self._write(claimed, after)
        except BlobChanged:  # a newer version came during the upload
            await self._tell(having.path, version)
            raise
        if after.incoming:
            await self._look_again(having.path)
            return
        event(log, logging.INFO, f"document.{after.status}", path=after.path, etag=version.etag)
        await self._clearing.clear(written, before)

    def _seen(self, having: Document, sent: Version, state: IndexState) -> Document:
        """The record after a look at the only file of a version."""
        news, now = self._push.on, self._now()
        if state.status == "completed":
            return lifecycle.promoted(having, replace(sent, ready=1), news=news, now=now)
        if state.status == "failed":
            status, reason = lifecycle.refusal(state.code, state.message)
            return lifecycle.settled(having, status, reason, tries_max=self._limits.tries, news=news, now=now)
        return having

    async def _check(self, stored: Stored[Document]) -> None:
        """Promote the incoming version when all of its parts are indexed."""
        document, incoming = stored.value, stored.value.incoming
        assert incoming and incoming.store_id
        ready = incoming.ready
        for file_id in incoming.parts[ready:]:
            try:
                state = await self._state(incoming.store_id, file_id)
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
        if age_s > SOON_S and not document.incoming_published:  # a first version is published only when it takes long
            await self._records.update(document.path, lifecycle.published)
            await self._follow_up.publish_visibility(document.path)
        await self._look_again(document.path, delay_s=look_delay_s(age_s))

    async def _state(self, store_id: str, file_id: str) -> IndexState:
        """The state of indexing. One 404 is no proof that the file is gone: it is asked for twice."""
        try:
            return await self._stores.state(store_id, file_id)
        except ServiceMissing:
            return await self._stores.state(store_id, file_id)

    async def _send_again(self, stored: Stored[Document], incoming: Version) -> None:
        """The uploaded files are gone, with or without their store: upload again, or fail."""
        document = stored.value
        assert incoming.store_id
        if not await self._lost_stores.is_gone(incoming.store_id):
            await self._refuse(stored, "vanished", "The file was lost while it was indexed. Upload it again.")
            return
        await self._write(stored, lifecycle.unsent(document, incoming))
        await self._lost_stores.lose(document.collection, incoming.store_id)
        await self._look_again(document.path)

    async def _promote(self, stored: Stored[Document], incoming: Version) -> None:
        """Make the incoming version the live one, and then delete the old one."""
        old = stored.value
        written = await self._write(stored, lifecycle.promoted(old, incoming, news=self._push.on, now=self._now()))
        event(log, logging.INFO, "document.indexed", path=old.path, etag=incoming.etag)
        await self._clearing.clear(written)

    async def _refuse(self, stored: Stored[Document], code: str | None, message: str | None) -> None:
        await self._settle(stored, *lifecycle.refusal(code, message))

    async def _settle(self, stored: Stored[Document], status: DocumentStatus, reason: Reason) -> None:
        """End the incoming version with a status other than `indexed`; the live one, if there is one, stays."""
        old, tries_max = stored.value, self._limits.tries
        written = await self._write(
            stored,
            lifecycle.settled(old, status, reason, tries_max=tries_max, news=self._push.on, now=self._now()),
        )
        event(log, logging.WARNING, f"document.{status}", path=old.path, code=reason.code)
        await self._clearing.clear(written)

    async def _put_off(self, path: str, exc: ServiceBusy) -> None:
        """The service is busy: pause all uploads, and look again later, until the document's deadline."""
        await self._upload_rate.pause(exc.retry_after_s)
        stored = await self._records.read(path)
        if stored is None:
            return
        waiting = lifecycle.put_off(stored.value, exc)
        await self._write(stored, waiting)
        if waiting.incoming:
            await self._follow_up.publish_visibility(path)
        event(log, logging.INFO, "document.put_off", path=path, faults=waiting.faults, why=exc.message)
        await self._look_again(path, delay_s=retry_delay_s(waiting.faults, exc.retry_after_s))

    def _note_record(self, path: str) -> None:
        """The next event of this document reads its record first."""
        self._indexed[path] = None
        if len(self._indexed) > INDEXED_MAX:
            del self._indexed[next(iter(self._indexed))]

    # ---- small things --------------------------------------------------------------------------------------------

    async def _write(self, stored: Stored[Document], value: Document) -> Stored[Document]:
        return await self._records.replace(value.path, stored, replace(value, updated_at=self._now()))

    async def _look_again(self, path: str, *, delay_s: int = 0, slot_reserved: bool = False) -> None:
        await self._queue.send(LookAtDocument(path, slot_reserved), delay_s=delay_s)

    def _age_s(self, document: Document) -> float:
        since = document.attempts[-1].started_at if document.attempts else self._now()
        return (self._now() - since).total_seconds()
