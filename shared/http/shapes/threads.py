"""DOC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from shared.http.fields import (
    COLLECTION_MAX_CHARS,
    shown,
)
from shared.http.shapes.base import Body
from shared.models.runs import (
    Message,
)


class ThreadBody(Body, frozen=True):
    """A thread for later questions."""

    collection: Annotated[
        str | None,
        Meta(description="What its questions are about; none: 'default'."),
        shown(minLength=1, maxLength=COLLECTION_MAX_CHARS),
    ] = None


class ThreadView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    created_at: datetime
    collection: str
    engine: str
    active_run_id: str | None


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    messages: tuple[Message, ...]
