"""The class `QuestionKind`, and what the kinds share: defaults, pandas expressions, the text of figures and groups."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from local.openai_emulator.models.offline.data import charts
from local.openai_emulator.models.offline.data import columns as cols
from local.openai_emulator.models.offline.data.ask import Ask
from local.openai_emulator.models.offline.data.columns import label, unit
from local.openai_emulator.models.offline.data.phrases import additive, named_figures
from local.openai_emulator.models.offline.data.profile import Table
from local.openai_emulator.models.offline.words import joined

Result = Mapping[str, Any]  # the entry of one ask in the JSON that the program prints
MOST_ROWS = 31  # of a table in an answer
PERIOD_KEYS = {
    "hour": "{0}.dt.hour",
    "weekday": "{0}.dt.day_name()",
    "weekend": '{0}.dt.day_of_week.ge(5).map({{True: "weekend", False: "weekday"}})',
    "day": '{0}.dt.strftime("%Y-%m-%d")',
    "week": '{0}.dt.to_period("W").dt.start_time.dt.strftime("%Y-%m-%d")',
    "nth week": '"week " + (({0} - df[{1!r}].min().normalize()).dt.days // 7 + 1).astype(str)',
    "month": '{0}.dt.strftime("%Y-%m")',
    "year": "{0}.dt.year",
}
FIGURES = {
    "mean": "average",
    "median": "median",
    "sum": "total",
    "std": "standard deviation",
    "var": "variance",
    "min": "minimum",
    "max": "maximum",
}


def unchanged(ask: Ask, text: str, table: Table) -> Ask:
    """The completion of a kind that has no defaults."""
    return ask


def usual_chart_title(ask: Ask, result: Result) -> str:
    """The chart's title with its first figure: `Response time by server, daily average`."""
    return plain_title(charts.title(ask, how=ask.how[0], grain=str(result.get("grain", ""))))


def plain_title(title: str) -> str:
    """A title without square brackets, which would end a Markdown image's text."""
    return title.replace("[", "(").replace("]", ")")


@dataclass(frozen=True, kw_only=True)
class QuestionKind:
    """One kind of question about a table.

    Attributes:
        name: As in `Ask.kind`.
        phrases: Regular expression. A clause is of the first kind in the registry whose phrases it contains.
        weak_phrases: Regular expression, tried when no kind's `phrases` match.
        complete: Fills in what the clause leaves open, from the clause's text and the table. It may choose another
            kind when the table cannot answer this one.
        program: Lines of pandas code that append one entry to `results`; they read the rows of `data`.
        sentence: Markdown text of that entry.
        chart_title: The title of the kind's chart.
        needs_measure: A clause without a measure takes the measures of an earlier clause.
        joins_figures: A clause without a measure continues the clause before it when both kinds have this set.
        joins_itself: Two clauses of this kind in a row are one.
        uses_scipy: The program calls `stats`.
        always_charts: The program draws a chart even when the question asks for none.
    """

    name: str
    phrases: str = ""
    weak_phrases: str = ""
    complete: Callable[[Ask, str, Table], Ask] = unchanged
    program: Callable[[Ask, Table], Sequence[str]]
    sentence: Callable[[Ask, Result, Table], str]
    chart_title: Callable[[Ask, Result], str] = usual_chart_title
    needs_measure: bool = True
    joins_figures: bool = False
    joins_itself: bool = False
    uses_scipy: bool = False
    always_charts: bool = False


# ---- what a clause leaves open -----------------------------------------------------------------------------------


def with_usual_measure(ask: Ask, text: str, table: Table) -> Ask:
    """The table's first figure when the question names none."""
    return ask if ask.measures else replace(ask, measures=tuple(c.name for c in cols.figures(table)[:1]))


def with_total(ask: Ask, text: str) -> Ask:
    """The total instead of the average, for a measure that adds up, when the text names no figure."""
    wants_total = not named_figures(text) and bool(ask.measures) and additive(ask.measures[0])
    return replace(ask, how=("sum",)) if wants_total else ask


