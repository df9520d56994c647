"""DOC."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import azure.functions as func

from shared.errors import (
    NotFound,
)
from shared.http import reading as read
from shared.http.collections import optional_collection_from
from shared.http.fields import (
    CollectionName,
    Flag,
    ReportId,
    fits,
)
from shared.http.route import Operation, Parameter, Reply, json_response, query, with_key
from shared.models.documents import Report

if TYPE_CHECKING:
    from shared.services import Services


async def reconcile(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    dry_run = read.flag_from(req.params.get("dry_run"), "dry_run")
    report = await services.library.reconciliation.order(
        dry_run=dry_run, collection=optional_collection_from(req.params.get("collection"))
    )
    return reported(report, req.url)


async def get_report(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    report_id = report_id_from(req.route_params["id"])
    return reported(await services.library.reconciliation.find(report_id), req.url)


COMPARING = Reply(
    status=202,
    type=Report,
    description="The comparison goes on. Look again at Location, after Retry-After seconds.",
    headers=("Location", "Retry-After"),
)


def report_id_from(text: str) -> str:
    if not fits(text, ReportId):
        raise NotFound("There is no such report.", code="report_not_found")
    return text


REPORT_LOOK_S = 2


def reported(report: Report, url: str) -> func.HttpResponse:
    """202 with `Location` while a comparison goes on, 200 once it has ended."""
    if report.status in ("completed", "failed"):
        return json_response(200, report)
    prefix = url.split("?")[0].split("/documents/reconcile")[0].split("/reports/")[0]
    where = with_key(f"{prefix}/reports/{quote(report.id)}", url)
    return json_response(202, report, {"Location": where, "Retry-After": str(REPORT_LOOK_S)})


RECONCILE = (
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
