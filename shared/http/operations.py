"""Every route of the app, once: openapi.py makes both documents of it, tests hold it against function_app.py.

What comes in is checked by the very types that stand here, so that the description cannot promise something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.answers import PICTURES
from shared.holdings import Holding
from shared.http import shapes
from shared.http.fields import (
    AssistantName,
    BigLimit,
    ChartNumber,
    CollectionName,
    Cursor,
    DocumentPath,
    DocumentState,
    Flag,
    HookId,
    IdempotencyKey,
    Limit,
    Prefix,
    ReportId,
    RunId,
    Status,
    ThreadId,
)
from shared.models import Assistant, Report

Visibility = Literal["none", "important", "advanced", "internal"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter and the type that its text must fit."""

    name: str
    type: Any
    where: Literal["path", "query", "header"] = "path"
    required: bool = True
    visibility: Visibility = "none"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer that is no problem: `type` in JSON, bytes of one of `media`, or nothing."""

    status: int
    description: str
    type: Any = None
    media: tuple[str, ...] = ("application/json",)
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One route.

    Attributes:
        path: Below the route prefix `api`.
        handler: The function of `api.py`, and of `function_app.py`, that answers it.
        body: What comes in, as JSON; `bytes` as they are; None: no body.
        problems: status -> the codes of those that are the caller's. All others come from `openapi.py`.
        links: operation -> its parameter that is the `id` of this one's answer.
    """

    id: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    summary: str
    handler: str
    replies: tuple[Reply, ...]
    description: str = ""
    visibility: Visibility = "none"
    parameters: tuple[Parameter, ...] = ()
    body: Any = None
    body_required: bool = True
    example: Any = None
    problems: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    auth: Literal["function", "anonymous"] = "function"


RUN = Parameter(name="id", type=RunId)
THREAD = Parameter(name="id", type=ThreadId)
ASSISTANT = Parameter(name="name", type=AssistantName)
DOCUMENT = Parameter(name="path", type=DocumentPath)
COLLECTION = Parameter(name="name", type=CollectionName)
COMPARING = Reply(
    status=202,
    type=Report,
    description="The comparison goes on. Look again at Location, after Retry-After seconds.",
    headers=("Location", "Retry-After"),
)
NO_DOCUMENT = {400: ("invalid_collection", "invalid_path"), 404: ("document_not_found",)}
NO_COLLECTION = {400: ("invalid_collection",), 404: ("collection_not_found",)}
GONE = Reply(status=204, description="It is gone.")
GOES_ON = Reply(
    status=202,
    type=shapes.RunAccepted,
    description="The run goes on. Look again at Location, after Retry-After seconds.",
    headers=("Location", "Retry-After"),
)
ENDED = Reply(status=200, type=shapes.RunEnded, description="The run has ended, well or not: see status and error.")
NO_RUN = {404: ("run_not_found",)}
NO_THREAD = {404: ("thread_not_found",)}
BAD_CALLBACK = ("callback_not_allowed", "invalid_callback_url")


def query(name: str, type: Any, *, visibility: Visibility = "none") -> Parameter:
    return Parameter(name=name, type=type, where="query", required=False, visibility=visibility)


