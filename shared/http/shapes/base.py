"""The base of all request bodies, and the body of every error response."""

from __future__ import annotations

import msgspec


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request body. An unknown field is an error, because it is usually a spelling mistake."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error, as application/problem+json. `code` is for programs and does not change; `detail` is for people.

    Source: https://www.rfc-editor.org/rfc/rfc9457
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
