"""Writes the answer of a run: the message, the step for it, and their stream events in the order of the service."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from openai.types.beta.threads import Message, Run

from local.openai_emulator.agent.conversation import Event, Said
from local.openai_emulator.agent.model import Say, Usage
from local.openai_emulator.assistants import message_output, run_steps
from local.openai_emulator.assistants.messages import Messages
from local.openai_emulator.assistants.run_events import RunEvents
from local.openai_emulator.assistants.run_records import RunRecords
from local.openai_emulator.assistants.run_steps import RunSteps
from local.openai_emulator.http import wire

Reason = Literal["max_tokens", "content_filter", "run_cancelled", "run_expired", "run_failed"]
_WORDS = re.compile(r"\s*\S+(?:\s+$)?|\s+$")
_NOTHING = Usage(input_tokens=0, output_tokens=0)


class RunMessage:
    """The message that a run writes; at most one at a time."""

    def __init__(
        self, *, run: Run, records: RunRecords, messages: Messages, steps: RunSteps, events: RunEvents
    ) -> None:
        self._run = run
        self._records = records
        self._messages = messages
        self._steps = steps
        self._events = events
        self._message: Message | None = None
        self._text = ""
        self._index = 0  # of the text among the parts of the content

    def say(self, text: str) -> None:
        """Write more of the answer."""
        if self._message is None:
            self._begin(_NOTHING)
        self._text += text
        assert self._message is not None
        self._messages.keep(self._message, self._text)
        for word in _WORDS.findall(text):
            self._delta({"index": self._index, "type": "text", "text": {"value": word, "annotations": []}})

    def _begin(self, usage: Usage) -> None:
        self._message = self._messages.new_answer(self._run)
        self._steps.begin(self._run, run_steps.message_creation(self._message.id), usage=usage)
        shown = {**wire.dump(self._message), "status": "in_progress", "completed_at": None}
        for event in ("thread.message.created", "thread.message.in_progress"):
            self._events.add(self._run.id, event, shown)
        images = message_output.image_parts(self._records.events(self._run))
        for number, part in enumerate(images):
            self._delta({"index": number, **part})
        self._index = len(images)

    def _delta(self, part: dict[str, Any]) -> None:
        if self._message is not None:
            self._events.message_delta(self._run.id, self._message.id, part)

    def answer(self, say: Say, history: Sequence[Event], done: Sequence[Event], usage: Usage, *, cut_off: bool) -> None:
        """Write the rest of the answer and end it; `history`, `done`: the events before this run, and of it."""
        if self._message is None:
            self._begin(usage)
        content = message_output.content(say, [*history, *done], done=done)
        if say.refused and not self._text:
            self._refuse(say.text)
            content[-1] = {"type": "refusal", "refusal": say.text}
        else:
            self._write_text(content[-1]["text"])
        events = [*done, Said(role="assistant", text=say.text, citations=say.citations)]
        self._end(content, events, "content_filter" if say.filtered else "max_tokens" if cut_off else None)

    def _refuse(self, text: str) -> None:
        for word in _WORDS.findall(text):
            self._delta({"index": self._index, "type": "refusal", "refusal": word})

    def _write_text(self, text: dict[str, Any]) -> None:
        """The events for what has not been written yet of the text, with its annotations."""
        value = text["value"]
        written = len(self._text) if value.startswith(self._text) else len(value)
        for number, note in enumerate(text["annotations"]):
            start = max(note["start_index"], written)
            self.say(value[written:start])
            end = max(note["end_index"], start)
            shown = {"index": number, **note}
            self._delta(
                {"index": self._index, "type": "text", "text": {"value": value[start:end], "annotations": [shown]}}
            )
            written = end
        self.say(value[written:])

    def stop(self, reason: Reason | None) -> None:
        """End a message that is not the answer: a tool call follows it (None), or the run has ended for a reason."""
        if self._message is not None:
            images = message_output.image_parts(self._records.events(self._run))[: self._index]
            self._end([*images, {"type": "text", "text": {"value": self._text, "annotations": []}}], [], reason)

    def _end(self, content: Sequence[dict[str, Any]], events: Sequence[Event], reason: Reason | None) -> None:
        assert self._message is not None
        message = self._messages.say(self._message, content, events, reason=reason)
        self._events.add(self._run.id, f"thread.message.{message.status}", message)
        self._message, self._text = None, ""
        if reason in (None, "max_tokens", "content_filter"):  # otherwise the step ends with the run
            self._steps.end_in_progress(self._run.id, "completed")