RUNS = (
    Operation(
        id="StartRun",
        method="POST",
        path="/runs",
        handler="start_run",
        summary="Ask a question",
        description="Starts a run and answers at once. Follow Location until it answers 200, or name a callback_url.",
        visibility="important",
        parameters=(
            Parameter(
                name="Idempotency-Key", type=IdempotencyKey, where="header", required=False, visibility="advanced"
            ),
        ),
        body=shapes.QuestionBody,
        example={"question": "What are the recommended alert thresholds for HTTP monitoring?"},
        replies=(GOES_ON,),
        problems={
            400: (
                "empty_question",
                "question_too_long",
                "invalid_assistant_name",
                "invalid_collection",
                "invalid_file",
                "too_many_files",
                "file_in_parts",
                "invalid_tools",
                "invalid_metadata",
                "invalid_idempotency_key",
                *BAD_CALLBACK,
            ),
            404: ("thread_not_found", "collection_not_found", "assistant_not_found", "file_not_found", "run_not_found"),
            409: ("thread_busy", "thread_of_other_engine", "file_not_ready", "idempotency_key_reused"),
        },
        links=("GetRun", "CancelRun", "SubmitToolOutputs", "DeleteRun"),
    ),
    Operation(
        id="GetRun",
        method="GET",
        path="/runs/{id}",
        handler="get_run",
        summary="Get a run",
        description="202 while it goes on, 200 with the answer, its citations, charts and cost once it has ended.",
        visibility="important",
        parameters=(RUN,),
        replies=(ENDED, GOES_ON),
        problems=NO_RUN,
    ),
    Operation(
        id="ListRuns",
        method="GET",
        path="/runs",
        handler="list_runs",
        summary="List runs",
        description="Newest first. There is more as long as a cursor comes along, even after an empty page.",
        parameters=(
            query("status", Status),
            query("thread_id", ThreadId),
            query("limit", Limit),
            query("cursor", Cursor, visibility="advanced"),
        ),
        replies=(Reply(status=200, type=shapes.RunPage, description="A page of runs."),),
        problems={400: ("invalid_status", "invalid_limit", "invalid_cursor"), **NO_THREAD},
    ),
    Operation(
        id="CancelRun",
        method="POST",
        path="/runs/{id}/cancel",
        handler="cancel_run",
        summary="Cancel a run",
        description="Also one that waits for outputs of tools. A run that has ended stays as it is.",
        parameters=(RUN,),
        replies=(ENDED, GOES_ON),
        problems={**NO_RUN, 409: ("run_busy",)},
    ),
    Operation(
        id="SubmitToolOutputs",
        method="POST",
        path="/runs/{id}/tool_outputs",
        handler="hand_in_outputs",
        summary="Hand in outputs of tools",
        description="Some or all of those that the run's calls ask for; it goes on when none is missing.",
        visibility="advanced",
        parameters=(RUN,),
        body=shapes.ToolOutputsBody,
        example={"tool_outputs": [{"call_id": "call_1", "output": '{"degrees": 21}'}]},
        replies=(ENDED, GOES_ON),
        problems={
            400: ("duplicate_output", "unknown_call_id"),
            **NO_RUN,
            409: ("output_already_given", "run_ended", "run_busy"),
            413: ("output_too_large",),
        },
    ),
    Operation(
        id="DeleteRun",
        method="DELETE",
        path="/runs/{id}",
        handler="delete_run",
        summary="Delete a run",
        description="With its answer, its charts, and what the model service has stored of it.",
        parameters=(RUN,),
        replies=(GONE,),
        problems={**NO_RUN, 502: ("service_error",)},
    ),
    Operation(
        id="GetChart",
        method="GET",
        path="/runs/{id}/charts/{n}",
        handler="get_chart",
        summary="Get a chart",
        description="The picture itself, as it was drawn.",
        parameters=(RUN, Parameter(name="n", type=ChartNumber)),
        replies=(Reply(status=200, type=bytes, media=tuple(sorted({*PICTURES.values()})), description="The picture."),),
        problems={404: ("run_not_found", "chart_not_found")},
    ),
)

THREADS = (
    Operation(
        id="CreateThread",
        method="POST",
        path="/threads",
        handler="create_thread",
        summary="Create a thread",
        description="Questions of one thread build on each other. StartRun makes one too when it is given none.",
        body=shapes.ThreadBody,
        body_required=False,
        example={},
        replies=(Reply(status=201, type=shapes.ThreadView, description="The new thread."),),
        problems={400: ("invalid_collection",)},
        links=("GetThread", "ListMessages", "DeleteThread"),
    ),
    Operation(
        id="GetThread",
        method="GET",
        path="/threads/{id}",
        handler="get_thread",
        summary="Get a thread",
        description="Its collection, and the run that it is answering.",
        parameters=(THREAD,),
        replies=(Reply(status=200, type=shapes.ThreadView, description="The thread."),),
        problems=NO_THREAD,
    ),
    Operation(
        id="ListMessages",
        method="GET",
        path="/threads/{id}/messages",
        handler="list_messages",
        summary="List the messages of a thread",
        description="What was asked and answered, oldest first.",
        parameters=(THREAD,),
        replies=(Reply(status=200, type=shapes.MessagePage, description="The messages."),),
        problems=NO_THREAD,
    ),
    Operation(
        id="DeleteThread",
        method="DELETE",
        path="/threads/{id}",
        handler="delete_thread",
        summary="Delete a thread",
        description="With all its runs and their answers.",
        parameters=(THREAD,),
        replies=(GONE,),
        problems={404: ("thread_not_found", "run_not_found"), 502: ("service_error",)},
    ),
)

