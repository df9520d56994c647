"""The bodies of the HTTP API: what comes in, checked by `requests.py`, and what goes out. openapi.py describes them."""

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
    shown,
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


ADVANCED = shown(**{"x-ms-visibility": "advanced"})  # Power Automate shows it on demand


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


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    runs: list[RunSummary]
    cursor: str | None


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
