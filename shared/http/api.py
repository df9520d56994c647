"""What each HTTP route does: parse, one call, serialise."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import azure.functions as func

from shared import VERSION
from shared.errors import AppError, BlobMissing, NotFound, TooLarge
from shared.http import requests as read
from shared.http.fields import BIG_PAGE_DEFAULT, BIG_PAGE_MAX, OUTPUTS_MAX_BYTES
from shared.http.responses import accepted, document_view, finished, hook_url, json_response, problem, reported
from shared.http.shapes import (
    AssistantBody,
    AssistantPage,
    CollectionBody,
    CollectionPage,
    DeepHealth,
    Deleting,
    DocumentPage,
    Health,
    HookBody,
    HookView,
    MessagePage,
    QuestionBody,
    ReceiptPage,
    RunPage,
    SearchBody,
    SearchResults,
    ThreadBody,
    ThreadView,
    ToolOutputsBody,
    Uploaded,
)
from shared.models import DEFAULT_COLLECTION, Run, Thread, collection_of

if TYPE_CHECKING:
    from shared.services import Services

log = logging.getLogger(__name__)

T = TypeVar("T")
Route = Callable[["Services", func.HttpRequest], Awaitable[func.HttpResponse]]


async def answer(services: Callable[[], Services], req: func.HttpRequest, route: Route) -> func.HttpResponse:
    """Run one route; errors of ours become problems. Any other is a bug: the host logs it and answers 500."""
    try:
        return await route(services(), req)
    except AppError as exc:
        if exc.status >= 500:
            log.error("http.%s", exc.code, extra={"detail": exc.message}, exc_info=exc)
        return problem(exc)


def _body(services: Services, req: func.HttpRequest, type: type[T], *, max_bytes: int | None = None) -> T:
    limit = max_bytes or services.settings.body_max_bytes
    return read.body_from(req.get_body(), req.headers, type, max_bytes=limit)


def _run_id(req: func.HttpRequest) -> str:
    return read.run_id_from(req.route_params["id"])


# ---- runs --------------------------------------------------------------------------------------------------------


async def start_run(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    question = read.question_from(_body(services, req, QuestionBody), services.settings)
    key = read.idempotency_key_from(req.headers)
    return accepted(await services.runs.start(question, idempotency_key=key), req.url)


async def get_run(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    return await _seen(services, await services.runs.find(_run_id(req)), req.url)


async def list_runs(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    thread_id = req.params.get("thread_id")
    runs, cursor = await services.runs.list(
        status=read.status_from(req.params.get("status")),
        thread_id=read.thread_id_from(thread_id) if thread_id is not None else None,
        limit=read.limit_from(req.params.get("limit")),
        cursor=read.cursor_from(req.params.get("cursor")),
    )
    return json_response(200, RunPage(runs=runs, cursor=cursor))


async def cancel_run(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    return await _seen(services, await services.runs.cancel(_run_id(req)), req.url)


async def hand_in_outputs(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    body = _body(services, req, ToolOutputsBody, max_bytes=OUTPUTS_MAX_BYTES)
    outputs = read.outputs_from(body, services.settings)
    return await _seen(services, await services.runs.hand_in(_run_id(req), outputs), req.url)


async def delete_run(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    await services.runs.delete(_run_id(req))
    return func.HttpResponse(status_code=204)


async def get_chart(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    run_id, n = _run_id(req), req.route_params["n"]
    try:
        charts = (await services.publisher.read(run_id)).charts
    except BlobMissing as exc:
        raise NotFound("There is no answer of that run, or not yet.", code="run_not_found") from exc
    chart = next((chart for chart in charts if str(chart.n) == n), None)
    if chart is None:
        raise NotFound(f"The run has {len(charts)} charts, counted from 1; {n[:20]!r} is none.", code="chart_not_found")
    content = await services.publisher.chart(chart)
    return func.HttpResponse(content, mimetype=chart.media_type, headers={"Cache-Control": "private, max-age=86400"})


async def _seen(services: Services, run: Run, url: str) -> func.HttpResponse:
    """202 while a run goes on, 200 once it has ended."""
    if not run.is_terminal:
        return accepted(run, url)
    try:
        return finished(await services.publisher.read(run.id), url)
    except BlobMissing as exc:
        raise NotFound("The run's answer was deleted.", code="run_not_found") from exc


# ---- threads, assistants, hooks ----------------------------------------------------------------------------------


async def create_thread(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    body = _body(services, req, ThreadBody) if req.get_body() else ThreadBody()
    name = read.collection_from(body.collection) if body.collection is not None else DEFAULT_COLLECTION
    return json_response(201, _thread(await services.threads.create(name, engine=services.settings.engine)))


async def get_thread(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    stored = await services.threads.read(read.thread_id_from(req.route_params["id"]))
    return json_response(200, _thread(stored.value))


async def list_messages(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    stored = await services.threads.read(read.thread_id_from(req.route_params["id"]))
    return json_response(200, MessagePage(messages=stored.value.messages))


async def delete_thread(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    await services.runs.delete_thread(read.thread_id_from(req.route_params["id"]))
    return func.HttpResponse(status_code=204)


def _thread(thread: Thread) -> ThreadView:
    return ThreadView(
        id=thread.id,
        created_at=thread.created_at,
        collection=thread.collection,
        engine=thread.engine,
        active_run_id=thread.active_run_id,
    )


async def list_assistants(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    return json_response(200, AssistantPage(assistants=await services.assistants.list()))


async def get_assistant(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    name = read.assistant_name_from(req.route_params["name"])
    return json_response(200, await services.assistants.find(name))


async def put_assistant(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    wanted = read.assistant_from(req.route_params["name"], _body(services, req, AssistantBody))
    return json_response(200, await services.assistants.put(wanted))


async def delete_assistant(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    await services.assistants.delete(read.assistant_name_from(req.route_params["name"]))
    return func.HttpResponse(status_code=204)


async def subscribe(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    """201 with `Location`: Power Automate deletes that address to unsubscribe."""
    body = _body(services, req, HookBody)
    hook = await services.push.subscribe(body.callback_url, body.events)
    view = HookView(id=hook.id, events=hook.events, created_at=hook.created_at)
    return json_response(201, view, {"Location": hook_url(req.url, hook.id)})


async def unsubscribe(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    await services.push.unsubscribe(read.hook_id_from(req.route_params["id"]))
    return func.HttpResponse(status_code=204)


async def service_event(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    """The service says that a response has ended; its signature is the authentication."""
    run_id = await services.webhooks.run_id(req.get_body(), req.headers)
    if run_id:
        await services.runs.look_now(run_id)
    return func.HttpResponse(status_code=204)


# ---- documents ---------------------------------------------------------------------------------------------------


async def list_documents(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    documents, cursor = await services.library.catalogue.page(
        collection=_collection(req.params.get("collection")),
        status=read.document_status_from(req.params.get("status")),
        limit=_big_limit(req.params.get("limit")),
        cursor=read.cursor_from(req.params.get("cursor")),
    )
    return json_response(200, DocumentPage(documents=documents, cursor=cursor))


async def read_document(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    return json_response(200, document_view(await services.library.catalogue.get(_path(req))))


async def put_document(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    path, metadata = _path(req), read.blob_metadata_from(req.headers)
    content, limit = req.get_body(), services.settings.upload_max_bytes
    if len(content) > limit:
        raise TooLarge(
            f"The document has {len(content):,} bytes; at most {limit:,} can be sent this way. Larger ones go straight "
            "into the container 'documents'.",
            code="document_too_large",
        )
    media_type = (req.headers.get("content-type") or "application/octet-stream")[:200]
    etag = await services.library.documents.put(path, content, media_type=media_type, metadata=metadata)
    return json_response(201, Uploaded(path=path, collection=collection_of(path), etag=etag, size_bytes=len(content)))


async def retry_document(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    path = _path(req)
    await services.library.documents.retry(path, afresh=True)
    return json_response(202, document_view(await services.library.catalogue.get(path)))


async def delete_document(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    path = _path(req)
    await services.library.catalogue.get(path)
    await services.library.removal.begin(path)
    return json_response(202, Deleting(deleting=path))


async def delete_below(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    prefix = read.prefix_from(req.params.get("prefix"))
    await services.library.removal.begin(prefix)
    return json_response(202, Deleting(deleting=prefix))


async def list_receipts(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    path = req.params.get("path")
    receipts, cursor = await services.library.catalogue.receipts(
        collection=_collection(req.params.get("collection")),
        path=read.document_path_from(path) if path is not None else None,
        limit=_big_limit(req.params.get("limit")),
        cursor=read.cursor_from(req.params.get("cursor")),
    )
    return json_response(200, ReceiptPage(receipts=receipts, cursor=cursor))


async def reconcile(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    dry_run = read.flag_from(req.params.get("dry_run"), "dry_run")
    report = await services.library.reconciliation.order(
        dry_run=dry_run, collection=_collection(req.params.get("collection"))
    )
    return reported(report, req.url)


async def get_report(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    report_id = read.report_id_from(req.route_params["id"])
    return reported(await services.library.reconciliation.find(report_id), req.url)


async def search(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    body = _body(services, req, SearchBody)
    query = read.query_from(body.query, services.settings.question_max_chars)
    collection = read.collection_from(body.collection)
    where = read.filters_from(body.filters)
    found = await services.library.search.search(query, collection=collection, where=where, limit=body.limit)
    return json_response(
        200, SearchResults(query=query, collection=collection, results=found.hits, indexing=found.indexing)
    )


async def list_collections(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    return json_response(200, CollectionPage(collections=await services.library.holdings.all()))


async def get_collection(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    return json_response(200, await services.library.holdings.get(read.collection_from(req.route_params["name"])))


async def put_collection(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    name, body = read.collection_from(req.route_params["name"]), _body(services, req, CollectionBody)
    return json_response(200, await services.library.holdings.set_expiry(name, body.expires_days))


async def delete_collection(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    name = read.collection_from(req.route_params["name"])
    holding = await services.library.holdings.get(name)
    await services.library.removal.begin_collection(name)
    return json_response(202, Deleting(deleting=holding.name))


def _path(req: func.HttpRequest) -> str:
    return read.document_path_from(req.route_params.get("path") or "")


def _collection(name: str | None) -> str | None:
    return read.collection_from(name) if name is not None else None


def _big_limit(text: str | None) -> int:
    return read.limit_from(text, default=BIG_PAGE_DEFAULT, most=BIG_PAGE_MAX)


# ---- about the app, for which it needs no settings --------------------------------------------------------------


def get_openapi(req: func.HttpRequest) -> func.HttpResponse:
    from shared.http.openapi import openapi  # only who asks for it pays for it

    return json_response(200, openapi(req.url))


def get_swagger(req: func.HttpRequest) -> func.HttpResponse:
    from shared.http.swagger import swagger

    return json_response(200, swagger(req.url))


async def deep_health(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    checks = await services.look_around()
    well = all(check.ok for check in checks)
    body = DeepHealth(status="ok" if well else "unhealthy", version=VERSION, checks=checks)
    return json_response(200 if well else 503, body)


def health() -> func.HttpResponse:
    """Shallow: the process runs and has loaded the app. It needs no settings and touches nothing."""
    return json_response(200, Health(status="ok", version=VERSION))
