"""Vector stores: `/vector_stores`, and searching them.

`files.py` holds the files of a store. Counts, sizes and status are computed when a store is read.
Source: https://developers.openai.com/api/reference/resources/vector_stores
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from openai.types import VectorStore, VectorStoreDeleted, VectorStoreSearchResponse
from openai.types.responses.file_search_tool import FileSearchTool
from openai.types.vector_store import FileCounts
from openai.types.vector_store_search_response import Content
from pydantic import BaseModel, Field, SerializeAsAny
from starlette.requests import Request
from starlette.routing import BaseRoute

from local.openai_emulator.errors import invalid, not_found
from local.openai_emulator.http import wire
from local.openai_emulator.search.passage import Passage
from local.openai_emulator.store import Store
from local.openai_emulator.vector_stores.files import (
    FILE_KIND,
    STORE_KIND,
    ChunkingStrategy,
    VectorStoreFiles,
    expired,
    expires_at,
    has_expired,
)

if TYPE_CHECKING:
    from local.openai_emulator.search.index import Index


class StoreExpiry(wire.RequestBody):
    anchor: Literal["last_active_at"]
    days: Annotated[int, Field(ge=1, le=365)]


class CreateVectorStore(wire.RequestBody):
    name: str | None = None
    description: str | None = None  # accepted and, as by the service, never returned
    file_ids: Annotated[tuple[str, ...], Field(max_length=500)] = ()
    expires_after: StoreExpiry | None = None
    chunking_strategy: ChunkingStrategy | None = None
    metadata: wire.Metadata | None = None


class UpdateVectorStore(wire.RequestBody):
    name: str | None = None
    expires_after: StoreExpiry | None = None
    metadata: wire.Metadata | None = None


class RankingOptions(wire.RequestBody):
    ranker: Literal["none", "auto", "default-2024-11-15"] | None = None  # no effect: there is one ranking
    score_threshold: Annotated[float, Field(ge=0, le=1)] | None = None


class SearchVectorStore(wire.RequestBody):
    query: str | Annotated[list[str], Field(min_length=1)]
    filters: dict[str, Any] | None = None
    max_num_results: Annotated[int, Field(ge=1, le=50)] = 10
    ranking_options: RankingOptions | None = None
    rewrite_query: bool = False  # accepted without an effect


class SearchPage(BaseModel):
    """Wire: `VectorStoreSearchResultsPage`; the SDK models its items only."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[SerializeAsAny[VectorStoreSearchResponse]]
    has_more: bool = False
    next_page: str | None = None


