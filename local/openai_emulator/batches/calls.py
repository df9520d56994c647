"""Requests of a batch to endpoints of this emulator, without a network between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute

from local.openai_emulator.errors import ApiError


class OwnCalls:
    """Sends a body to a route; returns the status and the body of the answer."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        app = Starlette(routes=routes, exception_handlers={ApiError: _error, Exception: _broken})
        self._http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app, raise_app_exceptions=False), base_url="http://emulator", timeout=None
        )

    async def __call__(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        whole = {name: value for name, value in body.items() if name not in ("stream", "background")}
        answer = await self._http.post(path.removeprefix("/v1"), json=whole)
        return answer.status_code, answer.json()


async def _error(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, ApiError)
    return JSONResponse(exc.body(), status_code=exc.status)


async def _broken(_: Request, __: Exception) -> JSONResponse:
    error = ApiError(500, "The emulator had an error while processing this request; see its log.", type="server_error")
    return JSONResponse(error.body(), status_code=500)
