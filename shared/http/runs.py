"""The routes of runs: ask a question, follow and steer the run, and get its answer and charts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast, get_args
from urllib.parse import quote

import azure.functions as func
import msgspec

from shared.delays import look_delay_s
from shared.errors import BadRequest, BlobMissing, NotFound, NotOffered
from shared.http.fields import (
    OUTPUTS_MAX_BYTES,
    ChartNumber,
    Cursor,
    IdempotencyKey,
    Limit,
    RunId,
    Status,
    ThreadId,
    Wait,
    fits,
)
from shared.http.questions import idempotency_key_from, outputs_from, own_key, question_from
from shared.http.reading import asked, cursor_from, limit_from
from shared.http.route import (
    BAD_CALLBACK,
    DELETED,
    UNRECEIVED,
    Operation,
    Parameter,
    Reply,
    api_url,
    json_response,
    query,
    read_body,
    with_key,
)
from shared.http.shapes.runs import (
    RUNTIME_STATUS,
    ChartView,
    PendingCall,
    QuestionBody,
    RunAccepted,
    RunEnded,
    RunPage,
    ToolOutputsBody,
)
from shared.http.threads import NO_THREAD, thread_id_from
from shared.http.waiting import changed, wait_from
from shared.models.runs import Answer, Run, RunStatus
from shared.runs.answers import IMAGE_TYPES, markdown_of

if TYPE_CHECKING:
    from shared.services import Services

WAITING_S = 30  # Retry-After of a run that waits for outputs of its caller's functions


async def start_run(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    question = question_from(read_body(services, req, QuestionBody), services.settings)
    key = own_key(idempotency_key_from(req.headers), req)
    return running_response(await services.runs.start(question, idempotency_key=key), req.url)


async def get_run(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    """With `?wait=`, when the run has changed or that time is over; at once when it has ended, or waits for outputs."""
    run_id = _run_id(req)
    run = await changed(
        lambda: services.runs.find(run_id),
        shown=lambda run: (run.status, run.activity, run.calls),
        is_final=lambda run: run.is_terminal or run.status == "requires_action",
        wait_s=wait_from(asked(req, "wait"), most=services.settings.wait_max_s),
    )
    return await _run_response(services, run, req.url)


async def get_events(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    """The host passes on an answer only as a whole, so there is no stream; see docs/architecture.md."""
    raise NotOffered(
        f"This app sends no event stream. GET /api/runs/{_run_id(req)}?wait=30 is answered when the run has changed.",
        code="no_event_stream",
    )


async def list_runs(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    thread_id = asked(req, "thread_id")
    runs, cursor = await services.runs.list(
        status=status_from(asked(req, "status")),
        thread_id=thread_id_from(thread_id) if thread_id is not None else None,
        limit=limit_from(asked(req, "limit")),
        cursor=cursor_from(asked(req, "cursor")),
    )
    return json_response(200, RunPage(runs=runs, cursor=cursor))


async def cancel_run(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    return await _run_response(services, await services.runs.cancel(_run_id(req)), req.url)


async def hand_in_outputs(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    body = read_body(services, req, ToolOutputsBody, max_bytes=OUTPUTS_MAX_BYTES)
    outputs = outputs_from(body, services.settings)
    return await _run_response(services, await services.runs.submit_outputs(_run_id(req), outputs), req.url)


async def delete_run(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    await services.runs.delete(_run_id(req))
    return func.HttpResponse(status_code=204)


async def get_chart(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    run_id, n = _run_id(req), req.route_params["n"]
    try:
        charts = (await services.publisher.read(run_id)).charts
    except BlobMissing as exc:
        raise NotFound("The run does not exist or has no answer yet.", code="run_not_found") from exc
    chart = next((chart for chart in charts if str(chart.n) == n), None)
    if chart is None:
        raise NotFound(f"The run has {len(charts)} charts and none with the number {n[:20]!r}.", code="chart_not_found")
    content = await services.publisher.chart(chart)
    return func.HttpResponse(content, mimetype=chart.media_type, headers={"Cache-Control": "private, max-age=86400"})


# ---- what comes in ---------------------------------------------------------------------------------------------------


def _run_id(req: func.HttpRequest) -> str:
    return run_id_from(req.route_params["id"])


def run_id_from(text: str) -> str:
    if not fits(text, RunId):
        raise NotFound("There is no such run. A run's id is run_ and 24 hex digits.", code="run_not_found")
    return text


def status_from(text: str | None) -> RunStatus | None:
    if text is None:
        return None
    if not fits(text, Status):
        raise BadRequest(f"The status must be one of {', '.join(get_args(RunStatus))}.", code="invalid_status")
    return cast(RunStatus, text)


# ---- what goes out ---------------------------------------------------------------------------------------------------


async def _run_response(services: Services, run: Run, url: str) -> func.HttpResponse:
    """202 until the run has ended, then 200."""
    if not run.is_terminal:
        return running_response(run, url)
    try:
        return await asyncio.to_thread(ended_response, await services.publisher.read(run.id), url)
    except BlobMissing as exc:
        raise NotFound("The run's answer was deleted.", code="run_not_found") from exc


def running_response(run: Run, url: str) -> func.HttpResponse:
    """202 with `Location` and `Retry-After`. Logic Apps follows both by itself, so every 202 of a run has them.

    Source: https://learn.microsoft.com/azure/logic-apps/logic-apps-create-api-app#async-pattern
    """
    body = RunAccepted(
        **_follow_fields(run.id, run.status, url),
        createdTime=run.created_at,
        lastUpdatedTime=run.started_at or run.created_at,
        thread_id=run.thread_id,
        status=run.status,
        question=run.question,
        collection=run.collection,
        assistant=run.assistant,
        created_at=run.created_at,
        metadata=run.metadata,
        steps=run.activity,
        calls=tuple(
            PendingCall(call_id=call.call_id, name=call.name, arguments=call.arguments)
            for call in run.calls
            if call.by == "client" and call.output is None
        ),
    )
    age_s = (run.next_look_at - run.created_at).total_seconds()
    wait_s = WAITING_S if run.status == "requires_action" else look_delay_s(age_s)
    return json_response(202, body, {"Location": body.url, "Retry-After": str(wait_s)})


def ended_response(answer: Answer, url: str) -> func.HttpResponse:
    """200 with the whole answer. The `url` of a chart returns its image."""
    where = run_url(url, answer.id, "")
    charts = tuple(
        ChartView(**msgspec.to_builtins(chart), url=with_key(f"{where}/charts/{chart.n}", url))
        for chart in answer.charts
    )
    copied = {
        f: getattr(answer, f) for f in RunEnded.__struct_fields__ if hasattr(answer, f) and f not in ("charts", "id")
    }
    body = RunEnded(
        **_follow_fields(answer.id, answer.status, url),
        **copied,
        createdTime=answer.created_at,
        lastUpdatedTime=answer.finished_at,
        charts=charts,
        output=answer.answer,
        markdown=markdown_of(answer),
    )
    return json_response(200, body)


def _follow_fields(run_id: str, status: RunStatus, url: str) -> dict[str, Any]:
    where = with_key(run_url(url, run_id, ""), url)
    return {
        "id": run_id,
        "url": where,
        "statusQueryGetUri": where,
        "terminatePostUri": with_key(run_url(url, run_id, "/cancel"), url),
        "purgeHistoryDeleteUri": where,
        "sendEventPostUri": with_key(run_url(url, run_id, "/tool_outputs"), url),
        "instanceId": run_id,
        "runtimeStatus": RUNTIME_STATUS[status],
    }


def run_url(url: str, run_id: str, rest: str) -> str:
    """The absolute URL of a run, on the host of the request. `url` is that of any route of runs."""
    return api_url(url, ("runs",), f"runs/{quote(run_id)}{rest}")


# ---- the description -------------------------------------------------------------------------------------------------

ID = Parameter(name="id", type=RunId)

RUNNING = Reply(
    status=202,
    type=RunAccepted,
    description="The run has not ended. Request Location again after Retry-After seconds.",
    headers=("Location", "Retry-After"),
)

IMAGES = tuple(sorted({*IMAGE_TYPES.values()}))
ENDED = Reply(status=200, type=RunEnded, description="The run has ended; status and error tell how.")
NO_RUN = {404: ("run_not_found",)}


RUNS = (
    Operation(
        id="StartRun",
        method="POST",
        path="/runs",
        handler="start_run",
        summary="Ask a question",
        description="Starts a run and returns without waiting for the answer. Request Location until it returns 200, "
        "or give a callback_url.",
        visibility="important",
        parameters=(
            Parameter(
                name="Idempotency-Key", type=IdempotencyKey, where="header", required=False, visibility="advanced"
            ),
        ),
        body=QuestionBody,
        example={"question": "What are the recommended alert thresholds for HTTP monitoring?"},
        replies=(RUNNING,),
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
            **UNRECEIVED,
            409: (
                "thread_busy",
                "thread_of_other_engine",
                "thread_of_other_collection",
                "file_not_ready",
                "idempotency_key_reused",
            ),
        },
        links=("GetRun", "CancelRun", "SubmitToolOutputs", "DeleteRun"),
    ),
    Operation(
        id="GetRun",
        method="GET",
        path="/runs/{id}",
        handler="get_run",
        summary="Get a run",
        description="Returns 202 until the run has ended, then 200 with the answer, its citations, charts and cost. "
        "With `wait`, the answer comes when the run has changed, or after that time.",
        visibility="important",
        parameters=(ID, query("wait", Wait, visibility="advanced")),
        replies=(ENDED, RUNNING),
        problems={400: ("invalid_wait",), **NO_RUN},
    ),
    Operation(
        id="GetRunEvents",
        method="GET",
        path="/runs/{id}/events",
        handler="get_events",
        summary="Not offered: a stream of the run's events",
        description="Always answers 501: the Functions host cannot stream here. Use GetRun with `wait`.",
        visibility="internal",
        parameters=(ID,),
        replies=(),
        problems={**NO_RUN, 501: ("no_event_stream",)},
    ),
    Operation(
        id="ListRuns",
        method="GET",
        path="/runs",
        handler="list_runs",
        summary="List runs",
        description="Returns the newest runs first. A page with a cursor is not the last one, even if it is empty.",
        parameters=(
            query("status", Status),
            query("thread_id", ThreadId),
            query("limit", Limit),
            query("cursor", Cursor, visibility="advanced"),
        ),
        replies=(Reply(status=200, type=RunPage, description="A page of runs."),),
        problems={400: ("invalid_status", "invalid_limit", "invalid_cursor"), **NO_THREAD},
    ),
    Operation(
        id="CancelRun",
        method="POST",
        path="/runs/{id}/cancel",
        handler="cancel_run",
        summary="Cancel a run",
        description="Cancels a run, also while it waits for tool outputs. A run that has ended does not change.",
        parameters=(ID,),
        replies=(ENDED, RUNNING),
        problems={**NO_RUN, 409: ("run_busy",)},
    ),
    Operation(
        id="SubmitToolOutputs",
        method="POST",
        path="/runs/{id}/tool_outputs",
        handler="hand_in_outputs",
        summary="Submit tool outputs",
        description="Accepts some or all outputs of the run's calls. The run continues when it has all of them.",
        visibility="advanced",
        parameters=(ID,),
        body=ToolOutputsBody,
        example={"tool_outputs": [{"call_id": "call_1", "output": '{"degrees": 21}'}]},
        replies=(ENDED, RUNNING),
        problems={
            400: ("duplicate_output", "unknown_call_id"),
            **NO_RUN,
            409: ("output_already_given", "run_ended", "run_busy"),
            **UNRECEIVED,
            413: ("output_too_large",),
        },
    ),
    Operation(
        id="DeleteRun",
        method="DELETE",
        path="/runs/{id}",
        handler="delete_run",
        summary="Delete a run",
        description="Deletes it with its answer, its charts, and the copies at the model service.",
        parameters=(ID,),
        replies=(DELETED,),
        problems={**NO_RUN, 502: ("service_error",)},
    ),
    Operation(
        id="GetChart",
        method="GET",
        path="/runs/{id}/charts/{n}",
        handler="get_chart",
        summary="Get a chart",
        description="Returns the image file.",
        parameters=(ID, Parameter(name="n", type=ChartNumber)),
        replies=(Reply(status=200, type=bytes, media=IMAGES, description="The image."),),
        problems={404: ("run_not_found", "chart_not_found")},
    ),
)
