"""`tool_resources` of assistants and threads: files for the code interpreter, a vector store for file search."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from local.openai_emulator.errors import ApiError, invalid
from local.openai_emulator.files.files import Files
from local.openai_emulator.http import wire
from local.openai_emulator.vector_stores.files import ChunkingStrategy, VectorStoreFiles
from local.openai_emulator.vector_stores.stores import CreateVectorStore, StoreExpiry, VectorStores

MOST_CODE_FILES = 20
THREAD_STORE_DAYS = 7  # as in the service: idle days after which a store created for a thread expires
Resources = dict[str, Any]  # wire: `tool_resources`


class CodeFiles(wire.RequestBody):
    file_ids: Annotated[tuple[str, ...], Field(max_length=MOST_CODE_FILES)] = ()


class Searchable(wire.RequestBody):
    vector_store_ids: Annotated[tuple[str, ...], Field(max_length=1)] = ()


class NewStore(wire.RequestBody):
    file_ids: Annotated[tuple[str, ...], Field(max_length=10_000)] = ()
    chunking_strategy: ChunkingStrategy | None = None
    metadata: wire.Metadata | None = None


class SearchableOrNew(Searchable):
    vector_stores: Annotated[tuple[NewStore, ...], Field(max_length=1)] = ()


class ModifyResources(wire.RequestBody):
    code_interpreter: CodeFiles | None = None
    file_search: Searchable | None = None


class CreateResources(wire.RequestBody):
    code_interpreter: CodeFiles | None = None
    file_search: SearchableOrNew | None = None


class ToolResources:
    """Checks `tool_resources` of requests and creates the vector stores they ask for."""

    def __init__(self, *, files: Files, stores: VectorStores, store_files: VectorStoreFiles) -> None:
        self._files = files
        self._stores = stores
        self._store_files = store_files

    def check(self, asked: CreateResources | ModifyResources | None) -> None:
        """Raises ApiError: a file or store does not exist, or there is more than one store."""
        if asked is None:
            return
        if asked.code_interpreter:
            self.check_files(asked.code_interpreter.file_ids)
        if asked.file_search:
            self._stores.check_searchable(asked.file_search.vector_store_ids)
        for new in _new_stores(asked):
            self.check_files(new.file_ids)
            if asked.file_search and asked.file_search.vector_store_ids:
                message = "At most one vector store can be attached: give vector_store_ids or vector_stores."
                raise invalid(message, param="tool_resources.file_search")

    def check_files(self, file_ids: Iterable[str]) -> None:
        """Raises ApiError 404."""
        for file_id in file_ids:
            self._files.get(file_id)

    def make(self, asked: CreateResources | ModifyResources | None, *, days: int | None) -> tuple[Resources, list[str]]:
        """The resources as returned by the API, and the ids of the stores created for them; call `check` first.

        `days`: idle days after which a created store expires; None for never.
        """
        resources: Resources = {}
        made: list[str] = []
        if asked and asked.code_interpreter:
            resources["code_interpreter"] = {"file_ids": list(asked.code_interpreter.file_ids)}
        if asked and asked.file_search:
            made = [self._make_store(new, days=days) for new in _new_stores(asked)]
            resources["file_search"] = {"vector_store_ids": [*asked.file_search.vector_store_ids, *made]}
        return resources, made

    def _make_store(self, new: NewStore, *, days: int | None) -> str:
        store = self._stores.create(
            CreateVectorStore(
                file_ids=new.file_ids,
                chunking_strategy=new.chunking_strategy,
                metadata=new.metadata,
                expires_after=StoreExpiry(anchor="last_active_at", days=days) if days else None,
            )
        )
        return store.id

    def add_searchable(self, resources: Resources, file_id: str) -> list[str]:
        """Add a file to the vector store in a thread's `resources`; returns the ids of created stores."""
        made: list[str] = []
        store_id = next(iter(store_ids(resources)), None)
        if store_id is None or not self._is_searchable(store_id):
            store_id = self._make_store(NewStore(), days=THREAD_STORE_DAYS)
            resources["file_search"] = {"vector_store_ids": [store_id]}
            made = [store_id]
        self._store_files.attach(store_id, file_id)
        return made

    def _is_searchable(self, store_id: str) -> bool:
        try:
            self._stores.check_searchable([store_id])
        except ApiError:
            return False
        return True

    async def drop_stores(self, made: Iterable[str]) -> None:
        """Delete the stores created for an assistant or thread that is deleted."""
        for store_id in made:
            await self._stores.delete(store_id)


def _new_stores(asked: CreateResources | ModifyResources) -> tuple[NewStore, ...]:
    return asked.file_search.vector_stores if isinstance(asked.file_search, SearchableOrNew) else ()


def code_file_ids(resources: Resources) -> list[str]:
    return list((resources.get("code_interpreter") or {}).get("file_ids") or ())


def store_ids(resources: Resources) -> list[str]:
    return list((resources.get("file_search") or {}).get("vector_store_ids") or ())
