"""Checks of what the routes of documents and of search get: metadata, media types, forms, queries and filters."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any, cast, get_args

import azure.functions as func
from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from shared.documents.conditions import Condition
from shared.errors import BadRequest
from shared.http.fields import FILTERS_DEPTH_MAX, FILTERS_MAX, DocumentState, EtagList, fits
from shared.models.documents import DocumentStatus

ANY_TYPE = "application/octet-stream"
BLOB_METADATA_MAX_BYTES = 8 * 1024
FORM = "multipart/form-data"
FORM_PARTS_MAX = 1_000
SEND_ONE_FILE = (
    "Send one file a request: curl -X PUT --data-binary @x.csv, or curl -X PUT -F file=@x.csv. Each further file is a "
    "document of its own, with a path and a PUT of its own."
)
FILTER_KEY_MAX_CHARS = 64
FILTER_VALUES_MAX = 100


def blob_metadata_from(headers: Mapping[str, str]) -> dict[str, str]:
    """`x-ms-meta-team: hr` -> `{"team": "hr"}`, with the limits of Blob Storage.

    Source: https://learn.microsoft.com/rest/api/storageservices/setting-and-retrieving-properties-and-metadata-for-blob-resources
    """
    prefix = "x-ms-meta-"
    found = {name.lower().removeprefix(prefix): v for name, v in headers.items() if name.lower().startswith(prefix)}
    valid = all(re.fullmatch(r"[a-z_][a-z0-9_]{0,63}", k) and re.fullmatch(r"[ -~]*", v) for k, v in found.items())
    if not valid or sum(len(k) + len(v) for k, v in found.items()) > BLOB_METADATA_MAX_BYTES:
        raise BadRequest(
            "A header x-ms-meta-<name> needs a name of letters, digits and _ and a value of printable ASCII. All of "
            f"them together may have {BLOB_METADATA_MAX_BYTES:,} bytes.",
            code="invalid_metadata",
        )
    return found


def condition_from(headers: Mapping[str, str]) -> Condition:
    """The condition of a write. Etags have quotes, as HTTP writes them, or none, as in this API's JSON."""
    for name in ("If-Modified-Since", "If-Unmodified-Since"):
        if headers.get(name.lower()) is not None:
            raise BadRequest(f"{name} is not supported here. Use If-Match with the etag.", code="invalid_condition")
    return Condition(match=_etags_from("If-Match", headers), none_match=_etags_from("If-None-Match", headers))


def _etags_from(name: str, headers: Mapping[str, str]) -> tuple[str, ...] | None:
    if (text := headers.get(name.lower())) is None:
        return None
    # A weak etag, W/"x", names no exact version, so a write cannot depend on it.
    if not fits(text, EtagList):
        raise BadRequest(f'{name} takes * or etags, such as "0x8DD2A5C4B3A1F00".', code="invalid_condition")
    return tuple(etag.strip(' \t"') for etag in text.split(","))


def file_in_form(req: func.HttpRequest) -> tuple[bytes, str]:
    """Content and media type of the file that a form carries, as from `curl -F file=@x.csv` or a browser's FormData.

    Source: https://datatracker.ietf.org/doc/html/rfc7578
    """
    body, (media_type, options) = req.get_body(), parse_options_header(req.headers.get("content-type"))
    parser = FormDataParser(stream_factory=lambda *_, **__: io.BytesIO(), silent=False, max_form_parts=FORM_PARTS_MAX)
    try:
        _, form, uploads = parser.parse(io.BytesIO(body), media_type, len(body), options)
    except (ValueError, HTTPException) as exc:  # no boundary, a part without an end, too many parts
        raise BadRequest(f"The form cannot be read. {SEND_ONE_FILE}", code="invalid_form") from exc
    files = [file for _, file in uploads.items(multi=True)]
    if len(files) != 1:
        what = f"{len(files)} files and {len(form)} other fields"
        raise BadRequest(f"The form has {what}. {SEND_ONE_FILE}", code="invalid_form")
    return files[0].read(), files[0].content_type or ANY_TYPE


def media_type_from(text: str) -> str:
    if not re.fullmatch(r"[!-~]([ -~]{0,198}[!-~])?", text):
        raise BadRequest("A content type has 1 to 200 printable ASCII characters.", code="invalid_content_type")
    return text


def document_status_from(text: str | None) -> DocumentStatus | None:
    if text is None:
        return None
    if not fits(text, DocumentState):
        known = ", ".join(get_args(DocumentStatus))
        raise BadRequest(f"The status must be one of {known}.", code="invalid_status")
    return cast(DocumentStatus, text)


def query_from(text: str, max_chars: int) -> str:
    if not text.strip():
        raise BadRequest("The query is empty. Write one in the field 'query'.", code="empty_query")
    if len(text) > max_chars:
        raise BadRequest(f"The query has {len(text):,} characters; the limit is {max_chars:,}.", code="query_too_long")
    return text.strip()


def filters_from(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """The filter object of file search, checked.

    Source: https://platform.openai.com/docs/guides/retrieval#attribute-filtering
    """
    if given is not None and (fault := _filter_fault(given, depth=1)):
        raise BadRequest(f"The filter is not valid: {fault}", code="invalid_filters")
    return given


def _filter_fault(node: object, *, depth: int) -> str | None:
    if not isinstance(node, dict):
        return "each filter is an object with a 'type'."
    kind = node.get("type")
    if kind in ("and", "or"):
        parts = node.get("filters")
        if node.keys() != {"type", "filters"} or not isinstance(parts, list) or not 0 < len(parts) <= FILTERS_MAX:
            return f"{kind!r} takes 'filters', a list of 1 to {FILTERS_MAX} filters, and nothing else."
        if depth == FILTERS_DEPTH_MAX:
            return f"filters can be nested at most {FILTERS_DEPTH_MAX} deep."
        return next((fault for part in parts if (fault := _filter_fault(part, depth=depth + 1))), None)
    return _comparison_fault(node, kind)


def _comparison_fault(node: dict[Any, Any], kind: object) -> str | None:
    key, value = node.get("key"), node.get("value")
    if node.keys() != {"type", "key", "value"} or not isinstance(key, str) or not 0 < len(key) <= FILTER_KEY_MAX_CHARS:
        return "a comparison takes 'type', 'key' (the name of a metadata entry) and 'value', and nothing else."
    if kind in ("in", "nin"):
        items = value if isinstance(value, list) and len(value) <= FILTER_VALUES_MAX else []
        if not items or not all(isinstance(item, str | int | float) for item in items):
            return f"{kind!r} takes a list of 1 to {FILTER_VALUES_MAX} strings, numbers or booleans."
        return None
    if kind not in ("eq", "ne", "gt", "gte", "lt", "lte"):
        return f"there is no type {str(kind)[:40]!r}; use eq, ne, gt, gte, lt, lte, in, nin, and, or."
    if not isinstance(value, str | int | float) or (isinstance(value, bool) and kind not in ("eq", "ne")):
        return f"{kind!r} compares with a string or a number."
    return None
