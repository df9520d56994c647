"""Compaction: a conversation as its user messages and one item that stands for all of it.

The item's content is opaque to clients, as at the service, but not encrypted. It holds the messages and the results of
the caller's functions; what file search and code found is left out, so it is shorter than the conversation.
Source: https://developers.openai.com/api/reference/resources/responses/methods/compact
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any

from openai.types.responses import ResponseCompactionItem
from pydantic import TypeAdapter, ValidationError

from local.openai_emulator.agent.conversation import Called, Event, Said
from local.openai_emulator.errors import invalid
from local.openai_emulator.http import wire
from local.openai_emulator.responses.items import Item

_KEPT: TypeAdapter[list[Said | Called]] = TypeAdapter(list[Said | Called])
_LONGEST_OUTPUT_CHARS = 2000  # of the result of a function


def kept(events: Sequence[Event]) -> list[Said | Called]:
    """What a compaction keeps of a conversation."""
    return [_shortened(event) for event in events if isinstance(event, Said | Called)]


def _shortened(event: Said | Called) -> Said | Called:
    if isinstance(event, Said) or event.output is None or len(event.output) <= _LONGEST_OUTPUT_CHARS:
        return event
    output = f"{event.output[:_LONGEST_OUTPUT_CHARS]}\n(shortened)"
    return Called(call_id=event.call_id, name=event.name, arguments=event.arguments, output=output)


def compacted(events: Sequence[Said | Called]) -> list[dict[str, Any]]:
    """The items on the wire: all messages of the user, then the compaction."""
    said = [event for event in events if isinstance(event, Said) and event.role == "user"]
    messages = [
        {
            "id": wire.new_id("msg_"),
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [{"type": "input_text", "text": one.text}],
        }
        for one in said
    ]
    content = base64.urlsafe_b64encode(_KEPT.dump_json(list(events))).decode()
    item = ResponseCompactionItem(id=wire.new_id("cmp_"), type="compaction", encrypted_content=content)
    return [*messages, wire.dump(item)]


def unpacked(content: str, within: str) -> list[Said | Called]:
    """The conversation that a compaction stands for.

    Raises:
        ApiError: 400, the content was not made by `compacted`.
    """
    try:
        return _KEPT.validate_json(base64.b64decode(content.encode(), altchars=b"-_", validate=True))
    except (binascii.Error, ValidationError, ValueError) as exc:
        raise invalid(
            "The encrypted content could not be verified. Reason: Encrypted content could not be decrypted or parsed.",
            param=within,
            code="invalid_encrypted_content",
        ) from exc


def events_of(items: Iterable[Item]) -> list[Event]:
    """The events of items, with those that a compaction stands for in its place.

    User messages before a compaction that are in it, too, are read once: at their place in it.
    """
    events: list[Event] = []
    for item in items:
        if item.body["type"] == "compaction":
            inside = unpacked(item.body["encrypted_content"], "encrypted_content")
            texts = {(event.role, event.text) for event in inside if isinstance(event, Said)}
            events = [one for one in events if not (isinstance(one, Said) and (one.role, one.text) in texts)]
            events += inside
        elif item.event is not None:
            events.append(item.event)
    return events
