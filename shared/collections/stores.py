"""Collections: the vector stores of one top-level folder, made on first use and found again by their record.

The service takes so many files in one store; a collection that outgrows its last store gets another one, and questions
search all of them.
"""

from __future__ import annotations

import logging
import secrets
from asyncio import Lock
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.engines.stores import StoreInfo, VectorStores
from shared.errors import BlobChanged, ServiceBusy, ServiceMissing, StoreLost
from shared.models.documents import Collection
from shared.storage.records import Records, Stored, key_of

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

log = logging.getLogger(__name__)

WRITE_TRIES = 5
COUNTED = timedelta(minutes=1)  # how long this instance trusts its count of a store's files
COUNTED_FILES = 100  # and for how many files of its own


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Tells the stores of this app from those of another at the same service."""

    app: str


@dataclass
class Room:
    """How full a store is, as far as this instance knows."""

    files: int
    counted_at: datetime
    placed: int = 0


class Collections:
    def __init__(
        self,
        state: Blobs,
        stores: VectorStores,
        *,
        now: Callable[[], datetime],
        store_max_files: int = 9_500,
        expires_days: int | None = None,
    ) -> None:
        self._records = Records(state, Collection, name=lambda name: f"collections/{key_of(name)}.json")
        self._marks = Records(state, Mark, name=lambda _: "app.json")
        self._state = state
        self._stores = stores
        self._now = now
        self._max_files = store_max_files
        self._expires_days = expires_days
        self._making: defaultdict[str, Lock] = defaultdict(Lock)
        self._rooms: dict[str, Room] = {}
        self._known: dict[str, Collection] = {}
        self._app: str | None = None

    async def find(self, name: str) -> Collection | None:
        """None until its first document has come."""
        stored = await self._records.read(name)
        return stored.value if stored else None

    async def all(self) -> AsyncIterator[Collection]:
        async for blob in self._state.list("collections/"):
            stored = await self._records.read_named(blob.name)
            if stored:
                yield stored.value

    async def place(self, name: str) -> str:
        """The store that takes the collection's next file; made when there is none with room.

        Raises:
            StoreLost: it is gone at the service, or has expired.
            ServiceBusy: the collection is being deleted.
        """
        async with self._making[name]:
            collection = self._known.get(name) or await self._find_or_make(name)
            store_id = collection.stores[-1]
            room = await self._room(store_id)
            if room is None:
                raise StoreLost(name, store_id)
            if room.files + room.placed >= self._max_files:
                collection = await self._grow(name, full=store_id)
                store_id = collection.stores[-1]
                room = self._rooms[store_id] = Room(files=0, counted_at=self._now())
            room.placed += 1
            self._known[name] = collection
            return store_id

    def placed(self, store_id: str, files: int) -> None:
        """So many files more went into it."""
        if room := self._rooms.get(store_id):
            room.placed += files

    def fill(self, store_id: str) -> None:
        """The service takes nothing more into it."""
        self._rooms[store_id] = Room(files=self._max_files, counted_at=self._now())

    async def _find_or_make(self, name: str) -> Collection:
        """One store per collection, also when many documents arrive at once on several instances."""
        found = await self.find(name)
        return found if found and found.stores and not found.removing else await self._grow(name, full=None)

    async def _grow(self, name: str, *, full: str | None) -> Collection:
        """Add a store, unless another instance did so first."""
        app = await self.app()
        for _ in range(WRITE_TRIES):
            stored = await self._records.read(name)
            old = stored.value if stored else None
            if old and old.removing:
                raise ServiceBusy(f"The collection {name!r} is being deleted.", code="collection_removing")
            if old and old.stores and old.stores[-1] != full:
                return old
            days = old.expires_days if old else self._expires_days
            store_id = await self._stores.create_store(name, app=app, expires_days=days)
            kept = old or Collection(name=name, stores=(), created_at=self._now(), expires_days=days)
            grown = replace(kept, stores=(*kept.stores, store_id))
            try:
                await self._write(name, stored, grown)
            except BlobChanged:  # theirs it is
                await self._stores.delete_store(store_id)
                continue
            log.info("collection.store_made", extra={"collection": name, "store_id": store_id})
            return grown
        raise BlobChanged(f"The record of the collection {name} keeps changing.")

    async def is_gone(self, store_id: str) -> bool:
        """Whether the service has dropped it, or let it expire."""
        try:
            return (await self._stores.describe(store_id)).expired
        except ServiceMissing:
            return True

    async def lose(self, name: str, store_id: str) -> None:
        """A store is gone at the service, or has expired: the collection goes on without it."""
        self.forget(name, store_id)
        await self._change(name, lambda c: replace(c, stores=tuple(s for s in c.stores if s != store_id)))
        await self._stores.delete_store(store_id)  # one that has expired is still there

    def forget(self, name: str, store_id: str) -> None:
        """What this instance believed of it is not true any more."""
        self._known.pop(name, None)
        self._rooms.pop(store_id, None)

    async def set_expiry(self, name: str, days: int | None) -> Collection | None:
        """None when there is no such collection."""
        changed = await self._change(name, lambda c: replace(c, expires_days=days))
        for store_id in changed.stores if changed else ():
            try:
                await self._stores.expire(store_id, days)
            except ServiceMissing:
                log.warning("collection.store_missing", extra={"collection": name, "store_id": store_id})
        return changed

    async def begin_removal(self, name: str) -> Collection | None:
        self._known.pop(name, None)
        return await self._change(name, lambda c: replace(c, removing=True))

    async def finish_removal(self, name: str) -> None:
        """Delete the stores, then the record; unless a document came meanwhile and began it anew."""
        self._known.pop(name, None)
        stored = await self._records.read(name)
        if stored is None or not stored.value.removing:
            return
        for store_id in stored.value.stores:
            await self._stores.delete_store(store_id)
            self._rooms.pop(store_id, None)
        await self._records.delete(name, stored)

    async def describe(self, collection: Collection) -> dict[str, StoreInfo | None]:
        """What the service says of its stores; None for one that is gone."""
        found: dict[str, StoreInfo | None] = {}
        for store_id in collection.stores:
            try:
                found[store_id] = await self._stores.describe(store_id)
            except ServiceMissing:
                found[store_id] = None
        return found

    async def app(self) -> str:
        """The mark of this app's stores."""
        if self._app is None:
            stored = await self._marks.read("")
            if stored is None:
                try:
                    stored = await self._marks.create("", Mark(app=f"app_{secrets.token_hex(8)}"))
                except BlobChanged:
                    stored = await self._marks.read("")
            assert stored is not None
            self._app = stored.value.app
        return self._app

    async def _room(self, store_id: str) -> Room | None:
        """None when the store is gone, or has expired."""
        room = self._rooms.get(store_id)
        if room and room.placed < COUNTED_FILES and self._now() - room.counted_at < COUNTED:
            return room
        try:
            info = await self._stores.describe(store_id)
        except ServiceMissing:
            return None
        if info.expired:
            return None
        room = self._rooms[store_id] = Room(files=info.files, counted_at=self._now())
        return room

    async def _change(self, name: str, changed: Callable[[Collection], Collection]) -> Collection | None:
        for _ in range(WRITE_TRIES):
            stored = await self._records.read(name)
            if stored is None:
                return None
            try:
                return (await self._records.replace(name, stored, changed(stored.value))).value
            except BlobChanged:
                continue
        raise BlobChanged(f"The record of the collection {name} keeps changing.")

    async def _write(self, name: str, stored: Stored[Collection] | None, value: Collection) -> None:
        await (self._records.replace(name, stored, value) if stored else self._records.create(name, value))