# ---- pandas code -------------------------------------------------------------------------------------------------


def date_column(table: Table) -> str:
    """The name of the first date column; empty without one."""
    dates = table.of_kind("date")
    return dates[0].name if dates else ""


def group_key(ask: Ask, table: Table) -> str:
    """The pandas expression that groups the rows of `data`; empty when the ask has no groups."""
    if ask.period and date_column(table):
        return PERIOD_KEYS[ask.period].format(f"data[{date_column(table)!r}]", date_column(table))
    return f"data[{ask.by!r}]" if ask.by else ""


# ---- text --------------------------------------------------------------------------------------------------------


def number(value: Any, name: str = "") -> str:
    """A figure with the unit of its column: `352.81 ms`, `1,870,515`, `0.0042`."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return date_text(str(value))
    if isinstance(value, float) and not math.isfinite(value):
        return "not defined"
    if float(value).is_integer() and abs(value) < 1e15:
        text = f"{int(value):,}"
    elif abs(value) >= 0.1:
        text = f"{value:,.2f}"
    else:
        text = f"{value:.4f}" if abs(value) >= 0.00005 else f"{value:.2e}"
    return text + unit(name)


def p_value(value: float) -> str:
    """`= 0.0312`, or `< 0.0001`."""
    return "< 0.0001" if value < 0.0001 else f"= {value:.4f}"


def date_text(text: str) -> str:
    """An ISO date as `14 February 2026, 14:00`; any other text unchanged."""
    if not re.match(r"\d{4}-\d{2}-\d{2}(?:[T ]|$)", text):
        return text
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00")[:26])
    except ValueError:
        return text
    date = f"{at.day} {at:%B %Y}"
    return date if not (at.hour or at.minute) else f"{date}, {at:%H:%M}"


def filter_text(ask: Ask) -> str:
    """The ask's filters, to be put after a figure: ` on 14 February 2026 for web-02`."""
    times = [f.words for f in ask.filters if re.match(r"(?:in|on|at|from|since|after|before|between) ", f.words)]
    others = [f.words for f in ask.filters if f.words not in times]
    return "".join(f" {words}" for words in times) + (f" for {joined(others)}" if others else "")


def figure_name(how: str, name: str) -> str:
    """`average response time`; a column that is named `average ...` gets no second "average"."""
    word = FIGURES.get(how, how)
    return label(name) if label(name).startswith(word) else f"{word} {label(name)}"


def group_value(ask: Ask, key: str) -> str:
    """A group's key in words: `14:00` for the hour 14, `February 2026` for 2026-02."""
    if ask.period == "hour" and key.isdigit():
        return f"{int(key):02d}:00"
    if ask.period == "month" and re.fullmatch(r"\d{4}-\d{2}", key):
        return f"{datetime.fromisoformat(key + '-01'):%B %Y}"
    return date_text(key)


def group_name(ask: Ask) -> str:
    """What the ask groups by: `hour of the day`, `server`."""
    return {
        "hour": "hour of the day",
        "weekday": "day of the week",
        "weekend": "part of the week",
        "nth week": "week",
        "": label(ask.by),
    }.get(ask.period, ask.period)


def row_text(ask: Ask, row: Mapping[str, Any], table: Table) -> str:
    """The columns that identify a row: its date, its categories and its identifiers."""
    told = [c for c in table.columns if c.kind in ("date", "text", "bool") and c.name not in ask.measures][:4]
    if not any(c.unique > 0.9 * table.rows for c in told) and table.columns and table.columns[0] not in told:
        told = [c for c in (table.columns[0],) if c.name not in ask.measures] + told[:3]
    parts = [
        date_text(str(row[c.name])) if c.kind != "number" else f"{label(c.name)} {row[c.name]}"
        for c in told
        if row.get(c.name) is not None
    ]
    return ", ".join(parts) or "row"
