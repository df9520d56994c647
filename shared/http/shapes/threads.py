"""Body and answers of the routes of threads."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from shared.http.fields import (
    COLLECTION_MAX_CHARS,
    schema_only,
)
from shared.http.shapes.base import Body
from shared.models.runs import Message


class ThreadBody(Body, frozen=True):
    """A new thread."""

    collection: Annotated[
        str | None,
        Meta(description="The collection that its questions search; default: 'default'."),
        schema_only(minLength=1, maxLength=COLLECTION_MAX_CHARS),
    ] = None


class ThreadView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    created_at: datetime
    collection: str
    engine: str
    active_run_id: str | None


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    messages: tuple[Message, ...]
