"""DOC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, Literal, Protocol

Attributes = Mapping[str, str | float | bool]


@dataclass(frozen=True, kw_only=True)
class IndexState:
    """How far the service is with a file in a vector store. `failed` carries its reason."""

    status: Literal["in_progress", "completed", "failed"]
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class StoreInfo:
    """A vector store. `made_for` is the app and the collection that it was made for, where its metadata says so."""

    id: str
    files: int
    usage_bytes: int
    expired: bool
    expires_at: datetime | None
    created_at: datetime
    made_for: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class StoreEntry:
    """A file in a vector store."""

    file_id: str
    attributes: Attributes
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """A file of the Files API."""

    id: str
    filename: str
    size_bytes: int
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Within:
    """What a search may find: what was in the store at `as_of`, without the versions `excluded`.

    `where` is a filter of the caller's, in the form of the service.
    Source: https://platform.openai.com/docs/guides/retrieval#attribute-filtering
    """

    as_of: datetime
    excluded: tuple[str, ...] = ()
    where: Mapping[str, Any] | None = None


class VectorStores(Protocol):
    """Files and vector stores: the same for every engine. Every method may raise ServiceBusy and ServiceError."""

    async def create_store(self, name: str, *, app: str, expires_days: int | None = None) -> str: ...

    async def describe(self, store_id: str) -> StoreInfo:
        """Raises ServiceMissing when there is no such store."""
        ...

    async def expire(self, store_id: str, days: int | None) -> None:
        """Let the store go after so many idle days; None: never."""
        ...

    def list_stores(self) -> AsyncIterator[StoreInfo]:
        """All of the service's, also those of others."""
        ...

    def entries(self, store_id: str) -> AsyncIterator[StoreEntry]: ...

    def files_since(self, at: datetime) -> AsyncIterator[FileInfo]:
        """The files for assistants made since then, also those of others, the newest first."""
        ...

    async def delete_store(self, store_id: str) -> None: ...

    async def upload(self, filename: str, content: IO[bytes]) -> str:
        """Send one file to the Files API and answer its id. `content` is read from its start, never held whole."""
        ...

    async def attach(self, store_id: str, file_id: str, attributes: Attributes) -> IndexState:
        """Mostly `in_progress`; the service may be done with a small file at once."""
        ...

    async def state(self, store_id: str, file_id: str) -> IndexState:
        """Raises ServiceMissing when the file is not in the store."""
        ...

    async def attributes(self, store_id: str, file_id: str) -> Attributes: ...

    async def has_file(self, file_id: str) -> bool: ...

    async def discard(self, store_id: str | None, file_id: str) -> None:
        """Take the file out of the store and delete it. What is gone already is fine."""
        ...

    async def search(self, store_id: str, query: str, *, limit: int, within: Within) -> list[Passage]:
        """The passages that fit best, best first."""
        ...


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A chunk that file search returned to the model."""

    file_id: str
    filename: str
    text: str
    score: float
    attributes: Attributes = field(default_factory=dict)