class VectorStores:
    def __init__(self, *, store: Store, files: VectorStoreFiles, index: Index, clock: Callable[[], float]) -> None:
        self._store = store
        self._files = files
        self._index = index
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        return [
            wire.route("POST", "/vector_stores", self._create),
            wire.route("GET", "/vector_stores", self._list),
            wire.route("GET", "/vector_stores/{vector_store_id}", self._retrieve),
            wire.route("POST", "/vector_stores/{vector_store_id}", self._update),
            wire.route("DELETE", "/vector_stores/{vector_store_id}", self._delete),
            wire.route("POST", "/vector_stores/{vector_store_id}/search", self._search),
        ]

    # ---- for the other families --------------------------------------------------------------------------------

    def check_searchable(self, store_ids: Sequence[str]) -> None:
        """Raises ApiError: 404 for a store that does not exist, 400 for one that has expired."""
        for store_id in store_ids:
            if self.get(store_id).status == "expired":
                raise expired(store_id)

    async def search(
        self,
        store_ids: Sequence[str],
        queries: Sequence[str],
        *,
        limit: int,
        filters: Mapping[str, Any] | None,
        score_threshold: float,
    ) -> list[Passage]:
        """Search several stores together and record that they were used.

        Raises:
            ApiError: a store does not exist or has expired, or the filter is malformed.
        """
        self.check_searchable(store_ids)
        try:
            passages = await self._index.search(
                store_ids, queries, limit=limit, filters=filters, score_threshold=score_threshold
            )
        except ValueError as exc:
            raise invalid(f"Invalid value for 'filters': {exc}", param="filters") from exc
        for store_id in store_ids:
            self._files.touch(store_id)
        return passages

    def get(self, store_id: str) -> VectorStore:
        body = self._store.get(STORE_KIND, store_id)
        if body is None:
            raise not_found("vector store", store_id)
        return self._read(body)

    def create(self, asked: CreateVectorStore) -> VectorStore:
        """Raises ApiError: a file does not exist, or there are too many."""
        self._files.check_fit(asked.file_ids)
        now = int(self._clock())
        store_id = wire.new_id("vs_")
        body = {
            "id": store_id,
            "object": "vector_store",
            "created_at": now,
            "last_active_at": now,
            "name": asked.name or "",
            "metadata": asked.metadata or {},
            "expires_after": asked.expires_after.model_dump() if asked.expires_after else None,
        }
        self._store.put(STORE_KIND, store_id, body)
        for file_id in dict.fromkeys(asked.file_ids):
            self._files.attach(store_id, file_id, chunking_strategy=asked.chunking_strategy)
        return self.get(store_id)

    async def delete(self, store_id: str) -> None:
        """Delete a store with its index; does nothing if it does not exist."""
        self._store.delete(STORE_KIND, store_id)
        await self._files.drop_store(store_id)

    def _read(self, body: dict[str, Any]) -> VectorStore:
        counts = self._store.counts(FILE_KIND, body["id"])
        over = has_expired(body, self._clock())
        return VectorStore.model_validate(
            {
                **body,
                "file_counts": FileCounts(
                    cancelled=counts.get("cancelled", 0),
                    completed=counts.get("completed", 0),
                    failed=counts.get("failed", 0),
                    in_progress=counts.get("in_progress", 0),
                    total=sum(counts.values()),
                ),
                "usage_bytes": self._store.total(FILE_KIND, body["id"], "usage_bytes"),
                "status": "expired" if over else "in_progress" if counts.get("in_progress") else "completed",
                "expires_at": expires_at(body),
            }
        )

    # ---- the API -----------------------------------------------------------------------------------------------

    async def _create(self, request: Request) -> VectorStore:
        return self.create(await wire.read_body(request, CreateVectorStore))

    async def _list(self, request: Request) -> wire.ListPage:
        return wire.listed(self._store.page(STORE_KIND, wire.paging(request)), self._read)

    async def _retrieve(self, request: Request) -> VectorStore:
        return self.get(request.path_params["vector_store_id"])

    async def _update(self, request: Request) -> VectorStore:
        store_id = request.path_params["vector_store_id"]
        self.get(store_id)
        asked = await wire.read_body(request, UpdateVectorStore)
        body = self._store.get(STORE_KIND, store_id)
        if body is None:
            raise not_found("vector store", store_id)
        if asked.name is not None:
            body["name"] = asked.name
        if "metadata" in asked.model_fields_set:
            body["metadata"] = asked.metadata or {}
        if "expires_after" in asked.model_fields_set:
            body["expires_after"] = asked.expires_after.model_dump() if asked.expires_after else None
        body["last_active_at"] = int(self._clock())
        self._store.put(STORE_KIND, store_id, body)
        return self.get(store_id)

    async def _delete(self, request: Request) -> VectorStoreDeleted:
        store = self.get(request.path_params["vector_store_id"])
        await self.delete(store.id)
        return VectorStoreDeleted(id=store.id, object="vector_store.deleted", deleted=True)

    async def _search(self, request: Request) -> SearchPage:
        store_id = request.path_params["vector_store_id"]
        self.get(store_id)
        asked = await wire.read_body(request, SearchVectorStore)
        check_filters(asked.filters)
        queries = [asked.query] if isinstance(asked.query, str) else asked.query
        passages = await self.search(
            [store_id],
            queries,
            limit=asked.max_num_results,
            filters=asked.filters,
            score_threshold=(asked.ranking_options.score_threshold if asked.ranking_options else None) or 0.0,
        )
        return SearchPage(search_query=queries, data=[_result(passage) for passage in passages])


def check_filters(filters: Mapping[str, Any] | None) -> None:
    """Raises ApiError 400 for an invalid filter."""
    if filters is not None:
        wire.parse({"type": "file_search", "vector_store_ids": [], "filters": filters}, FileSearchTool)


def _result(passage: Passage) -> VectorStoreSearchResponse:
    return VectorStoreSearchResponse(
        file_id=passage.file_id,
        filename=passage.filename,
        score=passage.score,
        attributes=dict(passage.attributes),
        content=[Content(type="text", text=passage.text)],
    )
