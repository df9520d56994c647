"""Files and vector stores over the `openai` SDK."""

from __future__ import annotations

from contextlib import suppress
from typing import IO

from openai import AsyncOpenAI

from shared.engines.base import Attributes, IndexState
from shared.engines.client import translated
from shared.errors import ServiceMissing

UPLOAD_TIMEOUT_S = 540.0  # 512 MiB at 1 MiB/s; the host ends a function after 10 minutes


class OpenAIVectorStores:
    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client

    async def create_store(self, name: str) -> str:
        with translated(f"creating the vector store of {name}"):
            store = await self._client.vector_stores.create(
                name=name[:256], metadata={"made_by": "assistant-functions", "collection": name[:512]}
            )
            return store.id

    async def delete_store(self, store_id: str) -> None:
        with suppress(ServiceMissing), translated(f"deleting {store_id}"):
            await self._client.vector_stores.delete(store_id)

    async def upload(self, filename: str, content: IO[bytes]) -> str:
        content.seek(0)
        with translated(f"uploading {filename}"):
            # `assistants` is the one purpose that Azure takes for both file search and code interpreter.
            file = await self._client.files.create(
                file=(filename, content), purpose="assistants", timeout=UPLOAD_TIMEOUT_S
            )
            return file.id

    async def attach(self, store_id: str, file_id: str, attributes: Attributes) -> None:
        with translated(f"attaching {file_id}"):
            await self._client.vector_stores.files.create(store_id, file_id=file_id, attributes=dict(attributes))

    async def state(self, store_id: str, file_id: str) -> IndexState:
        with translated(f"looking at {file_id}"):
            file = await self._client.vector_stores.files.retrieve(file_id, vector_store_id=store_id)
            status, error = file.status, file.last_error
        if status == "cancelled":
            return IndexState(status="failed", code="cancelled", message="Indexing was cancelled at the service.")
        if status == "failed":
            return IndexState(
                status="failed",
                code=error.code if error else "failed",
                message=error.message if error else "The service gave no reason.",
            )
        return IndexState(status=status)

    async def attributes(self, store_id: str, file_id: str) -> Attributes:
        with translated(f"looking at {file_id}"):
            file = await self._client.vector_stores.files.retrieve(file_id, vector_store_id=store_id)
            return file.attributes or {}

    async def discard(self, store_id: str | None, file_id: str) -> None:
        # Both, in this order: taking a file out of a store leaves the File, which goes on counting against the quota.
        if store_id:
            with suppress(ServiceMissing), translated(f"taking {file_id} out of {store_id}"):
                await self._client.vector_stores.files.delete(file_id, vector_store_id=store_id)
        with suppress(ServiceMissing), translated(f"deleting {file_id}"):
            await self._client.files.delete(file_id)
