"""The bodies of the HTTP API: what comes in, checked by `requests.py`, and what goes out. openapi.py describes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from shared.health import Check
from shared.holdings import Holding
from shared.http.fields import (
    ASSISTANT_NAME,
    COLLECTION_MAX_CHARS,
    EXPIRY_MAX_DAYS,
    FILES_MAX,
    FUNCTIONS_MAX,
    METADATA_MAX,
    METADATA_VALUE_MAX_CHARS,
    OUTPUTS_MAX,
    RESULTS_DEFAULT,
    RESULTS_MAX,
    SECONDS_MAX,
    THREAD_ID,
    FunctionName,
    shown,
)
from shared.models import (
    DEFAULT_COLLECTION,
    Activity,
    Assistant,
    AssistantRef,
    Attempt,
    Citation,
    Cost,
    DocumentStatus,
    DocumentSummary,
    Failure,
    Kind,
    Message,
    OutputFile,
    Reason,
    Receipt,
    RunStatus,
    RunSummary,
    Timings,
    Usage,
)
from shared.search import Hit

RuntimeStatus = Literal["Pending", "Running", "Completed", "Failed", "Canceled", "Terminated"]

RUNTIME_STATUS: dict[RunStatus, RuntimeStatus] = {
    "queued": "Pending",
    "in_progress": "Running",
    "requires_action": "Running",
    "cancelling": "Running",
    "completed": "Completed",
    "incomplete": "Completed",
    "failed": "Failed",
    "expired": "Failed",
    "cancelled": "Terminated",
}


ADVANCED = shown(**{"x-ms-visibility": "advanced"})  # Power Automate shows it on demand


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body that comes in: a field nobody knows is a mistake that should be told, not passed over."""


# ---- in ----------------------------------------------------------------------------------------------------------


class FunctionTool(Body, frozen=True, tag_field="type", tag="function"):
    """A function of the caller's that the model may call; the run then waits for its output."""

    name: FunctionName
    description: Annotated[str, Meta(max_length=1024, description="What it does, for the model to know when.")] = ""
    parameters: Annotated[dict[str, Any], Meta(description="A JSON Schema of type object.")] = {}


class QuestionBody(Body, frozen=True):
    """A question about the documents of a collection."""

    question: Annotated[
        str,
        Meta(description="At most 8,000 characters, unless the app is set up otherwise.", examples=["What is new?"]),
        shown(minLength=1),
    ]
    thread_id: Annotated[
        str | None, Meta(description="The thread to go on with; none: a new one."), shown(pattern=THREAD_ID)
    ] = None
    collection: Annotated[
        str | None,
        Meta(description="The collection to search; none: the thread's, the assistant's, or 'default'."),
        shown(minLength=1, maxLength=COLLECTION_MAX_CHARS),
    ] = None
    assistant: Annotated[
        str | None,
        Meta(description="Who answers; none: 'default'."),
        shown(pattern=ASSISTANT_NAME, **{"x-ms-visibility": "advanced"}),
    ] = None
    files: Annotated[
        list[str] | None,
        Meta(description="Documents for code interpreter, as collection/path; none: those that fit the question."),
        shown(maxItems=FILES_MAX, **{"x-ms-visibility": "advanced"}),
    ] = None
    tools: Annotated[
        list[FunctionTool],
        Meta(description="Functions of yours that the model may call."),
        shown(maxItems=FUNCTIONS_MAX, **{"x-ms-visibility": "advanced"}),
    ] = []
    metadata: Annotated[
        dict[str, Annotated[str, shown(maxLength=METADATA_VALUE_MAX_CHARS)]],
        Meta(description="Anything to find again in the answer."),
        shown(maxProperties=METADATA_MAX, **{"x-ms-visibility": "advanced"}),
    ] = {}
    max_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=SECONDS_MAX)] | None,
        Meta(description="The run ends as 'expired' after so long; the app sets a ceiling of its own."),
        ADVANCED,
    ] = None
    callback_url: Annotated[
        str | None,
        Meta(description="Gets a signed POST when the run has ended. Its host must be one that the app allows."),
        ADVANCED,
    ] = None


class ToolOutput(Body, frozen=True):
    call_id: Annotated[str, Meta(description="As in the run's calls.")]
    output: Annotated[str, Meta(description="What the function returned: text, or JSON as text.")]


