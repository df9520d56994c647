"""Vector stores that the service has lost: their collections are reconciled, which indexes their documents again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shared.collections.stores import Collections
from shared.documents.messages import ReconcileCollection
from shared.logs import event

if TYPE_CHECKING:
    from shared.storage.blobs import Storage

log = logging.getLogger(__name__)


class LostStores:
    def __init__(self, storage: Storage, collections: Collections) -> None:
        self._queue = storage.indexing
        self._collections = collections

    async def is_gone(self, store_id: str) -> bool:
        return await self._collections.is_gone(store_id)

    async def check(self, collection: str) -> bool:
        """Whether the service has lost a vector store of this collection. Its documents are then indexed again."""
        found = await self._collections.find(collection)
        lost = [store_id for store_id in (found.stores if found else ()) if await self.is_gone(store_id)]
        for store_id in lost:
            await self.lose(collection, store_id)
        return bool(lost)

    async def lose(self, collection: str, store_id: str) -> None:
        """Forget a store, and order a reconcile pass: it finds the store's documents and indexes them again."""
        event(log, logging.WARNING, "collection.store_lost", collection=collection, store_id=store_id)
        await self._collections.lose(collection, store_id)
        await self._queue.send(ReconcileCollection(collection))
