"""The caller's functions: select one for a question, fill in its arguments, and answer with its output."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from local.openai_emulator.agent.conversation import Called, Event
from local.openai_emulator.models.offline.structured.schema import Field, SchemaTooLarge, read_schema
from local.openai_emulator.models.offline.words import all_stems, joined, terms

_UNWANTED = re.compile(
    r"(?:\b(?:no|not|without|except|never|instead of|other than)|n't)\s(?:(?!but\b)\w+\s){0,2}$", re.IGNORECASE
)
MIN_SCORE = 2.0  # of `_score`: a function with a lower score is not called
MIN_SCORE_TO_ASK = 3.0  # of `_score`: below it, missing arguments are not asked for
_QUOTED = re.compile(r"[\"“'`]([^\"”'`]+)[\"”'`]")
_NUMBER = re.compile(r"(?<![\w-])-?\d+(?:\.\d+)?(?![\w-])")
_CODE = re.compile(r"\b[A-Za-z]+[-_]?\d[\w-]*\b|\b[A-Z]{2,}[-_][\w-]+\b")
_PLACE = re.compile(r"\b(?:in|for|at|of|to|from|on|about|named|called)\s+((?:[A-Z][\w.-]*)(?:\s+[A-Z][\w.-]*)*)")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+\.[\w.]+")

Function = Mapping[str, Any]


def next_calls(question: str, offered: Sequence[Function], turn: Sequence[Event]) -> tuple[Called, ...]:
    """The call of a matching function, at most one per turn; empty if no function matches or an argument is missing."""
    if any(isinstance(event, Called) for event in turn):
        return ()
    function = matching_function(question, offered)
    if function is None:
        return ()
    arguments, missing = arguments_of(function, question)
    if missing:
        return ()
    text = json.dumps(arguments, ensure_ascii=False)
    digest = hashlib.sha256(f"{len(turn)}{function['name']}{text}{question}".encode()).hexdigest()[:24]
    return (Called(call_id=f"call_{digest}", name=str(function["name"]), arguments=text),)


def answer(question: str, offered: Sequence[Function], turn: Sequence[Event]) -> str:
    """The outputs of this turn's calls, or a request for missing arguments; empty if neither applies."""
    called = [event for event in turn if isinstance(event, Called)]
    done = [event for event in called if event.output is not None]
    if done:
        return "\n\n".join(_output_text(event) for event in done)
    function = matching_function(question, offered, least=MIN_SCORE_TO_ASK)
    missing = arguments_of(function, question)[1] if function else []
    if not function or not missing:
        return ""
    names = joined(name.replace("_", " ") for name in missing)
    return f"To call `{function['name']}` I need to know: {names}. Please name {'it' if len(missing) == 1 else 'them'}."


def has_outputs(turn: Sequence[Event]) -> bool:
    """Whether a function of this turn has answered."""
    return any(isinstance(event, Called) and event.output is not None for event in turn)


def matching_function(question: str, offered: Sequence[Function], *, least: float = MIN_SCORE) -> Function | None:
    """The function with the highest score; None if it is below `least`."""
    said = set(terms(question))
    scored = [(_score(said, function), -index) for index, function in enumerate(offered)]
    best = max(scored, default=(0.0, 0))
    return offered[-best[1]] if best[0] >= least else None


def _score(said: set[str], function: Function) -> float:
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])|_|-", " ", str(function.get("name", "")))
    name = set(terms(plain))
    described = set(terms(str(function.get("description") or ""))) - name
    hits = len(said & name)
    return 0.0 if not hits else 3.0 * hits / len(name) + 0.5 * len(said & described)


def arguments_of(function: Function, question: str) -> tuple[dict[str, Any], list[str]]:
    """The arguments found in a question, and the names of the required ones that are missing."""
    try:
        schema = read_schema(function.get("parameters"))
    except SchemaTooLarge:
        return {}, ["its parameters, of which there are too many"]
    found, missing = _object(schema, question, set(), strict=bool(function.get("strict")))
    return found, [name for name in missing if name]