class ToolOutputsBody(Body, frozen=True):
    """Outputs of functions that a run waits for, some or all."""

    tool_outputs: Annotated[list[ToolOutput], Meta(min_length=1, max_length=OUTPUTS_MAX, description="One per call.")]


class ThreadBody(Body, frozen=True):
    """A thread for later questions."""

    collection: Annotated[
        str | None,
        Meta(description="What its questions are about; none: 'default'."),
        shown(minLength=1, maxLength=COLLECTION_MAX_CHARS),
    ] = None


class AssistantBody(Body, frozen=True):
    """How questions are to be answered. What is left out is the app's choice."""

    model: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | None, Meta(description="A model deployment's name.")
    ] = None
    instructions: Annotated[
        Annotated[str, Meta(max_length=32_000)] | None, Meta(description="What the model is told before the question.")
    ] = None
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None, Meta(description="How much chance there is in the answer."), ADVANCED
    ] = None
    max_output_tokens: Annotated[
        Annotated[int, Meta(ge=16, le=1_000_000)] | None, Meta(description="An answer is cut off there."), ADVANCED
    ] = None
    collection: Annotated[
        str | None,
        Meta(description="For questions that name none."),
        shown(minLength=1, maxLength=COLLECTION_MAX_CHARS),
    ] = None
    file_search: Annotated[bool, Meta(description="Whether it searches the documents.")] = True
    code_interpreter: Annotated[bool, Meta(description="Whether it computes and draws charts.")] = True
    functions: Annotated[
        list[str], Meta(max_length=FUNCTIONS_MAX, description="The app's own functions that it may call.")
    ] = []
    max_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=SECONDS_MAX)] | None, Meta(description="For runs that name none."), ADVANCED
    ] = None


class HookBody(Body, frozen=True):
    """Where to tell of every run that ends."""

    callback_url: Annotated[
        str,
        Meta(description="Gets a signed POST for every run that ends. Its host must be one that the app allows."),
        shown(**{"x-ms-notification-url": True, "x-ms-visibility": "internal"}),
    ]
    events: Annotated[
        tuple[Literal["run.finished", "document.indexed", "document.failed", "document.removed"], ...],
        Meta(description="What to tell of."),
        shown(minItems=1, **{"x-ms-visibility": "internal"}),
    ] = ("run.finished",)


class SearchBody(Body, frozen=True):
    """A query for passages, without an answer."""

    query: Annotated[str, Meta(description="What to look for.", examples=["door code"]), shown(minLength=1)]
    collection: Annotated[
        str, Meta(description="The collection to search."), shown(minLength=1, maxLength=COLLECTION_MAX_CHARS)
    ] = DEFAULT_COLLECTION
    filters: Annotated[
        dict[str, Any] | None,
        Meta(
            description="Which documents, by their blobs' metadata: {type: eq|ne|gt|gte|lt|lte|in|nin, key, value}, or "
            "{type: and|or, filters: [...]}.",
            examples=[{"type": "eq", "key": "team", "value": "hr"}],
        ),
        ADVANCED,
    ] = None
    limit: Annotated[int, Meta(ge=1, le=RESULTS_MAX, description="How many passages at most.")] = RESULTS_DEFAULT


class CollectionBody(Body, frozen=True):
    """What can be set of a collection."""

    expires_days: Annotated[
        Annotated[int, Meta(ge=1, le=EXPIRY_MAX_DAYS)] | None,
        Meta(description="Idle days after which the service drops its vector stores; null: never."),
    ]


# ---- out ---------------------------------------------------------------------------------------------------------


class PendingCall(msgspec.Struct, frozen=True, kw_only=True):
    """A function of the caller's that the run waits for. `arguments` is JSON text."""

    call_id: str
    name: str
    arguments: str


class Follow(msgspec.Struct, frozen=True, kw_only=True):
    """Where to follow and steer a run; the camel-case names are those of Durable Functions.

    Source: https://learn.microsoft.com/azure/azure-functions/durable/durable-functions-http-api
    """

    id: str
    url: str
    statusQueryGetUri: str
    terminatePostUri: str
    purgeHistoryDeleteUri: str
    sendEventPostUri: str
    instanceId: str
    runtimeStatus: RuntimeStatus
    createdTime: datetime
    lastUpdatedTime: datetime


