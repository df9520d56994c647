"""Fills the output of a response, and records the stream events of each change in the order of the service.

Recorded traffic: a tool call is added, in progress, (searching | its code, interpreting), completed, done; a message
is added with an empty part, grows by deltas with the annotations at their places, and is done in three events.
Source: https://developers.openai.com/api/reference/resources/responses/streaming-events
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from openai.types.responses import (
    Response,
    ResponseCodeInterpreterToolCall,
    ResponseFileSearchToolCall,
    ResponseOutputMessage,
)

from local.openai_emulator.agent.conversation import Called, OutputFile
from local.openai_emulator.agent.loop import ToolFinished
from local.openai_emulator.agent.model import RunCode, Say, Search
from local.openai_emulator.http import wire
from local.openai_emulator.http.streams import EventLog
from local.openai_emulator.responses import output

_PIECES = re.compile(r"\s*\S+(?:\s+$)?|\s+$")
_LONGEST_PIECE = 80


def pieces(text: str) -> Iterator[str]:
    """A text as deltas of a word each."""
    for word in _PIECES.findall(text):
        for start in range(0, len(word), _LONGEST_PIECE):
            yield word[start : start + _LONGEST_PIECE]


class Emitter:
    def __init__(
        self, response: Response, *, include: Collection[str], log: EventLog | None, obfuscate: bool = True
    ) -> None:
        """`log`: gets the events, if there is one; `obfuscate`: add noise to deltas, as the service."""
        self.log = log
        self._response = response
        self._include = include
        self._obfuscate = obfuscate
        self._message: ResponseOutputMessage | None = None  # the one that is being written

    # ---- the response ------------------------------------------------------------------------------------------

    def response(self, event: str) -> None:
        """`event`: "created", "queued", "in_progress", "completed", "incomplete" or "failed"."""
        if self.log is not None:
            self._add(f"response.{event}", response=output.visible(wire.dump(self._response), self._include))

    def _add(self, event: str, **fields: Any) -> None:
        if self.log is not None:
            self.log.add(event, {"type": event, "sequence_number": len(self.log.events), **fields})

    def _delta(self, event: str, **fields: Any) -> None:
        noise = {"obfuscation": secrets.token_urlsafe(12)[: 16 - len(fields["delta"]) % 16]} if self._obfuscate else {}
        self._add(event, **fields, **noise)

    # ---- its items ---------------------------------------------------------------------------------------------

    def begin_search(self, move: Search) -> None:
        self.end_message()
        self._place(output.search_begun(move))

    def begin_code(self, move: RunCode, container_id: str) -> None:
        self.end_message()
        self._place(output.run_begun(move, container_id))

    def finish_tool(self, done: ToolFinished, image: Callable[[OutputFile], bytes]) -> None:
        """`image`: reads an image that code created."""
        item = self._response.output.pop()
        if isinstance(item, ResponseFileSearchToolCall):
            self._finish(output.search_finished(item, done))
        elif isinstance(item, ResponseCodeInterpreterToolCall):
            self._finish(output.run_finished(item, done, image))

    def call(self, call: Called) -> None:
        """Add a call of a function of the caller."""
        self.end_message()
        self._place(output.function_call(call))
        self._finish(self._response.output.pop())

    def say(self, text: str) -> None:
        """Write more of the answer."""
        if self._message is None:
            self._message = output.message(Say(text=""))
            self._message.status = "in_progress"
            self._place(self._message)
        part: Any = self._message.content[0]
        part.text += text
        for piece in pieces(text) if self.log is not None else ():
            self._delta("response.output_text.delta", **self._place_in_text(), delta=piece, logprobs=[])

    def _refuse(self, message: ResponseOutputMessage) -> None:
        """Write a message that is a refusal, with all its events."""
        text = message.content[0].refusal  # type: ignore[union-attr]
        self._message = message.model_copy(deep=True)
        self._message.status, self._message.content[0].refusal = "in_progress", ""  # type: ignore[union-attr]
        self._place(self._message)
        for piece in pieces(text) if self.log is not None else ():
            self._delta("response.refusal.delta", **self._place_in_text(), delta=piece)
        self._add("response.refusal.done", **self._place_in_text(), refusal=text)
        self._response.output.pop()
        self._end_part(message)

    def answer(self, say: Say) -> None:
        """Write the rest of an answer and end it. What has been written of it already is kept."""
        if say.refused and self._message is None:
            self._refuse(output.message(say))
            return
        say = replace(say, refused=False)
        if self._message is None:
            self.say("")
        assert self._message is not None
        part: Any = self._message.content[0]
        whole = output.message(say)
        whole.id = self._message.id
        final: Any = whole.content[0]
        self._write(say.text, final.annotations, written=len(part.text))
        self._response.output.pop()
        self._end_text(whole)

    def _write(self, text: str, notes: Sequence[Any], *, written: int = 0) -> None:
        """Write a text from the character `written` on, with its annotations at their places."""
        for number, note in enumerate(notes):
            place = max(_place_of(wire.dump(note)), written)
            self.say(text[written:place])
            written = place
            fields = {**self._place_in_text(), "annotation_index": number, "annotation": wire.dump(note)}
            self._add("response.output_text.annotation.added", **fields)
        self.say(text[written:])

    def end_message(self) -> None:
        """End a message that a tool call follows."""
        if self._message is not None:
            self._message.status = "completed"
            self._response.output.pop()
            self._end_text(self._message)

    def replay(self, item: Any) -> None:
        """Add a finished item, with all its events."""
        if item.type != "message":
            self._place(item)
            self._finish(self._response.output.pop())
            return
        if item.content[0].type == "refusal":
            self._refuse(item)
            return
        text, notes = item.content[0].text, item.content[0].annotations
        self._message = item.model_copy(deep=True)
        self._message.content[0].text, self._message.content[0].annotations = "", []  # type: ignore[union-attr]
        self._place(self._message)
        self._write(text, notes)
        self._response.output.pop()
        self._end_text(item)

    def _end_text(self, message: ResponseOutputMessage) -> None:
        part: Any = message.content[0]
        self._add("response.output_text.done", **self._place_in_text(), text=part.text, logprobs=[])
        self._end_part(message)

    def _end_part(self, message: ResponseOutputMessage) -> None:
        self._add("response.content_part.done", **self._place_in_text(), part=wire.dump(message.content[0]))
        self._message = None
        self._finish(message)

    def _place_in_text(self) -> dict[str, Any]:
        assert self._message is not None
        index = next(
            (number for number, item in enumerate(self._response.output) if item is self._message),
            len(self._response.output),
        )
        return {"item_id": self._message.id, "output_index": index, "content_index": 0}

    # ---- events of items ---------------------------------------------------------------------------------------

    def _place(self, item: Any) -> None:
        """Add an item in progress to the output, with the events until its work begins."""
        index = len(self._response.output)
        self._response.output.append(item)
        if self.log is None:
            return
        empty: dict[str, dict[str, Any]] = {
            "file_search_call": {"queries": []},
            "code_interpreter_call": {"code": ""},
            "function_call": {"arguments": ""},
            "message": {"content": []},
        }
        started = {**_dump(item, self._include), "status": "in_progress", **empty[item.type]}
        self._add("response.output_item.added", output_index=index, item=started)
        place = {"output_index": index, "item_id": item.id}
        if item.type == "file_search_call":
            self._add("response.file_search_call.in_progress", **place)
            self._add("response.file_search_call.searching", **place)
        elif item.type == "code_interpreter_call":
            self._add("response.code_interpreter_call.in_progress", **place)
            for piece in pieces(item.code):
                self._delta("response.code_interpreter_call_code.delta", **place, delta=piece)
            self._add("response.code_interpreter_call_code.done", **place, code=item.code)
            self._add("response.code_interpreter_call.interpreting", **place)
        elif item.type == "function_call":
            for piece in pieces(item.arguments):
                self._delta("response.function_call_arguments.delta", **place, delta=piece)
            done = {"arguments": item.arguments, "name": item.name}
            self._add("response.function_call_arguments.done", **place, **done)
        else:
            self._add("response.content_part.added", **place, content_index=0, part=wire.dump(item.content[0]))

    def _finish(self, item: Any) -> None:
        """Put an item that has ended in its place, the last one."""
        index = len(self._response.output)
        self._response.output.append(item)
        if item.type in ("file_search_call", "code_interpreter_call"):
            self._add(f"response.{item.type}.completed", output_index=index, item_id=item.id)
        if self.log is not None:
            self._add("response.output_item.done", output_index=index, item=_dump(item, self._include))


def _dump(item: Any, include: Collection[str]) -> dict[str, Any]:
    shown: dict[str, Any] = output.visible({"output": [wire.dump(item)]}, include)["output"][0]
    return shown


def _place_of(note: dict[str, Any]) -> int:
    """The character after which an annotation is sent."""
    return int(note.get("index", note.get("end_index", 0)))
