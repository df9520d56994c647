"""Checks of request input that several families of routes use: query values, bodies, names, flags and pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

import azure.functions as func
import msgspec

from shared.errors import BadRequest, LengthRequired, TooLarge, WrongMediaType
from shared.formats.filetypes import bad_path
from shared.http.fields import (
    COLLECTION_MAX_CHARS,
    METADATA_KEY_MAX_CHARS,
    METADATA_MAX,
    METADATA_VALUE_MAX_CHARS,
    PAGE_DEFAULT,
    PAGE_MAX,
    CollectionName,
    Cursor,
    fits,
)

T = TypeVar("T")
ENCODED_SLASH = re.compile("%2F", re.IGNORECASE)
BOM = b"\xef\xbb\xbf"  # some editors and PowerShell write it at the beginning of a JSON file
# The JSON Schema of a function needs the most: two levels for each level of its arguments. Far deeper values break what
# reads them later, since JSON libraries are recursive: first the service's, long after the request was accepted.
JSON_DEPTH_MAX = 64
BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)


def asked(req: func.HttpRequest, name: str) -> str | None:
    """The value of a query parameter; None when it is not in the query.

    Read from the raw query of `req.url`, because the Functions host leaves parameters with an empty value out of
    `req.params`: an empty value is a value, and must not start what a missing one would. As on the host, names ignore
    case.

    Raises:
        BadRequest: it is there more than once. The host would join the values with a comma: that is neither of them.
    """
    pairs = parse_qsl(urlsplit(req.url).query, keep_blank_values=True, errors="replace")
    values = [value for key, value in pairs if key.lower() == name]
    if len(values) > 1:
        raise BadRequest(
            f"The query has {name} {len(values)} times. Send it once; a & in a value is written %26.",
            code="repeated_parameter",
        )
    value: str | None = values[0] if values else req.params.get(name)
    return value


def check_url(url: str) -> None:
    """Refuse percent-encoded bytes that are no text: decoded leniently, they would name another document.

    Microsoft's host leaves such bytes of a path as they are, so `%25FF` arrives like `%FF`. In the query, it does not.

    Raises:
        BadRequest: path or query are not UTF-8.
    """
    _, _, path, query, _ = urlsplit(url)
    try:
        unquote_to_bytes(path + query).decode()
    except UnicodeError as exc:  # also of a lone surrogate, which has no bytes in UTF-8
        raise BadRequest(
            "The URL has percent-encoded bytes that are not UTF-8. Encode the text as UTF-8, such as ü as %C3%BC. "
            "A name with a percent sign can be given in the query, as ?path=100%25ff.md.",
            code="invalid_encoding",
        ) from exc


def body_of(req: func.HttpRequest, *, max_bytes: int) -> bytes:
    """The body of the request; empty when the request was sent without one.

    The Functions host passes on a body only if the request has a Content-Length: one that is sent in chunks arrives
    empty. Source: https://github.com/Azure/azure-functions-host/issues/4926

    Raises:
        LengthRequired: the headers announce a body, and none has arrived.
        TooLarge: the headers announce more than `max_bytes`, or more has arrived.
        WrongMediaType: the body is compressed; the host does not decompress it.
    """
    coding = (req.headers.get("content-encoding") or "").strip().lower()
    if coding not in ("", "identity"):
        raise WrongMediaType(
            f"A body with Content-Encoding: {ascii(coding[:40])[1:-1]} is not decoded. Send it without an encoding.",
            code="unsupported_encoding",
        )
    if (size := sent_bytes(req)) > max_bytes:
        raise TooLarge(f"The body has {size:,} bytes; the limit is {max_bytes:,}.")
    body = req.get_body()
    length = (req.headers.get("content-length") or "").strip()
    if body or not (req.headers.get("transfer-encoding") or length.strip("0")):
        return body
    raise LengthRequired(
        "The body of the request did not arrive: a body that is sent in chunks (Transfer-Encoding: chunked) is not "
        "passed on. Send it whole, with a Content-Length. For a large file, POST /api/documents/upload?path=... "
        "returns a URL to upload to."
    )


def sent_bytes(req: func.HttpRequest) -> int:
    """The size of the body: what has arrived, or what the headers announce if that is more."""
    length = (req.headers.get("content-length") or "").strip()
    announced = int(length[:20]) if length.isascii() and length.isdigit() else 0
    return max(len(req.get_body()), announced)


def body_from(body: bytes, headers: Mapping[str, str], type: type[T], *, max_bytes: int) -> T:
    """Decode a JSON body.

    Raises:
        TooLarge, WrongMediaType, BadRequest: the message says what to change.
    """
    if len(body) > max_bytes:
        raise TooLarge(f"The body has {len(body):,} bytes; the limit is {max_bytes:,}.")
    media_type = media_type_of(headers)
    if media_type != "application/json" and not media_type.endswith("+json"):
        shown = ascii(media_type[:80])[1:-1] or "nothing"
        raise WrongMediaType(f"The body must be sent as application/json, not as {shown}.")
    body = body.removeprefix(BOM)
    try:
        decoded = msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as exc:
        _check_json(body)  # a body that breaks off later on is no JSON, whatever its beginning is
        raise BadRequest(f"The body does not match its schema: {exc}.", code="invalid_body") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadRequest(f"The body is not valid JSON: {exc}.", code="malformed_json") from exc
    if _depth(body) > JSON_DEPTH_MAX:
        raise BadRequest(
            f"The body does not match its schema: arrays and objects can be nested {JSON_DEPTH_MAX} deep.",
            code="invalid_body",
        )
    return decoded


def media_type_of(headers: Mapping[str, str]) -> str:
    """The media type of the body in lower case, without parameters; "" if there is none."""
    return headers.get("content-type", "").split(";")[0].strip().lower()


def _depth(body: bytes) -> int:
    """How deep arrays and objects are nested in valid JSON."""
    depth = deepest = 0
    for token in BRACKETS.finditer(body):
        if token[0] in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in (b"]", b"}"):
            depth -= 1
    return deepest


def _check_json(body: bytes) -> None:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadRequest(f"The body is not valid JSON: {exc}.", code="malformed_json") from exc


def collection_from(text: str) -> str:
    if not fits(text, CollectionName) or "/" in text or bad_path(text):
        raise BadRequest(
            f"A collection is a folder of the container 'documents': its name has 1 to {COLLECTION_MAX_CHARS} "
            "characters and no slash, also not as %2F.",
            code="invalid_collection",
        )
    return text


def optional_collection_from(text: str | None) -> str | None:
    return collection_from(text) if text is not None else None


def flag_from(text: str | None, name: str, *, default: bool) -> bool:
    if text is None:
        return default
    if text not in ("true", "false"):
        raise BadRequest(f"{name} must be true or false.", code="invalid_flag")
    return text == "true"


def limit_from(text: str | None, *, default: int = PAGE_DEFAULT, most: int = PAGE_MAX) -> int:
    if text is None:
        return default
    digits = text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= len(str(most))
    if not digits or int(text) > most:
        raise BadRequest(f"The limit must be a whole number from 1 to {most}.", code="invalid_limit")
    return int(text)


def cursor_from(text: str | None) -> str | None:
    if text is not None and not fits(text, Cursor):
        raise BadRequest("The cursor must be the one that the previous page returned.", code="invalid_cursor")
    return text


def metadata_from(pairs: dict[str, str]) -> dict[str, str]:
    if len(pairs) > METADATA_MAX or any(
        not 0 < len(k) <= METADATA_KEY_MAX_CHARS or len(v) > METADATA_VALUE_MAX_CHARS for k, v in pairs.items()
    ):
        raise BadRequest(
            f"Metadata can have {METADATA_MAX} pairs, with keys of 1 to {METADATA_KEY_MAX_CHARS} and values of up to "
            f"{METADATA_VALUE_MAX_CHARS} characters.",
            code="invalid_metadata",
        )
    return pairs
