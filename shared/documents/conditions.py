"""`If-Match` and `If-None-Match` of a request that writes or deletes a document.

Source: https://www.rfc-editor.org/rfc/rfc9110#section-13.1
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from shared.errors import Outdated

ANY = "*"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Which version of the blob a request is meant for: etags without quotes, or `*` for any. None: no condition."""

    match: Collection[str] | None = None
    none_match: Collection[str] | None = None

    def check(self, path: str, etag: str | None) -> None:
        """Raises Outdated when the blob's etag does not fit. `etag`: None if there is no blob."""
        if self.match is not None and not _fits(self.match, etag):
            there = f"has the etag {etag!r}" if etag else "does not exist"
            raise Outdated(
                f"The document {path!r} {there}: nothing was changed. Read it again.", code="not_the_version"
            )
        if self.none_match is not None and _fits(self.none_match, etag):
            raise Outdated(
                f"The document {path!r} is there already, with the etag {etag!r}: nothing was changed. Leave out "
                "If-None-Match to replace it.",
                code="not_the_version",
            )

    def __bool__(self) -> bool:
        return self.match is not None or self.none_match is not None


NO_CONDITION = Condition()


def _fits(etags: Collection[str], etag: str | None) -> bool:
    return etag is not None and (ANY in etags or etag in etags)
