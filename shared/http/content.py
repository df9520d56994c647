"""`GET /api/documents/{path}/content`: the bytes of a document, whole or in ranges.

Anyone who can write a blob chooses its content and its media type. So the type of the answer comes from the ending of
the name alone, nothing is ever sent as HTML, SVG or script, a browser saves all but pictures, PDF and plain text, and
a page that is opened all the same runs nothing.
"""

from __future__ import annotations

import re
from dataclasses import replace
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import azure.functions as func

from shared.errors import BlobChanged, BlobMissing, Busy, NotFound, RangeNotSatisfiable, TooLarge
from shared.http.fields import DocumentPath
from shared.http.paths import CONTENT, asked_path
from shared.http.route import Operation, Parameter, Reply, problem

if TYPE_CHECKING:
    from shared.services import Services
    from shared.storage.listings import BlobInfo

WHOLE_MAX_BYTES = 64 * 1024 * 1024  # the host holds an answer several times over in memory
RANGE_MAX_BYTES = 8 * 1024 * 1024  # a longer range is answered with its beginning
UNKNOWN_TYPE = "application/octet-stream"
PLAIN = "text/plain; charset=utf-8"
PDF = "application/pdf"
SHOWN = {
    "pdf": PDF,
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    **dict.fromkeys(("txt", "md", "csv", "tsv", "json", "jsonl", "log", "tex", "yaml", "yml"), PLAIN),
}
SANDBOX = "sandbox; default-src 'none'"
OF_A_PDF = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'"  # a browser's viewer needs no sandbox
RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


