"""Server-sent events: a log of events that clients follow while it grows, and the response that sends them.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from local.openai_emulator.errors import ApiError

MOST_STREAMS = 1000  # open at once
Event = tuple[str, dict[str, Any]]  # its name and its data


class EventLog:
    """The events of one response or run. Any number of clients follow it; none of them slows it down."""

    def __init__(self, events: Sequence[Event] = (), *, closed: bool = False) -> None:
        self.events: list[Event] = list(events)
        self.closed = closed
        self._changed = asyncio.Event()

    def add(self, name: str, data: dict[str, Any]) -> None:
        self.events.append((name, data))
        self._wake()

    def close(self) -> None:
        """End the streams of those who follow; events that come later are only kept."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def follow(self, *, start: int = 0) -> AsyncIterator[Event]:
        """The events from number `start` on, until the log is closed."""
        while True:
            while start < len(self.events):
                yield self.events[start]
                start += 1
            if self.closed:
                return
            await self._changed.wait()


class EventStream(StreamingResponse):
    """Sends events until they end or the client goes away."""

    _open = 0

    def __init__(
        self,
        events: AsyncIterator[Event],
        *,
        named: bool = True,
        done: str | None = None,
        gone: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Prepare the response.

        Args:
            events: Closed at the end.
            named: Send the events' names too.
            done: Sent as an event of this name with the data `[DONE]` after the last event; '' is one without a name.
            gone: Called if the client goes away before the last event.

        Raises:
            ApiError: 429, too many streams are open.
        """
        if EventStream._open >= MOST_STREAMS:
            raise ApiError(429, f"More than {MOST_STREAMS} streams are open.", code="rate_limit_exceeded")
        super().__init__(self._encode(events), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._events = events
        self._named = named
        self._done = done
        self._gone = gone
        self._complete = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        EventStream._open += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            EventStream._open -= 1
            if self._gone is not None and not self._complete:
                await self._gone()

    async def _encode(self, events: AsyncIterator[Event]) -> AsyncIterator[str]:
        async for name, data in events:
            yield _event(name if self._named else "", json.dumps(data, ensure_ascii=False))
        if self._done is not None:
            yield _event(self._done, "[DONE]")
        self._complete = True


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n"
