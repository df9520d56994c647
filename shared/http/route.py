"""DOC."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

import azure.functions as func
import msgspec

from shared.errors import AppError, ServiceBusy, StorageError
from shared.http import reading as read
from shared.http.shapes.base import Problem

if TYPE_CHECKING:
    from shared.services import Services


log = logging.getLogger(__name__)
T = TypeVar("T")
Route = Callable[["Services", func.HttpRequest], Awaitable[func.HttpResponse]]


async def answer(services: Callable[[], Services], req: func.HttpRequest, route: Route) -> func.HttpResponse:
    """Run one route; errors of ours become problems. Any other is a bug: the host logs it and answers 500."""
    try:
        return await route(services(), req)
    except AppError as exc:
        if exc.status >= 500:
            log.error("http.%s", exc.code, extra={"detail": exc.message}, exc_info=exc)
        return problem(exc)


def read_body(services: Services, req: func.HttpRequest, type: type[T], *, max_bytes: int | None = None) -> T:
    limit = max_bytes or services.settings.body_max_bytes
    return read.body_from(req.get_body(), req.headers, type, max_bytes=limit)


Visibility = Literal["none", "important", "advanced", "internal"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter and the type that its text must fit."""

    name: str
    type: Any
    where: Literal["path", "query", "header"] = "path"
    required: bool = True
    visibility: Visibility = "none"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer that is no problem: `type` in JSON, bytes of one of `media`, or nothing."""

    status: int
    description: str
    type: Any = None
    media: tuple[str, ...] = ("application/json",)
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One route.

    Attributes:
        path: Below the route prefix `api`.
        handler: The function of `api.py`, and of `function_app.py`, that answers it.
        body: What comes in, as JSON; `bytes` as they are; None: no body.
        problems: status -> the codes of those that are the caller's. All others come from `openapi.py`.
        links: operation -> its parameter that is the `id` of this one's answer.
    """

    id: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    summary: str
    handler: str
    replies: tuple[Reply, ...]
    description: str = ""
    visibility: Visibility = "none"
    parameters: tuple[Parameter, ...] = ()
    body: Any = None
    body_required: bool = True
    example: Any = None
    problems: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    auth: Literal["function", "anonymous"] = "function"


NO_DOCUMENT = {400: ("invalid_collection", "invalid_path"), 404: ("document_not_found",)}
GONE = Reply(status=204, description="It is gone.")
BAD_CALLBACK = ("callback_not_allowed", "invalid_callback_url")


def query(name: str, type: Any, *, visibility: Visibility = "none") -> Parameter:
    return Parameter(name=name, type=type, where="query", required=False, visibility=visibility)


TITLES = {
    400: "The request cannot be used",
    404: "Not found",
    409: "Not now",
    413: "Too large",
    415: "Wrong media type",
    500: "The app is not set up right",
    501: "Not implemented",
    502: "The model service refused",
    503: "Try again later",
}


def json_response(status: int, body: Any, headers: dict[str, str] | None = None) -> func.HttpResponse:
    return func.HttpResponse(
        msgspec.json.encode(body), status_code=status, headers=headers, mimetype="application/json", charset="utf-8"
    )


def problem(exc: AppError) -> func.HttpResponse:
    """Source: https://www.rfc-editor.org/rfc/rfc9457"""
    body = Problem(
        type=f"urn:assistant-functions:problem:{exc.code}",
        title=TITLES.get(exc.status, "Error"),
        status=exc.status,
        code=exc.code,
        detail=exc.message,
    )
    headers = {}
    if isinstance(exc, ServiceBusy | StorageError):
        headers["Retry-After"] = str(round(getattr(exc, "retry_after_s", None) or 5))
    return func.HttpResponse(
        msgspec.json.encode(body), status_code=exc.status, headers=headers, mimetype="application/problem+json"
    )


def with_key(where: str, url: str) -> str:
    """A caller that gave its function key in the URL follows `Location` with the same key, as Logic Apps needs it."""
    for pair in urlsplit(url).query.split("&"):
        name, _, value = pair.partition("=")
        if name == "code" and value:
            return f"{where}?code={value}"
    return where
