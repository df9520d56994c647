"""The files of a vector store: `/vector_stores/{id}/files`, indexed in the background.

Attaching a file returns at once, with status `in_progress`; at most `_MAX_INDEXING` files are indexed at a time. Files
that were in progress when the emulator stopped are indexed again at the next start.
Source: https://developers.openai.com/api/reference/resources/vector_stores/subresources/files
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from openai.types import FileObject
from openai.types.vector_stores import FileContentResponse, VectorStoreFile, VectorStoreFileDeleted
from pydantic import BaseModel, Field, SerializeAsAny, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute

from local.openai_emulator.errors import ApiError, invalid, not_found
from local.openai_emulator.files.files import Files
from local.openai_emulator.http import wire
from local.openai_emulator.store import Store
from local.openai_emulator.tasks import Tasks

if TYPE_CHECKING:
    from local.openai_emulator.search.index import Index

logger = logging.getLogger(__name__)

FILE_KIND = "vector_store_file"
STORE_KIND = "vector_store"
_DAY_S = 86_400
_MAX_INDEXING = 2
_ATTACH_WAIT_S = 0.05  # a file indexed within this time is already `completed` in the response to its attaching
POLL_AFTER_MS = 200  # the SDK's poll helpers wait this long between two requests


class StaticChunking(wire.RequestBody):
    max_chunk_size_tokens: Annotated[int, Field(ge=100, le=4096)] = 800
    chunk_overlap_tokens: Annotated[int, Field(ge=0)] = 400

    @model_validator(mode="after")
    def _overlap_is_at_most_half(self) -> StaticChunking:
        if self.chunk_overlap_tokens > self.max_chunk_size_tokens // 2:
            raise ValueError("chunk_overlap_tokens must not exceed half of max_chunk_size_tokens")
        return self


class AutoStrategy(wire.RequestBody):
    type: Literal["auto"]


class StaticStrategy(wire.RequestBody):
    type: Literal["static"]
    static: StaticChunking


ChunkingStrategy = Annotated[AutoStrategy | StaticStrategy, Field(discriminator="type")]


class AttachFile(wire.RequestBody):
    file_id: str
    attributes: wire.Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None


class UpdateFile(wire.RequestBody):
    attributes: wire.Attributes | None


class ContentPage(BaseModel):
    """Wire: `VectorStoreFileContentResponse`; the SDK models its items only."""

    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: list[SerializeAsAny[FileContentResponse]]
    has_more: bool = False
    next_page: str | None = None


class VectorStoreFiles:
    def __init__(self, *, store: Store, files: Files, index: Index, clock: Callable[[], float], max_files: int) -> None:
        self._store = store
        self._files = files
        self._index = index
        self._clock = clock
        self._max_files = max_files  # in one store
        self._slots = asyncio.Semaphore(_MAX_INDEXING)
        self._indexing = Tasks[tuple[str, str]]()  # (vector store id, file id)

    def routes(self) -> list[BaseRoute]:
        files = "/vector_stores/{vector_store_id}/files"
        return [
            wire.route("POST", files, self._create),
            wire.route("GET", files, self._list),
            wire.route("GET", files + "/{file_id}", self._retrieve),
            wire.route("POST", files + "/{file_id}", self._update),
            wire.route("DELETE", files + "/{file_id}", self._delete),
            wire.route("GET", files + "/{file_id}/content", self._content),
        ]

    def resume(self) -> None:
        """Finish what an earlier process left undone: removals, and the indexing of files that are `in_progress`."""
        for body in self._store.all(FILE_KIND):
            if self._store.get(STORE_KIND, body["vector_store_id"]) is None or not self._files.exists(body["id"]):
                self._store.delete(FILE_KIND, body["id"], parent=body["vector_store_id"])
        self._index.keep_only({(body["vector_store_id"], body["id"]) for body in self._store.all(FILE_KIND)})
        for body in self._store.all(FILE_KIND, status=["in_progress"]):
            self._start(body["vector_store_id"], body["id"])

    async def close(self) -> None:
        await self._indexing.close()

    # ---- for the other families --------------------------------------------------------------------------------

    def check_fit(self, file_ids: Sequence[str]) -> None:
        """Raises ApiError: a file does not exist, or there are more files than a store may hold."""
        for file_id in file_ids:
            self._files.get(file_id)
        if len(set(file_ids)) > self._max_files:
            raise self._full("A vector store")

    def check_purpose(self, file_id: str) -> None:
        """Raises ApiError: the file does not exist, or is not for vector stores."""
        file: FileObject = self._files.get(file_id)
        if file.purpose not in ("assistants", "user_data"):
            raise invalid(f"A file of purpose '{file.purpose}' cannot go into a vector store.", param="file_id")

    def page(self, store_id: str, request: Request, *, batch_id: str | None = None) -> wire.ListPage:
        """One page of the files, as the query of the request asks; `batch_id`: only those of this batch."""
        status = request.query_params.get("filter")
        if status not in (None, "in_progress", "completed", "failed", "cancelled"):
            raise invalid(f"Invalid value for 'filter': '{status}' is no status.", param="filter")
        where = {"status": status, "batch_id": batch_id}
        given = {name: value for name, value in where.items() if value is not None}
        return wire.listed(self._store.page(FILE_KIND, wire.paging(request), parent=store_id, where=given), read_file)

    def attach(
        self,
        store_id: str,
        file_id: str,
        *,
        attributes: dict[str, Any] | None = None,
        chunking_strategy: AutoStrategy | StaticStrategy | None = None,
        batch_id: str | None = None,
    ) -> None:
        """Add a file to a store, or index it again if it is already there; indexing runs in the background.

        `batch_id`: the batch that it belongs to, if any.

        Raises:
            ApiError: 404, the store does not exist; 400, it has expired or is full.
        """
        self._check_open(store_id, file_id)
        chunking = chunking_strategy.static if isinstance(chunking_strategy, StaticStrategy) else StaticChunking()
        file = VectorStoreFile.model_validate(
            {
                "id": file_id,
                "object": "vector_store.file",
                "created_at": int(self._clock()),
                "vector_store_id": store_id,
                "status": "in_progress",
                "last_error": None,
                "usage_bytes": 0,
                "attributes": attributes or {},
                "chunking_strategy": {"type": "static", "static": chunking.model_dump()},
            }
        )
        self._store.put(FILE_KIND, file_id, {**wire.dump(file), "batch_id": batch_id}, parent=store_id)
        self.touch(store_id)
        self._start(store_id, file_id)

    async def cancel(self, store_id: str, file_id: str) -> None:
        """Stop indexing a file; does nothing if that has ended."""
        body = self._store.get(FILE_KIND, file_id, parent=store_id)
        if body is not None and body["status"] == "in_progress":
            self._indexing.cancel((store_id, file_id))
            self._store.put(FILE_KIND, file_id, {**body, "status": "cancelled"}, parent=store_id)
            await self._index.remove(store_id, file_id)

    def _check_open(self, store_id: str, file_id: str) -> None:
        store = self._store.get(STORE_KIND, store_id)
        if store is None:
            raise not_found("vector store", store_id)  # deleted while the request was read
        if has_expired(store, self._clock()):
            raise expired(store_id)
        if self._store.get(FILE_KIND, file_id, parent=store_id) is not None:
            return  # indexed again: the number of files stays the same
        if self._store.count(FILE_KIND, store_id) >= self._max_files:
            raise self._full(f"The vector store '{store_id}'")

    def _full(self, what: str) -> ApiError:
        return invalid(f"{what} holds at most {self._max_files:,} files.", param="file_id", code="vector_store_full")

    def touch(self, store_id: str) -> None:
        """Record that the store was used now, which postpones its expiry; an expired store stays expired."""
        body = self._store.get(STORE_KIND, store_id)
        if body is not None and not has_expired(body, self._clock()):
            self._store.put(STORE_KIND, store_id, {**body, "last_active_at": int(self._clock())})

    async def indexed(self, store_ids: Sequence[str], *, within_s: float) -> None:
        """Wait until no file of these stores is in progress, or the time is over."""
        files = [key for key in self._indexing.running() if key[0] in store_ids]
        await self._indexing.wait(files, timeout_s=within_s)

    async def indexed_file(self, store_id: str, file_id: str, *, within_s: float) -> None:
        """Wait until this file is indexed, or the time is over."""
        await self._indexing.wait([(store_id, file_id)], timeout_s=within_s)

    async def drop_file(self, file_id: str) -> None:
        """Remove a file from every store."""
        for store_id in self._store.parents(FILE_KIND, file_id):
            await self._detach(store_id, file_id)

    async def drop_store(self, store_id: str) -> None:
        """Remove all files of a store."""
        for body in self._store.all(FILE_KIND, parent=store_id):
            self._indexing.cancel((store_id, body["id"]))
        self._store.delete_children(FILE_KIND, store_id)
        await self._index.remove_store(store_id)

    # ---- indexing ----------------------------------------------------------------------------------------------

    def _start(self, store_id: str, file_id: str) -> None:
        self._indexing.start((store_id, file_id), self._index_file, store_id, file_id)

    async def _index_file(self, store_id: str, file_id: str) -> None:
        async with self._slots:
            body = self._store.get(FILE_KIND, file_id, parent=store_id)
            if body is None:
                return
            outcome = await self._outcome(store_id, file_id, body)
            after = self._store.get(FILE_KIND, file_id, parent=store_id)
            if after is None or after["status"] != "in_progress":
                return
            self._store.put(FILE_KIND, file_id, {**after, **outcome}, parent=store_id)
            self.touch(store_id)
            if after["attributes"] != body["attributes"]:  # changed during indexing
                await self._index.update_attributes(store_id, file_id, after["attributes"])

    async def _outcome(self, store_id: str, file_id: str, body: dict[str, Any]) -> dict[str, Any]:
        from local.openai_emulator.search.parsers import ParseError

        ids = {"vector_store_id": store_id, "file_id": file_id}
        static = body["chunking_strategy"]["static"]
        try:
            file = self._files.get(file_id)
            usage_bytes = await self._index.add(
                store_id,
                file_id,
                path=self._files.path(file_id),
                filename=file.filename,
                attributes=body["attributes"],
                max_tokens=static["max_chunk_size_tokens"],
                overlap_tokens=static["chunk_overlap_tokens"],
            )
        except ParseError as exc:
            logger.info("vector_store_file.failed", extra={**ids, "code": exc.code})
            return _failed(exc.code, str(exc))
        except Exception:
            logger.exception("vector_store_file.failed", extra=ids)
            return _failed("server_error", "An internal error occurred while the file was indexed.")
        logger.info("vector_store_file.completed", extra=ids)
        return {"status": "completed", "usage_bytes": usage_bytes, "last_error": None}

    async def _detach(self, store_id: str, file_id: str) -> None:
        # Nothing is awaited before the index knows: a file attached again meanwhile comes after all of this.
        self._indexing.cancel((store_id, file_id))
        self._store.delete(FILE_KIND, file_id, parent=store_id)
        await self._index.remove(store_id, file_id)

    # ---- the API -----------------------------------------------------------------------------------------------

    def _get(self, request: Request) -> VectorStoreFile:
        store_id, file_id = self._store_id(request), request.path_params["file_id"]
        body = self._store.get(FILE_KIND, file_id, parent=store_id)
        if body is None:
            raise not_found(f"file in vector store '{store_id}'", file_id)
        return read_file(body)

    def _store_id(self, request: Request) -> str:
        store_id: str = request.path_params["vector_store_id"]
        if self._store.get(STORE_KIND, store_id) is None:
            raise not_found("vector store", store_id)
        return store_id

    async def _create(self, request: Request) -> VectorStoreFile:
        store_id = self._store_id(request)
        asked = await wire.read_body(request, AttachFile)
        self.check_purpose(asked.file_id)
        self.attach(store_id, asked.file_id, attributes=asked.attributes, chunking_strategy=asked.chunking_strategy)
        await self.indexed_file(store_id, asked.file_id, within_s=_ATTACH_WAIT_S)
        body = self._store.get(FILE_KIND, asked.file_id, parent=store_id)
        if body is None:
            raise not_found(f"file in vector store '{store_id}'", asked.file_id)
        return read_file(body)

    async def _list(self, request: Request) -> wire.ListPage:
        return self.page(self._store_id(request), request)

    async def _retrieve(self, request: Request) -> JSONResponse:
        file = self._get(request)
        headers = {"openai-poll-after-ms": str(POLL_AFTER_MS)} if file.status == "in_progress" else None
        return JSONResponse(wire.dump(file), headers=headers)

    async def _update(self, request: Request) -> VectorStoreFile:
        file = self._get(request)
        asked = await wire.read_body(request, UpdateFile)
        attributes = asked.attributes or {}
        body = self._store.get(FILE_KIND, file.id, parent=file.vector_store_id)
        if body is None:
            raise not_found(f"file in vector store '{file.vector_store_id}'", file.id)
        self._store.put(FILE_KIND, file.id, {**body, "attributes": attributes}, parent=file.vector_store_id)
        await self._index.update_attributes(file.vector_store_id, file.id, attributes)
        self.touch(file.vector_store_id)
        return self._get(request)

    async def _delete(self, request: Request) -> VectorStoreFileDeleted:
        file = self._get(request)
        await self._detach(file.vector_store_id, file.id)
        self.touch(file.vector_store_id)
        return VectorStoreFileDeleted(id=file.id, object="vector_store.file.deleted", deleted=True)

    async def _content(self, request: Request) -> ContentPage:
        file = self._get(request)
        if file.status != "completed":
            raise invalid(f"The file is {file.status}: it has no content yet.", code="file_not_ready")
        chunks = await self._index.chunks(file.vector_store_id, file.id)
        return ContentPage(data=[FileContentResponse(type="text", text=chunk.text) for chunk in chunks])


def read_file(body: Mapping[str, Any]) -> VectorStoreFile:
    return VectorStoreFile.model_validate({name: value for name, value in body.items() if name != "batch_id"})


def expires_at(store: Mapping[str, Any]) -> int | None:
    """When a vector store expires, in seconds since the epoch; None if never."""
    after = store["expires_after"]
    return int(store["last_active_at"] + after["days"] * _DAY_S) if after else None


def has_expired(store: Mapping[str, Any], now_s: float) -> bool:
    end = expires_at(store)
    return end is not None and end <= now_s


def expired(store_id: str) -> ApiError:
    return invalid(f"The vector store '{store_id}' has expired.", code="vector_store_expired")


def _failed(code: str, message: str) -> dict[str, Any]:
    return {"status": "failed", "usage_bytes": 0, "last_error": {"code": code, "message": message}}
