"""Starts the removal of documents, folders and collections that a caller deletes; `clearing.py` ends each document."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from shared.collections.stores import Collections
from shared.documents import lifecycle
from shared.documents.catalogue import names_in
from shared.documents.conditions import NO_CONDITION, Condition
from shared.documents.follow_up import FollowUp
from shared.documents.messages import RemoveCollection, RemoveDocument, RemoveFolder
from shared.documents.proof import Proof
from shared.documents.record import document_records
from shared.errors import BlobChanged, Busy
from shared.logs import event
from shared.models.documents import Document
from shared.storage.layout import documents_in
from shared.storage.missing import or_none

if TYPE_CHECKING:
    from shared.storage.blobs import Storage

log = logging.getLogger(__name__)

BATCH = 100  # blobs deleted for one queue message
AT_ONCE = 8
COLLECTION_LOOK_S = 2


class Removal:
    def __init__(
        self,
        storage: Storage,
        proof: Proof,
        collections: Collections,
        follow_up: FollowUp,
        now: Callable[[], datetime],
    ) -> None:
        self._blobs = storage.documents
        self._state = storage.state
        self._queue = storage.indexing
        self._proof = proof
        self._collections = collections
        self._follow_up = follow_up
        self._now = now
        self._records = document_records(storage.state)

    async def begin(self, path: str, *, only_if: Condition = NO_CONDITION) -> None:
        """Delete a blob, and exclude its document from answers; the queue deletes what was made of it.

        Raises:
            Outdated: the caller's condition does not hold; nothing was deleted.
            Busy: the blob was replaced at the same moment; it stays.
        """
        info = await or_none(self._blobs.info(path))
        only_if.check(path, info.etag if info else None)
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
        if document.status == "removing" or await or_none(self._blobs.info(document.path)) is not None:
            return document
        return lifecycle.removing(document, self._now())

    async def begin_folder(self, folder: str) -> None:
        """Delete all blobs below a folder, which ends with a slash; the queue does it."""
        await self._queue.send(RemoveFolder(folder))

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
            for store_id in found.stores:
                await self._proof.empty(store_id)
            await self._collections.finish_removal(name)
            event(log, logging.INFO, "collection.removed", collection=name)

    async def _delete(self, names: Sequence[str]) -> None:
        slots = asyncio.Semaphore(AT_ONCE)

        async def delete(name: str) -> None:
            async with slots:
                with suppress(Busy):  # replaced at this moment: the next batch finds it again
                    await self.begin(name)

        await asyncio.gather(*(delete(name) for name in names))
