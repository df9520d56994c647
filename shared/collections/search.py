"""Search without an answer: the passages of a collection that match a query best."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.collections.attributes import Source, metadata_of, source_of
from shared.collections.stores import Collections
from shared.collections.texts import Texts
from shared.collections.visibility import VisibilityBlobs
from shared.engines.stores import Passage, VectorStores, Within
from shared.errors import Busy, NotFound, ServiceMissing


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A passage. `score` is from 0 to 1; `metadata` is the blob's metadata.

    Page, slide or section are where most of the passage stands, by the app's own text of the document.
    """

    document: str
    text: str
    score: float
    page: int | None
    slide: int | None
    section: str | None
    etag: str | None
    last_modified_at: datetime | None
    file_id: str
    filename: str
    metadata: dict[str, str | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Hits:
    hits: list[Hit]
    indexing: int  # documents of the collection with a version that is being indexed


class Search:
    def __init__(
        self,
        *,
        collections: Collections,
        stores: VectorStores,
        visibility: VisibilityBlobs,
        texts: Texts,
        now: Callable[[], datetime],
    ) -> None:
        self._collections = collections
        self._stores = stores
        self._visibility = visibility
        self._texts = texts
        self._now = now

    async def search(self, query: str, *, collection: str, where: Mapping[str, Any] | None, limit: int) -> Hits:
        """Search all stores of the collection.

        Raises:
            NotFound: there is no such collection.
            ServiceError: the service rejects the filter.
        """
        as_of = self._now()  # before the visibility is read: it does not list later versions, so they must not be found
        found, visibility = await asyncio.gather(self._collections.find(collection), self._visibility.of(collection))
        if found is None:
            raise NotFound(
                f"There is no collection {collection!r}. A collection is a folder in the container 'documents'; it "
                "exists from its first indexed document on.",
                code="collection_not_found",
            )
        within = Within(as_of=as_of, excluded=visibility.excluded, where=where)
        try:
            asked = [self._stores.search(store_id, query, limit=limit, within=within) for store_id in found.stores]
            passages = [passage for answer in await asyncio.gather(*asked) for passage in answer]
        except ServiceMissing as exc:
            raise Busy(
                f"The index of {collection!r} is gone at the service; it is being rebuilt. Try again in a few minutes.",
                code="collection_rebuilding",
            ) from exc
        best = sorted(passages, key=lambda passage: -passage.score)[:limit]
        ours = [(passage, source) for passage in best if (source := source_of(passage.attributes))]
        hits = await asyncio.gather(*(self._hit(passage, source) for passage, source in ours))
        return Hits(hits=hits, indexing=visibility.indexing)

    async def _hit(self, passage: Passage, source: Source) -> Hit:
        index = await self._texts.of(source.path, source.etag) if source.etag else None
        found = await asyncio.to_thread(index.find, passage.text) if index else None
        place = found.place if found else None
        return Hit(
            document=source.path,
            text=passage.text,
            score=round(min(max(passage.score, 0.0), 1.0), 4),
            page=place.page if place else None,
            slide=place.slide if place else None,
            section=place.section if place else None,
            etag=source.etag,
            last_modified_at=source.last_modified_at,
            file_id=passage.file_id,
            filename=passage.filename,
            metadata=metadata_of(passage.attributes),
        )
