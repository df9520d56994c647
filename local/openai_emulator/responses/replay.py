"""The stream events of responses: those of running responses in memory, and those of streamed ones in the store."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from openai.types.responses import Response

from local.openai_emulator.http.streams import EventLog
from local.openai_emulator.responses.emitter import Emitter
from local.openai_emulator.store import Paging, Store

KIND = "response_event"  # its parent is the response
_ALL = 2**31


class ResponseEvents:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._live: dict[str, EventLog] = {}
        self._saved: dict[str, int] = {}  # number of events of a live log that are in the store

    def save(self, response_id: str, log: EventLog | None) -> None:
        """Save the events that are not saved yet."""
        if log is None:
            return
        self._live[response_id] = log
        for number in range(self._saved.get(response_id, 0), len(log.events)):
            self._put(response_id, number, log.events[number][1])
        self._saved[response_id] = len(log.events)

    def forget(self, response_id: str) -> None:
        """The response has ended: its log is read from the store from now on."""
        self._live.pop(response_id, None)
        self._saved.pop(response_id, None)

    def log(self, response_id: str) -> EventLog | None:
        """The log of a response that is or was streamed; None for any other."""
        if live := self._live.get(response_id):
            return live
        stored = self._store.page(KIND, Paging(limit=_ALL, order="asc"), parent=response_id).bodies
        return EventLog([(event["type"], event) for event in stored], closed=True) if stored else None

    def fail(self, response: Response, include: Collection[str]) -> None:
        """End the stored events of a response that failed when the emulator stopped."""
        if (log := self.log(response.id)) is None:
            return
        Emitter(response, include=include, log=log).response("failed")
        self._put(response.id, len(log.events) - 1, log.events[-1][1])

    def delete(self, response_id: str) -> None:
        self._store.delete_children(KIND, response_id)

    def _put(self, response_id: str, number: int, event: dict[str, Any]) -> None:
        self._store.put(KIND, f"{number:08}", event, parent=response_id)


def replayed(response: Response, include: Collection[str]) -> EventLog:
    """The events of a finished response that was made without a stream, as if it had been streamed."""
    log = EventLog()
    items, usage, status = response.output, response.usage, response.status
    response.output, response.usage, response.status = [], None, "in_progress"
    emitter = Emitter(response, include=include, log=log)
    emitter.response("created")
    emitter.response("in_progress")
    for item in items:
        emitter.replay(item)
    response.usage, response.status = usage, status
    if status in ("completed", "incomplete", "failed"):
        emitter.response(status)
    log.close()
    return log
