"""The routes of hooks (subscriptions to the app's notifications), and the webhook for events of the model service."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import azure.functions as func

from shared.errors import BadRequest, NotFound
from shared.http.fields import HookId, fits
from shared.http.reading import body_of
from shared.http.route import (
    BAD_CALLBACK,
    DELETED,
    UNRECEIVED,
    Operation,
    Parameter,
    Reply,
    api_url,
    json_response,
    read_body,
    with_key,
)
from shared.http.shapes.hooks import HookBody, HookList, HookView, ServiceEvent

if TYPE_CHECKING:
    from shared.push.notices import Hook
    from shared.services import Services


async def subscribe(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    """201 with `Location`: Power Automate sends a DELETE to this address to unsubscribe."""
    body = read_body(services, req, HookBody)
    hook = await services.push.subscribe(body.callback_url, body.events)
    return json_response(201, hook_view(hook), {"Location": hook_url(req.url, hook.id)})


async def list_hooks(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    return json_response(200, HookList(hooks=tuple(map(hook_view, await services.push.hooks()))))


async def unsubscribe(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    await services.push.unsubscribe(hook_id_from(req.route_params["id"]))
    return func.HttpResponse(status_code=204)


async def service_event(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    """The model service reports that a response has ended. The signature authenticates the request.

    Anyone can send to this route, so size, nesting and types are checked before the body is verified and used.
    """
    read_body(services, req, ServiceEvent)
    if not all(value.isascii() for name, value in req.headers.items() if name.lower().startswith("webhook-")):
        raise BadRequest("The signature of the webhook is not valid.", code="invalid_signature")
    event = await services.webhooks.read(body_of(req, max_bytes=services.settings.body_max_bytes), req.headers)
    if event:
        await services.runs.look_now(event.run_id, engine_run=event.response_id, app=event.app)
    return func.HttpResponse(status_code=204)


# ---- what comes in -----------------------------------------------------------------------------------------------


def hook_id_from(text: str) -> str:
    if not fits(text, HookId):
        raise NotFound("There is no such hook.", code="hook_not_found")
    return text


# ---- what goes out -----------------------------------------------------------------------------------------------


def hook_view(hook: Hook) -> HookView:
    """Without the URL: it may contain a secret."""
    return HookView(
        id=hook.id,
        events=hook.events,
        created_at=hook.created_at,
        host=hook.host,
        status="off" if hook.off_at else "failing" if hook.failures else "on",
        failures=hook.failures,
        first_failure_at=hook.first_failure_at,
        reason=hook.reason,
        off_at=hook.off_at,
    )


def hook_url(url: str, hook_id: str) -> str:
    """`url` is that of `POST /hooks`."""
    return with_key(api_url(url, ("hooks",), f"hooks/{quote(hook_id)}"), url)


# ---- the description ---------------------------------------------------------------------------------------------

HOOKS = (
    Operation(
        id="RunFinished",
        method="POST",
        path="/hooks",
        handler="subscribe",
        summary="When a run has ended",
        description="Sends a POST to callback_url for every run that ends. A DELETE of Location ends the subscription.",
        visibility="important",
        body=HookBody,
        example={"callback_url": "https://example.com/hook"},
        replies=(Reply(status=201, type=HookView, description="Subscribed.", headers=("Location",)),),
        problems={400: (*BAD_CALLBACK, "unknown_event"), 409: ("too_many_hooks",), **UNRECEIVED},
        links=("DeleteHook",),
    ),
    Operation(
        id="ListHooks",
        method="GET",
        path="/hooks",
        handler="list_hooks",
        summary="List subscriptions",
        description="Returns all hooks, the oldest first, without their URLs. A hook is switched off when all attempts "
        "have failed for a day, or 100 in a row for an hour; subscribe again to get events.",
        visibility="advanced",
        replies=(Reply(status=200, type=HookList, description="The hooks."),),
    ),
    Operation(
        id="DeleteHook",
        method="DELETE",
        path="/hooks/{id}",
        handler="unsubscribe",
        summary="End a subscription",
        description="Deletes the hook. A hook that does not exist is not an error.",
        visibility="internal",
        parameters=(Parameter(name="id", type=HookId),),
        replies=(DELETED,),
        problems={404: ("hook_not_found",)},
    ),
)

SERVICE_EVENTS = (
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
        body=ServiceEvent,
        replies=(Reply(status=204, description="Accepted."),),
        problems={400: ("webhooks_off", "invalid_signature"), **UNRECEIVED},
        auth="anonymous",
    ),
)
