"""Files, vector stores and file search through the `openai` SDK: implements `VectorStores`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from io import SEEK_END
from typing import IO, Any

from openai import AsyncOpenAI, omit
from openai.types import VectorStore
from openai.types.vector_stores import VectorStoreFile

from shared.engines.client import translated
from shared.engines.searching import Searcher
from shared.engines.stores import Attributes, FileInfo, IndexState, Passage, StoreEntry, StoreInfo, Within
from shared.errors import ServiceError, ServiceMissing

MADE_BY = "assistant-functions"
PAGE = 100  # items per page of a listing, the maximum of the service
SMALL_BYTES = 1024 * 1024  # a smaller upload is sent from memory
UPLOAD_TIMEOUT_S = 420.0  # 512 MiB at 1.2 MiB/s; below the deadline of a step, 8 minutes


class OpenAIVectorStores:
    def __init__(self, client: AsyncOpenAI, *, model: str = "") -> None:
        """`model`: for searches where the service has no other search."""
        self._client = client
        self._searcher = Searcher(client, model)
        self._files_are_ordered = True

    async def create_store(self, name: str, *, app: str, expires_days: int | None = None) -> str:
        with translated(f"creating the vector store of {name}"):
            store = await self._client.vector_stores.create(
                name=name[:256],
                metadata={"made_by": MADE_BY, "app": app, "collection": name[:512]},
                expires_after=_expiry(expires_days) if expires_days else omit,
            )
            return store.id

    async def describe(self, store_id: str) -> StoreInfo:
        with translated(f"retrieving {store_id}"):
            return _store_info(await self._client.vector_stores.retrieve(store_id))

    async def expire(self, store_id: str, days: int | None) -> None:
        with translated(f"setting the expiry of {store_id}"):
            await self._client.vector_stores.update(store_id, expires_after=_expiry(days) if days else None)

    async def list_stores(self) -> AsyncIterator[StoreInfo]:
        with translated("listing the vector stores"):
            async for store in self._client.vector_stores.list(limit=PAGE):
                yield _store_info(store)

    async def entries(self, store_id: str, *, since: datetime | None = None) -> AsyncIterator[StoreEntry]:
        with translated(f"listing the files of {store_id}"):
            async for file in self._client.vector_stores.files.list(store_id, limit=PAGE, order="desc"):
                if since and _at(file.created_at) < since:
                    return
                yield StoreEntry(file_id=file.id, attributes=file.attributes or {}, created_at=_at(file.created_at))

    async def files_since(self, at: datetime) -> AsyncIterator[FileInfo]:
        ordered = self._files_are_ordered
        try:
            async for file in self._files(ordered=ordered):
                if file.created_at >= at:
                    yield file
                elif ordered:
                    return
        except ServiceError as exc:
            if not ordered or exc.param not in ("order", "limit"):
                raise
            self._files_are_ordered = False  # this service takes neither: read all of them, in any order
            async for found in self.files_since(at):
                yield found

    async def _files(self, *, ordered: bool) -> AsyncIterator[FileInfo]:
        given: dict[str, Any] = {"order": "desc", "limit": 1000} if ordered else {}
        with translated("listing the files"):
            async for file in self._client.files.list(purpose="assistants", **given):
                yield FileInfo(
                    id=file.id, filename=file.filename, size_bytes=file.bytes, created_at=_at(file.created_at)
                )

    async def delete_store(self, store_id: str) -> None:
        with suppress(ServiceMissing), translated(f"deleting {store_id}"):
            await self._client.vector_stores.delete(store_id)

    async def upload(self, filename: str, content: IO[bytes]) -> str:
        size_bytes = content.seek(0, SEEK_END)
        content.seek(0)
        # The SDK asks a file for its descriptor, and a spooled file then writes its content to disk.
        body = content.read() if size_bytes <= SMALL_BYTES else content
        with translated(f"uploading {filename}"):
            # `assistants` is the only purpose that Azure accepts for both file search and code interpreter.
            file = await self._client.files.create(
                file=(filename, body), purpose="assistants", timeout=UPLOAD_TIMEOUT_S
            )
            return file.id

    async def attach(self, store_id: str, file_id: str, attributes: Attributes) -> IndexState:
        with translated(f"attaching {file_id}"):
            return _state(
                await self._client.vector_stores.files.create(store_id, file_id=file_id, attributes=dict(attributes))
            )

    async def state(self, store_id: str, file_id: str) -> IndexState:
        with translated(f"retrieving {file_id}"):
            return _state(await self._client.vector_stores.files.retrieve(file_id, vector_store_id=store_id))

    async def attributes(self, store_id: str, file_id: str) -> Attributes:
        with translated(f"retrieving {file_id}"):
            file = await self._client.vector_stores.files.retrieve(file_id, vector_store_id=store_id)
            return file.attributes or {}

    async def has_file(self, file_id: str) -> bool:
        try:
            with translated(f"retrieving {file_id}"):
                await self._client.files.retrieve(file_id)
        except ServiceMissing:
            return False
        return True

    async def discard(self, store_id: str | None, file_id: str) -> bool:
        # Both: a file that is only removed from the store still exists and counts against the quota.
        known = True
        if store_id:
            try:
                with translated(f"removing {file_id} from {store_id}"):
                    await self._client.vector_stores.files.delete(file_id, vector_store_id=store_id)
            except ServiceMissing:
                known = False
        try:
            with translated(f"deleting {file_id}"):
                await self._client.files.delete(file_id)
        except ServiceMissing:
            known = False
        return known

    async def search(self, store_id: str, query: str, *, limit: int, within: Within) -> list[Passage]:
        return await self._searcher.search(store_id, query, limit=limit, within=within)


def _state(file: VectorStoreFile) -> IndexState:
    if file.status == "cancelled":
        return IndexState(status="failed", code="cancelled", message="Indexing was cancelled at the service.")
    if file.status == "failed":
        error = file.last_error
        return IndexState(status="failed", code=error.code if error else None, message=error.message if error else None)
    return IndexState(status=file.status)


def _expiry(days: int) -> Any:
    return {"anchor": "last_active_at", "days": days}


def _store_info(store: VectorStore) -> StoreInfo:
    metadata = store.metadata or {}
    ours = metadata.get("made_by") == MADE_BY and "app" in metadata
    return StoreInfo(
        id=store.id,
        files=store.file_counts.total,
        usage_bytes=store.usage_bytes,
        expired=store.status == "expired",
        expires_at=_at(store.expires_at) if store.expires_at else None,
        created_at=_at(store.created_at),
        made_for=(metadata["app"], metadata.get("collection", "")) if ours else None,
    )


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
