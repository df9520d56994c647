"""Routes about the app itself. The handlers of its descriptions are in openapi.py and swagger.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import azure.functions as func

from shared import VERSION
from shared.http.fields import DescribedVersion
from shared.http.route import Operation, Reply, json_response, query
from shared.http.shapes.about import DeepHealth, Health

if TYPE_CHECKING:
    from shared.services import Services


async def deep_health(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    checks = await services.check_health()
    healthy = all(check.ok for check in checks)
    body = DeepHealth(status="ok" if healthy else "unhealthy", version=VERSION, checks=checks)
    return json_response(200 if healthy else 503, body)


def health() -> func.HttpResponse:
    """Shallow: the process has loaded the app. It needs no settings and calls no service."""
    return json_response(200, Health(status="ok", version=VERSION))


# ---- the description ---------------------------------------------------------------------------------------------

DEEP_HEALTH = (
    Operation(
        id="GetDeepHealth",
        method="GET",
        path="/health/deep",
        handler="deep_health",
        summary="Check the app's dependencies",
        description="Checks storage, queues and the model service with the app's own identity.",
        visibility="advanced",
        replies=(
            Reply(status=200, type=DeepHealth, description="Everything works."),
            Reply(status=503, type=DeepHealth, description="Something does not work; its check says why."),
        ),
    ),
)

ANONYMOUS = (
    Operation(
        id="GetHealth",
        method="GET",
        path="/health",
        handler="health",
        summary="Check that the app is loaded",
        replies=(Reply(status=200, type=Health, description="The app is loaded."),),
        auth="anonymous",
    ),
    Operation(
        id="GetOpenapi",
        method="GET",
        path="/openapi.json",
        handler="get_openapi",
        summary="This description, as OpenAPI 3.0, or 3.1 with ?version=3.1",
        parameters=(query("version", DescribedVersion),),
        replies=(Reply(status=200, type=dict[str, Any], description="OpenAPI 3.0, or 3.1."),),
        problems={400: ("unknown_version",)},
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
