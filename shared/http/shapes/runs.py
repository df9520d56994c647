"""Bodies, answers and notifications of runs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from shared.http.fields import (
    ASSISTANT_NAME,
    COLLECTION_MAX_CHARS,
    FILES_MAX,
    FUNCTIONS_MAX,
    METADATA_MAX,
    METADATA_VALUE_MAX_CHARS,
    OUTPUTS_MAX,
    SECONDS_MAX,
    THREAD_ID,
    FunctionName,
    schema_only,
)
from shared.http.shapes.base import Body
from shared.models.runs import (
    Activity,
    AssistantRef,
    Citation,
    Cost,
    Failure,
    OutputFile,
    RunStatus,
    RunSummary,
    Timings,
    Usage,
)

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


INERT = (
    "Written by a model from documents, so untrusted text: what it claims and asks for can be wrong. HTML outside code "
    "is escaped, links and images other than those of the answer's own files are plain text with their address, and "
    "controls of text direction are gone."
)
ADVANCED = schema_only(**{"x-ms-visibility": "advanced"})  # Power Automate shows it under advanced options


# ---- in ----------------------------------------------------------------------------------------------------------


class FunctionTool(Body, frozen=True, tag_field="type", tag="function"):
    """A function of the caller that the model can call. The run then waits for its output."""

    name: FunctionName
    description: Annotated[str, Meta(max_length=1024, description="What it does; tells the model when to call it.")] = (
        ""
    )
    parameters: Annotated[dict[str, Any], Meta(description="A JSON Schema of type object, at most 32 KiB.")] = {}


class QuestionBody(Body, frozen=True):
    """A question about the documents of a collection."""

    question: Annotated[
        str,
        Meta(
            description="The question. At most 8,000 characters, unless the app has another limit.",
            examples=["What is new?"],
        ),
        schema_only(minLength=1),
    ]
    thread_id: Annotated[
        str | None, Meta(description="The thread to continue; default: a new thread."), schema_only(pattern=THREAD_ID)
    ] = None
    collection: Annotated[
        str | None,
        Meta(description="The collection to search; default: that of the thread, of the assistant, or 'default'."),
        schema_only(minLength=1, maxLength=COLLECTION_MAX_CHARS),
    ] = None
    allow_other_collection: Annotated[
        bool | None,
        Meta(description="Continue the thread though collection is not its own; its earlier messages are sent along."),
        ADVANCED,
    ] = None
    assistant: Annotated[
        str | None,
        Meta(description="The assistant that answers; default: 'default'."),
        schema_only(pattern=ASSISTANT_NAME, **{"x-ms-visibility": "advanced"}),
    ] = None
    files: Annotated[
        list[str] | None,
        Meta(description="Documents for code interpreter, as collection/path; default: the matching data files."),
        schema_only(maxItems=FILES_MAX, **{"x-ms-visibility": "advanced"}),
    ] = None
    tools: Annotated[
        list[FunctionTool],
        Meta(description="Functions of the caller that the model can call."),
        schema_only(maxItems=FUNCTIONS_MAX, **{"x-ms-visibility": "advanced"}),
    ] = []
    metadata: Annotated[
        dict[str, Annotated[str, schema_only(maxLength=METADATA_VALUE_MAX_CHARS)]],
        Meta(description="Any key-value pairs; the answer repeats them."),
        schema_only(maxProperties=METADATA_MAX, **{"x-ms-visibility": "advanced"}),
    ] = {}
    max_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=SECONDS_MAX)] | None,
        Meta(description="The run's time limit; then it ends as 'expired'. The app's own limit can be lower."),
        ADVANCED,
    ] = None
    callback_url: Annotated[
        str | None,
        Meta(description="The URL that gets a signed POST when the run has ended. The app must allow its host."),
        ADVANCED,
    ] = None


class ToolOutput(Body, frozen=True):
    call_id: Annotated[str, Meta(description="The call's id, as in the run's `calls`.")]
    output: Annotated[str, Meta(description="The function's result: text, or JSON as text.")]


class ToolOutputsBody(Body, frozen=True):
    """Outputs of functions that a run waits for: some or all of them."""

    tool_outputs: Annotated[
        list[ToolOutput], Meta(min_length=1, max_length=OUTPUTS_MAX, description="One output for each call.")
    ]


# ---- out ---------------------------------------------------------------------------------------------------------


class PendingCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a function of the caller; the run waits for its output. `arguments` is JSON as text."""

    call_id: str
    name: str
    arguments: str


class Follow(msgspec.Struct, frozen=True, kw_only=True):
    """URLs to follow and control a run. The camel-case fields are those of Durable Functions.

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
    """A run that has not ended."""

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
    """An image made by code interpreter. `url` returns it; `path` is its blob in the container `answers`."""

    n: int
    path: str
    filename: str
    media_type: str
    size_bytes: int
    url: str


class RunEnded(Follow, frozen=True, kw_only=True):
    """A run that has ended, with or without success: `answer.json`, the Markdown, and the charts' URLs."""

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
    answer: Annotated[str | None, Meta(description=f"The answer as Markdown. {INERT}")]
    output: Annotated[str | None, Meta(description="The same as `answer`, under Durable Functions' name.")]
    markdown: Annotated[str, Meta(description=f"The content of answer.md: question, answer, sources, notes. {INERT}")]
    citations: Annotated[
        tuple[Citation, ...],
        Meta(
            description="Where the answer comes from. `quote` and `section` are the document's own words, neither "
            "Markdown nor HTML, and not escaped: escape them for where they are shown."
        ),
    ]
    charts: tuple[ChartView, ...]
    outputs: tuple[OutputFile, ...]
    steps: tuple[Activity, ...]
    usage: Usage
    cost: Cost | None
    notes: tuple[str, ...]
    error: Failure | None


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    runs: list[RunSummary]
    cursor: str | None


class RunNotice(msgspec.Struct, frozen=True, kw_only=True):
    """The run that has ended, and its status."""

    id: str
    thread_id: str
    status: RunStatus
    metadata: dict[str, str]


class RunFinished(msgspec.Struct, frozen=True, kw_only=True):
    """The notification that a run has ended; GET /api/runs/{id} returns its answer."""

    type: Literal["run.finished"]
    timestamp: datetime
    data: RunNotice
