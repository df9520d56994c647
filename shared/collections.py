"""Collections: one vector store each, made on first use and found again by its record."""

from __future__ import annotations

from asyncio import Lock
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from shared.engines.base import VectorStores
from shared.errors import BlobChanged
from shared.models import Collection
from shared.records import Records, key_of

if TYPE_CHECKING:
    from shared.storage import Blobs


class Collections:
    def __init__(self, state: Blobs, stores: VectorStores, *, now: Callable[[], datetime]) -> None:
        self._records = Records(state, Collection, name=lambda name: f"collections/{key_of(name)}.json")
        self._stores = stores
        self._now = now
        self._making: defaultdict[str, Lock] = defaultdict(Lock)

    async def find(self, name: str) -> Collection | None:
        """None until its first document has come."""
        stored = await self._records.read(name)
        return stored.value if stored else None

    async def find_or_make(self, name: str) -> Collection:
        """One store per collection, also when many documents arrive at once on several instances."""
        async with self._making[name]:
            if found := await self.find(name):
                return found
            store_id = await self._stores.create_store(name)
            made = Collection(name=name, store_id=store_id, created_at=self._now())
            try:
                await self._records.create(name, made)
            except BlobChanged:  # another instance was first: theirs it is
                await self._stores.delete_store(store_id)
                first = await self.find(name)
                assert first is not None
                return first
            return made
