"""What all routes share: error handling, JSON answers, and the types that describe an operation."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit, urlunsplit

import azure.functions as func
import msgspec

from shared import telemetry
from shared.errors import AppError, BlobChanged, BlobMissing, ServiceBusy, StorageError
from shared.http.reading import body_from, body_of, check_url
from shared.http.shapes.base import Problem
from shared.logs import event

if TYPE_CHECKING:
    from shared.services import Services


log = logging.getLogger(__name__)
T = TypeVar("T")
Route = Callable[["Services", func.HttpRequest], Awaitable[func.HttpResponse]]


async def answer(services: Callable[[], Services], req: func.HttpRequest, route: Route) -> func.HttpResponse:
    """Run one route. An AppError becomes a problem response; the host answers any other error, a bug, with 500.

    Documents and answers are private, so no cache between may keep them, unless the route says which one may.
    """
    caller = telemetry.parent_in(req.headers.get("traceparent"))
    try:
        check_url(req.url)
        with telemetry.span(route.__name__, parent=caller, method=req.method):
            response = await route(services(), req)
    except AppError as exc:
        if exc.status >= 500:
            event(log, logging.ERROR, f"http.{exc.code}", route=route.__name__, detail=exc.message, error=exc)
        response = problem(exc)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.update(NOSNIFF)
    return response


def read_body(
    services: Services, req: func.HttpRequest, type: type[T], *, max_bytes: int | None = None, default: T | None = None
) -> T:
    """Decode the JSON body.

    Args:
        max_bytes: Takes the place of the setting BODY_MAX_BYTES.
        default: What a request without a body means; None: the body is required.
    """
    limit = max_bytes or services.settings.body_max_bytes
    body = body_of(req, max_bytes=limit)
    if not body and default is not None:
        return default
    return body_from(body, req.headers, type, max_bytes=limit)


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
        route: The template of the function that serves it, if it is not `path`: a catch-all also matches an empty path,
            and no template can have text behind one.
        function: The function that serves it, if it does not have the name of the handler.
    """

    id: str
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE"]
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
    route: str = ""
    function: str = ""


DELETED = Reply(status=204, description="Deleted.")
UNRECEIVED = {411: ("body_not_received",), 415: ("unsupported_encoding",)}  # of every operation with a body
BAD_CALLBACK = ("callback_not_allowed", "invalid_callback_url")


def query(name: str, type: Any, *, visibility: Visibility = "none") -> Parameter:
    return Parameter(name=name, type=type, where="query", required=False, visibility=visibility)


# ---- answers -----------------------------------------------------------------------------------------------------

NOSNIFF = {"X-Content-Type-Options": "nosniff"}  # a browser takes no answer for a page or a script
TITLES = {
    400: "The request cannot be used",
    404: "Not found",
    409: "Not now",
    411: "The body did not arrive",
    412: "Not in this version",
    413: "Too large",
    415: "Wrong media type",
    416: "No such range",
    500: "The app is not set up right",
    501: "Not implemented",
    502: "The model service refused",
    503: "Try again later",
}


def json_response(status: int, body: Any, headers: dict[str, str] | None = None) -> func.HttpResponse:
    return func.HttpResponse(
        msgspec.json.encode(body),
        status_code=status,
        headers={**NOSNIFF, **(headers or {})},
        mimetype="application/json",
        charset="utf-8",
    )


def problem(exc: AppError) -> func.HttpResponse:
    """Which blob is missing or was changed is nothing that a caller could use: these faults of storage have one code.

    Source: https://www.rfc-editor.org/rfc/rfc9457
    """
    code = StorageError.code if isinstance(exc, BlobMissing | BlobChanged) else exc.code
    body = Problem(
        type=f"urn:assistant-functions:problem:{code}",
        title=TITLES.get(exc.status, "Error"),
        status=exc.status,
        code=code,
        detail=exc.message.encode(errors="replace").decode(),  # it may quote what cannot be encoded
    )
    headers = {**NOSNIFF}
    if isinstance(exc, ServiceBusy | StorageError):
        headers["Retry-After"] = str(round(getattr(exc, "retry_after_s", None) or 5))
    return func.HttpResponse(
        msgspec.json.encode(body), status_code=exc.status, headers=headers, mimetype="application/problem+json"
    )


def api_url(url: str, literals: tuple[str, ...], rest: str) -> str:
    """The absolute URL of another route, on the host of the request.

    The host ignores the case of routes: `/API/Runs` is `/api/runs`.

    Args:
        url: The URL of the request.
        literals: The literal with which the route of the request begins, or those of several routes, in lower case.
        rest: The other route without the prefix `api`, such as `runs/run_1`.
    """
    scheme, host, path, _, _ = urlsplit(url)
    parts = path.split("/")
    start = max((n for n, part in enumerate(parts) if part.lower() in literals), default=len(parts))
    return urlunsplit((scheme, host, "/".join([*parts[:start], rest]), "", ""))


def with_key(where: str, url: str) -> str:
    """`where` with the function key of `url`, if it has one: Logic Apps needs the key in `Location`, too."""
    key = key_in(url)
    return f"{where}?code={key}" if key else where


def key_in(url: str) -> str:
    """The function key in a URL, encoded as there; "" without one. The host takes the key from `?CODE=` as well."""
    for pair in urlsplit(url).query.split("&"):
        name, _, value = pair.partition("=")
        if name.lower() == "code" and value:
            return value
    return ""