def _object(wanted: Field, question: str, taken: set[str], *, strict: bool) -> tuple[dict[str, Any], list[str]]:
    found: dict[str, Any] = {}
    for field in wanted.fields:
        value = _value(field, question, taken, strict=strict)
        if value is not None:
            found[field.name] = value
            taken.add(str(value))
        elif strict and field.nullable:
            found[field.name] = None
    return found, [field.name for field in wanted.fields if field.required and field.name not in found]


def _value(field: Field, question: str, taken: set[str], *, strict: bool) -> Any:
    name = field.name
    if field.kind == "enum":
        constant = field.options[0] if "const" in field.rules else None
        return next((value for value in field.options if _is_named(str(value), question)), constant)
    if field.kind in ("number", "integer"):
        return _number(name, question, taken, whole=field.kind == "integer")
    if field.kind == "boolean":
        return True if set(terms(name.replace("_", " "))) & set(all_stems(question)) else None
    if field.kind == "array" and field.item is not None:
        one = _value(field.item, question, taken, strict=strict)
        return None if one is None else [one]
    if field.kind == "object":
        parts, missing = _object(field, question, taken, strict=strict)
        return None if missing or not any(part is not None for part in parts.values()) else parts
    if field.kind == "choice":
        tried = (_value(one, question, taken, strict=strict) for one in field.choices)
        return next((value for value in tried if value is not None), None)
    return _text(name, field.rules, question, taken, wanted=field.required) if field.kind == "string" else None


def _is_named(option: str, question: str) -> bool:
    """Whether a question names an option, and not only to say that it is not wanted."""
    found = re.finditer(rf"(?<!\w){re.escape(option)}(?!\w)", question, re.IGNORECASE)
    return any(not _UNWANTED.search(question[max(0, match.start() - 40) : match.start()]) for match in found)


def _number(name: str, question: str, taken: set[str], *, whole: bool) -> float | int | None:
    near = re.search(
        rf"{re.escape(name.replace('_', ' '))}(?:\s*(?:of|is|=|:|to))?\s*(-?\d+(?:\.\d+)?)", question, re.I
    )
    numbers = [near[1]] if near else [text for text in _NUMBER.findall(question) if text not in taken]
    if not numbers:
        return None
    value = float(numbers[0])
    return int(value) if whole or value.is_integer() else value


def _text(name: str, kind: Mapping[str, Any], question: str, taken: set[str], *, wanted: bool) -> str | None:
    described = f"{name} {kind.get('description', '')} {kind.get('format', '')}".lower()
    patterns: list[re.Pattern[str]] = []
    if "date" in described:
        patterns = [_DATE]
    elif "mail" in described:
        patterns = [_MAIL]
    elif wanted:
        plain = re.escape(re.sub(r"_?id$|_?name$", "", name).replace("_", " ").strip() or name)
        patterns = [
            _QUOTED,
            re.compile(rf"\b{plain}\s+(?:is\s+|named\s+|called\s+)?([A-Z][\w-]*|\w*\d[\w-]*)", re.I),
            _CODE,
            _PLACE,
        ]
    for pattern in patterns:
        for match in pattern.finditer(question):
            value = (match[1] if pattern.groups else match[0]).strip(" .?!,")
            if value and value not in taken:
                return value
    return None


def _output_text(called: Called) -> str:
    """The output of a call as Markdown: the fields of a flat object as a list, nested JSON as a code block."""
    output = called.output or ""
    try:
        value = json.loads(output)
    except ValueError:
        return output or f"`{called.name}` returned nothing."
    if isinstance(value, dict) and value and all(not isinstance(v, dict | list) for v in value.values()):
        lines = [f"- {str(key).replace('_', ' ')}: {_scalar(item)}" for key, item in value.items()]
        return f"`{called.name}` returned:\n\n" + "\n".join(lines)
    if isinstance(value, dict | list):
        return f"`{called.name}` returned:\n\n```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"
    return f"`{called.name}` returned {_scalar(value)}."


def _scalar(value: Any) -> str:
    return {True: "yes", False: "no", None: "none"}[value] if value is None or isinstance(value, bool) else str(value)
