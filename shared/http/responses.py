"""Our words -> HTTP. The shapes of all answers, and `application/problem+json` for what went wrong (RFC 9457)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

import azure.functions as func
import msgspec

from shared.errors import AppError, ServiceBusy, StorageError
from shared.models import Answer, Run
from shared.polling import look_delay_s

TITLES = {
    400: "The request cannot be used",
    404: "Not found",
    409: "Not now",
    413: "Too large",
    415: "Wrong media type",
    500: "The app is not set up right",
    502: "The model service refused",
    503: "Try again later",
}


def json_response(status: int, body: Any, headers: dict[str, str] | None = None) -> func.HttpResponse:
    return func.HttpResponse(
        msgspec.json.encode(body), status_code=status, headers=headers, mimetype="application/json", charset="utf-8"
    )


def problem(exc: AppError) -> func.HttpResponse:
    """Source: https://www.rfc-editor.org/rfc/rfc9457"""
    body = {
        "type": f"urn:assistant-functions:problem:{exc.code}",
        "title": TITLES.get(exc.status, "Error"),
        "status": exc.status,
        "code": exc.code,
        "detail": exc.message,
    }
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
    where = run_url(url, run.id)
    wait_s = look_delay_s((run.next_look_at - run.created_at).total_seconds())
    body = {
        "id": run.id,
        "thread_id": run.thread_id,
        "status": run.status,
        "question": run.question,
        "collection": run.collection,
        "created_at": run.created_at,
        "steps": run.activity,
        "url": where,
    }
    return json_response(202, body, {"Location": where, "Retry-After": str(wait_s)})


def finished(answer: Answer, markdown: str, url: str) -> func.HttpResponse:
    """200 with the whole answer. `url` of each chart answers its PNG."""
    body = msgspec.to_builtins(answer)
    body["markdown"] = markdown
    for chart in body["charts"]:
        chart["url"] = _with_key(f"{run_url(url, answer.id, key=False)}/charts/{chart['n']}", url)
    return json_response(200, body)


def run_url(url: str, run_id: str, *, key: bool = True) -> str:
    """The absolute URL of a run, on the host by which the caller came, whatever route of ours `url` is."""
    prefix = url.split("?")[0].rsplit("/runs", 1)[0]
    where = f"{prefix}/runs/{quote(run_id)}"
    return _with_key(where, url) if key else where


def _with_key(where: str, url: str) -> str:
    """A caller that gave its function key in the URL follows `Location` with the same key, as Logic Apps needs it."""
    for pair in urlsplit(url).query.split("&"):
        name, _, value = pair.partition("=")
        if name == "code" and value:
            return f"{where}?code={value}"
    return where
