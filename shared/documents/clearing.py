"""What is left to do when the status of a document is final: publish, announce, delete what is retired.

A removal leaves a receipt that lists each deleted thing. It is complete when a later lookup has found none of them.
Until then, the document's record stays, excludes all its versions from answers, and is tried again.
"""

from __future__ import annotations

import logging
from asyncio import Semaphore, gather
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.collections.texts import Texts
from shared.collections.visibility import Before
from shared.documents import lifecycle
from shared.documents.follow_up import FollowUp
from shared.documents.messages import LookAtDocument
from shared.documents.proof import Proof
from shared.documents.record import document_records, receipt_records
from shared.documents.upload_rate import UploadRate
from shared.errors import BlobChanged, ServiceBusy, ServiceError
from shared.logs import event
from shared.models.documents import Document, Receipt, Removed, Version
from shared.storage.layout import receipts_of
from shared.storage.records import Stored

if TYPE_CHECKING:
    from shared.push.notices import Push
    from shared.storage.blobs import Storage

log = logging.getLogger(__name__)

VERSIONS_AT_ONCE = 4


@dataclass
class Cleaned:
    """What a try to delete retired versions has done. `fault`: the service was busy, and the rest was not tried."""

    gone: list[Version] = field(default_factory=list)
    removed: list[Removed] = field(default_factory=list)  # of the versions that are gone
    left: list[Removed] = field(default_factory=list)  # of the others, as far as it is known
    fault: ServiceBusy | None = None


class Clearing:
    def __init__(
        self,
        storage: Storage,
        proof: Proof,
        follow_up: FollowUp,
        upload_rate: UploadRate,
        texts: Texts,
        push: Push,
        now: Callable[[], datetime],
    ) -> None:
        self._state = storage.state
        self._queue = storage.indexing
        self._proof = proof
        self._follow_up = follow_up
        self._upload_rate = upload_rate
        self._texts = texts
        self._push = push
        self._now = now
        self._records = document_records(storage.state)
        self._receipts = receipt_records(storage.state)

    async def clear(self, stored: Stored[Document], before: Before | None = None) -> None:
        """Publish and announce what the record says; delete what is retired, and a removed document's record.

        `before`: what `FollowUp.before` returned, if this process has written the record since.
        """
        document, publish = stored.value, self._follow_up.publish_visibility
        if document.visibility_due:  # excludes what is to be deleted
            before = await publish(document.path, written=document, before=before)
        read = await self._follow_up.still_read(document)
        cleaned = await self._clean(document, [v for v in document.retired if v not in read])
        after = lifecycle.cleared(document, cleaned.gone, tuple(cleaned.removed))
        unused = {v.etag for v in cleaned.gone} - {v.etag for v in lifecycle.versions(after)}

        async def exclude_less() -> None:
            if cleaned.gone:
                await publish(document.path, without=tuple(cleaned.gone), written=document, before=before)

        if after.status == "removing" and not after.retired:
            receipt = lifecycle.receipt_of(after, (), self._now())
            await gather(exclude_less(), self._close_receipt(receipt))
            await self._end(Stored(after, stored.etag), receipt)
            await self._texts.drop(document.path, unused)
            return
        await exclude_less()
        if document.notice_due:
            await self._follow_up.announce(document)
        if after.receipt_id and not after.retired:  # the document has returned
            await self._close_receipt(lifecycle.receipt_of(after, (), self._now()))
            after = lifecycle.receipt_closed(after)
        if after.status == "removing" and cleaned.left:
            await self._open_receipt(lifecycle.receipt_of(after, cleaned.left, self._now()))
        if cleaned.fault:
            await self._upload_rate.pause(cleaned.fault.retry_after_s)
        delay_s = lifecycle.clean_delay_s(after, read, cleaned.fault, self._now())
        after = lifecycle.looked_for(after, read, delay_s, self._now())
        if after != document:
            await self._records.replace(document.path, stored, replace(after, updated_at=self._now()))
            await self._texts.drop(document.path, unused)  # not before: the record may have a newer version
        if after.retired:
            await self._queue.send(LookAtDocument(document.path), delay_s=delay_s)

    async def _clean(self, document: Document, versions: Sequence[Version]) -> Cleaned:
        """Delete the files of these retired versions, and find out which versions are gone."""
        cleaned = Cleaned()
        slots = Semaphore(VERSIONS_AT_ONCE)

        async def delete(version: Version) -> Sequence[Removed] | None:
            async with slots:
                if cleaned.fault:
                    return None
                try:
                    return await self._proof.delete(document, version)
                except ServiceError as exc:  # also one that another try does not mend: nothing may be forgotten
                    cleaned.fault = exc if isinstance(exc, ServiceBusy) else ServiceBusy(exc.message, code=exc.code)
                    return None

        for version, things in zip(versions, await gather(*map(delete, versions)), strict=True):
            if things is not None and all(thing.gone for thing in things):
                cleaned.gone.append(version)
                cleaned.removed += things
            else:
                cleaned.left += things or ()
        return cleaned

    async def _end(self, stored: Stored[Document], receipt: Receipt) -> None:
        """Everything that was made of a document is gone, and its receipt is complete: delete its record.

        Until the record is deleted, the sweep finds the document, so that a crash leaves nothing undone.

        Raises:
            BlobChanged: the document was uploaded again meanwhile; its next step corrects the receipt.
        """
        if self._push.on:
            data = {"path": receipt.path, "collection": receipt.collection, "etag": receipt.etag, "receipt": receipt.id}
            await self._push.announce("document.removed", id=receipt.id, data=data)
        await self._records.delete(stored.value.path, stored)
        event(log, logging.INFO, "document.removed", path=receipt.path, receipt=receipt.id)

    async def finish(self, path: str) -> None:
        """Close the receipts of a document whose record is gone: an earlier version of the app left them open."""
        async for blob in self._state.list(receipts_of(path)):
            if not blob.metadata.get("complete"):
                found = await self._receipts.read_named(blob.name)
                if found:
                    things = [await self._proof.delete_again(thing) for thing in found.value.removed]
                    if all(thing.gone for thing in things):
                        await self._close_receipt(replace(found.value, removed=tuple(things), complete=True))

    async def _open_receipt(self, receipt: Receipt) -> None:
        """Write what is still there, once: a later write could come after that of the complete receipt."""
        with suppress(BlobChanged):
            await self._receipts.create(_receipt_name(receipt), receipt)

    async def _close_receipt(self, receipt: Receipt) -> None:
        await self._receipts.put(_receipt_name(receipt), receipt, tags={"complete": "true"})


def _receipt_name(receipt: Receipt) -> str:
    return f"{receipts_of(receipt.path)}{receipt.id}.json"
