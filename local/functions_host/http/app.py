"""The host's ASGI app: HTTP functions, the admin endpoint, the webhooks and the home page."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from azure.functions.meta import Datum

from local.functions_host.errors import AppRefused
from local.functions_host.functions.index import Function
from local.functions_host.functions.invocation import Invoker, TriggerInput
from local.functions_host.functions.trace import http_trace
from local.functions_host.http.admin import Admin
from local.functions_host.http.asgi import (
    MAX_BODY_BYTES,
    BodyTooLong,
    Disconnected,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    read_body,
)
from local.functions_host.http.cookies import set_cookie
from local.functions_host.http.gate import Gate
from local.functions_host.http.keys import Access, Keys
from local.functions_host.http.routes import Route
from local.functions_host.http.target import BadTarget
from local.functions_host.http.webhooks import Webhooks
from local.functions_host.triggers.queues import json_values

logger = logging.getLogger(__name__)

WEBHOOKS = "/runtime/webhooks/"
WEBHOOK_METHODS = {"GET", "POST", "DELETE", "OPTIONS"}
ADMIN = "/admin/"
HOME_PAGE = b"<!DOCTYPE html><html><body><h1>Your Functions host is up and running.</h1></body></html>\n"
DENIED = {
    Access.UNKNOWN: Response(status=401, headers=[("WWW-Authenticate", "Bearer")]),
    Access.FORBIDDEN: Response(status=403),
}


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
        functions: The HTTP functions that are enabled; their routes are tried in this order.
        invoker: Runs the functions.
        webhooks: Answers Event Grid.
        admin: Answers the admin endpoint.
        keys: The access keys; None if no key is required.
        gate: What is refused although the real host answers it; None refuses nothing.
        settings: The app's environment.
    """

    def __init__(
        self,
        functions: Sequence[HttpFunction],
        *,
        invoker: Invoker,
        webhooks: Webhooks,
        admin: Admin,
        keys: Keys | None,
        settings: Mapping[str, str],
        gate: Gate | None = None,
    ) -> None:
        self._functions = functions
        self._invoker = invoker
        self._webhooks = webhooks
        self._admin = admin
        self._keys = keys
        self._gate = gate
        self._settings = settings
        limit = settings.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "")
        self._max_body_bytes = int(limit) if limit.isdecimal() else MAX_BODY_BYTES
        self._has_home_page = settings.get("AzureWebJobsDisableHomepage", "").lower() not in {"true", "1"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"The host does not support {scope['type']}.")
        try:
            response = await self._checked_answer(Request.from_scope(scope), receive)
        except BadTarget:
            response = Response(status=400)
        except BodyTooLong:  # the real host does not answer 413
            response = Response(status=500)
        except Disconnected:
            return
        await response.send(send)

    async def _checked_answer(self, request: Request, receive: Receive) -> Response:
        if self._gate is None:
            return await self._answer(request, receive)
        return self._gate.with_cors(request, self._gate.answer(request) or await self._answer(request, receive))

    async def _answer(self, request: Request, receive: Receive) -> Response:
        path = request.path.lower()
        if path.startswith(WEBHOOKS):
            return await self._webhook(request, path.removeprefix(WEBHOOKS).partition("/")[0], receive)
        if path.startswith(ADMIN):
            return await self._admin_route(request, path.removeprefix(ADMIN).removesuffix("/"), receive)
        for candidate in self._functions:
            if (params := candidate.match(request)) is not None:
                return await self._run(candidate, request, params, receive)
        if path != "/":
            return Response(status=404)
        home_page = Response(status=200, body=HOME_PAGE, headers=[("Content-Type", "text/html")])
        return home_page if self._has_home_page else Response(status=204)

    async def _webhook(self, request: Request, name: str, receive: Receive) -> Response:
        if request.method not in WEBHOOK_METHODS or not name:
            return Response(status=404)
        access = self._keys.for_webhook(request, system_key=f"{name}_extension") if self._keys else Access.ALLOWED
        if access is not Access.ALLOWED:
            return DENIED[access]
        return await self._webhooks.answer(await self._with_body(request, receive), name)

    async def _admin_route(self, request: Request, path: str, receive: Receive) -> Response:
        answer = self._admin.find(request.method, path)
        if answer is None:
            return Response(status=404)
        if not answer.is_open and (denied := self._admin_denied(request)):
            return denied
        return answer.give(await self._with_body(request, receive))

    def _admin_denied(self, request: Request) -> Response | None:
        if self._keys:
            access = self._keys.for_admin(request)
            return None if access is Access.ALLOWED else DENIED[access]
        return self._gate.answer_to_admin(request) if self._gate else None

    async def _with_body(self, request: Request, receive: Receive) -> Request:
        if (request.content_length or 0) > self._max_body_bytes:
            raise BodyTooLong
        return replace(request, body=await read_body(receive, max_bytes=self._max_body_bytes))

    async def _run(self, http: HttpFunction, request: Request, params: dict[str, str], receive: Receive) -> Response:
        if self._keys and self._keys.for_function(request, http.function.name, http.level) is not Access.ALLOWED:
            return Response(status=401)
        if request.content_length:  # as in the real host, a chunked body never reaches a function
            request = await self._with_body(request, receive)
        try:
            datum = await self._invoker.run(http.function, http_trigger_input(request, params, self._settings))
            return Response(status=204) if datum is None else http_response(datum)
        except Exception:  # logged by the invoker; the response has no details, as in the real host
            return Response(status=500)


def http_trigger_input(request: Request, params: dict[str, str], settings: Mapping[str, str]) -> TriggerInput:
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
        values=dict(request.query) | (json_values(body) if is_json else {}) | params,
        trace=http_trace(request.headers, settings),
    )


def strings(pairs: Iterable[tuple[str, str]]) -> dict[str, Datum]:
    return {name: Datum(value, "string") for name, value in pairs}


def http_response(datum: Datum) -> Response:
    """Convert the value that a function returned to a response.

    Raises:
        ValueError: the status or a cookie is not valid.
    """
    if datum.type == "string":
        return Response(status=200, body=datum.value.encode(), headers=[("Content-Type", "text/plain; charset=utf-8")])
    last = {name.lower(): (name, value.value) for name, value in datum.value["headers"].items()}
    cookies = [set_cookie(morsel) for jar in datum.value["cookies"] or () for morsel in jar.values()]
    return Response(
        status=int(datum.value["status_code"].value),
        body=datum.value["body"].value,
        headers=[*last.values(), *(("Set-Cookie", cookie) for cookie in cookies)],
    )