ASSISTANTS = (
    Operation(
        id="ListAssistants",
        method="GET",
        path="/assistants",
        handler="list_assistants",
        summary="List assistants",
        description="The current version of each.",
        visibility="advanced",
        replies=(Reply(status=200, type=shapes.AssistantPage, description="The assistants."),),
    ),
    Operation(
        id="GetAssistant",
        method="GET",
        path="/assistants/{name}",
        handler="get_assistant",
        summary="Get an assistant",
        description="Its current version.",
        visibility="advanced",
        parameters=(ASSISTANT,),
        replies=(Reply(status=200, type=Assistant, description="The assistant."),),
        problems={400: ("invalid_assistant_name",), 404: ("assistant_not_found",)},
    ),
    Operation(
        id="PutAssistant",
        method="PUT",
        path="/assistants/{name}",
        handler="put_assistant",
        summary="Make or change an assistant",
        description="Makes its next version; runs that go on keep theirs.",
        visibility="advanced",
        parameters=(ASSISTANT,),
        body=shapes.AssistantBody,
        example={"instructions": "Answer in one sentence.", "code_interpreter": False},
        replies=(Reply(status=200, type=Assistant, description="The new version."),),
        problems={
            400: ("invalid_assistant_name", "unknown_function", "invalid_collection"),
            409: ("assistant_busy",),
        },
    ),
    Operation(
        id="DeleteAssistant",
        method="DELETE",
        path="/assistants/{name}",
        handler="delete_assistant",
        summary="Delete an assistant",
        description="Runs that go on keep it; new ones cannot be started with it.",
        visibility="advanced",
        parameters=(ASSISTANT,),
        replies=(GONE,),
        problems={400: ("invalid_assistant_name",), 404: ("assistant_not_found",), 409: ("assistant_busy",)},
    ),
)

