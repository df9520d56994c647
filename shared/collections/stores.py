"""Collections: the vector stores of one top-level folder.

A store is created on first use and found again by the collection's record. The service limits the files of a store; a
collection whose store is full gets another one, and questions search both. The service searches no more than two stores
for one question, so a collection has at most two.
"""

from __future__ import annotations

import logging
import secrets
from asyncio import Lock, gather
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.engines.stores import StoreInfo, VectorStores
from shared.errors import BlobChanged, ServiceBusy, ServiceError, ServiceMissing, StoreLost
from shared.logs import event
from shared.models.documents import Collection
from shared.storage.layout import APP, COLLECTIONS, collection_name
from shared.storage.records import UPDATE_TRIES, Records, Stored

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

log = logging.getLogger(__name__)

STORES_MAX = 2  # that file search takes: https://github.com/dimagi/open-chat-studio/pull/3815
COUNT_MAX_AGE = timedelta(minutes=1)  # an instance asks the service again for the number of a store's files
COUNT_MAX_FILES = 100  # and after so many files of its own


@dataclass(frozen=True, kw_only=True)
class AppId:
    """Marks the vector stores of this app: another app may use the same service."""

    app: str


@dataclass
class FileCount:
    """The number of a store's files, as this instance knows it."""

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
        self._records = Records(state, Collection, name=collection_name)
        self._app_ids = Records(state, AppId, name=lambda _: APP)
        self._state = state
        self._stores = stores
        self._now = now
        self._max_files = store_max_files
        self._expires_days = expires_days
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)
        self._counts: dict[str, FileCount] = {}
        self._cached: dict[str, Collection] = {}
        self._app: str | None = None

    async def find(self, name: str) -> Collection | None:
        """None until its first document is indexed."""
        stored = await self._records.read(name)
        return stored.value if stored else None

    async def all(self) -> AsyncIterator[Collection]:
        async for blob in self._state.list(COLLECTIONS):
            stored = await self._records.read_named(blob.name)
            if stored:
                yield stored.value

    async def page(self, *, limit: int, cursor: str | None) -> tuple[list[Collection], str | None]:
        """Some of the collections, and the cursor of the next ones; None: these are the last."""
        blobs, more = await self._state.page(COLLECTIONS, limit=limit, cursor=cursor)
        stored = await gather(*(self._records.read_named(blob.name) for blob in blobs))
        return [each.value for each in stored if each], more

    async def place(self, name: str) -> str:
        """The store for the collection's next file; created when there is none, or all are full.

        Raises:
            StoreLost: a store is gone at the service, or has expired.
            ServiceBusy: the collection is being deleted.
            ServiceError: `collection_full`: two stores are full.
        """
        async with self._locks[name]:
            collection = self._cached.get(name) or await self._find_or_make(name)
            store_id = await self._with_room(collection)
            if store_id is None:
                collection = await self._grow(name, full=collection.stores[-1])
                store_id = collection.stores[-1]
                self._counts[store_id] = FileCount(files=0, counted_at=self._now())
            self._counts[store_id].placed += 1
            self._cached[name] = collection
            return store_id

    async def _with_room(self, collection: Collection) -> str | None:
        """The newest store that takes another file; `_counts` then has it. None: all are full."""
        for store_id in reversed(collection.stores):
            count = await self._count(store_id)
            if count is None:
                if not await self.is_gone(store_id):
                    raise ServiceBusy(f"The vector store {store_id} cannot be read.", code="vector_store_unclear")
                raise StoreLost(collection.name, store_id)
            if count.files + count.placed < self._max_files:
                return store_id
        return None

    def placed(self, store_id: str, files: int) -> None:
        """Count `files` more files in a store."""
        if count := self._counts.get(store_id):
            count.placed += files

    def mark_full(self, store_id: str) -> None:
        """The service refuses more files in this store."""
        self._counts[store_id] = FileCount(files=self._max_files, counted_at=self._now())

    async def _find_or_make(self, name: str) -> Collection:
        """One first store per collection, also when documents arrive at several instances at the same time."""
        found = await self.find(name)
        return found if found and found.stores and not found.removing else await self._grow(name, full=None)

    async def _grow(self, name: str, *, full: str | None) -> Collection:
        """Add a store, unless another instance has added one."""
        app = await self.app()
        for _ in range(UPDATE_TRIES):
            stored = await self._records.read(name)
            old = stored.value if stored else None
            if old and old.removing:
                raise ServiceBusy(f"The collection {name!r} is being deleted.", code="collection_removing")
            if old and old.stores and old.stores[-1] != full:
                return old
            if old and len(old.stores) >= STORES_MAX:
                raise ServiceError(
                    f"The collection {name!r} is full. Delete documents of it, or put further ones into another folder "
                    f"at the top, which is another collection. Its {STORES_MAX} vector stores have {self._max_files:,} "
                    "files each, and a question can search no more stores.",
                    code="collection_full",
                )
            days = old.expires_days if old else self._expires_days
            store_id = await self._stores.create_store(name, app=app, expires_days=days)
            kept = old or Collection(name=name, stores=(), created_at=self._now(), expires_days=days)
            grown = replace(kept, stores=(*kept.stores, store_id))
            try:
                await self._write(name, stored, grown)
            except BlobChanged:  # another instance was first: use its store
                await self._stores.delete_store(store_id)
                continue
            event(log, logging.INFO, "collection.store_created", collection=name, store_id=store_id)
            return grown
        raise BlobChanged(f"The record of the collection {name} was changed by others at each of {UPDATE_TRIES} tries.")

    async def is_gone(self, store_id: str) -> bool:
        """Whether the service has deleted a store, or it has expired. One 404 is no proof: the listing must agree."""
        try:
            return (await self._stores.describe(store_id)).expired
        except ServiceMissing:
            return store_id not in [store.id async for store in self._stores.list_stores()]

    async def lose(self, name: str, store_id: str) -> None:
        """Take a store out of the collection: it is gone at the service, or has expired."""
        self.forget(name, store_id)
        await self._change(name, lambda c: replace(c, stores=tuple(s for s in c.stores if s != store_id)))
        await self._stores.delete_store(store_id)  # an expired store still exists

    def forget(self, name: str, store_id: str) -> None:
        """Drop what this instance has cached of a collection and its store."""
        self._cached.pop(name, None)
        self._counts.pop(store_id, None)

    async def set_expiry(self, name: str, days: int | None) -> Collection | None:
        """Set the idle days after which the stores expire. None: there is no such collection."""
        changed = await self._change(name, lambda c: replace(c, expires_days=days))
        for store_id in changed.stores if changed else ():
            try:
                await self._stores.expire(store_id, days)
            except ServiceMissing:
                event(log, logging.WARNING, "collection.store_missing", collection=name, store_id=store_id)
        return changed

    async def begin_removal(self, name: str) -> Collection | None:
        """Refuse new documents from here on. None: there is no such collection."""
        self._cached.pop(name, None)
        return await self._change(name, lambda c: replace(c, removing=True))

    async def abort_removal(self, name: str) -> None:
        """Accept documents again: the removal failed for good."""
        await self._change(name, lambda c: replace(c, removing=False))

    async def finish_removal(self, name: str) -> None:
        """Delete the stores, then the record."""
        self._cached.pop(name, None)
        stored = await self._records.read(name)
        if stored is None or not stored.value.removing:
            return
        for store_id in stored.value.stores:
            await self._stores.delete_store(store_id)
            self._counts.pop(store_id, None)
        await self._records.delete(name, stored)

    async def describe(self, collection: Collection) -> dict[str, StoreInfo | None]:
        """Store id -> what the service says of it; None for a store that is gone."""
        found: dict[str, StoreInfo | None] = {}
        for store_id in collection.stores:
            try:
                found[store_id] = await self._stores.describe(store_id)
            except ServiceMissing:
                found[store_id] = None
        return found

    async def app(self) -> str:
        """The id that marks this app's stores; created on first use."""
        if self._app is None:
            stored = await self._app_ids.update("", lambda id: id, missing=AppId(app=f"app_{secrets.token_hex(8)}"))
            assert stored  # since there is a value for a missing record
            self._app = stored.value.app
        return self._app

    async def _count(self, store_id: str) -> FileCount | None:
        """None when the store seems to be gone, or has expired."""
        count = self._counts.get(store_id)
        if count and count.placed < COUNT_MAX_FILES and self._now() - count.counted_at < COUNT_MAX_AGE:
            return count
        try:
            info = await self._stores.describe(store_id)
        except ServiceMissing:
            return None
        if info.expired:
            return None
        count = self._counts[store_id] = FileCount(files=info.files, counted_at=self._now())
        return count

    async def _change(self, name: str, change: Callable[[Collection], Collection]) -> Collection | None:
        stored = await self._records.update(name, change)
        return stored.value if stored else None

    async def _write(self, name: str, stored: Stored[Collection] | None, value: Collection) -> None:
        await (self._records.replace(name, stored, value) if stored else self._records.create(name, value))
