"""The interface to files, vector stores and file search at the model service. Every engine uses the same one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, Literal, Protocol

Attributes = Mapping[str, str | float | bool]
ATTRIBUTE_MAX_CHARS = 512  # of a text value


@dataclass(frozen=True, kw_only=True)
class IndexState:
    """The state of indexing a file in a vector store. `code` and `message` are set when it failed."""

    status: Literal["in_progress", "completed", "failed"]
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class StoreInfo:
    """A vector store. `made_for`: the app and the collection in its metadata; None: not made by this software."""

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


DOCUMENT = "path:"


def all_of(path: str) -> str:
    """An item of `Within.excluded` that stands for all versions of a document."""
    return DOCUMENT + path[:ATTRIBUTE_MAX_CHARS]


@dataclass(frozen=True, kw_only=True)
class Within:
    """Limits a search to files that were in the store at `as_of`, without the versions in `excluded`.

    An item of `excluded` is the attribute `version` of files, or a document as `all_of()` names it.
    `where` is an additional filter of the caller, in the format of the service.
    Source: https://platform.openai.com/docs/guides/retrieval#attribute-filtering
    """

    as_of: datetime
    excluded: tuple[str, ...] = ()
    where: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A chunk of a file that a search returned."""

    file_id: str
    filename: str
    text: str
    score: float
    attributes: Attributes = field(default_factory=dict)


class VectorStores(Protocol):
    """Files and vector stores. Every method may raise ServiceBusy (retry later) and ServiceError (do not retry)."""

    async def create_store(self, name: str, *, app: str, expires_days: int | None = None) -> str: ...

    async def describe(self, store_id: str) -> StoreInfo:
        """Raises ServiceMissing when there is no such store."""
        ...

    async def expire(self, store_id: str, days: int | None) -> None:
        """Set after how many idle days the service deletes the store; None: never."""
        ...

    def list_stores(self) -> AsyncIterator[StoreInfo]:
        """All vector stores at the service, including those of other apps."""
        ...

    def entries(self, store_id: str, *, since: datetime | None = None) -> AsyncIterator[StoreEntry]:
        """The files of a store, newest first; with `since`, only those that were added since then."""
        ...

    def files_since(self, at: datetime) -> AsyncIterator[FileInfo]:
        """Files with the purpose `assistants` created since `at`, including those of other apps, newest first."""
        ...

    async def delete_store(self, store_id: str) -> None: ...

    async def upload(self, filename: str, content: IO[bytes]) -> str:
        """Upload one file and return its id. `content` is read from its start; a large one is not held in memory."""
        ...

    async def attach(self, store_id: str, file_id: str, attributes: Attributes) -> IndexState:
        """Add the file to the store. Returns `in_progress` in most cases; a small file may be indexed at once."""
        ...

    async def state(self, store_id: str, file_id: str) -> IndexState:
        """Raises ServiceMissing when the file is not in the store."""
        ...

    async def attributes(self, store_id: str, file_id: str) -> Attributes: ...

    async def has_file(self, file_id: str) -> bool: ...

    async def discard(self, store_id: str | None, file_id: str) -> bool:
        """Remove the file from the store and delete it. False: the service did not know it, which may be untrue."""
        ...

    async def search(self, store_id: str, query: str, *, limit: int, within: Within) -> list[Passage]:
        """The most relevant chunks, best first."""
        ...
