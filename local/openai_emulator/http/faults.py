"""Fault injection: rules added with `POST /admin/faults` make the API return errors, wait, or drop connections.

The first rule that matches path and method and is not used up applies to a request. Rules are kept in memory only.
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
from local.openai_emulator.http.azure import CONTENT_FILTER, NO_DEPLOYMENT, gateway_body, is_dated

_LONGEST_MS = 600_000


class FaultRule(wire.RequestBody):
    """The body of `POST /admin/faults`."""

    path: Annotated[str, Field(min_length=1, max_length=512)]  # a glob on the path after the prefix
    method: Literal["GET", "POST", "DELETE"] | None = None
    status: Annotated[StrictInt, Field(ge=400, le=599)] | None = None
    retry_after_ms: Annotated[StrictInt, Field(ge=0, le=_LONGEST_MS)] | None = None
    delay_ms: Annotated[StrictInt, Field(ge=0, le=_LONGEST_MS)] = 0
    drop: Literal["before", "after"] | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    code: Annotated[str, Field(max_length=64)] | None = None  # with status: the error's code and message
    message: Annotated[str, Field(max_length=1000)] | None = None
    count: Annotated[StrictInt, Field(ge=1)] | None = None  # None: no limit
    seed: StrictInt = 0

    @model_validator(mode="after")
    def _one_kind_of_answer(self) -> FaultRule:
        if self.status is not None and self.drop is not None:
            raise ValueError("a rule either answers with 'status' or drops the connection, not both")
        if self.retry_after_ms is not None and self.status is None:
            raise ValueError("'retry_after_ms' goes with 'status'")
        if (self.code is not None or self.message is not None) and self.status is None:
            raise ValueError("'code' and 'message' go with 'status'")
        return self


class FaultList(BaseModel):
    """Wire: `GET /admin/faults`."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]


@dataclass(kw_only=True)
class _AddedRule:
    """An added rule and the number of times it was applied."""

    id: str
    rule: FaultRule
    chance: random.Random
    applied: int = field(default=0)

    def matches(self, method: str, path: str) -> bool:
        rule = self.rule
        if rule.count is not None and self.applied >= rule.count:
            return False
        return rule.method in (None, method) and fnmatchcase(path, rule.path)

    def dump(self) -> dict[str, Any]:
        return {"id": self.id, "object": "fault", **self.rule.model_dump(), "applied": self.applied}


class Faults:
    """The added rules, in order."""

    def __init__(self) -> None:
        self._rules: dict[str, _AddedRule] = {}

    def routes(self) -> list[BaseRoute]:
        return [
            wire.route("POST", "/admin/faults", self._create),
            wire.route("GET", "/admin/faults", self._list),
            wire.route("DELETE", "/admin/faults", self._clear),
            wire.route("DELETE", "/admin/faults/{fault_id}", self._delete),
        ]

    def draw(self, method: str, path: str) -> FaultRule | None:
        """The rule to apply to a request, which is then counted; None if none matches or its probability spares it."""
        added = next((one for one in self._rules.values() if one.matches(method, path)), None)
        if added is None or added.chance.random() >= added.rule.probability:
            return None
        added.applied += 1
        return added.rule

    async def _create(self, request: Request) -> JSONResponse:
        rule = await wire.read_body(request, FaultRule)
        chance = random.Random(rule.seed)  # noqa: S311  # reproducible, not a secret
        added = _AddedRule(id=wire.new_id("fault_"), rule=rule, chance=chance)
        self._rules[added.id] = added
        return JSONResponse(added.dump(), status_code=201)

    async def _list(self, _: Request) -> FaultList:
        return FaultList(data=[added.dump() for added in self._rules.values()])

    async def _clear(self, _: Request) -> FaultList:
        self._rules.clear()
        return FaultList(data=[])

    async def _delete(self, request: Request) -> wire.Deleted:
        fault_id: str = request.path_params["fault_id"]
        if self._rules.pop(fault_id, None) is None:
            raise not_found("fault", fault_id)
        return wire.Deleted(id=fault_id, object="fault.deleted")


class InjectFaults:
    """Middleware that applies the rules to requests."""

    def __init__(self, app: ASGIApp, *, faults: Faults, prefixes: Sequence[str]) -> None:
        self._app = app
        self._faults = faults
        self._prefixes = prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = self._without_prefix(scope["path"]) if scope["type"] == "http" else None
        rule = self._faults.draw(scope["method"], path) if path is not None else None
        if rule is None:
            await self._app(scope, receive, send)
            return
        if rule.delay_ms:
            await asyncio.sleep(rule.delay_ms / 1000)
        if rule.status is not None:
            await _error_response(rule, Request(scope))(scope, receive, send)
        elif rule.drop == "before":
            await _cut(send)
        elif rule.drop == "after":
            await self._app(scope, receive, _discard)
            await _cut(send)
        else:
            await self._app(scope, receive, send)

    def _without_prefix(self, path: str) -> str | None:
        return next((path.removeprefix(one) for one in self._prefixes if path.startswith(f"{one}/")), None)


# Azure's answer while a role is missing, or has not arrived yet.
_DENIED = (
    "The principal `00000000-0000-0000-0000-000000000000` lacks the required data action "
    "`Microsoft.CognitiveServices/accounts/OpenAI/responses/write` to perform `POST /openai/v1/responses` operation."
)
_CODES = {401: "PermissionDenied", 403: "PermissionDenied", 429: "rate_limit_exceeded"}


def _error_response(rule: FaultRule, request: Request) -> JSONResponse:
    assert rule.status is not None
    ours = "server_error" if rule.status >= 500 else "fault"
    type_ = {429: "too_many_requests"}.get(
        rule.status, "server_error" if rule.status >= 500 else "invalid_request_error"
    )
    said = _DENIED if rule.status in (401, 403) else f"A fault rule answered this request with {rule.status}."
    error = ApiError(rule.status, rule.message or said, type=type_, code=rule.code or _CODES.get(rule.status, ours))
    wait_ms = rule.retry_after_ms
    if wait_ms is None and rule.status == 429 and is_dated(request):
        wait_ms = 1000  # Azure's gateway always says how long
    wait_s = math.ceil((wait_ms or 0) / 1000)
    headers = {} if wait_ms is None else {"retry-after-ms": str(wait_ms), "retry-after": str(wait_s)}
    own = rule.message is not None or (rule.code is not None and rule.code not in (CONTENT_FILTER, NO_DEPLOYMENT))
    body = error.body() if own else gateway_body(error, request, retry_after_s=wait_s)
    return JSONResponse(body, status_code=rule.status, headers=headers)


async def _discard(_: Message) -> None:
    """Discard the response."""


async def _cut(send: Send) -> None:
    """Start a response and send no body: uvicorn then closes the connection.

    ASGI gives no access to the transport, and uvicorn answers 500 for an app that sends nothing.
    """
    await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"1")]})
