"""ASGI middleware: request ids on every response, no requests of web pages, credentials on every request."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local.callers import Callers, refusal_of_type
from local.openai_emulator.errors import ApiError
from local.openai_emulator.http.azure import gateway_body
from local.openai_emulator.http.entra import token_fault
from local.openai_emulator.settings import Settings

_ABOUT = {"openai-version": "2020-10-01", "openai-organization": "openai-emulator"}
_MOST_REQUESTS, _MOST_TOKENS = 10_000, 30_000_000  # a minute; shown, never enforced
REQUEST_IDS = "openai_emulator.request_ids"


class RequestIds:
    """Adds the headers of the services: `x-request-id` (OpenAI), `apim-request-id` (Azure), version, time, limits."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ids = {"x-request-id": f"req_{secrets.token_hex(16)}", "apim-request-id": str(uuid.uuid4())}
        scope[REQUEST_IDS] = ids
        begun_s = time.perf_counter()

        async def send_with_ids(message: Message) -> None:
            if message["type"] == "http.response.start":
                took_ms = round((time.perf_counter() - begun_s) * 1000)
                more = {**ids, **_ABOUT, "openai-processing-ms": str(took_ms), **_limits(message["status"])}
                own = [(name.encode(), value.encode()) for name, value in more.items()]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        await self._app(scope, receive, send_with_ids)


def _limits(status: int) -> dict[str, str]:
    """Far limits, of which nothing is used, except where a fault rule answers with 429."""
    used_up = status == 429
    return {
        f"x-ratelimit-{what}-{unit}": value
        for unit, most in (("requests", _MOST_REQUESTS), ("tokens", _MOST_TOKENS))
        for what, value in (
            ("limit", str(most)),
            ("remaining", "0" if used_up else str(most - 1)),
            ("reset", "1s" if used_up else "0s"),
        )
    }


class OwnCallers:
    """Refuses the requests of web pages: no page is meant to call the emulator, which may accept any key."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._callers = Callers(hosts=settings.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers, server = Request(scope).headers, scope.get("server") or ("", None)
            refusal = self._callers.refusal_of_sender(headers, server=str(server[0])) or refusal_of_type(
                scope["method"], headers, forms=True
            )
            if refusal:
                error = ApiError(refusal.status, refusal.detail, code=refusal.code)
                await JSONResponse(error.body(), status_code=refusal.status)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Credentials:
    """Requires an API key or, if so configured, an Entra ID token on every path except `/healthz`.

    Keys are sent as `Authorization: Bearer KEY` or `api-key: KEY`. The paths below `/admin/` want a key that was
    configured, never just any.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, clock: Callable[[], float]) -> None:
        self._app = app
        self._settings = settings
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/healthz" and (fault := self._fault(Request(scope))):
            error = ApiError(401, fault, code="invalid_api_key")
            await JSONResponse(gateway_body(error, Request(scope)), status_code=401)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _fault(self, request: Request) -> str | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        given = bearer or request.headers.get("api-key", "").strip()
        key, audience = self._settings.api_key, self._settings.entra_audience
        if request.scope["path"].startswith("/admin/"):
            admin_key = self._settings.admin_key or key
            if admin_key and secrets.compare_digest(given.encode(), admin_key.encode()):
                return None
            return "Access denied: /admin wants the value of EMULATOR_ADMIN_KEY as its key."
        if key is not None and secrets.compare_digest(given.encode(), key.encode()):
            return None
        if audience is not None:
            fault = token_fault(bearer, audience=audience, now_s=self._clock()) if bearer else "there is none"
            return fault and f"Access denied: the access token of Entra ID cannot be used, for {fault}."
        if key is None and given:
            return None
        return "Access denied: send a valid key as 'Authorization: Bearer KEY' or 'api-key: KEY'."
