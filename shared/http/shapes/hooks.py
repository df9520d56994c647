"""DOC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.http.fields import (
    shown,
)
from shared.http.shapes.base import Body


class HookBody(Body, frozen=True):
    """Where to tell of every run that ends."""

    callback_url: Annotated[
        str,
        Meta(description="Gets a signed POST for every run that ends. Its host must be one that the app allows."),
        shown(**{"x-ms-notification-url": True, "x-ms-visibility": "internal"}),
    ]
    events: Annotated[
        tuple[Literal["run.finished", "document.indexed", "document.failed", "document.removed"], ...],
        Meta(description="What to tell of."),
        shown(minItems=1, **{"x-ms-visibility": "internal"}),
    ] = ("run.finished",)


class HookView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    events: tuple[str, ...]
    created_at: datetime
