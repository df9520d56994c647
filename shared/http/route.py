"""What all routes share: error handling, JSON answers, and the types that describe an operation."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

import azure.functions as func
import msgspec

from shared.errors import AppError, ServiceBusy, StorageError
from shared.http.reading import body_from
from shared.http.shapes.base import Problem

if TYPE_CHECKING:
    from shared.services import Services


log = logging.getLogger(__name__)
T = TypeVar("T")
Route = Callable[["Services", func.HttpRequest], Awaitable[func.HttpResponse]]


async def answer(services: Callable[[], Services], req: func.HttpRequest, route: Route) -> func.HttpResponse:
    """Run one route. An AppError becomes a problem response; the host answers any other error, a bug, with 500."""
    try:
        return await route(services(), req)
    except AppError as exc:
        if exc.status >= 500:
            log.error("http.%s", exc.code, extra={"detail": exc.message}, exc_info=exc)
        return problem(exc)


def read_body(services: Services, req: func.HttpRequest, type: type[T], *, max_bytes: int | None = None) -> T:
    """Decode the JSON body. `max_bytes` takes the place of the setting BODY_MAX_BYTES."""
    limit = max_bytes or services.settings.body_max_bytes
    return body_from(req.get_body(), req.headers, type, max_bytes=limit)


# ---- the description of an operation -----------------------------------------------------------------------------

Visibility = Literal["none", "important", "advanced", "internal"]  # x-ms-visibility of a custom connector


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter. `type` describes its text and checks it."""

    name: str
    type: Any
    where: Literal["path", "query", "header"] = "path"
    required: bool = True
    visibility: Visibility = "none"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A successful answer: `type` as JSON, bytes with one of the media types, or no body."""

    status: int
    description: str
    type: Any = None
    media: tuple[str, ...] = ("application/json",)
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One route.

    Attributes:
        path: Without the route prefix `api`.
        handler: The name of the handler in the file of its family, and of the function of `function_app.py`.
        body: The type of the JSON body; `bytes` for a binary body; None for no body.
        problems: Status -> error codes that the caller causes. `openapi.py` adds the codes that many operations share.
        links: Ids of operations whose parameter `id` is the `id` of this answer.
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


DELETED = Reply(status=204, description="Deleted.")
BAD_CALLBACK = ("callback_not_allowed", "invalid_callback_url")


def query(name: str, type: Any, *, visibility: Visibility = "none") -> Parameter:
    return Parameter(name=name, type=type, where="query", required=False, visibility=visibility)


# ---- answers -----------------------------------------------------------------------------------------------------

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
    """`where` with the function key of `url`, if it has one: Logic Apps needs the key in `Location`, too."""
    for pair in urlsplit(url).query.split("&"):
        name, _, value = pair.partition("=")
        if name == "code" and value:
            return f"{where}?code={value}"
    return where
