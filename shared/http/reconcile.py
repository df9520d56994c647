"""The routes that start a reconcile pass and return its report."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import azure.functions as func

from shared.errors import NotFound
from shared.http.fields import CollectionName, DryRun, ReportId, fits
from shared.http.reading import asked, flag_from, optional_collection_from
from shared.http.route import Operation, Parameter, Reply, api_url, json_response, query, with_key
from shared.models.documents import Report

if TYPE_CHECKING:
    from shared.services import Services

REPORT_LOOK_S = 2  # between two requests for a report


async def reconcile(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    """Only `dry_run=false` repairs: a value that is missing, or that was lost on the way, changes nothing."""
    dry_run = flag_from(asked(req, "dry_run"), "dry_run", default=True)
    collection = optional_collection_from(asked(req, "collection"))
    report = await services.library.reconciliation.order(dry_run=dry_run, collection=collection)
    return report_response(report, req.url)


async def get_report(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    report_id = report_id_from(req.route_params["id"])
    return report_response(await services.library.reconciliation.find(report_id), req.url)


# ---- what comes in -----------------------------------------------------------------------------------------------


def report_id_from(text: str) -> str:
    if not fits(text, ReportId):
        raise NotFound("There is no such report.", code="report_not_found")
    return text


# ---- what goes out -----------------------------------------------------------------------------------------------


def report_response(report: Report, url: str) -> func.HttpResponse:
    """202 with `Location` until the pass has ended, then 200."""
    if report.status in ("completed", "failed"):
        return json_response(200, report)
    location = with_key(api_url(url, ("documents", "reports"), f"reports/{quote(report.id)}"), url)
    return json_response(202, report, {"Location": location, "Retry-After": str(REPORT_LOOK_S)})


# ---- the description ---------------------------------------------------------------------------------------------

IN_PROGRESS = Reply(
    status=202,
    type=Report,
    description="The comparison is not finished. Request Location again after Retry-After seconds.",
    headers=("Location", "Retry-After"),
)

RECONCILE = (
    Operation(
        id="Reconcile",
        method="POST",
        path="/documents/reconcile",
        handler="reconcile",
        summary="Compare documents, records and index",
        description="Finds missing, stale, orphaned or stuck entries. With dry_run=false it also repairs them; the "
        "default is a dry run, which only reports them.",
        visibility="advanced",
        parameters=(query("dry_run", DryRun), query("collection", CollectionName)),
        replies=(IN_PROGRESS,),
        problems={400: ("invalid_collection", "invalid_flag")},
        links=("GetReport",),
    ),
    Operation(
        id="GetReport",
        method="GET",
        path="/reports/{id}",
        handler="get_report",
        summary="Get the report of a comparison",
        description="Lists the differences between container, records, files and vector stores, and their repairs.",
        visibility="advanced",
        parameters=(Parameter(name="id", type=ReportId),),
        replies=(
            Reply(status=200, type=Report, description="The comparison has ended."),
            IN_PROGRESS,
        ),
        problems={404: ("report_not_found",)},
    ),
)
