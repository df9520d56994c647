"""The conversation as messages of a chat-completions request, and the tools that are offered with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from local.openai_emulator.agent.conversation import Event, Prompt, Ran, Said, Searched
from local.openai_emulator.search.passage import Passage

MOST_QUERIES = 5

_FILE_SEARCH = {
    "name": "file_search",
    "description": "Search the uploaded documents. Use it before you answer a question that they may answer.",
    "parameters": {
        "type": "object",
        "properties": {
            "queries": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST_QUERIES}
        },
        "required": ["queries"],
    },
}
_PYTHON = {
    "name": "python",
    "description": (
        "Run Python in a session that keeps its state, with pandas, NumPy, SciPy and matplotlib. Files are in"
        " /mnt/data; save charts there as PNG. Print what you want to see."
    ),
    "parameters": {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]},
}
_CITE = (
    "Passages found by file_search are marked [1], [2] and so on. Put the mark of a passage directly behind each"
    " statement that rests on it, such as: The fee is 40 EUR [2]. Use no other form of citation."
)


def offered_tools(prompt: Prompt) -> list[dict[str, Any]]:
    offered: list[Mapping[str, Any]] = []
    if prompt.tools.file_search:
        offered.append(_FILE_SEARCH)
    if prompt.tools.code_interpreter:
        offered.append(_PYTHON)
    offered += [
        {key: value for key, value in function.items() if value is not None} for function in prompt.tools.functions
    ]
    return [{"type": "function", "function": dict(function)} for function in offered]


def tool_choice(prompt: Prompt) -> str | dict[str, Any]:
    """Whether the model must call a tool now; only until it has called one in this turn."""
    wanted = prompt.tools.must_call
    if not wanted or any(not isinstance(event, Said) for event in prompt.events[prompt.turn_starts_at :]):
        return "auto"
    if wanted == "any":
        return "required"
    name = {"code_interpreter": "python"}.get(wanted, wanted)
    return {"type": "function", "function": {"name": name}}


def messages(prompt: Prompt) -> list[dict[str, Any]]:
    """The conversation as chat messages. Ids of tool calls are made from their position, so they stay the same."""
    chat: list[dict[str, Any]] = []
    if instructions := _instructions(prompt):
        chat.append({"role": "system", "content": instructions})
    markers = numbered(prompt.events)
    for place, event in enumerate(prompt.events):
        if isinstance(event, Said):
            role = "system" if event.role == "developer" else event.role
            chat.append({"role": role, "content": _content(event)})
        elif isinstance(event, Searched):
            arguments = {"queries": list(event.queries)}
            chat += _exchange(f"call_{place}", "file_search", json.dumps(arguments), _found(event, markers))
        elif isinstance(event, Ran):
            chat += _exchange(f"call_{place}", "python", json.dumps({"code": event.code}), _result(event))
        else:
            chat += _exchange(event.call_id, event.name, event.arguments, event.output or "")
    return chat


def _content(said: Said) -> str | list[dict[str, Any]]:
    """A message with the texts of its files; in parts if there are images."""
    files = [f"File {file.filename}:\n" + "\n".join(file.texts) for file in said.files]
    text = "\n\n".join(part for part in (*files, said.text) if part)
    if not said.images:
        return text
    images = [{"type": "image_url", "image_url": {"url": one.url, "detail": one.detail}} for one in said.images]
    return [*([{"type": "text", "text": text}] if text else []), *images]


def _instructions(prompt: Prompt) -> str:
    parts = [prompt.instructions] if prompt.instructions else []
    if prompt.tools.file_search:
        parts.append(_CITE)
    if prompt.tools.code_interpreter and prompt.tools.data_files:
        names = ", ".join(f"/mnt/data/{file.filename}" for file in prompt.tools.data_files)
        parts.append(f"Files for your Python code: {names}")
    return "\n\n".join(parts)


def _exchange(id: str, name: str, arguments: str, output: str) -> list[dict[str, Any]]:
    call = {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": id, "content": output},
    ]


def numbered(events: Sequence[Event]) -> dict[tuple[str, str], int]:
    """(file id, text) of each passage found in the conversation -> its marker number, from 1 in order of appearance."""
    markers: dict[tuple[str, str], int] = {}
    for event in events:
        for passage in event.passages if isinstance(event, Searched) else ():
            markers.setdefault((passage.file_id, passage.text), len(markers) + 1)
    return markers


def _found(event: Searched, markers: Mapping[tuple[str, str], int]) -> str:
    if not event.passages:
        return "Nothing was found."
    return "\n\n".join(_quote(passage, markers[passage.file_id, passage.text]) for passage in event.passages)


def _quote(passage: Passage, marker: int) -> str:
    page = "" if passage.page is None else f", page {passage.page}"
    return f"[{marker}] {passage.filename}{page}\n{passage.text}"


def _result(event: Ran) -> str:
    files = "".join(f"\nFile written: /mnt/data/{file.filename}" for file in event.files)
    return (event.logs or "(no output)") + files