DOCUMENTS = (
    Operation(
        id="ListDocuments",
        method="GET",
        path="/documents",
        handler="list_documents",
        summary="List documents",
        description="Documents with their index status, by path within each collection; pending ones come last.",
        parameters=(
            query("collection", CollectionName),
            query("status", DocumentState),
            query("limit", BigLimit, visibility="advanced"),
            query("cursor", Cursor, visibility="advanced"),
        ),
        replies=(Reply(status=200, type=shapes.DocumentPage, description="A page of documents."),),
        problems={400: ("invalid_collection", "invalid_status", "invalid_limit", "invalid_cursor")},
    ),
    Operation(
        id="GetDocument",
        method="GET",
        path="/documents/{path}",
        handler="read_document",
        summary="Look at a document",
        description="Its status and why, and what came of each attempt to index it.",
        parameters=(DOCUMENT,),
        replies=(Reply(status=200, type=shapes.DocumentView, description="The document."),),
        problems=NO_DOCUMENT,
    ),
    Operation(
        id="PutDocument",
        method="PUT",
        path="/documents/{path}",
        handler="put_document",
        summary="Upload a document",
        description="Stores it; indexing begins by itself. Headers x-ms-meta-* become metadata to filter by. Large "
        "documents go straight into the container 'documents'.",
        parameters=(DOCUMENT,),
        body=bytes,
        replies=(Reply(status=201, type=shapes.Uploaded, description="It is stored."),),
        problems={
            400: ("invalid_collection", "invalid_path", "invalid_metadata"),
            413: ("document_too_large",),
        },
    ),
    Operation(
        id="RetryDocument",
        method="POST",
        path="/documents/{path}",
        handler="retry_document",
        summary="Index a document anew",
        description="Also one that has failed so often that the app has stopped trying.",
        visibility="advanced",
        parameters=(DOCUMENT,),
        replies=(Reply(status=202, type=shapes.DocumentView, description="It is being indexed."),),
        problems={**NO_DOCUMENT, 409: ("document_busy",)},
    ),
    Operation(
        id="DeleteDocument",
        method="DELETE",
        path="/documents/{path}",
        handler="delete_document",
        summary="Delete a document",
        description="The blob, and all that was made of it. A receipt says what is gone.",
        parameters=(DOCUMENT,),
        replies=(Reply(status=202, type=shapes.Deleting, description="The blob is gone; the rest follows."),),
        problems=NO_DOCUMENT,
    ),
    Operation(
        id="DeleteFolder",
        method="DELETE",
        path="/documents",
        handler="delete_below",
        summary="Delete a folder",
        description="All documents whose paths begin so.",
        visibility="advanced",
        parameters=(Parameter(name="prefix", type=Prefix, where="query"),),
        replies=(Reply(status=202, type=shapes.Deleting, description="Its documents are being deleted."),),
        problems={400: ("invalid_prefix",)},
    ),
    Operation(
        id="ListReceipts",
        method="GET",
        path="/receipts",
        handler="list_receipts",
        summary="List deletion receipts",
        description="What was removed with a document, each thing looked for again afterwards.",
        visibility="advanced",
        parameters=(
            query("collection", CollectionName),
            query("path", DocumentPath),
            query("limit", BigLimit, visibility="advanced"),
            query("cursor", Cursor, visibility="advanced"),
        ),
        replies=(Reply(status=200, type=shapes.ReceiptPage, description="A page of receipts."),),
        problems={400: ("invalid_collection", "invalid_path", "invalid_limit", "invalid_cursor")},
    ),
    Operation(
        id="Reconcile",
        method="POST",
        path="/documents/reconcile",
        handler="reconcile",
        summary="Compare documents, records and index",
        description="Finds what is missing, stale, orphaned or stuck, and mends it; a dry run only reports it.",
        visibility="advanced",
        parameters=(query("dry_run", Flag), query("collection", CollectionName)),
        replies=(COMPARING,),
        problems={400: ("invalid_collection", "invalid_flag")},
        links=("GetReport",),
    ),
    Operation(
        id="GetReport",
        method="GET",
        path="/reports/{id}",
        handler="get_report",
        summary="Look at a comparison",
        description="Where container, records, files and vector stores disagreed, and what was done about it.",
        visibility="advanced",
        parameters=(Parameter(name="id", type=ReportId),),
        replies=(
            Reply(status=200, type=Report, description="The comparison has ended."),
            COMPARING,
        ),
        problems={404: ("report_not_found",)},
    ),
)

SEARCH = (
    Operation(
        id="Search",
        method="POST",
        path="/search",
        handler="search",
        summary="Search documents",
        description="The passages that fit a query best, with document, page and score; no model answers.",
        visibility="important",
        body=shapes.SearchBody,
        example={"query": "alert thresholds"},
        replies=(Reply(status=200, type=shapes.SearchResults, description="The passages."),),
        problems={
            400: ("empty_query", "query_too_long", "invalid_collection", "invalid_filters"),
            404: ("collection_not_found",),
            409: ("collection_rebuilding",),
        },
    ),
)

