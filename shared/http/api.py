"""What each HTTP route does: parse, one call, serialise."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import azure.functions as func

from shared import VERSION
from shared.answers import markdown_of
from shared.errors import AppError, BlobMissing, NotFound
from shared.http.requests import collection_from, question_from, run_id_from
from shared.http.responses import accepted, finished, json_response, problem

if TYPE_CHECKING:
    from shared.services import Services

log = logging.getLogger(__name__)

Route = Callable[["Services", func.HttpRequest], Awaitable[func.HttpResponse]]


async def answer(services: Callable[[], Services], req: func.HttpRequest, route: Route) -> func.HttpResponse:
    """Run one route; errors of ours become problems. Any other is a bug: the host logs it and answers 500."""
    try:
        return await route(services(), req)
    except AppError as exc:
        if exc.status >= 500:
            log.error("http.%s", exc.code, extra={"detail": exc.message}, exc_info=exc)
        return problem(exc)


async def start_run(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    question = question_from(req.get_body(), req.headers, services.settings)
    return accepted(await services.runs.start(question), req.url)


async def get_run(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    run = await services.runs.find(run_id_from(req.route_params["id"]))
    if not run.is_terminal:
        return accepted(run, req.url)
    answered = await services.publisher.read(run.id)
    return finished(answered, markdown_of(answered), req.url)


async def get_chart(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    run_id, n = run_id_from(req.route_params["id"]), req.route_params["n"]
    try:
        charts = (await services.publisher.read(run_id)).charts
    except BlobMissing as exc:
        raise NotFound("There is no answer of that run, or not yet.", code="run_not_found") from exc
    chart = next((chart for chart in charts if str(chart.n) == n), None)
    if chart is None:
        raise NotFound(f"The run has {len(charts)} charts, counted from 1; {n[:20]!r} is none.", code="chart_not_found")
    content = await services.publisher.chart(chart)
    return func.HttpResponse(content, mimetype=chart.media_type, headers={"Cache-Control": "private, max-age=86400"})


async def list_documents(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    collection = req.params.get("collection")
    wanted = collection_from(collection) if collection is not None else None
    return json_response(200, {"documents": [document async for document in services.documents.list(wanted)]})


def health() -> func.HttpResponse:
    """Shallow: the process runs and has loaded the app. It needs no settings and touches nothing."""
    return json_response(200, {"status": "ok", "version": VERSION})
