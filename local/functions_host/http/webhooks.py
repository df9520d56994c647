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
Deliver = Callable[[list[dict[str, Any]]], Awaitable[Response]]


class Webhooks:
    """Answers both webhooks; `functions` are those that are enabled."""

    def __init__(self, functions: Mapping[str, Function], blobs: BlobTriggers | None, invoker: Invoker) -> None:
        self._event_grid = {
            name.lower(): function
            for name, function in functions.items()
            if function.trigger.type == "eventGridTrigger"
        }
        self._blobs = blobs
        self._invoker = invoker

    async def answer(self, request: Request, name: str) -> Response:
        """Answer `/runtime/webhooks/<name>`."""
        function_name = {key.lower(): value for key, value in request.query.items()}.get("functionname", "")
        if name == "eventgrid" and (function := self._event_grid.get(function_name.lower())):
            return await handshake_or(request, lambda events: self._notify(function, events))
        if name == "blobs" and (blobs := self._blobs):
            if not function_name:
                return Response(status=400)
            return await handshake_or(request, lambda events: enqueue(blobs, function_name, events))
        return Response(status=404)

    async def _notify(self, function: Function, events: list[dict[str, Any]]) -> Response:
        runs = (self._invoker.run(function, event_trigger_input(event)) for event in events)
        outcomes = await asyncio.gather(*runs, return_exceptions=True)
        return Response(status=500 if any(isinstance(outcome, Exception) for outcome in outcomes) else 202)


async def handshake_or(request: Request, deliver: Deliver) -> Response:
    """Answer the handshake of a subscription, or deliver the events of a notification."""
    if request.method == "OPTIONS" and (origin := request.headers.get("webhook-request-origin")):
        return Response(status=200, headers=[("WebHook-Allowed-Origin", origin), ("WebHook-Allowed-Rate", "*")])
    event_type = request.headers.get(EVENT_TYPE, "").lower()
    if event_type == "unsubscribe":
        return Response(status=202)
    try:
        events = read_events(request.body)
        if event_type == "subscriptionvalidation":
            return json_response({"validationResponse": events[0]["data"]["validationCode"]})
    except (ValueError, LookupError, TypeError):
        return Response(status=400)
    is_cloud_event = request.headers.get("content-type", "").startswith("application/cloudevents")
    return await deliver(events) if event_type == "notification" or is_cloud_event else Response(status=400)


async def enqueue(blobs: BlobTriggers, function_id: str, events: list[dict[str, Any]]) -> Response:
    """Put events on the blob triggers' internal queue. As in the real host, the function id is not checked here."""
    try:
        messages = [blob_message(function_id, event) for event in events]
    except ValueError:
        return Response(status=400)
    for message in messages:
        await blobs.enqueue(message)
    return Response(status=202)


def read_events(body: bytes) -> list[dict[str, Any]]:
    """The events of a delivery: a list, or a single event (CloudEvents).

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


def json_response(content: object, status: int = 200) -> Response:
    return Response(
        status=status, body=json.dumps(content).encode(), headers=[("Content-Type", "application/json; charset=utf-8")]
    )
