"""Deletes what was made of documents: replaced versions, deleted documents, folders and collections.

A removal leaves a receipt that lists each deleted thing and whether a later lookup still found it. The receipt is
written before the record is deleted and closed after it, so a crash in between can be found and repaired.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from shared.collections.stores import Collections
from shared.documents import lifecycle
from shared.documents.catalogue import names_in
from shared.documents.follow_up import FollowUp
from shared.documents.messages import RemoveCollection, RemoveDocument, RemoveFolder
from shared.documents.record import document_records, receipt_records
from shared.engines.stores import VectorStores
from shared.errors import BlobChanged, BlobMissing, Busy, ServiceMissing
from shared.logs import event
from shared.models.documents import Document, Receipt, Removed, Version
from shared.models.ids import new_id
from shared.storage.layout import document_name, documents_in, receipts_of
from shared.storage.records import Stored

if TYPE_CHECKING:
    from shared.push.notices import Push
    from shared.storage.blobs import BlobInfo, Storage

log = logging.getLogger(__name__)

BATCH = 100  # blobs deleted for one queue message
AT_ONCE = 8
COLLECTION_LOOK_S = 2

RemovedKind = Literal["store_entry", "file", "data_card", "code_interpreter_copy"]


class Removal:
    def __init__(
        self,
        storage: Storage,
        stores: VectorStores,
        collections: Collections,
        follow_up: FollowUp,
        push: Push,
        now: Callable[[], datetime],
    ) -> None:
        self._blobs = storage.documents
        self._state = storage.state
        self._queue = storage.indexing
        self._stores = stores
        self._collections = collections
        self._follow_up = follow_up
        self._push = push
        self._now = now
        self._records = document_records(storage.state)
        self._receipts = receipt_records(storage.state)

    # ---- one document --------------------------------------------------------------------------------------------

    async def discard(self, versions: Sequence[Version]) -> None:
        """Delete the files of these versions at the service."""
        for version in versions:
            for file_id in version.file_ids:
                await self._stores.discard(version.store_id, file_id)

    async def complete(self, stored: Stored[Document]) -> None:
        """Delete everything that was made of a document, its record last.

        Raises:
            BlobChanged: the document was uploaded again meanwhile.
        """
        document = stored.value
        await self.discard(document.retired)
        removed = [await self._verified(*thing) for version in document.retired for thing in _things(version)]
        receipt = Receipt(
            id=document.receipt_id or new_id("rcpt", self._now()),
            path=document.path,
            collection=document.collection,
            etag=document.etag,
            requested_at=document.updated_at,
            removed_at=self._now(),
            removed=(*removed, Removed(kind="record", id=document_name(document.path), gone=False)),
            complete=False,
        )
        await self._write_receipt(receipt)
        await self._records.delete(document.path, stored)
        await self._close(receipt)

    async def finish(self, path: str) -> None:
        """Close the receipts of a document whose record is gone: the process died before it closed them."""
        async for blob in self._state.list(receipts_of(path)):
            if not blob.metadata.get("complete"):
                found = await self._receipts.read_named(blob.name)
                if found:
                    await self._close(found.value)

    async def _close(self, receipt: Receipt) -> None:
        things = tuple(replace(t, gone=True) if t.kind == "record" else t for t in receipt.removed)
        closed = replace(receipt, removed=things, complete=all(thing.gone for thing in things))
        if self._push.on:
            data = {"path": receipt.path, "collection": receipt.collection, "etag": receipt.etag, "receipt": receipt.id}
            await self._push.announce("document.removed", id=receipt.id, data=data)
        await self._write_receipt(closed)
        event(log, logging.INFO, "document.removed", path=receipt.path, complete=closed.complete)

    async def _verified(self, kind: RemovedKind, file_id: str, store_id: str) -> Removed:
        """Look up a deleted thing at the service."""
        if kind != "store_entry":
            return Removed(kind=kind, id=file_id, gone=not await self._stores.has_file(file_id))
        try:
            await self._stores.state(store_id, file_id)
        except ServiceMissing:
            return Removed(kind=kind, id=f"{store_id}/{file_id}", gone=True)
        return Removed(kind=kind, id=f"{store_id}/{file_id}", gone=False)

    async def _write_receipt(self, receipt: Receipt) -> None:
        name = f"{receipts_of(receipt.path)}{receipt.id}.json"
        await self._receipts.put(name, receipt, tags={"complete": "true"} if receipt.complete else {})

    # ---- folders and collections ---------------------------------------------------------------------------------

    async def begin(self, path: str) -> None:
        """Delete a blob, and exclude its document from answers; the queue deletes what was made of it.

        Raises:
            Busy: the blob was replaced at the same moment; it stays.
        """
        info = await self._info(path)
        try:
            # Only the version that was there when the request came: a late repeat must not delete a newer one.
            deleted = info is None or await self._blobs.delete(path, if_match=info.etag)
        except BlobChanged as exc:
            message = f"The document {path!r} was replaced at this moment. Delete it again if it should go."
            raise Busy(message, code="document_busy") from exc
        await self._records.update(path, self._removing)
        await self._follow_up.publish_visibility(path)
        await self._queue.send(RemoveDocument(path))
        event(log, logging.INFO, "document.deleted", path=path, existed=deleted)

    async def _removing(self, document: Document) -> Document:
        """The record of a document whose blob was deleted; unchanged when the blob was uploaded again since."""
        if document.status == "removing" or await self._info(document.path):
            return document
        return lifecycle.removing(document, self._now())

    async def begin_folder(self, folder: str) -> None:
        """Delete all blobs below a folder, which ends with a slash; the queue does it."""
        await self._queue.send(RemoveFolder(folder))

    async def _info(self, path: str) -> BlobInfo | None:
        try:
            return await self._blobs.info(path)
        except BlobMissing:
            return None

    async def remove_folder(self, folder: str) -> None:
        """Delete a batch of the folder's blobs, and enqueue the rest."""
        names: list[str] = []
        async for name in self._blobs.list_names(folder):
            names.append(name)
            if len(names) == BATCH:
                break
        await self._delete(names)
        if len(names) == BATCH:
            await self._queue.send(RemoveFolder(folder))

    async def begin_collection(self, name: str) -> bool:
        """Start deleting a collection. False: there is no such collection."""
        found = await self._collections.begin_removal(name)
        if found:
            await self._queue.send(RemoveCollection(name))
        return found is not None

    async def remove_collection(self, name: str) -> None:
        """Delete a batch of the collection's blobs and enqueue the rest; when no record is left, delete its stores."""
        found = await self._collections.find(name)
        if found is None or not found.removing:
            return
        names: list[str] = []
        async for path in names_in(self._blobs, name):
            names.append(path)
            if len(names) == BATCH:
                break
        await self._delete(names)
        left, _ = await self._state.page(documents_in(name), limit=1, cursor=None)
        if names or left:
            await self._queue.send(RemoveCollection(name), delay_s=0 if len(names) == BATCH else COLLECTION_LOOK_S)
        else:
            await self._collections.finish_removal(name)
            event(log, logging.INFO, "collection.removed", collection=name)

    async def _delete(self, names: Sequence[str]) -> None:
        slots = asyncio.Semaphore(AT_ONCE)

        async def delete(name: str) -> None:
            async with slots:
                with suppress(Busy):  # replaced at this moment: the next batch finds it again
                    await self.begin(name)

        await asyncio.gather(*(delete(name) for name in names))


def _things(version: Version) -> list[tuple[RemovedKind, str, str]]:
    """Everything at the service that was made of a version: kind, file id, store id."""
    store_id = version.store_id or ""
    things: list[tuple[RemovedKind, str, str]] = []
    for file_id in version.parts:
        things.append(("store_entry", file_id, store_id))
        things.append(("data_card" if version.data_file_id else "file", file_id, store_id))
    if version.data_file_id:
        things.append(("code_interpreter_copy", version.data_file_id, store_id))
    return things
