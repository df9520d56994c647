"""The first or last time at which rows meet a limit: `In which year did Japan's life expectancy first exceed 80?`"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.openai_emulator.models.offline.data.ask import Ask, Refusal
from local.openai_emulator.models.offline.data.clause import Clause, is_key, is_short_year, is_year
from local.openai_emulator.models.offline.data.kinds.base import (
    Kind,
    Result,
    column_of,
    date_text,
    number,
    reading_of,
    row_text,
    where_text,
)
from local.openai_emulator.models.offline.data.kinds.completing import ask_of
from local.openai_emulator.models.offline.data.names import label
from local.openai_emulator.models.offline.data.rows import told_rows
from local.openai_emulator.models.offline.data.table import Column, Table
from local.openai_emulator.models.offline.data.vocabulary import ROW_NOUNS

_TIMES = re.compile(r"\b(?P<end>first|last|earliest|latest|(?:most )?recent(?:ly)?|newest)\b", re.IGNORECASE)
_END = r"(?:first|last|earliest|latest|most recent|newest)"
_UNITS = r"(?! (?:names?|weeks?|months?|years?|days?))"
_WHEN_FIRST = rf"^\W*(?:where and |where, )?when (?:was|is|were|did|does)\b.*\b{_END}\b{_UNITS}"
_OPENED = r"\b(?:hired|joined|opened|started|made|placed|open|join)\b"
_END_DATE = rf"\b{_END} (?:\w+ ){{0,2}}?(?:date|day|time)\b"
_WHO_FIRST = r"^\W*(?:who|which|what)\b.*\b(?:first|last|earliest|latest|most recently)\W*$"
_WHEN = r"\bwhen\b|\b(?:which|what|first|last|earliest|latest) (?:year|month|day|date|time)\b"
_FIGURES = r"\b(?:averages?|means?|totals?|medians?|sum)\b"
_LIMITS = ("<", "<=", ">", ">=")


def asks_first_time(clause: Clause) -> bool:
    """Whether a clause asks when something was above or below a limit for the first or the last time."""
    times = {c.name for c in _time_columns(clause)}
    limited = any(c.test in _LIMITS and c.column not in times for c in clause.conditions)
    if not limited and _is_first_row(clause):
        return True
    counted = clause.says(r"^\W*how many\b")
    return limited and not counted and bool(_TIMES.search(clause.text)) and clause.says(_WHEN)


def _is_first_row(clause: Clause) -> bool:
    """Whether the first or last row by time is asked for: "when did the first store open", "who was hired last"."""
    grouped = clause.by or clause.by_numbers or clause.period or clause.hows or clause.chart
    if grouped or not _time_columns(clause) or clause.says(r"^\W*how (?:many|much|often)\b"):
        return False
    numbers = [m for m in clause.mentions if m.column.kind == "number" and not clause.is_only_noun(m)]
    if any(not is_key(mention.column, clause.table) for mention in numbers):
        return False
    dated = any(m.column.kind == "date" for m in clause.mentions) and clause.says(_END_DATE)
    return dated or clause.says(_WHEN_FIRST) or clause.says(_WHO_FIRST)


def _time_columns(clause: Clause) -> list[Column]:
    years = [c for c in clause.table.of_kind("number") if is_year(c) or is_short_year(c)]
    dates = clause.table.of_kind("date")
    named = [m.column for m in clause.mentions if m.column.kind == "date"]
    return list(dict.fromkeys(named))[:1] or dates or years


def complete(clause: Clause) -> Ask | Refusal:
    times = _time_columns(clause)
    if len(times) != 1:
        return Refusal(reason="The table has no column of times." if not times else "It has several columns of times.")
    if clause.says(_FIGURES) or (clause.says(r"\b(?:month|quarter|week)(?:ly)?\b") and times[0].kind == "date"):
        return Refusal(reason="The first time of a figure of several rows is not computed.")
    end = _TIMES.search(clause.text)
    assert end is not None
    last = end["end"].lower() not in ("first", "earliest")
    clause.claim_all(r"\b(?:first|last) (?:time|year|month|day|date)\b")
    clause.claim_all(rf"\b(?:very )?{_END}\b|\bmost recently\b|{_OPENED}")
    clause.used |= {i for i in clause.free() if clause.word(i) in ROW_NOUNS}
    asked = [c.name for c in ([clause.which] if clause.which else []) + clause.texts() if c is not times[0]]
    targets = (times[0].name, *dict.fromkeys(asked))
    return ask_of(clause, "first time", by=(), period="", targets=targets, lowest=not last, chart="")


def find_time(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """The first or last rows by time: all that have this time, at most five."""
    time = ask["targets"][0]
    known = rows[rows[time].notna()]
    if not len(known):
        return {"there": [], "n": 0}
    end = known[time].min() if ask["lowest"] else known[time].max()
    there = known[known[time] == end]
    return {"there": told_rows(there, 5), "n": len(there)}


def sentence(ask: Ask, result: Result, table: Table) -> str:
    end, name = "first" if ask.lowest else "last", ask.targets[0]
    if not result["n"]:
        return f"There are no rows{where_text(ask)}."
    row = result["there"][0]
    column = table.column(name)
    is_date = column is not None and column.kind == "date"
    time = date_text(str(row[name]), column or "") if is_date else f"{row[name]:g}"
    limits = [c.column for c in ask.conditions if c.test in _LIMITS]
    told = "; ".join(_row(ask, one, table, limits) for one in result["there"])
    more = f"; and {result['n'] - len(result['there']):,} more" if result["n"] > len(result["there"]) else ""
    return f"The {end} {label(name)}{where_text(ask)} is **{time}** ({told}{more})."


def _row(ask: Ask, row: Mapping[str, Any], table: Table, limits: list[str]) -> str:
    """A row, with the cells of what is limited or asked for."""
    cells = [f"{label(of)} {number(row[of], column_of(table, of))}" for of in dict.fromkeys(limits)]
    cells += [f"{label(of)} **{row[of]}**" for of in ask.targets[1:]]
    return f"{row_text(ask, row, table)}{': ' if cells else ''}{', '.join(cells)}"


def reading(ask: Ask) -> str:
    return reading_of(f"The {'first' if ask.lowest else 'last'} `{ask.targets[0]}`", ask)


FIRST_TIME = Kind(
    name="first time",
    examples=("In which year was X above 80 for the first time?", "When did X last fall below 5?"),
    cues="",
    words="first last earliest latest time when did do does was were is go goes went gone rise rose fall fell get got "
    "reach exceed drop dropped climb climbed year month day date which what in have had be been",
    complete=complete,
    program=find_time,
    helpers=(told_rows,),
    sentence=sentence,
    reading=reading,
)
