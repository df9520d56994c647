"""The answer of a chat-completions endpoint as a step: calls of tools, or text with citations and files.

Models differ. Calls may be malformed, written as text, or hold an object where JSON belongs; texts may hold the
model's thoughts, and citations in several forms.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local.openai_emulator.agent.conversation import Called, Cite, Event, OutputFile, Prompt, Ran, Searched
from local.openai_emulator.agent.model import CallFunctions, Misuse, RunCode, Say, Search, Show, Tooling
from local.openai_emulator.models.chat_messages import MOST_QUERIES, numbered

# [3], [1, 2], [1][2], [^3], [source 3], 【3】, 【3†source】, 【4:3†guide.pdf】
_SQUARE = r"\[\^?(?:sources?:?\s*)?\d{1,3}(?:\s*,\s*\d{1,3})*(?:†[^\]]{0,80})?\]"
_LENTICULAR = r"【(?:\d{1,3}:)?\d{1,3}(?:†[^】]{0,80})?】"
_MARKERS = re.compile(rf"(?<![ \t])[ \t]*+((?:{_SQUARE}|{_LENTICULAR})+)", re.IGNORECASE)
_NUMBER = re.compile(r"(?:(?<=[\[【^,\s:])|(?<=source))\d{1,3}(?=\s*[,†\]】])", re.IGNORECASE)
_THOUGHTS = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)\s*", re.DOTALL)
_THOUGHTS_WITHOUT_BEGIN = re.compile(r"\A(?:(?!<think>).)*?</think>\s*", re.DOTALL)
_CALL_AS_TEXT = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
_OWN = ("file_search", "python")


@dataclass(frozen=True, kw_only=True)
class Call:
    id: str
    name: str
    arguments: str


def calls_of(message: Any) -> list[Call]:
    """The calls of a message, also those that are written as text."""
    found = [
        Call(id=call.id or _new_id(), name=call.function.name or "", arguments=_as_json(call.function.arguments))
        for call in getattr(message, "tool_calls", None) or ()
        if getattr(call, "function", None) is not None
    ]
    return found or calls_in(text_of(message.content))


def calls_in(text: str) -> list[Call]:
    """Calls that a model wrote as text: `<tool_call>{"name": ..., "arguments": ...}</tool_call>`."""
    found = []
    for written in _CALL_AS_TEXT.findall(without_thoughts(text)):
        try:
            given = json.loads(written)
        except ValueError:
            given = None
        given = given if isinstance(given, dict) else {"name": "tool_call", "arguments": written}
        arguments = given.get("arguments", given.get("parameters"))
        found.append(Call(id=_new_id(), name=str(given.get("name")), arguments=_as_json(arguments)))
    return found


def _new_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"


def _as_json(arguments: Any) -> str:
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or a list of parts."""
    if isinstance(content, list):
        texts = [part.get("text", "") if isinstance(part, dict) else getattr(part, "text", "") for part in content]
        return "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def without_thoughts(text: str) -> str:
    """A text without what the model wrote for itself: `<think>...</think>`, also where only the end is marked."""
    return _THOUGHTS_WITHOUT_BEGIN.sub("", _THOUGHTS.sub("", text), count=1)


def shown(text: str) -> str:
    """The part of a text that is meant for the user."""
    return _CALL_AS_TEXT.sub("", without_thoughts(text)).strip() if "<" in text else text


# ---- calls -------------------------------------------------------------------------------------------------------


def moves(calls: Sequence[Call], prompt: Prompt) -> tuple[Tooling, ...]:
    """All calls in order; those of the caller's functions together, as the last."""
    own: list[Tooling] = []
    functions = []
    for call in calls if prompt.parallel_tool_calls else calls[:1]:
        if _is_callers(call.name, prompt):
            functions.append(Called(call_id=call.id, name=call.name, arguments=call.arguments or "{}"))
        else:
            own.append(_own_move(call, prompt))
    return (*own, CallFunctions(calls=tuple(functions))) if functions else tuple(own)


def _is_callers(name: str, prompt: Prompt) -> bool:
    return any(function["name"] == name for function in prompt.tools.functions)


def _own_move(call: Call, prompt: Prompt) -> Search | RunCode | Misuse:
    offered = {"file_search": prompt.tools.file_search, "python": prompt.tools.code_interpreter}
    if not offered.get(call.name):
        names = [name for name, there in offered.items() if there]
        names += [str(function["name"]) for function in prompt.tools.functions]
        there = f"The tools are: {', '.join(names)}." if names else "There are no tools: answer in words."
        return _misuse(call, f"there is no tool '{call.name}'. {there}")
    try:
        given = json.loads(call.arguments)
    except ValueError:
        given = None
    if call.name == "python":
        return _code(call, given)
    queries = given.get("queries", given.get("query")) if isinstance(given, dict) else given
    queries = [queries] if isinstance(queries, str) else queries
    texts = [query.strip() for query in queries if isinstance(query, str)] if isinstance(queries, list) else []
    if not any(texts):
        return _misuse(call, 'file_search wants JSON such as {"queries": ["what to search for"]}.')
    return Search(queries=tuple(text for text in texts if text)[:MOST_QUERIES])


def _code(call: Call, given: Any) -> RunCode | Misuse:
    """Small models send the code without JSON."""
    code = given.get("code") if isinstance(given, dict) else given if isinstance(given, str) else call.arguments
    if not isinstance(code, str) or not code.strip():
        return _misuse(call, 'python wants JSON such as {"code": "print(1)"}.')
    return RunCode(code=code)


def _misuse(call: Call, reason: str) -> Misuse:
    return Misuse(called=Called(call_id=call.id, name=call.name, arguments=call.arguments, output=f"Error: {reason}"))


# ---- texts -------------------------------------------------------------------------------------------------------


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
