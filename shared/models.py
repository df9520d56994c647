"""The nouns of the app. All frozen; all written to and read from Blob Storage as JSON by `records.py`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

# ---- documents ---------------------------------------------------------------------------------------------------

DocumentStatus = Literal["pending", "indexing", "indexed", "failed", "unsupported", "removing"]
Kind = Literal["text", "data"]

DEFAULT_COLLECTION = "default"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why something is as it is: `code` for programs, `message` for people. `retryable`: trying again can help."""

    code: str
    message: str
    retryable: bool = False


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a blob, and the service's copies of it."""

    etag: str
    size_bytes: int
    last_modified_at: datetime
    kind: Kind
    metadata: dict[str, str] = field(default_factory=dict)  # of the blob, as its owner set it
    store_id: str | None = None  # the vector store that holds `parts`
    parts: tuple[str, ...] = ()  # files in it: the document, its parts when it is long, or a data file's card
    ready: int = 0  # so many of the parts are known to be indexed
    data_file_id: str | None = None  # the copy for code interpreter, data files only
    terms: tuple[str, ...] = ()  # the words by which a question finds a data file
    notice: Reason | None = None  # something its owner should know, such as a name that belies the content

    @property
    def file_ids(self) -> tuple[str, ...]:
        return (*self.parts, *((self.data_file_id,) if self.data_file_id else ()))


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try to index a version; without an end it goes on, or died with its process."""

    etag: str
    started_at: datetime
    ended_at: datetime | None = None
    status: DocumentStatus = "indexing"
    reason: Reason | None = None
    put_off: int = 0  # how often the service was too busy


@dataclass(frozen=True, kw_only=True)
class Document:
    """A blob in `documents` and where it stands.

    `live` answers questions now; `incoming` is being indexed and takes its place once it is complete; `retired` are
    versions whose files at the service nothing needs any more, or only runs that began before `retired_at`.
    """

    path: str
    collection: str
    status: DocumentStatus
    updated_at: datetime
    etag: str  # of the version last taken up, whatever became of it
    size_bytes: int
    live: Version | None = None
    incoming: Version | None = None
    retired: tuple[Version, ...] = ()
    retired_at: datetime | None = None
    reason: Reason | None = None
    indexed_at: datetime | None = None
    deadline_at: datetime | None = None
    claimed_until: datetime | None = None  # someone is sending `incoming` to the service until then
    lost_since: datetime | None = None  # uploads begun since then may have reached the service unnoticed
    faults: int = 0  # tries in a row that met a busy or unreachable service
    tries: int = 0  # times in a row that this version was begun
    attempts: tuple[Attempt, ...] = ()  # the latest ones, oldest first
    told: bool = False  # questions have been told that `incoming` is on its way
    scope_due: bool = False  # what questions may use has yet to be brought in line with this record
    news_due: bool = False  # those who asked to be told have yet to hear of `status`
    receipt_id: str | None = None  # of the removal that goes on


@dataclass(frozen=True, kw_only=True)
class DocumentSummary:
    """A document in a listing. `etag` is the version last taken up, `answers_etag` the one that answers now."""

    path: str
    collection: str
    status: DocumentStatus
    size_bytes: int
    etag: str
    updated_at: datetime
    kind: Kind | None = None
    reason: Reason | None = None
    file_id: str | None = None
    answers_etag: str | None = None
    indexed_at: datetime | None = None
    notice: Reason | None = None
    tries: int = 0
    parts: int = 0  # files in the vector store that answer for it


@dataclass(frozen=True, kw_only=True)
class Collection:
    """The documents below one top-level folder, and the vector stores that hold them."""

    name: str
    stores: tuple[str, ...]  # the last one takes what comes
    created_at: datetime
    expires_days: int | None = None  # idle days after which the service drops the stores
    removing: bool = False


# ---- what was removed, what has drifted --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Removed:
    """One thing that was made of a document. `gone`: it was looked for afterwards, and is not there."""

    kind: Literal["store_entry", "file", "data_card", "code_interpreter_copy", "record"]
    id: str
    gone: bool


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """Proof of a removal."""

    id: str
    path: str
    collection: str
    etag: str
    requested_at: datetime
    removed_at: datetime
    removed: tuple[Removed, ...]
    complete: bool  # all of it is gone


DriftKind = Literal["missing", "stale", "orphaned", "stuck"]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A place where container, records and service disagree, and what was done about it."""

    kind: DriftKind
    what: Literal["document", "file", "store_entry", "vector_store", "scope", "receipt"]
    id: str  # the document's path, or the id at the service
    collection: str
    detail: str
    repair: str  # what mends it
    done: bool = False  # it was set going