async def get_content(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    path = asked_path(req, "path", ending=CONTENT)
    blob = await _info(services, path)
    headers = headers_of(blob)
    if _names(req.headers.get("if-none-match"), blob.etag):
        return func.HttpResponse(status_code=304, headers=headers)
    try:
        part = range_of(_range(req, blob), blob.size_bytes)
    except RangeNotSatisfiable as exc:
        refused = problem(exc)
        refused.headers["Content-Range"] = f"bytes */{blob.size_bytes}"
        return refused
    if part is None and blob.size_bytes > WHOLE_MAX_BYTES:
        raise TooLarge(
            f"The document has {blob.size_bytes:,} bytes; {WHOLE_MAX_BYTES:,} are sent at once. Ask for parts of it, "
            "with a header such as Range: bytes=0-8388607.",
            code="document_too_large",
        )
    start, end = part or (0, blob.size_bytes)
    content = await _read(services, blob, start, end)
    if part is None:
        return func.HttpResponse(content, status_code=200, headers=headers, mimetype=headers["Content-Type"])
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{blob.size_bytes}"
    return func.HttpResponse(content, status_code=206, headers=headers, mimetype=headers["Content-Type"])


async def head_content(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    """The headers of the whole content. Also for `/api/documents/content?path=`: the route is a catch-all."""
    blob = await _info(services, asked_path(req, "path", ending=CONTENT))
    headers = {**headers_of(blob), "Content-Length": str(blob.size_bytes)}
    return func.HttpResponse(status_code=200, headers=headers, mimetype=headers["Content-Type"])


async def _info(services: Services, path: str) -> BlobInfo:
    try:
        return await services.library.catalogue.blob(path)
    except BlobMissing as exc:
        raise NotFound(
            f"There is no document {path!r}. GET /api/documents lists all.", code="document_not_found"
        ) from exc


async def _read(services: Services, blob: BlobInfo, start: int, end: int) -> bytes:
    if start == end:
        return b""
    try:
        return await services.library.catalogue.content(blob, start=start, end=end)
    except BlobMissing as exc:
        raise NotFound(f"The document {blob.name!r} was deleted.", code="document_not_found") from exc
    except BlobChanged as exc:
        raise Busy("The document was replaced while it was read. Ask again.", code="document_busy") from exc


def _range(req: func.HttpRequest, blob: BlobInfo) -> str | None:
    """The header Range; None if it is for another version of the document."""
    only_if = req.headers.get("if-range")
    return req.headers.get("range") if only_if is None or only_if.strip() == f'"{blob.etag}"' else None


def _names(etags: str | None, etag: str) -> bool:
    return etags is not None and f'"{etag}"' in {each.strip().removeprefix("W/") for each in etags.split(",")}


def range_of(text: str | None, size_bytes: int) -> tuple[int, int] | None:
    """The first byte and the one behind the last; None for the whole content.

    As HTTP allows, a header that is not understood, or names several ranges, is ignored.

    Raises:
        RangeNotSatisfiable: the content has no such bytes.

    Source: https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
    """
    found = RANGE.fullmatch((text or "").strip())
    if found is None or found[1] == found[2] == "":
        return None
    first, last = found[1], found[2]
    if first and last and int(first) > int(last):
        return None
    start = int(first) if first else max(size_bytes - int(last), 0)
    end = min(int(last) + 1, size_bytes) if first and last else size_bytes
    if start >= end:
        raise RangeNotSatisfiable(f"The document has {size_bytes:,} bytes, and none in this range.")
    return start, min(end, start + RANGE_MAX_BYTES)


def headers_of(blob: BlobInfo) -> dict[str, str]:
    name = blob.name.rsplit("/", 1)[-1]
    media_type = SHOWN.get(name.rsplit(".", 1)[-1].lower() if "." in name else "", UNKNOWN_TYPE)
    how = "attachment" if media_type == UNKNOWN_TYPE else "inline"
    return {
        "Content-Type": media_type,
        "Content-Disposition": f"{how}; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": OF_A_PDF if media_type == PDF else SANDBOX,
        "Accept-Ranges": "bytes",
        "ETag": f'"{blob.etag}"',
        "Last-Modified": format_datetime(blob.last_modified_at, usegmt=True),
        "Cache-Control": "private, no-cache",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


# ---- the description ---------------------------------------------------------------------------------------------

NO_DOCUMENT = {
    400: ("invalid_collection", "invalid_path", "path_given_twice"),
    404: ("document_not_found",),
}
PATH_IN_QUERY = Parameter(name="path", type=DocumentPath, where="query")
RANGE_HEADER = Parameter(name="Range", type=str, where="header", required=False, visibility="internal")
MEDIA = tuple(sorted({UNKNOWN_TYPE, *(media_type.split(";")[0] for media_type in SHOWN.values())}))

GET_CONTENT = Operation(
    id="GetDocumentContent",
    method="GET",
    path="/documents/{path}/content",
    handler="get_content",
    summary="Get the content of a document",
    description="Returns the bytes of its newest version. Takes Range, If-Range and If-None-Match. HTML and other "
    "active content is sent as a file to save, with a neutral media type.",
    visibility="advanced",
    parameters=(Parameter(name="path", type=DocumentPath), RANGE_HEADER),
    replies=(
        Reply(status=200, type=bytes, media=MEDIA, description="The whole content."),
        Reply(status=206, type=bytes, media=MEDIA, description="The range, or its beginning."),
        Reply(status=304, description="The version of If-None-Match is the newest."),
    ),
    problems={**NO_DOCUMENT, 409: ("document_busy",), 413: ("document_too_large",), 416: ("range_not_satisfiable",)},
    route="/documents/{path}",
    function="read_document",
)
HEAD_CONTENT = Operation(
    id="HeadDocumentContent",
    method="HEAD",
    path="/documents/{path}/content",
    handler="head_content",
    summary="Get size, type and version of the content of a document",
    description="Returns the headers of GetDocumentContent, without the content.",
    visibility="internal",
    parameters=(Parameter(name="path", type=DocumentPath),),
    replies=(Reply(status=200, description="Content-Length, Content-Type, ETag and Last-Modified."),),
    problems=NO_DOCUMENT,
    route="/documents/{path}",
)
CONTENTS = (
    GET_CONTENT,
    replace(
        GET_CONTENT,
        id="GetDocumentContentByPath",
        path="/documents/content",
        parameters=(PATH_IN_QUERY, RANGE_HEADER),
        route="",
        function="",
    ),
    HEAD_CONTENT,
    replace(HEAD_CONTENT, id="HeadDocumentContentByPath", path="/documents/content", parameters=(PATH_IN_QUERY,)),
)
