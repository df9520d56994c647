"""The class `Kind`, and what the kinds share: the text of figures, groups and rows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.openai_emulator.models.offline.data.ask import Ask, Condition, Refusal
from local.openai_emulator.models.offline.data.charts import FIGURES, WORDS_BEFORE_TIMES
from local.openai_emulator.models.offline.data.clause import Clause, is_year
from local.openai_emulator.models.offline.data.conditions import days_apart
from local.openai_emulator.models.offline.data.names import label, name_stems, unit
from local.openai_emulator.models.offline.data.table import Column, Table
from local.openai_emulator.models.offline.words import joined, stem

_NAMES = frozenset(map(stem, ("name", "title", "player", "person", "employee", "customer")))

Result = Mapping[str, Any]  # the entry of one ask in the JSON that the program prints
DAYS_OF_MONTHS, DAYS_OF_YEARS = 26, 350  # dates farther apart are those of months, of years
MOST_ROWS = 60  # of a table in an answer


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of question about a table.

    Attributes:
        name: As in `Ask.kind`.
        examples: Questions of the kind, about columns of any name. A clause without a cue is of the kind of the
            nearest example.
        cues: Regular expression. A clause is of the first kind in the registry whose cues it contains. The words that
            match are accounted for.
        words: More words that say nothing but the kind.
        complete: Makes the ask from what the clause names, or refuses.
        program: Computes the result from the rows; it runs in the sandbox.
        helpers: Functions that the program calls.
        sentence: Markdown text of the result.
        reading: How the question was read, in one line.
    """

    name: str
    examples: tuple[str, ...]
    cues: str
    words: str = ""
    complete: Callable[[Clause], Ask | Refusal]
    program: Callable[[Any, Mapping[str, Any]], dict[str, Any]]
    helpers: tuple[Callable[..., Any], ...] = ()
    sentence: Callable[[Ask, Result, Table], str]
    reading: Callable[[Ask], str]


def number(value: Any, column: Column | str = "") -> str:
    """A figure with the unit of its column: `352.81 ms`, `1,870,515`, `0.0042`."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "none" if value is None else date_text(str(value), column)
    if isinstance(value, float) and not math.isfinite(value):
        return "not defined"
    of = unit(column) if isinstance(column, str) else f" {column.unit}" if column.unit else unit(column.name)
    if of == " h:mm:ss":
        seconds = round(value)
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    places = 2 if isinstance(column, str) else column.places
    if not isinstance(column, str) and is_year(column):
        return f"{value:g}"
    if float(value).is_integer() and abs(value) < 1e15:
        text = f"{int(value):,}"
    elif abs(value) >= 0.1:
        text = f"{value:,.{places}f}"
    else:
        text = f"{value:.{max(places, 4)}f}" if abs(value) >= 0.00005 else f"{value:.2e}"
    return f"{of.strip()}{text}" if of.strip() in ("$", "€", "£") else text + of


def p_value(value: float) -> str:
    """`= 0.0312`, `= 2.1e-12`, or `< 1e-300`."""
    return f"= {value:.4f}" if value >= 0.0001 else f"= {value:.1e}" if value >= 1e-300 else "< 1e-300"


def date_text(text: str, column: Column | str = "") -> str:
    """An ISO date as `14 February 2026, 14:00`, of a column of months `February 2026`; any other text unchanged."""
    if not re.match(r"\d{4}-\d{2}-\d{2}(?:[T ]|$)", text):
        return text
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00")[:26])
    except ValueError:
        return text
    apart = 0.0 if isinstance(column, str) else days_apart(column)
    if apart > DAYS_OF_MONTHS and at.day == 1:
        return f"{at:%Y}" if apart > DAYS_OF_YEARS else f"{at:%B %Y}"
    date = f"{at.day} {at:%B %Y}"
    return date if not (at.hour or at.minute) else f"{date}, {at:%H:%M}"


def where_text(ask: Ask) -> str:
    """The ask's conditions, to be put after a figure: ` on 14 February 2026 for web-02`."""
    told = list(dict.fromkeys(c.words for c in ask.conditions))  # a range is two conditions
    times = [words for words in told if WORDS_BEFORE_TIMES.match(words)]
    others = [words for words in told if words not in times]
    return "".join(f" {words}" for words in times) + (f" for {joined(others)}" if others else "")


