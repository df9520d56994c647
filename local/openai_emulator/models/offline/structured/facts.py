"""What the sources of an answer state: values with a label, tables, and sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.openai_emulator.models.offline.documents.units import Unit, units_of
from local.openai_emulator.models.offline.structured.schema import words_of_name

_PAIR = re.compile(
    r"^\s*+(?:[-*•]\s+|\d{1,2}[.)]\s+)?(?:\*\*|__)?([^\W_][^:|\n]{0,60}?)(?:\*\*|__)?\s*:(?:\*\*)?\s+(\S.*)$"
)
_MORE_PAIRS = re.compile(r"[.,;]\s+(?=[A-Z][\w ]{0,30}:\s)")
_HEADING = re.compile(r"^#{1,6}\s+(.*)$")
_RESULTS = ("results", "values", "groups", "counts")  # keys of computed figures that say nothing about them
_MOST_LABEL_WORDS = 7
_MOST_VALUE_CHARS = 400


@dataclass(frozen=True, kw_only=True)
class Source:
    """A text that values may be quoted from. `rank`: 0 for what tools found, 1 for what the user wrote."""

    text: str
    filename: str = ""
    file_id: str = ""
    page: int | None = None
    rank: int = 0


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A labelled value, or a sentence, whose label is ''.

    `context`: headings, the table's caption. `value`: text, or a value of JSON.
    """

    label: str
    value: Any
    source: Source
    context: str = ""
    row: str = ""  # the other cells of a table's row: a question may choose it by them
    block: tuple[int, int] = (0, 0)  # the same for the items of a list, the rows of a table, the pairs of a record
    kind: str = "pair"  # "pair", "cell", "sentence", "json"; "item": of a list, whose title is the label


@dataclass(frozen=True, kw_only=True)
class Record:
    """Labelled values that belong together: a table's row, a block of pairs, an object of JSON."""

    values: Mapping[str, Any]
    source: Source
    context: str = ""
    table: tuple[int, int] = (0, 0)


@dataclass(frozen=True, kw_only=True)
class Facts:
    facts: Sequence[Fact] = ()
    records: Sequence[Record] = field(default=())


def facts_of(sources: Sequence[Source]) -> Facts:
    """All facts of texts, those of JSON texts by its keys."""
    facts: list[Fact] = []
    records: list[Record] = []
    for number, source in enumerate(sources):
        if (value := _json_of(source.text)) is not None:
            facts += _of_json(value, source, (), records, number)
            continue
        pairs = list(_pairs(source, number))
        facts += pairs
        records += _blocks(pairs)
        units = units_of(source.text, passage=number)
        facts += [fact for unit in units for fact in _of_unit(unit, source)]
        records += [_row(unit, source) for unit in units if unit.header and len(unit.header) == len(unit.cells)]
    return Facts(facts=facts, records=records)


def _json_of(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None


def _of_json(value: Any, source: Source, path: tuple[str, ...], records: list[Record], number: int) -> Iterator[Fact]:
    if isinstance(value, dict):
        records.append(
            Record(values=value, source=source, context=" ".join(path), table=(number, hash(path) % 1_000_000))
        )
        for key, one in value.items():
            yield from _of_json(one, source, (*path, words_of_name(str(key).replace("|", " "))), records, number)
        return
    if path and (not isinstance(value, list) or all(not isinstance(one, dict | list) for one in value)):
        label = " ".join(one for one in path[-2:] if one not in _RESULTS)
        yield Fact(label=label, value=value, source=source, context=" ".join(path[:-2]), kind="json")
    for one in value if isinstance(value, list) else ():
        if isinstance(one, dict | list):
            yield from _of_json(one, source, path, records, number)


def _pairs(source: Source, number: int) -> Iterator[Fact]:
    """The lines `label: value`, also several in a line."""
    headings, block = "", 0
    for line in source.text.splitlines():
        if heading := _HEADING.match(line):
            headings = heading[1]
        found = False
        for part in _MORE_PAIRS.split(line) if "|" not in line else ():
            match = _PAIR.match(part)
            if match and len(match[1].split()) <= _MOST_LABEL_WORDS and "://" not in part[: match.end(1) + 4]:
                found = True
                context = f"{headings} {source.filename}"
                value = match[2].strip()[:_MOST_VALUE_CHARS]
                yield Fact(label=match[1], value=value, source=source, context=context, block=(number, block))
        block += not found


def _blocks(pairs: Sequence[Fact]) -> Iterator[Record]:
    """Pairs that follow each other as records; a label that comes again begins the next one."""
    values: dict[str, Any] = {}
    last: Fact | None = None
    for fact in pairs:
        if last is not None and (fact.block != last.block or fact.label in values):
            yield Record(values=values, source=last.source, context=last.context, table=(last.block[0], -1))
            values = {}
        values = {**values, fact.label: fact.value}
        last = fact
    if last is not None:
        yield Record(values=values, source=last.source, context=last.context, table=(last.block[0], -1))


def _of_unit(unit: Unit, source: Source) -> Iterator[Fact]:
    context = f"{unit.context} {source.filename}"
    block = (unit.passage, unit.block)
    if unit.kind != "row":
        yield Fact(label="", value=unit.text, source=source, context=context, kind="sentence", block=block)
        if unit.kind == "item" and (above := unit.context.rpartition(" / ")[2].strip(": ")):
            yield Fact(label=above, value=unit.text, source=source, context=context, kind="item", block=block)
        return
    if not unit.cells:
        return
    names = unit.header if len(unit.header) == len(unit.cells) else ()
    for column, cell in enumerate(unit.cells):
        if names and cell:
            row = " ".join(other for place, other in enumerate(unit.cells) if place != column)
            yield Fact(
                label=names[column], value=cell, source=source, context=context, row=row, kind="cell", block=block
            )
    if len(unit.cells) == 2 and not re.fullmatch(r"[\d.,\s]*", unit.cells[0]):
        yield Fact(label=unit.cells[0], value=unit.cells[1], source=source, context=context, kind="cell", block=block)


def _row(unit: Unit, source: Source) -> Record:
    values = dict(zip(unit.header, unit.cells, strict=True))
    return Record(values=values, source=source, context=unit.context, table=(unit.passage, unit.block))
