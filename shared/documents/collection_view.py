"""Collections as callers see them: their documents, their vector stores, and what the stores cost a day."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from shared.collections.stores import Collections
from shared.documents.catalogue import Catalogue
from shared.errors import NotFound
from shared.models.documents import Collection, DocumentStatus

GIB = 1024**3
AT_ONCE = 8  # collections whose documents and stores are listed at the same time


@dataclass(frozen=True, kw_only=True)
class CollectionView:
    """A collection.

    `usage_bytes` is what the service counts for its vector stores; `cost_usd_per_day` is their price without a free
    quota. `missing_stores` names stores that are gone at the service; their documents are indexed again.
    """

    name: str
    created_at: datetime
    documents: int
    statuses: dict[DocumentStatus, int]
    size_bytes: int  # of the documents
    stores: tuple[str, ...]
    missing_stores: tuple[str, ...]
    usage_bytes: int
    cost_usd_per_day: float
    expires_days: int | None
    expires_at: datetime | None
    removing: bool


class CollectionViews:
    def __init__(self, collections: Collections, catalogue: Catalogue, *, usd_per_gib_day: float) -> None:
        self._collections = collections
        self._catalogue = catalogue
        self._usd_per_gib_day = usd_per_gib_day

    async def page(self, *, limit: int, cursor: str | None) -> tuple[list[CollectionView], str | None]:
        """Some of the collections, and the cursor of the next ones; None: these are the last."""
        found, more = await self._collections.page(limit=limit, cursor=cursor)
        slots = asyncio.Semaphore(AT_ONCE)

        async def view(collection: Collection) -> CollectionView:
            async with slots:
                return await self._view(collection)

        return list(await asyncio.gather(*map(view, found))), more

    async def get(self, name: str) -> CollectionView:
        """Raises NotFound."""
        return await self._view(_found(name, await self._collections.find(name)))

    async def set_expiry(self, name: str, days: int | None) -> CollectionView:
        """Raises NotFound."""
        return await self._view(_found(name, await self._collections.set_expiry(name, days)))

    async def _view(self, collection: Collection) -> CollectionView:
        statuses: Counter[DocumentStatus] = Counter()
        size_bytes = 0
        async for document in self._catalogue.all(collection.name):
            statuses[document.status] += 1
            size_bytes += document.size_bytes
        stores = await self._collections.describe(collection)
        there = [info for info in stores.values() if info and not info.expired]
        usage_bytes = sum(info.usage_bytes for info in there)
        return CollectionView(
            name=collection.name,
            created_at=collection.created_at,
            documents=statuses.total(),
            statuses=dict(statuses),
            size_bytes=size_bytes,
            stores=collection.stores,
            missing_stores=tuple(store_id for store_id, info in stores.items() if info is None or info.expired),
            usage_bytes=usage_bytes,
            cost_usd_per_day=round(usage_bytes / GIB * self._usd_per_gib_day, 6),
            expires_days=collection.expires_days,
            expires_at=min((info.expires_at for info in there if info.expires_at), default=None),
            removing=collection.removing,
        )


def _found(name: str, collection: Collection | None) -> Collection:
    if collection is None:
        raise NotFound(
            f"There is no collection {name!r}. A collection is a folder in the container 'documents'; it exists from "
            "its first indexed document on.",
            code="collection_not_found",
        )
    return collection