def figure_name(how: str, name: str, *, single: bool = False) -> str:
    """`average response time`; a column that is named `average ...` gets no second one, nor does a single value."""
    word = FIGURES.get(how, how)
    return (
        label(name)
        if label(name).startswith(word) or (single and how in ("mean", "median", "sum"))
        else f"{word} {label(name)}"
    )


def group_value(ask: Ask, key: str) -> str:
    """A group's key in words: `14:00` for the hour 14, `February 2026` for 2026-02."""
    if ask.period == "hour" and key.isdigit():
        return f"{int(key):02d}:00"
    if ask.period == "decade" and key.isdigit():
        return f"{key}s"
    if ask.period == "month" and re.fullmatch(r"\d{4}-\d{2}", key):
        return f"{datetime.fromisoformat(key + '-01'):%B %Y}"
    return date_text(key)


def group_name(ask: Ask) -> str:
    """What the ask groups by: `hour of the day`, `server`."""
    names = {"hour": "hour of the day", "weekday": "day of the week", "weekend": "part of the week", "nth week": "week"}
    names["calendar month"] = "month of the year"
    period = [names.get(ask.period, ask.period)] if ask.period else []
    return " / ".join([*period, *map(label, ask.by)])


def row_text(ask: Ask, row: Mapping[str, Any], table: Table) -> str:
    """The columns that identify a row: its date, its categories and its identifiers."""
    shown = [c for c in table.columns if c.kind in ("date", "text") or is_year(c)]
    told = [c for c in shown if c.name not in ask.measures and row.get(c.name)]
    told = sorted(told, key=lambda c: (-(c.unique > 0.9 * table.rows), not _NAMES & set(name_stems(c.name))))
    named = [c for c in told if _NAMES & set(name_stems(c.name))][:1]
    told = [*told[:3], *named] if named and named[0] not in told[:4] else told[:4]
    if not any(c.unique > 0.9 * table.rows for c in told) and table.columns and table.columns[0] not in told:
        told = [c for c in (table.columns[0],) if c.name not in ask.measures] + told[:3]
    told.sort(key=lambda c: c.name != (table.of_kind("date") or [c])[0].name)
    parts = [
        date_text(str(row[c.name]), c) if c.kind != "number" else f"{label(c.name)} {number(row[c.name], c)}"
        for c in told
        if row.get(c.name) is not None
    ]
    return ", ".join(parts) or "one row"


def column_of(table: Table, name: str) -> Column | str:
    return table.column(name) or name


def reading_of(what: str, ask: Ask) -> str:
    """`Average of `tip` by `day`, where day is Sun`."""
    groups = [*([ask.period] if ask.period else []), *(f"`{name}`" for name in ask.by)]
    by = f" by {' and '.join(groups)}" if groups else ""
    told = dict.fromkeys(condition_text(condition) for condition in ask.conditions)
    where = [*told, *(["the group found"] if ask.of_winner else [])]
    by += f" (of those with at least {ask.least} rows)" if ask.least else ""
    return f"{what}{by}{', where: ' + '; '.join(where) if where else ''}"


def condition_text(condition: Condition) -> str:
    """A condition in a reading: `country` is Japan; `sales` above 50."""
    if condition.test in ("==", "!=", "in", "not in") and condition.column.lower() not in condition.words.lower():
        return f"`{condition.column}` is {condition.words}"
    if condition.test.startswith("lists"):
        return f"`{condition.column}` lists {condition.words}"
    return condition.words


def columns_text(names: tuple[str, ...]) -> str:
    return joined(f"`{name}`" for name in names)
