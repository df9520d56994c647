"""Checks of request input that several families of routes use: bodies, names, flags and pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from shared.errors import BadRequest, TooLarge, WrongMediaType
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


def body_from(body: bytes, headers: Mapping[str, str], type: type[T], *, max_bytes: int) -> T:
    """Decode a JSON body.

    Raises:
        TooLarge, WrongMediaType, BadRequest: the message says what to change.
    """
    if len(body) > max_bytes:
        raise TooLarge(f"The body has {len(body):,} bytes; the limit is {max_bytes:,}.")
    media_type = headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise WrongMediaType(f"The body must be sent as application/json, not as {media_type or 'nothing'}.")
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as exc:
        raise BadRequest(f"The body does not match its schema: {exc}.", code="invalid_body") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadRequest(f"The body is not valid JSON: {exc}.", code="malformed_json") from exc


def collection_from(text: str) -> str:
    if not fits(text, CollectionName) or "/" in text or bad_path(text):
        raise BadRequest(
            f"A collection is a folder of the container 'documents': its name has 1 to {COLLECTION_MAX_CHARS} "
            "characters and no slash.",
            code="invalid_collection",
        )
    return text


def optional_collection_from(text: str | None) -> str | None:
    return collection_from(text) if text is not None else None


def flag_from(text: str | None, name: str) -> bool:
    if text not in (None, "true", "false"):
        raise BadRequest(f"{name} must be true or false.", code="invalid_flag")
    return text == "true"


def limit_from(text: str | None, *, default: int = PAGE_DEFAULT, most: int = PAGE_MAX) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= most):
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
