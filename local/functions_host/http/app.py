"""The host's ASGI app: HTTP functions, the admin endpoint and the webhooks."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from azure.functions.meta import Datum

from local.functions_host.errors import AppRefused
from local.functions_host.functions.index import Function
from local.functions_host.functions.invocation import Invoker, TriggerInput
from local.functions_host.http.asgi import (
    BodyTooLong,
    Disconnected,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    read_request,
)
from local.functions_host.http.keys import Keys
from local.functions_host.http.routes import Route
from local.functions_host.http.webhooks import Webhooks, json_response
from local.functions_host.triggers.queues import json_values

logger = logging.getLogger(__name__)

WEBHOOKS = "/runtime/webhooks/"
ADMIN = "/admin/"
WELCOME = b"Your Functions host is up and running.\n"

StartFunction = Callable[[Function, str], bool]


@dataclass(frozen=True, kw_only=True)
class HttpFunction:
    """A function with an HTTP trigger. An empty `methods` allows all methods."""

    function: Function
    route: Route
    methods: frozenset[str]
    level: str

    @classmethod
    def from_function(cls, function: Function, prefix: str) -> HttpFunction:
        """Raises: AppRefused: its route is not valid."""
        options = function.trigger.options
        template = str(options.get("route") or function.name).strip("/")
        try:
            route = Route.compile(f"{prefix}/{template}" if prefix else template)
        except ValueError as exc:
            raise AppRefused(f"cannot load the {function.name} function: {exc}") from exc
        return cls(
            function=function,
            route=route,
            methods=frozenset(str(method).upper() for method in options.get("methods") or ()),
            level=str(options.get("authLevel", "function")).lower(),
        )

    def match(self, request: Request) -> dict[str, str] | None:
        """The route parameters; None if the method or the path does not match."""
        if self.methods and request.method not in self.methods:
            return None
        return self.route.match(request.path)


class HttpApp:
    """The ASGI app.

    Args:
        functions: All enabled functions; routes are tried in this order.
        prefix: The route prefix, such as `api`.
        invoker: Runs the functions.
        webhooks: Answers Event Grid.
        keys: The access keys; None if no key is required.
        start_function: Starts a function for the admin endpoint; False if the input does not fit its trigger.
    """

    def __init__(
        self,
        functions: Sequence[Function],
        *,
        prefix: str,
        invoker: Invoker,
        webhooks: Webhooks,
        keys: Keys | None,
        start_function: StartFunction,
    ) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        self._http = [HttpFunction.from_function(f, prefix) for f in functions if f.trigger.type == "httpTrigger"]
        self._invoker = invoker
        self._webhooks = webhooks
        self._keys = keys
        self._run_by_hand = start_function

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"The host does not support {scope['type']}.")
        try:
            response = await self._answer(await read_request(scope, receive))
        except BodyTooLong:
            response = Response(status=413)
        except Disconnected:
            return
        await response.send(send)

    async def _answer(self, request: Request) -> Response:
        path = request.path.lower()
        if path.startswith((WEBHOOKS, ADMIN)):
            return await self._internal(request, path) if self._is_allowed(request, "admin") else Response(status=401)
        for candidate in self._http:
            if (params := candidate.match(request)) is not None:
                allowed = self._is_allowed(request, candidate.level)
                return await self._run(candidate.function, request, params) if allowed else Response(status=401)
        return Response(status=200, body=WELCOME) if path == "/" else Response(status=404)

    def _is_allowed(self, request: Request, level: str) -> bool:
        key = request.query.get("code") or request.headers.get("x-functions-key", "")
        return self._keys is None or self._keys.allow(level, key)

    async def _internal(self, request: Request, path: str) -> Response:
        if path.startswith(WEBHOOKS):
            return await self._webhooks.answer(request, path.removeprefix(WEBHOOKS).strip("/"))
        return self._admin(request, path.removeprefix(ADMIN))

    async def _run(self, function: Function, request: Request, params: dict[str, str]) -> Response:
        try:
            datum = await self._invoker.run(function, http_trigger_input(request, params))
            return Response(status=204) if datum is None else http_response(datum)
        except Exception:  # logged by the invoker; the response has no details, as in the real host
            return Response(status=500)

    def _admin(self, request: Request, path: str) -> Response:
        if path in {"host/status", "host/ping"}:
            return json_response({"state": "Running", "functions": sorted(f.name for f in self._functions.values())})
        kind, _, name = path.partition("/")
        if kind != "functions" or request.method != "POST":
            return Response(status=404)
        function = self._functions.get(name.rstrip("/"))
        if function is None:
            return Response(status=404)
        try:
            content = json.loads(request.body or b"{}")
            text = content.get("input", "")
        except (ValueError, AttributeError):
            return Response(status=400)
        accepted = self._run_by_hand(function, text if isinstance(text, str) else json.dumps(text))
        return Response(status=202 if accepted else 400)


def http_trigger_input(request: Request, params: dict[str, str]) -> TriggerInput:
    """The input of an HTTP trigger."""
    body = Datum(request.body, "bytes")
    value: dict[str, Any] = {
        "method": Datum(request.method, "string"),
        "url": Datum(request.url, "string"),
        "headers": strings(request.headers.items()),
        "params": strings(params.items()),
        "query": strings(request.query.items()),
        "body": body,
    }
    is_json = request.headers.get("content-type", "").startswith("application/json")
    return TriggerInput(
        data=Datum(value, "http"),
        values=request.query | (json_values(body) if is_json else {}) | params,
        trace_parent=request.headers.get("traceparent", ""),
        trace_state=request.headers.get("tracestate", ""),
    )


def strings(pairs: Iterable[tuple[str, str]]) -> dict[str, Datum]:
    return {name: Datum(value, "string") for name, value in pairs}


def http_response(datum: Datum) -> Response:
    """Convert the value that a function returned to a response."""
    if datum.type == "string":
        return Response(status=200, body=datum.value.encode(), headers=[("Content-Type", "text/plain; charset=utf-8")])
    headers = [(name, value.value) for name, value in datum.value["headers"].items()]
    cookies = [morsel.OutputString() for jar in datum.value["cookies"] or () for morsel in jar.values()]
    return Response(
        status=int(datum.value["status_code"].value),
        body=datum.value["body"].value,
        headers=[*headers, *(("Set-Cookie", cookie) for cookie in cookies)],
    )