class RunAccepted(Follow, frozen=True, kw_only=True):
    """A run that goes on."""

    thread_id: str
    status: RunStatus
    question: str
    collection: str
    assistant: AssistantRef
    created_at: datetime
    metadata: dict[str, str]
    steps: tuple[Activity, ...]
    calls: tuple[PendingCall, ...]


class ChartView(msgspec.Struct, frozen=True, kw_only=True):
    """A picture the code made; `url` answers it, `path` is where it lies in the container `answers`."""

    n: int
    path: str
    filename: str
    media_type: str
    size_bytes: int
    url: str


class RunEnded(Follow, frozen=True, kw_only=True):
    """A run that has ended, well or not: what `answer.json` holds, the Markdown, and where the charts are."""

    thread_id: str
    status: RunStatus
    question: str
    collection: str
    assistant: AssistantRef | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime
    timings: Timings
    files: tuple[str, ...]
    metadata: dict[str, str]
    model: str | None
    model_metadata: dict[str, str]
    answer: str | None
    output: str | None
    markdown: str
    citations: tuple[Citation, ...]
    charts: tuple[ChartView, ...]
    outputs: tuple[OutputFile, ...]
    usage: Usage
    cost: Cost | None
    notes: tuple[str, ...]
    error: Failure | None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, as application/problem+json. `code` is for programs and never changes; `detail` is for people.

    Source: https://www.rfc-editor.org/rfc/rfc9457
    """

    type: str
    title: str
    status: int
    code: str
    detail: str


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    runs: list[RunSummary]
    cursor: str | None


class DocumentPage(msgspec.Struct, frozen=True, kw_only=True):
    documents: list[DocumentSummary]
    cursor: str | None


class DocumentView(msgspec.Struct, frozen=True, kw_only=True):
    """A document with the history of its attempts, the newest first. `metadata` is its blob's."""

    path: str
    collection: str
    status: DocumentStatus
    size_bytes: int
    etag: str
    answers_etag: str | None
    kind: Kind | None
    parts: int
    reason: Reason | None
    notice: Reason | None
    metadata: dict[str, str]
    tries: int
    attempts: list[Attempt]
    updated_at: datetime
    indexed_at: datetime | None
    deadline_at: datetime | None


class Deleting(msgspec.Struct, frozen=True, kw_only=True):
    """What is going to be gone; GET /api/receipts proves it afterwards."""

    deleting: str


class ReceiptPage(msgspec.Struct, frozen=True, kw_only=True):
    receipts: list[Receipt]
    cursor: str | None


class SearchResults(msgspec.Struct, frozen=True, kw_only=True):
    """Passages, best first. `indexing`: documents of the collection of which a version is still to come."""

    query: str
    collection: str
    results: list[Hit]
    indexing: int


class CollectionPage(msgspec.Struct, frozen=True, kw_only=True):
    collections: list[Holding]


class DocumentNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a document. `receipt` is there when it was removed."""

    path: str
    collection: str
    etag: str
    status: DocumentStatus | None = None
    reason: Reason | None = None
    receipt: str | None = None


class DocumentChanged(msgspec.Struct, frozen=True, kw_only=True):
    """What a hook gets when a document was indexed or removed, or could not be indexed."""

    type: Literal["document.indexed", "document.failed", "document.removed"]
    timestamp: datetime
    data: DocumentNotice


class ThreadView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    created_at: datetime
    collection: str
    engine: str
    active_run_id: str | None


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    messages: tuple[Message, ...]


class AssistantPage(msgspec.Struct, frozen=True, kw_only=True):
    assistants: list[Assistant]


class HookView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    events: tuple[str, ...]
    created_at: datetime


class RunNotice(msgspec.Struct, frozen=True, kw_only=True):
    """Which run has ended, and how."""

    id: str
    thread_id: str
    status: RunStatus
    metadata: dict[str, str]


class RunFinished(msgspec.Struct, frozen=True, kw_only=True):
    """What a callback or hook gets when a run has ended; its answer is at GET /api/runs/{id}."""

    type: Literal["run.finished"]
    timestamp: datetime
    data: RunNotice


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is stored; GET /api/documents says when it is indexed."""

    path: str
    collection: str
    etag: str
    size_bytes: int


class DeepHealth(msgspec.Struct, frozen=True, kw_only=True):
    status: Literal["ok", "unhealthy"]
    version: str
    checks: list[Check]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    status: Literal["ok"]
    version: str
