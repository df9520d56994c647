"""File batches: `/vector_stores/{id}/file_batches`, files that are added to a vector store together.

Each file of a batch has the batch's id in its record. Counts and status are computed when a batch is read.
Source: https://developers.openai.com/api/reference/resources/vector_stores/subresources/file_batches
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from openai.types.vector_stores import VectorStoreFileBatch
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute

from local.openai_emulator.errors import invalid, not_found
from local.openai_emulator.http import wire
from local.openai_emulator.store import Body, Store
from local.openai_emulator.vector_stores.files import (
    FILE_KIND,
    POLL_AFTER_MS,
    STORE_KIND,
    AttachFile,
    ChunkingStrategy,
    VectorStoreFiles,
)

KIND = "vector_store_file_batch"
_MOST_FILES = 2000


class CreateBatch(wire.RequestBody):
    file_ids: Annotated[tuple[str, ...], Field(min_length=1, max_length=_MOST_FILES)] | None = None
    files: Annotated[tuple[AttachFile, ...], Field(min_length=1, max_length=_MOST_FILES)] | None = None
    attributes: wire.Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None

    def attachments(self) -> list[AttachFile]:
        """One for each file.

        Raises:
            ApiError: 400, the request names no files, or names them twice.
        """
        if (self.file_ids is None) == (self.files is None):
            raise invalid("Exactly one of 'file_ids' and 'files' must be given.", param="file_ids")
        if self.files is not None:
            if self.attributes is not None or self.chunking_strategy is not None:
                message = "With 'files', give 'attributes' and 'chunking_strategy' for each file."
                raise invalid(message, param="files")
            return list(self.files)
        return [
            AttachFile(file_id=file_id, attributes=self.attributes, chunking_strategy=self.chunking_strategy)
            for file_id in self.file_ids or ()
        ]


class FileBatches:
    def __init__(self, *, store: Store, files: VectorStoreFiles, clock: Callable[[], float]) -> None:
        self._store = store
        self._files = files
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        batches = "/vector_stores/{vector_store_id}/file_batches"
        return [
            wire.route("POST", batches, self._create),
            wire.route("GET", batches + "/{batch_id}", self._retrieve),
            wire.route("POST", batches + "/{batch_id}/cancel", self._cancel),
            wire.route("GET", batches + "/{batch_id}/files", self._list_files),
        ]

    async def _create(self, request: Request) -> VectorStoreFileBatch:
        store_id = request.path_params["vector_store_id"]
        if self._store.get(STORE_KIND, store_id) is None:
            raise not_found("vector store", store_id)
        asked = (await wire.read_body(request, CreateBatch)).attachments()
        for one in asked:
            self._files.check_purpose(one.file_id)
        body: Body = {
            "id": wire.new_id("vsfb_"),
            "object": "vector_store.files_batch",
            "created_at": int(self._clock()),
            "vector_store_id": store_id,
            "cancelled": False,
        }
        with self._store.together():
            self._store.put(KIND, body["id"], body, parent=store_id)
            for one in {one.file_id: one for one in asked}.values():
                self._files.attach(
                    store_id,
                    one.file_id,
                    attributes=one.attributes,
                    chunking_strategy=one.chunking_strategy,
                    batch_id=body["id"],
                )
        return self._read(body)

    async def _retrieve(self, request: Request) -> JSONResponse:
        batch = self._read(self._body(request))
        headers = {"openai-poll-after-ms": str(POLL_AFTER_MS)} if batch.status == "in_progress" else None
        return JSONResponse(wire.dump(batch), headers=headers)

    async def _cancel(self, request: Request) -> VectorStoreFileBatch:
        body = self._body(request)
        store_id, batch_id = body["vector_store_id"], body["id"]
        if self._read(body).status != "in_progress":
            return self._read(body)
        body["cancelled"] = True
        self._store.put(KIND, batch_id, body, parent=store_id)
        for file in self._store.all(FILE_KIND, parent=store_id, status=["in_progress"]):
            if file.get("batch_id") == batch_id:
                await self._files.cancel(store_id, file["id"])
        return self._read(body)

    async def _list_files(self, request: Request) -> wire.ListPage:
        body = self._body(request)
        return self._files.page(body["vector_store_id"], request, batch_id=body["id"])

    def _body(self, request: Request) -> Body:
        store_id, batch_id = request.path_params["vector_store_id"], request.path_params["batch_id"]
        if self._store.get(STORE_KIND, store_id) is None:
            raise not_found("vector store", store_id)
        body = self._store.get(KIND, batch_id, parent=store_id)
        if body is None:
            raise not_found("file batch", batch_id)
        return body

    def _read(self, body: Body) -> VectorStoreFileBatch:
        counts = self._store.counts(FILE_KIND, body["vector_store_id"], where=("batch_id", body["id"]))
        numbers = {status: counts.get(status, 0) for status in ("in_progress", "completed", "failed", "cancelled")}
        total = sum(numbers.values())
        status = "in_progress" if numbers["in_progress"] else "cancelled" if body["cancelled"] else "completed"
        if total and numbers["failed"] == total:
            status = "failed"
        shown = {name: value for name, value in body.items() if name != "cancelled"}
        return VectorStoreFileBatch.model_validate(
            {**shown, "status": status, "file_counts": {**numbers, "total": total}}
        )
