"""Answers in JSON: what the sources state of the fields of a schema, or a refusal that says what is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from local.openai_emulator.agent.conversation import Called, Cite, Event, Prompt, Ran, Said
from local.openai_emulator.agent.model import Say
from local.openai_emulator.models.offline.data.table import last_json
from local.openai_emulator.models.offline.structured.facts import Source, facts_of
from local.openai_emulator.models.offline.structured.fill import Filled, Material, fill
from local.openai_emulator.models.offline.structured.schema import (
    MOST_PARTS,
    Field,
    SchemaTooLarge,
    read_schema,
    words_of_name,
)
from local.openai_emulator.search.passage import Passage

_KEYS_IN_TEMPLATE = re.compile(r"[\"']([A-Za-z_]\w{0,40})[\"']\s*:")
_KEYS_LISTED = re.compile(
    r"\b(?:keys?|fields?|properties)\b[^\"'`\n]{0,30}((?:[\"'`]\w{1,40}[\"'`](?:,?\s+(?:and\s+)?)?)+)"
)
_MOST_QUERY_CHARS = 300


def query_of(response_format: Mapping[str, Any]) -> str:
    """A search query with the names of the fields that an answer is to have."""
    try:
        names = [words_of_name(leaf.name) for leaf in read_schema(_schema_of(response_format)).leaves()]
    except SchemaTooLarge:
        return ""
    return " ".join(dict.fromkeys(name for name in names if name))[:_MOST_QUERY_CHARS]


def in_json(say: Say, prompt: Prompt, question: str, passages: Sequence[Passage], *, answered: bool) -> Say:
    """The answer as the JSON that the caller wants.

    Args:
        say: The answer in words.
        prompt: With a format other than text.
        question: Of the user.
        passages: What was found, best first.
        answered: `say` quotes or computes; it does not say that there is no answer.
    """
    sources = [_of_passage(passage) for passage in passages]
    cited = {cite.file_id: cite.filename for cite in say.citations}
    used = [one for one in sources if one.file_id in cited and _quotes(say.text, one.text)]
    used = used or [one for one in sources if one.file_id in cited]
    material = Material(
        question=question,
        facts=facts_of([*sources, *_of_tools(prompt.events[prompt.turn_starts_at :]), *_of_user(prompt.events)]),
        answer=_plain(say.text) if answered else "",
        used=used,
    )
    assert prompt.response_format is not None
    schema = _schema_of(prompt.response_format)
    if schema is None:
        return _free(say, prompt, question, material)
    try:
        filled = fill(read_schema(schema), material)
    except SchemaTooLarge:
        filled = Filled(missing={"the answer": f"the schema has more than {MOST_PARTS} parts"})
    return _refusal(filled) if not filled.ok else _said(filled)


def _schema_of(response_format: Mapping[str, Any]) -> Any:
    """None for `json_object`."""
    if response_format.get("type") != "json_schema":
        return None
    return (response_format.get("json_schema") or {}).get("schema") or {}


def _said(filled: Filled) -> Say:
    text = json.dumps(filled.value, ensure_ascii=False)
    files = {one.file_id: one.filename for one in filled.sources if one.file_id}
    cites = tuple(Cite(position=len(text), file_id=id, filename=name) for id, name in files.items())
    return Say(text=text, citations=cites)


def _refusal(filled: Filled) -> Say:
    whys = "; ".join(f"`{name}`: {why}" for name, why in list(filled.missing.items())[:10])
    text = (
        "I am the built-in offline model and fill a schema only with what I can quote or compute. "
        f"I cannot fill {'this field' if len(filled.missing) == 1 else 'these fields'}: {whys}. "
        "Allow null there, name where it is stated, or connect a language model."
    )
    return Say(text=text, refused=True)


def _free(say: Say, prompt: Prompt, question: str, material: Material) -> Say:
    """An object with the keys that the caller names; without any, the answer and its sources."""
    asked = "\n".join([prompt.instructions, *(e.text for e in prompt.events if isinstance(e, Said)), question])
    keys = list(dict.fromkeys(_KEYS_IN_TEMPLATE.findall(asked)))
    for listed in _KEYS_LISTED.findall(asked):
        keys += [key for key in re.findall(r"\w+", listed) if key != "and" and key not in keys]
    if keys:
        fields = tuple(Field(name=key, path=(key,), kind="any", nullable=True, rules={}) for key in keys)
        return _said(fill(Field(name="", path=(), kind="object", fields=fields, rules={}), material))
    value: dict[str, Any] = {"answer": material.answer or None}
    value |= {"sources": [one.filename for one in material.used]} if material.answer else {"reason": _plain(say.text)}
    return _said(Filled(value=value, sources=list(material.used)))


# ---- sources -----------------------------------------------------------------------------------------------------


def _of_passage(passage: Passage) -> Source:
    return Source(text=passage.text, filename=passage.filename, file_id=passage.file_id, page=passage.page)


def _of_tools(turn: Sequence[Event]) -> list[Source]:
    """The outputs of the caller's functions, and the computed figures."""
    outputs = [event.output for event in turn if isinstance(event, Called) and event.output]
    results = [last_json(event.logs, "results") for event in turn if isinstance(event, Ran)]
    return [Source(text=text) for text in (*outputs, *(json.dumps(one) for one in results if one is not None))]


def _of_user(events: Sequence[Event]) -> list[Source]:
    """What the user wrote, without the questions."""
    return [Source(text=event.text, rank=1) for event in events if isinstance(event, Said) and event.role == "user"]


def _quotes(answer: str, text: str) -> bool:
    """Whether an answer has a line or sentence of a text."""
    plain = " ".join(_plain(answer).split())
    return any(
        len(part) > 15 and part.strip() in plain for line in text.splitlines() for part in (line, *line.split(". "))
    )


def _plain(text: str) -> str:
    return re.sub(r"\*\*|`", "", text).strip()
