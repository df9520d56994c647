"""Body and answer of the routes of hooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.http.fields import schema_only
from shared.http.shapes.base import Body


class HookBody(Body, frozen=True):
    """A subscription to the app's notifications."""

    callback_url: Annotated[
        str,
        Meta(description="The URL that gets a signed POST for every run that ends. The app must allow its host."),
        schema_only(**{"x-ms-notification-url": True, "x-ms-visibility": "internal"}),
    ]
    events: Annotated[
        tuple[Literal["run.finished", "document.indexed", "document.failed", "document.removed"], ...],
        Meta(description="The events to send."),
        schema_only(minItems=1, **{"x-ms-visibility": "internal"}),
    ] = ("run.finished",)


class ServiceObject(msgspec.Struct, frozen=True):
    """What an event is about; of the other fields, none is used."""

    id: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,200}$", description="The id of the response.")]


class ServiceEvent(msgspec.Struct, frozen=True):
    """An event of the model service; of the other fields, none is used."""

    type: Annotated[str, Meta(max_length=200, description="The type, such as response.completed.")]
    data: ServiceObject


class HookView(msgspec.Struct, frozen=True, kw_only=True):
    """A hook. Its URL is not shown, since it may contain a secret."""

    id: str
    events: tuple[str, ...]
    created_at: datetime
    host: Annotated[str, Meta(description="The host of its URL.")]
    status: Annotated[
        Literal["on", "failing", "off"], Meta(description="off: it failed for too long and gets no more events.")
    ]
    failures: Annotated[int, Meta(description="Attempts that failed, in a row.")]
    first_failure_at: datetime | None
    reason: Annotated[str | None, Meta(description="Why the last attempt failed.")]
    off_at: datetime | None


class HookList(msgspec.Struct, frozen=True, kw_only=True):
    hooks: tuple[HookView, ...]
