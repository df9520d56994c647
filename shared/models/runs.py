"""Runs, threads, assistants and answers: frozen data, stored in Blob Storage as JSON by `storage/records.py`."""

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
    """Why a run failed. `retryable`: the same question can succeed later."""

    code: str
    message: str
    retryable: bool = False


@dataclass(frozen=True, kw_only=True)
class Activity:
    """A step of the engine in a run, such as `file_search` or `code_interpreter`; see `bounded` in engines/base.py."""

    type: str
    status: str
    queries: tuple[str, ...] = ()  # what file search looked for
    name: str | None = None  # of the function that is called
    code: str | None = None  # what code interpreter runs
    output: str | None = None  # what that code printed


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function that the model can call. `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A function call requested by the model. The app (`server`) or the caller of the API (`client`) executes it."""

    call_id: str
    name: str
    arguments: str  # JSON, written by the model
    by: Literal["server", "client"]
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class AssistantRef:
    """The assistant that answers, and its version."""

    name: str
    version: int


@dataclass(frozen=True, kw_only=True)
class Assistant:
    """A named set of options for answering questions, kept in versions. None: the app chooses."""

    name: str
    version: int
    updated_at: datetime
    model: str | None = None
    instructions: str | None = None
    temperature: float | None = None  # reasoning models take none
    reasoning: str | None = None  # the effort of a reasoning model
    verbosity: str | None = None
    max_output_tokens: int | None = None
    collection: str | None = None
    file_search: bool = True
    code_interpreter: bool = True
    functions: tuple[str, ...] = ()  # names of functions in shared/runs/tools.py
    max_seconds: int | None = None
    deleted: bool = False  # kept: an assistant created later under this name continues the version numbers

    @property
    def ref(self) -> AssistantRef:
        return AssistantRef(name=self.name, version=self.version)


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A document that code interpreter gets as a file."""

    path: str
    file_id: str


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """What happened to a document since an answer that rests on it."""

    path: str
    what: Literal["replaced", "deleted"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One question and the work to answer it.

    `generation` counts the writes of this record. A queue message with an older generation is stale and is dropped.
    """

    id: str
    thread_id: str
    status: RunStatus
    question: str
    collection: str
    stores: tuple[str, ...]  # vector stores to search
    files: tuple[DataFile, ...]  # for code interpreter; chosen anew each time the run is started at the service
    metadata: dict[str, str]
    created_at: datetime
    deadline_at: datetime
    next_look_at: datetime
    assistant: AssistantRef
    named: tuple[str, ...] | None = None  # the documents that the caller asked for; None: the app chooses
    sent: tuple[DataFile, ...] = ()  # every file that a start of this run gave to the service
    gone: tuple[str, ...] = ()  # ids of files that the service did not have when the run was started
    changes: tuple[FileChange, ...] = ()  # of documents that the earlier answers of the thread rest on
    functions: tuple[Function, ...] = ()  # of the caller
    callback_url: str | None = None
    as_of: datetime | None = None  # it searches the versions that the collection had at this time
    excluded: tuple[str, ...] = ()  # document versions that the search must not find
    engine: str = "responses"
    generation: int = 0
    looks: int = 0
    faults: int = 0  # looks in a row at which the service was busy or unreachable
    blocked: Failure | None = None  # the last fault, if somebody may have to change the set-up
    fetch_tries: int = 0  # looks at which a file of code interpreter could not be downloaded
    starting_at: datetime | None = None  # set while a process starts the run at the engine
    engine_runs: tuple[str, ...] = ()  # ids at the service, newest last: one more after each round of function calls
    strays: tuple[str, ...] = ()  # at the service, started by requests whose answer was lost
    place: str | None = None  # made at the service for this run before it was started there
    previous: str | None = None  # the engine's run that this run continues; else see `runs/threads.py`
    missed: int = 0  # requests in a row for which the service said that the run's objects do not exist
    rounds: int = 0  # times that the model called functions of the app
    started_at: datetime | None = None
    waiting_at: datetime | None = None  # since then it waits for the outputs of the caller's functions
    cancelled_at: datetime | None = None  # time of the caller's request
    finished_at: datetime | None = None
    activity: tuple[Activity, ...] = ()
    calls: tuple[ToolCall, ...] = ()  # the run continues when all have an output
    answered: dict[str, str] = field(default_factory=dict)  # call id -> digest of the output that the engine got
    containers: tuple[str, ...] = ()  # code interpreter containers that the run used
    notes: tuple[str, ...] = ()
    error: Failure | None = None
    trace: str | None = None  # `traceparent` of the request that asked

    @property
    def engine_run(self) -> str | None:
        return self.engine_runs[-1] if self.engine_runs else None

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A run in listings."""

    id: str
    thread_id: str
    status: RunStatus
    question: str  # its first 200 characters
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
    """A conversation: its messages, its last run at the engine, and its files."""

    id: str
    created_at: datetime
    collection: str
    engine: str = "responses"
    tail: str | None = None  # the engine's run that the next question continues
    tail_run_id: str | None = None  # the app's run that `tail` belongs to
    active_run_id: str | None = None
    files: tuple[str, ...] = ()  # documents that code interpreter got
    held: tuple[DataFile, ...] = ()  # files that the conversation at the service holds: in its container, or as quotes
    messages: tuple[Message, ...] = ()

    @property
    def has_begun(self) -> bool:
        """Whether it has a message, or a run at the engine that has some."""
        return bool(self.messages) or self.tail is not None


# ---- answers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Citation:
    """A place in the answer and the document that supports it.

    `verified`: whether the app has found the quote in its own text of the cited version; then `quote` has the words
    that stand there. None: the app has no text of this version, or not all of it. Only a verified quote has a place:
    a page, a slide, or a section by its heading.
    """

    n: int
    document: str
    file_id: str
    filename: str
    quote: str
    position: int  # offset in `Answer.answer` at which the marker [n] is inserted
    page: int | None = None
    slide: int | None = None
    section: str | None = None
    verified: bool | None = None
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
    """A file that code interpreter made, other than an image."""

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
    """The cost in US dollars; `prices` names the price list."""

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
    """The content of `<run_id>/answer.json` in the container `answers`, for every run that ended."""

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
    model_metadata: dict[str, str] = field(default_factory=dict)  # the service's metadata of the model
    answer: str | None = None
    citations: tuple[Citation, ...] = ()
    charts: tuple[Chart, ...] = ()
    outputs: tuple[OutputFile, ...] = ()
    steps: tuple[Activity, ...] = ()
    usage: Usage = Usage()
    cost: Cost | None = None
    notes: tuple[str, ...] = ()
    error: Failure | None = None
