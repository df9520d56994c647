"""Shared HTTP code of the API families: ids, request bodies, pages, uploads, and responses from the SDK's types."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeVar

import openai
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from pydantic import ValidationError as PydanticError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.openai_emulator.errors import ApiError, from_validation, invalid
from local.openai_emulator.store import Page, Paging

MAX_FILE_BYTES = 512 * 1024 * 1024  # limit of both services for one file
MAX_JSON_BYTES = 16 * 1024 * 1024
MAX_JSON_DEPTH = 100
TOO_DEEP = f"The JSON body of your request is nested more than {MAX_JSON_DEPTH} levels deep."
_FORM_SLACK_BYTES = 64 * 1024  # for the form's boundaries and other fields

Key = Annotated[str, Field(max_length=64)]
Text512 = Annotated[StrictStr, Field(max_length=512)]
Metadata = Annotated[dict[Key, Text512], Field(max_length=16)]
Attributes = Annotated[dict[Key, Text512 | StrictBool | StrictInt | StrictFloat], Field(max_length=16)]

Answer = BaseModel | Response
Endpoint = Callable[[Request], Awaitable[Answer]]


class RequestBody(BaseModel):
    """A request body. Fields it does not declare are refused as unknown parameters, as by the service."""

    model_config = ConfigDict(extra="forbid")


BodyT = TypeVar("BodyT", bound=BaseModel)
ObjectT = TypeVar("ObjectT", bound=BaseModel)


class ListPage(BaseModel):
    """The response of every list request."""

    object: Literal["list"] = "list"
    data: Sequence[dict[str, Any]]  # dumps of SDK objects
    first_id: str
    last_id: str
    has_more: bool


class Deleted(BaseModel):
    """The response to deleting a response, a container or a container file; the SDK has no type for it."""

    id: str
    object: str
    deleted: bool = True


def new_id(prefix: str) -> str:
    return f"{prefix}{secrets.token_hex(24)}"


def dump(model: BaseModel) -> dict[str, Any]:
    """An SDK object as the service sends it: all fields that were set, including nulls, and times as whole seconds."""
    fields = model.model_dump(mode="json", by_alias=True, exclude_unset=isinstance(model, openai.BaseModel))
    for name, value in fields.items():
        if name.endswith("_at") and isinstance(value, float):  # the SDK's type of a response has floats
            fields[name] = int(value)
    return fields


def listed(page: Page, read: Callable[[dict[str, Any]], BaseModel] | None = None) -> ListPage:
    """A page as a list response; `read` converts a stored body to its API object if the two differ."""
    return ListPage(
        data=[dump(read(body)) for body in page.bodies] if read else page.bodies,
        first_id=page.ids[0] if page.ids else "",
        last_id=page.ids[-1] if page.ids else "",
        has_more=page.has_more,
    )


def route(method: str, path: str, endpoint: Endpoint) -> Route:
    async def answer(request: Request) -> Response:
        result = await endpoint(request)
        return result if isinstance(result, Response) else JSONResponse(dump(result))

    return Route(path, answer, methods=[method], name=f"{method} {path}")


async def read_body(request: Request, model: type[BodyT]) -> BodyT:
    """Read and validate the JSON body.

    Raises:
        ApiError: 400 with the invalid parameter, or 413.
    """
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_JSON_BYTES:
            raise ApiError(413, f"The request body is over {MAX_JSON_BYTES} bytes.", code="request_too_large")
    try:
        body = json.loads(raw or b"{}")
        # refuses NaN, infinity and lone surrogates, which cannot be sent back
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as exc:
        raise invalid("We could not parse the JSON body of your request.", code="invalid_json") from exc
    except RecursionError as exc:
        raise invalid(TOO_DEEP, code="invalid_json") from exc
    if _is_too_deep(body):
        raise invalid(TOO_DEEP, code="invalid_json")
    if not isinstance(body, dict):
        raise invalid("The body of your request must be a JSON object.", code="invalid_json")
    return parse(body, model)


def _is_too_deep(body: object) -> bool:
    level = [body]
    for _ in range(MAX_JSON_DEPTH):
        level = [
            child
            for one in level
            for child in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
        ]
        if not level:
            return False
    return True


def parse(body: object, model: type[BodyT], *, within: str = "") -> BodyT:
    try:
        return model.model_validate(body)
    except PydanticError as exc:
        raise from_validation(exc, within=within) from exc


def paging(request: Request, *, default: int = 20, most: int = 100) -> Paging:
    query = request.query_params
    try:
        limit = int(query.get("limit", default))
    except ValueError as exc:
        raise invalid("Invalid value for 'limit': expected an integer.", param="limit") from exc
    if not 1 <= limit <= most:
        raise invalid(f"Invalid value for 'limit': expected 1 to {most}, got {limit}.", param="limit")
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise invalid("Invalid value for 'order': expected 'asc' or 'desc'.", param="order")
    return Paging(limit=limit, order=order, after=query.get("after"), before=query.get("before"))


def query_list(request: Request, name: str) -> list[str]:
    """A list in the query string: `include[]=a`, as the SDKs write it, or `include=a`."""
    return [*request.query_params.getlist(name), *request.query_params.getlist(f"{name}[]")]


@asynccontextmanager
async def form(request: Request) -> AsyncIterator[FormData]:
    """Parse a multipart form; its files are kept on disk until the block ends.

    Raises:
        ApiError: 400 if there is no valid form, 413 if it is larger than `MAX_FILE_BYTES`.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise invalid("Send this request as multipart/form-data.", code="invalid_content_type")
    parser = MultiPartParser(request.headers, _limited(request), max_files=1, max_fields=20)
    try:
        data = await parser.parse()
    except (MultiPartException, KeyError) as exc:
        raise invalid(f"The multipart form could not be read: {exc}", code="invalid_form") from exc
    try:
        yield data
    finally:
        await data.close()


async def _limited(request: Request) -> AsyncGenerator[bytes, None]:
    most = MAX_FILE_BYTES + _FORM_SLACK_BYTES
    too_large = ApiError(
        413, f"The file is over the limit of {MAX_FILE_BYTES} bytes (512 MB).", param="file", code="file_too_large"
    )
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise too_large
    seen = 0
    async for part in request.stream():
        seen += len(part)
        if seen > most:
            raise too_large
        yield part


def uploaded_file(form: FormData) -> UploadFile:
    upload = form.get("file")
    if not isinstance(upload, UploadFile):
        raise invalid("Missing required parameter: 'file'.", param="file", code="missing_required_parameter")
    if upload.size is not None and upload.size > MAX_FILE_BYTES:
        raise ApiError(413, "The file is over the limit of 512 MB.", param="file", code="file_too_large")
    return upload


def safe_filename(name: str | None) -> str:
    """The last path component of a file name sent by a client, without control characters.

    Raises:
        ApiError: 400, nothing is left.
    """
    last = PurePosixPath((name or "").replace("\\", "/")).name
    last = re.sub(r"[\x00-\x1f\x7f]", "", last).strip()
    while len(last.encode(errors="replace")) > 255:
        last = last[1:]  # keep the extension
    if last in ("", ".", ".."):
        raise invalid("The file needs a name.", param="file")
    return last.encode(errors="replace").decode()
