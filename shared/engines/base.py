"""What the app asks of a model service, in the app's own words. Engines translate; they decide nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, Literal, Protocol

from shared.models import Activity, Failure, Function, Usage

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
class Call:
    """The model wants a function called. `arguments` is JSON text, as the model wrote it."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One question for an engine."""

    run_id: str
    question: str
    model: str
    instructions: str
    stores: tuple[str, ...]
    within: Within | None  # None: all that is in the stores
    file_ids: tuple[str, ...]  # for code interpreter
    previous: str | None  # the engine's run that this one continues
    history: tuple[tuple[str, str], ...] = ()  # (role, text) told in words, when there is no run to continue
    code_interpreter: bool = True
    functions: tuple[Function, ...] = ()
    temperature: float | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A chunk that file search returned to the model."""

    file_id: str
    filename: str
    text: str
    score: float
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The service's annotation: the text up to `position` rests on this file."""

    position: int
    file_id: str
    filename: str


@dataclass(frozen=True, kw_only=True)
class MadeFile:
    """A file code interpreter made. `start`..`end` is where the text names it, None when it does not."""

    container_id: str
    file_id: str
    filename: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, kw_only=True)
class Output:
    """What the engine's run brought, once it has ended."""

    text: str
    marks: tuple[Mark, ...] = ()
    passages: tuple[Passage, ...] = ()
    made: tuple[MadeFile, ...] = ()
    usage: Usage = Usage()
    model: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()  # containers whose files could not be listed just now


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at an engine's run. `output` is there once the status is terminal, as far as there is any."""

    status: Literal["queued", "in_progress", "requires_action", "completed", "incomplete", "failed", "cancelled"]
    calls: tuple[Call, ...] = ()  # to be answered, when the status is requires_action
    activity: tuple[Activity, ...] = ()
    output: Output | None = None
    failure: Failure | None = None
    completed_at: datetime | None = None


class Engine(Protocol):
    """Runs. Every method may raise ServiceBusy (try later), ServiceError (do not) and ServiceMissing."""

    name: str  # as in the setting ENGINE; a thread can only be continued by the engine that began it
    filters: bool  # whether file search can be told what to leave out

    async def start(self, ask: Ask) -> str:
        """Create the run in the background and answer its id at the service. Never retried inside.

        Raises:
            ChainLost: the service no longer has `ask.previous`.
        """
        ...

    async def answer_calls(self, engine_run: str, ask: Ask, outputs: Mapping[str, str]) -> str:
        """Go on with a run that waits for its calls; `outputs` by call id. Answers the id to look at from here on."""
        ...

    async def look(self, engine_runs: Sequence[str]) -> Look:
        """Look at the last of these; once it has ended, the output is that of all of them, oldest first."""
        ...

    async def cancel(self, engine_run: str) -> None: ...

    async def forget(self, engine_runs: Sequence[str]) -> None:
        """Delete what the service has stored of them. What is gone already is fine."""
        ...

    async def download(self, file: MadeFile) -> bytes:
        """The content of a file that code interpreter made, at most 64 MiB."""
        ...
