"""The attributes of a file in a vector store: which document it was made of, and the blob's metadata. Pure.

The service takes at most 16 attributes; a key has at most 64 characters, a text value 512.
Source: https://platform.openai.com/docs/api-reference/vector-stores-files
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.collections.visibility import version_of
from shared.engines.stores import ATTRIBUTE_MAX_CHARS
from shared.models.documents import Version

PAIRS_MAX = 16
KEY_MAX_CHARS = 64
OWN = ("path", "path_2", "etag", "version", "kind", "since", "modified")

Attributes = dict[str, str | float | bool]


@dataclass(frozen=True, kw_only=True)
class Source:
    """The document and version that a file at the service was made of."""

    path: str
    etag: str | None = None
    last_modified_at: datetime | None = None


def attributes_of(path: str, version: Version, *, since: datetime) -> Attributes:
    """The app's own attributes, then the blob's metadata as long as it fits.

    Args:
        since: A search may find the file from this moment on.
    """
    own: Attributes = {
        "etag": version.etag,
        "version": version_of(path, version.etag),
        "kind": version.kind,
        "since": since.timestamp(),
        "modified": version.last_modified_at.timestamp(),
    }
    for n in range(0, len(path), ATTRIBUTE_MAX_CHARS):  # a path has up to 1,024 characters
        own["path" if n == 0 else f"path_{n // ATTRIBUTE_MAX_CHARS + 1}"] = path[n : n + ATTRIBUTE_MAX_CHARS]
    theirs = {key.lower(): value for key, value in version.metadata.items()}
    fitting = {k: _typed(v) for k, v in sorted(theirs.items()) if k not in OWN and 0 < len(k) <= KEY_MAX_CHARS}
    return {**own, **dict(list(fitting.items())[: PAIRS_MAX - len(own)])}


def metadata_of(attributes: Mapping[str, object]) -> dict[str, str | float | bool]:
    """The attributes that come from the blob's metadata."""
    return {k: v for k, v in attributes.items() if k not in OWN and isinstance(v, str | int | float | bool)}


def source_of(attributes: Mapping[str, object]) -> Source | None:
    """None when this app did not send the file."""
    if not isinstance(attributes.get("path"), str):
        return None
    etag, modified = attributes.get("etag"), attributes.get("modified")
    return Source(
        path="".join(str(attributes.get(key, "")) for key in ("path", "path_2")),
        etag=etag if isinstance(etag, str) else None,
        last_modified_at=datetime.fromtimestamp(modified, UTC) if isinstance(modified, int | float) else None,
    )


def _typed(text: str) -> str | float | bool:
    """Metadata is text; numbers and true/false are converted, so that filters can compare them."""
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?(0|[1-9]\d{0,14})(\.\d{1,6})?", text):
        return float(text)
    return text[:ATTRIBUTE_MAX_CHARS]
