"""Event Grid's webhooks: `/runtime/webhooks/EventGrid` and `/runtime/webhooks/blobs`.

Source: https://learn.microsoft.com/azure/event-grid/webhook-event-delivery
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from azure.functions.meta import Datum

from local.functions_host.functions.index import Function
from local.functions_host.functions.invocation import Invoker, TriggerInput
from local.functions_host.http.asgi import Request, Response
from local.functions_host.storage_events.events import blob_message
from local.functions_host.triggers.blobs import BlobTriggers

EVENT_TYPE = "aeg-event-type"
TEXT = [("Content-Type", "text/plain; charset=utf-8")]
Deliver = Callable[[list[dict[str, Any]]], Awaitable[Response]]


class Webhooks:
    """Answers both webhooks; `functions` are those that are enabled."""

    def __init__(self, functions: Mapping[str, Function], blobs: BlobTriggers | None, invoker: Invoker) -> None:
        self._event_grid = {
            name: function for name, function in functions.items() if function.trigger.type == "eventGridTrigger"
        }
        self._blobs = blobs
        self._invoker = invoker

    async def answer(self, request: Request, name: str) -> Response:
        """Answer `/runtime/webhooks/<name>`; an app without such a trigger has no such webhook."""
        function_name = {key.lower(): value for key, value in request.query.items()}.get("functionname", "")
        if name == "eventgrid" and self._event_grid:
            function = self._event_grid.get(function_name)
            if function is None:
                return Response(status=404, body=f"cannot find function: '{function_name}'".encode(), headers=TEXT)
            return await handshake_or(request, lambda events: self._notify(function, events))
        if name == "blobs" and (blobs := self._blobs):
            return await handshake_or(request, lambda events: enqueue(blobs, function_name, events))
        return Response(status=404)

    async def _notify(self, function: Function, events: list[dict[str, Any]]) -> Response:
        runs = (self._invoker.run(function, event_trigger_input(event)) for event in events)
        outcomes = await asyncio.gather(*runs, return_exceptions=True)
        if not any(isinstance(outcome, Exception) for outcome in outcomes):
            return Response(status=202)
        return Response(
            status=500, body=f"Exception while executing function: Functions.{function.name}".encode(), headers=TEXT
        )


async def handshake_or(request: Request, deliver: Deliver) -> Response:
    """Answer the handshake of a subscription, or deliver the events of a notification."""
    if request.method == "OPTIONS" and (origin := request.headers.get("webhook-request-origin")):
        return Response(status=200, headers=[("Webhook-Allowed-Origin", origin)])
    try:
        match request.headers.get(EVENT_TYPE, "").lower():
            case "subscriptionvalidation":
                code = validation_code(json.loads(request.body))
                body = json.dumps({"validationResponse": code}, separators=(",", ":"))
                return Response(status=200, body=body.encode(), headers=TEXT)
            case "notification":
                return await deliver(read_events(request.body))
            case "unsubscribe":
                return Response(status=202)
    except RecursionError:  # JSON nested too deep
        return Response(status=400)
    except (ValueError, LookupError, TypeError):
        return Response(status=500)
    return Response(status=400)  # CloudEvents, too: they come without the header


def validation_code(events: Any) -> Any:
    """The code of the first event.

    Raises:
        LookupError, TypeError: there is none.
    """
    return events[0]["data"]["validationCode"]


async def enqueue(blobs: BlobTriggers, function_id: str, events: list[dict[str, Any]]) -> Response:
    """Put events on the blob triggers' internal queue. As in the real host, the function id is not checked here.

    Raises:
        ValueError: an event names no blob; those before it are on the queue.
    """
    for event in events:
        await blobs.enqueue(blob_message(function_id, event))
    return Response(status=202)


def read_events(body: bytes) -> list[dict[str, Any]]:
    """The events of a delivery: a list, or a single event.

    Raises:
        ValueError: the body is not JSON, or an event is not an object.
    """
    content = json.loads(body)
    events = content if isinstance(content, list) else [content]
    if not all(isinstance(event, dict) for event in events):
        raise ValueError("an event is a JSON object")
    return events


def event_trigger_input(event: Mapping[str, Any]) -> TriggerInput:
    """The input of an Event Grid trigger."""
    return TriggerInput(data=Datum(json.dumps(event), "json"))
