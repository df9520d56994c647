"""Our words -> HTTP. The shapes of all answers, and `application/problem+json` for what went wrong (RFC 9457)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

import azure.functions as func
import msgspec

from shared.answers import markdown_of
from shared.errors import AppError, ServiceBusy, StorageError
from shared.http.shapes import RUNTIME_STATUS, ChartView, DocumentView, PendingCall, Problem, RunAccepted, RunEnded
from shared.models import Answer, Document, Report, Run, RunStatus
from shared.polling import look_delay_s

TITLES = {
    400: "The request cannot be used",
    404: "Not found",
    409: "Not now",
    413: "Too large",
    415: "Wrong media type",
    500: "The app is not set up right",
    501: "Not implemented",
    502: "The model service refused",
    503: "Try again later",
}
REPORT_LOOK_S = 2
WAITING_S = 30  # between looks at a run that waits for its caller


def json_response(status: int, body: Any, headers: dict[str, str] | None = None) -> func.HttpResponse:
    return func.HttpResponse(
        msgspec.json.encode(body), status_code=status, headers=headers, mimetype="application/json", charset="utf-8"
    )


def problem(exc: AppError) -> func.HttpResponse:
    """Source: https://www.rfc-editor.org/rfc/rfc9457"""
    body = Problem(
        type=f"urn:assistant-functions:problem:{exc.code}",
        title=TITLES.get(exc.status, "Error"),
        status=exc.status,
        code=exc.code,
        detail=exc.message,
    )
    headers = {}
    if isinstance(exc, ServiceBusy | StorageError):
        headers["Retry-After"] = str(round(getattr(exc, "retry_after_s", None) or 5))
    return func.HttpResponse(
        msgspec.json.encode(body), status_code=exc.status, headers=headers, mimetype="application/problem+json"
    )


def accepted(run: Run, url: str) -> func.HttpResponse:
    """202 with `Location` and `Retry-After`, on every look while the run goes on: Logic Apps follows both by itself.

    Source: https://learn.microsoft.com/azure/logic-apps/logic-apps-create-api-app#async-pattern
    """
    body = RunAccepted(
        **_follow(run.id, run.status, url),
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


def finished(answer: Answer, url: str) -> func.HttpResponse:
    """200 with the whole answer. `url` of each chart answers its picture."""
    where = run_url(url, answer.id, "")
    charts = tuple(
        ChartView(**msgspec.to_builtins(chart), url=_with_key(f"{where}/charts/{chart.n}", url))
        for chart in answer.charts
    )
    same = {
        f: getattr(answer, f) for f in RunEnded.__struct_fields__ if hasattr(answer, f) and f not in ("charts", "id")
    }
    body = RunEnded(
        **_follow(answer.id, answer.status, url),
        **same,
        createdTime=answer.created_at,
        lastUpdatedTime=answer.finished_at,
        charts=charts,
        output=answer.answer,
        markdown=markdown_of(answer),
    )
    return json_response(200, body)


def document_view(document: Document) -> DocumentView:
    shown = document.incoming or document.live
    return DocumentView(
        path=document.path,
        collection=document.collection,
        status=document.status,
        size_bytes=document.size_bytes,
        etag=document.etag,
        answers_etag=document.live.etag if document.live else None,
        kind=shown.kind if shown else None,
        parts=len(document.live.parts) if document.live else 0,
        reason=document.reason,
        notice=shown.notice if shown else None,
        metadata=shown.metadata if shown else {},
        tries=document.tries,
        attempts=list(reversed(document.attempts)),
        updated_at=document.updated_at,
        indexed_at=document.indexed_at,
        deadline_at=document.deadline_at if document.incoming else None,
    )


def reported(report: Report, url: str) -> func.HttpResponse:
    """202 with `Location` while a comparison goes on, 200 once it has ended."""
    if report.status in ("completed", "failed"):
        return json_response(200, report)
    prefix = url.split("?")[0].split("/documents/reconcile")[0].split("/reports/")[0]
    where = _with_key(f"{prefix}/reports/{quote(report.id)}", url)
    return json_response(202, report, {"Location": where, "Retry-After": str(REPORT_LOOK_S)})


def _follow(run_id: str, status: RunStatus, url: str) -> dict[str, Any]:
    where = _with_key(run_url(url, run_id, ""), url)
    return {
        "id": run_id,
        "url": where,
        "statusQueryGetUri": where,
        "terminatePostUri": _with_key(run_url(url, run_id, "/cancel"), url),
        "purgeHistoryDeleteUri": where,
        "sendEventPostUri": _with_key(run_url(url, run_id, "/tool_outputs"), url),
        "instanceId": run_id,
        "runtimeStatus": RUNTIME_STATUS[status],
    }


def run_url(url: str, run_id: str, rest: str) -> str:
    """The absolute URL of a run, on the host by which the caller came, whatever route of ours `url` is."""
    prefix = url.split("?")[0].rsplit("/runs", 1)[0]
    return f"{prefix}/runs/{quote(run_id)}{rest}"


def hook_url(url: str, hook_id: str) -> str:
    return _with_key(f"{url.split('?')[0].rstrip('/')}/{quote(hook_id)}", url)


def _with_key(where: str, url: str) -> str:
    """A caller that gave its function key in the URL follows `Location` with the same key, as Logic Apps needs it."""
    for pair in urlsplit(url).query.split("&"):
        name, _, value = pair.partition("=")
        if name == "code" and value:
            return f"{where}?code={value}"
    return where