@dataclass(frozen=True, kw_only=True)
class Report:
    """A comparison of container, records, files and vector stores."""

    id: str
    status: Literal["queued", "in_progress", "completed", "failed"]
    dry_run: bool
    created_at: datetime
    collection: str | None = None  # None: all of them
    finished_at: datetime | None = None
    collections: int = 0
    documents: int = 0  # blobs that were looked at
    counts: dict[DriftKind, int] = field(default_factory=dict)
    drift: tuple[Drift, ...] = ()  # the first 1,000
    error: str | None = None


def collection_of(path: str) -> str:
    """`reports/2026/a.pdf` is in `reports`; `a.pdf` is in `default`."""
    folder, slash, _ = path.partition("/")
    return folder if slash and folder else DEFAULT_COLLECTION


# ---- runs --------------------------------------------------------------------------------------------------------

RunStatus = Literal[
    "queued",
    "in_progress",
    "requires_action",
    "cancelling",
    "cancelled",
    "completed",
    "incomplete",
    "failed",
    "expired",
]
TERMINAL: frozenset[RunStatus] = frozenset({"cancelled", "completed", "incomplete", "failed", "expired"})


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a run did not end well, and whether asking again can help."""

    code: str
    message: str
    retryable: bool = False


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Something the engine did or is doing for a run, such as `file_search` or `code_interpreter`."""

    type: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function the model may call. `parameters` is the JSON Schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A function the model wants called: by the app itself (`server`), or by the caller of the API (`client`)."""

    call_id: str
    name: str
    arguments: str  # JSON, as the model wrote it
    by: Literal["server", "client"]
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class AssistantRef:
    """Which assistant answered, and which version of it."""

    name: str
    version: int


@dataclass(frozen=True, kw_only=True)
class Assistant:
    """How questions are answered: a named set of choices, kept in versions. None leaves a choice to the app."""

    name: str
    version: int
    updated_at: datetime
    model: str | None = None
    instructions: str | None = None
    temperature: float | None = None
    max_output_tokens: int | None = None
    collection: str | None = None
    file_search: bool = True
    code_interpreter: bool = True
    functions: tuple[str, ...] = ()  # names out of shared/tools.py
    max_seconds: int | None = None
    deleted: bool = False  # kept, so that a later one of the same name goes on counting

    @property
    def ref(self) -> AssistantRef:
        return AssistantRef(name=self.name, version=self.version)


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A document that code interpreter is given."""

    path: str
    file_id: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One question being answered.

    `generation` counts the writes of this record; a queue message that carries an older one is stale and does nothing.
    """

    id: str
    thread_id: str
    status: RunStatus
    question: str
    collection: str
    stores: tuple[str, ...]  # vector stores to search
    files: tuple[DataFile, ...]
    metadata: dict[str, str]
    created_at: datetime
    deadline_at: datetime
    next_look_at: datetime
    assistant: AssistantRef
    functions: tuple[Function, ...] = ()  # the caller's
    callback_url: str | None = None
    as_of: datetime | None = None  # it sees what was in the collection then
    excluded: tuple[str, ...] = ()  # versions that are at the service and not, or no longer, to be found
    engine: str = "responses"
    generation: int = 0
    looks: int = 0
    faults: int = 0  # looks in a row that met a busy or unreachable service
    fetch_tries: int = 0  # looks that could not fetch a file the code made
    starting_at: datetime | None = None  # someone is asking the engine at this moment
    engine_runs: tuple[str, ...] = ()  # at the service, the newest last: one more each time functions were called
    previous: str | None = None  # the engine's run that this one continues
    started_at: datetime | None = None
    waiting_at: datetime | None = None  # since when the run waits for outputs of the caller's functions
    cancelled_at: datetime | None = None  # when the caller asked for it
    finished_at: datetime | None = None
    activity: tuple[Activity, ...] = ()
    calls: tuple[ToolCall, ...] = ()  # to be answered before the run goes on
    answered: dict[str, str] = field(default_factory=dict)  # call id -> digest of the output that was handed over
    containers: tuple[str, ...] = ()  # code interpreter containers the run used
    notes: tuple[str, ...] = ()
    error: Failure | None = None

    @property
    def engine_run(self) -> str | None:
        return self.engine_runs[-1] if self.engine_runs else None

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A run in a listing."""

    id: str
    thread_id: str
    status: RunStatus
    question: str  # its beginning
    created_at: datetime
    finished_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Message:
    role: Literal["user", "assistant"]
    text: str
    run_id: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Thread:
    """A conversation: what was said, where the engine's chain ends, and the files it has used."""

    id: str
    created_at: datetime
    collection: str
    engine: str = "responses"
    tail: str | None = None  # the engine's run that the next question continues
    tail_run_id: str | None = None  # the run of ours whose it is
    active_run_id: str | None = None
    files: tuple[str, ...] = ()  # documents that code interpreter has been given
    messages: tuple[Message, ...] = ()


