"""A real model behind any OpenAI-compatible chat-completions endpoint.

File search and Python are offered to the model as functions. Each passage found has a marker such as [3], and the
instructions ask the model to cite passages by their markers. Markers in the answer are replaced by citations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import openai

from local.openai_emulator.agent.conversation import Called, Cite, Event, OutputFile, Prompt, Ran, Said, Searched
from local.openai_emulator.agent.model import CallFunctions, ModelError, RunCode, Say, Search, Show, Step, Usage
from local.openai_emulator.search.passage import Passage

_MOST_QUERIES = 5
_MARKERS = re.compile(r"(?<![ \t])[ \t]*+((?:\[\d{1,3}(?:\s*,\s*\d{1,3})*\])+)")
_NUMBER = re.compile(r"\d+")

_FILE_SEARCH = {
    "name": "file_search",
    "description": "Search the uploaded documents. Use it before you answer a question that they may answer.",
    "parameters": {
        "type": "object",
        "properties": {
            "queries": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": _MOST_QUERIES}
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


class ChatModel:
    """A model at a chat-completions endpoint; implements `Model`."""

    def __init__(self, url: str, model: str, key: str | None = None) -> None:
        """`url`: the base URL, `http://127.0.0.1:11434/v1`."""
        self.name = model
        self.about: Mapping[str, str] = {"answered_by": f"{model} (chat completions)"[:512]}
        self._client = openai.AsyncOpenAI(base_url=url, api_key=key or "none", max_retries=2)

    async def close(self) -> None:
        await self._client.close()

    async def step(self, prompt: Prompt) -> Step:
        tools = offered_tools(prompt)
        options: dict[str, Any] = {"tools": tools} if tools else {}
        if prompt.temperature is not None:
            options["temperature"] = prompt.temperature
        if prompt.max_output_tokens is not None:
            options["max_tokens"] = max(prompt.max_output_tokens, 1)
        try:
            completion = await self._client.chat.completions.create(
                model=self.name,
                messages=messages(prompt),  # type: ignore[arg-type]  # plain dicts, as the API takes them
                **options,
            )
        except openai.RateLimitError as exc:
            raise ModelError("rate_limit_exceeded", exc.message) from exc
        except openai.APIError as exc:
            raise ModelError("server_error", f"The model '{self.name}' could not answer: {exc.message}") from exc
        if not completion.choices:
            raise ModelError("server_error", f"The model '{self.name}' answered without a choice.")
        choice = completion.choices[0]
        calls = [(call.id, call.function) for call in choice.message.tool_calls or () if call.type == "function"]
        usage = _usage(completion.usage)
        if calls:
            return Step(move=_move([(id, one.name, one.arguments) for id, one in calls], prompt), usage=usage)
        cut_off = choice.finish_reason == "length"
        return Step(move=say(choice.message.content or "", prompt, cut_off=cut_off), usage=usage)


# ---- requests ----------------------------------------------------------------------------------------------------


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


def messages(prompt: Prompt) -> list[dict[str, Any]]:
    """The conversation as chat messages. Ids of tool calls are made from their position, so they stay the same."""
    chat: list[dict[str, Any]] = []
    if instructions := _instructions(prompt):
        chat.append({"role": "system", "content": instructions})
    markers = numbered(prompt.events)
    for place, event in enumerate(prompt.events):
        if isinstance(event, Said):
            role = "system" if event.role == "developer" else event.role
            chat.append({"role": role, "content": event.text})
        elif isinstance(event, Searched):
            arguments = {"queries": list(event.queries)}
            chat += _exchange(f"call_{place}", "file_search", json.dumps(arguments), _found(event, markers))
        elif isinstance(event, Ran):
            chat += _exchange(f"call_{place}", "python", json.dumps({"code": event.code}), _result(event))
        else:
            chat += _exchange(event.call_id, event.name, event.arguments, event.output or "")
    return chat


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


# ---- answers -----------------------------------------------------------------------------------------------------


def _move(calls: Sequence[tuple[str, str, str]], prompt: Prompt) -> Search | RunCode | CallFunctions:
    """The first call of file search or Python, if any; else all calls of the caller's functions."""
    for _, name, arguments in calls:
        if name in ("file_search", "python") and not _is_callers(name, prompt):
            return _own_move(name, arguments)
    known = [call for call in calls if _is_callers(call[1], prompt)]
    if not known:
        raise ModelError("server_error", f"The model called a function it was not given: '{calls[0][1]}'.")
    return CallFunctions(
        calls=tuple(Called(call_id=id, name=name, arguments=arguments or "{}") for id, name, arguments in known)
    )