COLLECTIONS = (
    Operation(
        id="ListCollections",
        method="GET",
        path="/collections",
        handler="list_collections",
        summary="List collections",
        description="What each holds, and what its vector stores cost a day.",
        replies=(Reply(status=200, type=shapes.CollectionPage, description="The collections."),),
    ),
    Operation(
        id="GetCollection",
        method="GET",
        path="/collections/{name}",
        handler="get_collection",
        summary="Look at a collection",
        description="What it holds, and what its vector stores cost a day.",
        parameters=(COLLECTION,),
        replies=(Reply(status=200, type=Holding, description="The collection."),),
        problems=NO_COLLECTION,
    ),
    Operation(
        id="PutCollection",
        method="PUT",
        path="/collections/{name}",
        handler="put_collection",
        summary="Set when a collection expires",
        description="Its vector stores go after so many idle days, and are built anew from the documents when needed.",
        visibility="advanced",
        parameters=(COLLECTION,),
        body=shapes.CollectionBody,
        example={"expires_days": 30},
        replies=(Reply(status=200, type=Holding, description="The collection."),),
        problems=NO_COLLECTION,
    ),
    Operation(
        id="DeleteCollection",
        method="DELETE",
        path="/collections/{name}",
        handler="delete_collection",
        summary="Delete a collection",
        description="All its documents, and then its vector stores.",
        visibility="advanced",
        parameters=(COLLECTION,),
        replies=(Reply(status=202, type=shapes.Deleting, description="It is being deleted."),),
        problems=NO_COLLECTION,
    ),
)

HOOKS = (
    Operation(
        id="RunFinished",
        method="POST",
        path="/hooks",
        handler="subscribe",
        summary="When a run has ended",
        description="Tells the callback_url of every run that ends, until Location is deleted.",
        visibility="important",
        body=shapes.HookBody,
        example={"callback_url": "https://example.com/hook"},
        replies=(Reply(status=201, type=shapes.HookView, description="Subscribed.", headers=("Location",)),),
        problems={400: (*BAD_CALLBACK, "unknown_event")},
        links=("DeleteHook",),
    ),
    Operation(
        id="DeleteHook",
        method="DELETE",
        path="/hooks/{id}",
        handler="unsubscribe",
        summary="End a subscription",
        description="Afterwards there is none, whether or not there was one.",
        visibility="internal",
        parameters=(Parameter(name="id", type=HookId),),
        replies=(GONE,),
        problems={404: ("hook_not_found",)},
    ),
)

OPEN = (
    Operation(
        id="ReceiveServiceEvent",
        method="POST",
        path="/webhooks/openai",
        handler="service_event",
        summary="Webhook of the model service",
        description="For the service's own response.* events, signed with OPENAI_WEBHOOK_SECRET.",
        visibility="internal",
        parameters=tuple(
            Parameter(name=name, type=str, where="header", required=False)
            for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        ),
        body=dict[str, Any],
        replies=(Reply(status=204, description="Taken."),),
        problems={400: ("webhooks_off", "invalid_signature")},
        auth="anonymous",
    ),
    Operation(
        id="GetHealth",
        method="GET",
        path="/health",
        handler="health",
        summary="Whether the app is loaded",
        replies=(Reply(status=200, type=shapes.Health, description="It is."),),
        auth="anonymous",
    ),
    Operation(
        id="GetOpenapi",
        method="GET",
        path="/openapi.json",
        handler="get_openapi",
        summary="This description, as OpenAPI 3.1",
        replies=(Reply(status=200, type=dict[str, Any], description="OpenAPI 3.1."),),
        auth="anonymous",
    ),
    Operation(
        id="GetSwagger",
        method="GET",
        path="/swagger.json",
        handler="get_swagger",
        summary="The definition of a custom connector, as OpenAPI 2.0",
        replies=(Reply(status=200, type=dict[str, Any], description="OpenAPI 2.0."),),
        auth="anonymous",
    ),
)

OPERATING = (
    Operation(
        id="GetDeepHealth",
        method="GET",
        path="/health/deep",
        handler="deep_health",
        summary="What works and what does not",
        description="Looks at storage, queues and the model service with the app's own identity.",
        visibility="advanced",
        replies=(
            Reply(status=200, type=shapes.DeepHealth, description="Everything works."),
            Reply(status=503, type=shapes.DeepHealth, description="Something does not; its check says what."),
        ),
    ),
)

OPERATIONS: tuple[Operation, ...] = (
    *RUNS,
    *THREADS,
    *ASSISTANTS,
    *DOCUMENTS,
    *SEARCH,
    *COLLECTIONS,
    *HOOKS,
    *OPERATING,
    *OPEN,
)
