"""The nouns of the app. All frozen; all written to and read from Blob Storage as JSON by `records.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

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
    functions: tuple[str, ...] = ()  # names out of shared/runs/tools.py
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