# ---- answers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Citation:
    """A place in the answer that rests on a document. `quote` stands in the document word for word."""

    n: int
    document: str
    file_id: str
    filename: str
    quote: str
    position: int  # character in `Answer.text`, after which the mark [n] belongs
    page: int | None = None
    etag: str | None = None
    last_modified_at: datetime | None = None  # of the blob


@dataclass(frozen=True, kw_only=True)
class Chart:
    n: int
    path: str  # in `answers`
    filename: str
    media_type: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """A file code interpreter made that is not a picture."""

    path: str  # in `answers`
    filename: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Usage:
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    total_tokens: int = 0
    file_search_calls: int = 0
    code_interpreter_calls: int = 0
    code_interpreter_sessions: int = 0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """US dollars. `prices` says whose prices these are."""

    usd: float
    parts: dict[str, float]
    prices: str


@dataclass(frozen=True, kw_only=True)
class Timings:
    queued_ms: int
    run_ms: int
    total_ms: int
    looks: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What `answers/<run_id>/answer.json` holds, for every run that ended, well or not."""

    id: str
    thread_id: str
    status: RunStatus
    question: str
    collection: str
    created_at: datetime
    finished_at: datetime
    timings: Timings
    started_at: datetime | None = None
    assistant: AssistantRef | None = None
    files: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    model_metadata: dict[str, str] = field(default_factory=dict)  # what the service says about the model
    answer: str | None = None
    citations: tuple[Citation, ...] = ()
    charts: tuple[Chart, ...] = ()
    outputs: tuple[OutputFile, ...] = ()
    usage: Usage = Usage()
    cost: Cost | None = None
    notes: tuple[str, ...] = ()
    error: Failure | None = None


LATEST_MS = 0xFFFFFFFFFFF


def new_id(prefix: str, now: datetime) -> str:
    """`run_` and 24 hex digits that sort newest first, so that listing blobs by name lists the newest runs first."""
    return f"{prefix}_{LATEST_MS - int(now.timestamp() * 1000):011x}{secrets.token_hex(7)[:13]}"


def made_at(id: str) -> datetime:
    """When `new_id` made it, to the millisecond."""
    return datetime.fromtimestamp((LATEST_MS - int(id.partition("_")[2][:11], 16)) / 1000, UTC)
