"""Carries out the messages of the queue `indexing`, and gives up those that the host moved to its poison queue."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import assert_never

from shared.collections.stores import Collections
from shared.documents.arrivals import Arrivals
from shared.documents.indexer import Documents
from shared.documents.messages import (
    IndexDocument,
    LookAtDocument,
    ReconcileCollection,
    RemoveCollection,
    RemoveDocument,
    RemoveFolder,
    RetryDocument,
    RunReport,
    deleted_path,
    indexing_message,
    poisoned_path,
)
from shared.documents.reconcile import Reconciliation
from shared.documents.removal import Removal
from shared.errors import Busy, NotFound
from shared.logs import event
from shared.models.documents import collection_of

log = logging.getLogger(__name__)


class Worker:
    def __init__(
        self,
        arrivals: Arrivals,
        documents: Documents,
        removal: Removal,
        reconciliation: Reconciliation,
        collections: Collections,
    ) -> None:
        self._arrivals = arrivals
        self._documents = documents
        self._removal = removal
        self._reconciliation = reconciliation
        self._collections = collections

    async def do(self, body: bytes) -> None:
        """Carry out one message."""
        message = indexing_message(body)
        match message:
            case IndexDocument():
                await self._arrivals.try_again(message)
            case LookAtDocument(path, slot_reserved):
                await self._documents.look(path, slot_reserved=slot_reserved)
            case RetryDocument(path):
                with suppress(NotFound, Busy):  # the blob was deleted since, or another process uploads it
                    await self._documents.retry(path, reset_tries=False)
            case RemoveDocument(path):
                await self._documents.remove(path)
            case RemoveFolder(folder):
                await self._removal.remove_folder(folder)
            case RemoveCollection(collection):
                await self._removal.remove_collection(collection)
            case RunReport(report_id):
                await self._reconciliation.run(report_id)
            case ReconcileCollection(collection):
                await self._reconciliation.order(dry_run=False, collection=collection)
            case _:
                assert_never(message)

    async def give_up_event(self, body: bytes) -> None:
        """The host has given up on the event of a blob."""
        await self._arrivals.poisoned(poisoned_path(body))

    async def give_up_deletion(self, body: bytes) -> None:
        """The host has given up on the event of a deleted blob: a reconcile pass finds what is left of it."""
        await self._reconciliation.order(dry_run=False, collection=collection_of(deleted_path(body)))

    async def give_up(self, body: bytes) -> None:
        """The host has given up on this message: leave nothing locked or waiting because of it."""
        message = indexing_message(body)
        match message:
            case IndexDocument():
                await self._arrivals.give_up(message)
            case LookAtDocument(path) | RetryDocument(path):
                await self._documents.give_up(path)
            case RemoveDocument(path):  # a reconcile pass finds what is left of the document, and retries
                await self._reconciliation.order(dry_run=False, collection=collection_of(path))
            case RemoveFolder(folder):  # the blobs that are left stay indexed; the caller can repeat the DELETE
                event(log, logging.ERROR, "folder.removal_failed", folder=folder)
            case RemoveCollection(collection):
                await self._collections.abort_removal(collection)
                event(log, logging.ERROR, "collection.removal_failed", collection=collection)
            case RunReport(report_id):
                await self._reconciliation.fail(report_id)
            case ReconcileCollection(collection):  # the pass of the timer covers all collections
                event(log, logging.ERROR, "collection.reconcile_failed", collection=collection)
            case _:
                assert_never(message)
