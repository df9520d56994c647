"""The stream events of runs, `thread.*`: kept in memory while a run is streamed, and dropped when it ends.

Source: https://learn.microsoft.com/azure/ai-services/openai/assistants-reference-runs "Assistant stream events"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from local.openai_emulator.http import wire
from local.openai_emulator.http.streams import EventLog


class RunEvents:
    def __init__(self) -> None:
        self._logs: dict[str, EventLog] = {}

    def open(self, run_id: str) -> EventLog:
        """A new log for a run: from its start, or from the outputs of its functions on."""
        self.close(run_id)
        return self._logs.setdefault(run_id, EventLog())

    def is_open(self, run_id: str) -> bool:
        return run_id in self._logs

    def add(self, run_id: str, event: str, data: BaseModel | Mapping[str, Any]) -> None:
        """Record an event; does nothing if the run is not streamed."""
        if (log := self._logs.get(run_id)) is not None:
            log.add(event, wire.dump(data) if isinstance(data, BaseModel) else dict(data))

    def step_delta(self, run_id: str, step_id: str, call: Mapping[str, Any]) -> None:
        """`call`: the part of the tool call that is new, with its `index`."""
        details = {"type": "tool_calls", "tool_calls": [call]}
        delta = {"id": step_id, "object": "thread.run.step.delta", "delta": {"step_details": details}}
        self.add(run_id, "thread.run.step.delta", delta)

    def message_delta(self, run_id: str, message_id: str, part: Mapping[str, Any]) -> None:
        """`part`: the part of the content that is new, with its `index`."""
        delta = {"id": message_id, "object": "thread.message.delta", "delta": {"content": [part]}}
        self.add(run_id, "thread.message.delta", delta)

    def close(self, run_id: str) -> None:
        """End the stream of a run: it has ended, or waits for the outputs of functions."""
        if (log := self._logs.pop(run_id, None)) is not None:
            log.close()

    def close_all(self) -> None:
        for run_id in list(self._logs):
            self.close(run_id)