def _is_callers(name: str, prompt: Prompt) -> bool:
    return any(function["name"] == name for function in prompt.tools.functions)


def _own_move(name: str, arguments: str) -> Search | RunCode:
    try:
        given = json.loads(arguments)
    except ValueError:
        given = None
    if name == "python":
        code = given.get("code") if isinstance(given, dict) else arguments  # small models send the code without JSON
        return RunCode(code=str(code or ""))
    queries = given.get("queries") if isinstance(given, dict) else given
    if isinstance(queries, str):
        queries = [queries]
    if not isinstance(queries, list) or not queries:
        raise ModelError("server_error", f"The model called file_search without queries: {arguments[:200]}")
    return Search(queries=tuple(str(query) for query in queries[:_MOST_QUERIES]))


def say(text: str, prompt: Prompt, *, cut_off: bool = False) -> Say:
    """Convert an answer: markers become citations, and file names become references to the files."""
    sources = _sources(prompt.events)
    clean, citations, copied = "", [], 0
    for found in _MARKERS.finditer(text):
        cited = [sources.get(int(number)) for number in _NUMBER.findall(found[1])]
        if not any(cited):
            continue  # a number in brackets that is not a marker
        clean += text[copied : found.start()]
        copied = found.end()
        for file_id, filename in dict.fromkeys(source for source in cited if source):
            citations.append(Cite(position=len(clean), file_id=file_id, filename=filename))
    clean += text[copied:]
    clean, shows = _show_files(clean, prompt, name_images=not cut_off)
    return Say(text=clean, citations=tuple(citations), shows=shows, cut_off=cut_off)


def _sources(events: Sequence[Event]) -> dict[int, tuple[str, str]]:
    names = {
        passage.file_id: passage.filename
        for event in events
        if isinstance(event, Searched)
        for passage in event.passages
    }
    return {number: (file_id, names[file_id]) for (file_id, _), number in numbered(events).items()}


def _show_files(text: str, prompt: Prompt, *, name_images: bool) -> tuple[str, tuple[Show, ...]]:
    """Refer to every file that the answer names, and append the names of this turn's other images."""
    made: dict[str, OutputFile] = {}
    this_turn = set()
    for place, event in enumerate(prompt.events):
        for file in event.files if isinstance(event, Ran) else ():
            made[file.filename] = file
            if place >= prompt.turn_starts_at:
                this_turn.add(file.filename)
    shows = []
    for filename, file in made.items():
        path = re.compile(r"(?:sandbox:)?(?:/mnt/data/)?(?<![\w.-])" + re.escape(filename) + r"(?![\w-])")
        if found := path.search(text):
            shows.append(Show(start=found.start(), end=found.end(), file=file))
    named = {show.file.filename for show in shows}
    images = [file for name, file in made.items() if name in this_turn - named and file.is_image]
    if not images or not name_images:
        return text, tuple(shows)
    text = f"{text.rstrip()}\n\nCreated:"
    for number, file in enumerate(images):
        text += ", " if number else " "
        shows.append(Show(start=len(text), end=len(text) + len(file.filename), file=file))
        text += file.filename
    return f"{text}.", tuple(shows)


def _usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    prompt_details, completion_details = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_tokens=(prompt_details.cached_tokens if prompt_details else None) or 0,
        reasoning_tokens=(completion_details.reasoning_tokens if completion_details else None) or 0,
    )
