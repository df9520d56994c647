"""Faults on order: `POST /admin/faults` makes the API answer 429 or 5xx, wait, or drop the connection.

A request meets the first rule that names its path and method and is not used up. Rules live in memory alone.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictInt, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local.openai_emulator.errors import ApiError, not_found
from local.openai_emulator.http import wire

_LONGEST_MS = 600_000


class FaultRule(wire.RequestBody):
    """The body of `POST /admin/faults`."""

    path: Annotated[str, Field(min_length=1, max_length=512)]  # a glob on the path below the prefix
    method: Literal["GET", "POST", "DELETE"] | None = None
    status: Annotated[StrictInt, Field(ge=400, le=599)] | None = None
    retry_after_ms: Annotated[StrictInt, Field(ge=0, le=_LONGEST_MS)] | None = None
    delay_ms: Annotated[StrictInt, Field(ge=0, le=_LONGEST_MS)] = 0
    drop: Literal["before", "after"] | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    count: Annotated[StrictInt, Field(ge=1)] | None = None  # None: never used up
    seed: StrictInt = 0

    @model_validator(mode="after")
    def _one_kind_of_answer(self) -> FaultRule:
        if self.status is not None and self.drop is not None:
            raise ValueError("a rule either answers with 'status' or drops the connection, not both")
        if self.retry_after_ms is not None and self.status is None:
            raise ValueError("'retry_after_ms' goes with 'status'")
        return self


class FaultList(BaseModel):
    """Wire: `GET /admin/faults`."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]


@dataclass(kw_only=True)
class _Standing:
    """A rule that was added, and how often it was applied."""

    id: str
    rule: FaultRule
    chance: random.Random
    applied: int = field(default=0)

    def takes(self, method: str, path: str) -> bool:
        rule = self.rule
        if rule.count is not None and self.applied >= rule.count:
            return False
        return rule.method in (None, method) and fnmatchcase(path, rule.path)

    def dump(self) -> dict[str, Any]:
        return {"id": self.id, "object": "fault", **self.rule.model_dump(), "applied": self.applied}


class Faults:
    """The rules that stand, in the order they were added."""

    def __init__(self) -> None:
        self._standing: dict[str, _Standing] = {}

    def routes(self) -> list[BaseRoute]:
        return [
            wire.route("POST", "/admin/faults", self._create),
            wire.route("GET", "/admin/faults", self._list),
            wire.route("DELETE", "/admin/faults", self._clear),
            wire.route("DELETE", "/admin/faults/{fault_id}", self._delete),
        ]

    def draw(self, method: str, path: str) -> FaultRule | None:
        """The rule to apply to a request, counted as applied; None where none matches or its chance passes by."""
        standing = next((one for one in self._standing.values() if one.takes(method, path)), None)
        if standing is None or standing.chance.random() >= standing.rule.probability:
            return None
        standing.applied += 1
        return standing.rule

    async def _create(self, request: Request) -> JSONResponse:
        rule = await wire.read_body(request, FaultRule)
        chance = random.Random(rule.seed)  # noqa: S311  # repeats, keeps no secret
        standing = _Standing(id=wire.new_id("fault_"), rule=rule, chance=chance)
        self._standing[standing.id] = standing
        return JSONResponse(standing.dump(), status_code=201)

    async def _list(self, _: Request) -> FaultList:
        return FaultList(data=[standing.dump() for standing in self._standing.values()])

    async def _clear(self, _: Request) -> FaultList:
        self._standing.clear()
        return FaultList(data=[])

    async def _delete(self, request: Request) -> wire.Deleted:
        fault_id: str = request.path_params["fault_id"]
        if self._standing.pop(fault_id, None) is None:
            raise not_found("fault", fault_id)
        return wire.Deleted(id=fault_id, object="fault.deleted")


class InjectFaults:
    """Middleware that does to a request what the rules say."""

    def __init__(self, app: ASGIApp, *, faults: Faults, prefixes: Sequence[str]) -> None:
        self._app = app
        self._faults = faults
        self._prefixes = prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = self._below_prefix(scope["path"]) if scope["type"] == "http" else None
        rule = self._faults.draw(scope["method"], path) if path is not None else None
        if rule is None:
            await self._app(scope, receive, send)
            return
        if rule.delay_ms:
            await asyncio.sleep(rule.delay_ms / 1000)
        if rule.status is not None:
            await _refusal(rule)(scope, receive, send)
        elif rule.drop == "before":
            await _cut(send)
        elif rule.drop == "after":
            await self._app(scope, receive, _unsent)
            await _cut(send)
        else:
            await self._app(scope, receive, send)

    def _below_prefix(self, path: str) -> str | None:
        return next((path.removeprefix(one) for one in self._prefixes if path.startswith(f"{one}/")), None)


def _refusal(rule: FaultRule) -> JSONResponse:
    assert rule.status is not None
    code = {429: "rate_limit_exceeded"}.get(rule.status, "server_error" if rule.status >= 500 else "fault")
    type_ = {429: "too_many_requests"}.get(
        rule.status, "server_error" if rule.status >= 500 else "invalid_request_error"
    )
    error = ApiError(rule.status, f"A fault rule answered this request with {rule.status}.", type=type_, code=code)
    headers = {}
    if rule.retry_after_ms is not None:
        headers = {
            "retry-after-ms": str(rule.retry_after_ms),
            "retry-after": str(math.ceil(rule.retry_after_ms / 1000)),
        }
    return JSONResponse(error.body(), status_code=rule.status, headers=headers)


async def _unsent(_: Message) -> None:
    """Swallow the answer of a request that was worked on."""


async def _cut(send: Send) -> None:
    """Begin an answer and end without its body: uvicorn then closes the connection.

    An app that sends nothing would be answered for with a 500, and ASGI gives no hand on the transport.
    """
    await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"1")]})
