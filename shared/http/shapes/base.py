"""DOC."""

from __future__ import annotations

import msgspec


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body that comes in: a field nobody knows is a mistake that should be told, not passed over."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, as application/problem+json. `code` is for programs and never changes; `detail` is for people.

    Source: https://www.rfc-editor.org/rfc/rfc9457
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
