"""Averages, totals and other figures of columns, of all rows or by group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from local.openai_emulator.models.offline.data.ask import Ask, Refusal
from local.openai_emulator.models.offline.data.charts import FIGURES
from local.openai_emulator.models.offline.data.clause import CHANGE, Clause, is_key, is_year, names
from local.openai_emulator.models.offline.data.conditions import days_apart
from local.openai_emulator.models.offline.data.kinds.base import (
    MOST_ROWS,
    Kind,
    Result,
    column_of,
    columns_text,
    figure_name,
    group_name,
    group_value,
    number,
    reading_of,
    where_text,
)
from local.openai_emulator.models.offline.data.kinds.completing import (
    additive,
    ask_of,
    measured,
    number_groups,
    with_chart,
    without_own_groups,
)
from local.openai_emulator.models.offline.data.names import label
from local.openai_emulator.models.offline.data.rows import group_keys, key_text
from local.openai_emulator.models.offline.data.table import Column, Table
from local.openai_emulator.models.offline.words import joined

_SORTED = r"^\W*(?:list|rank|sort|order) .*\bby\b"
_OF_AVERAGE = (  # "with an average salary above 70000"
    r"\b(?:average|mean|median|total)\b[^.?]{1,40} (?:above|below|over|under|exceeding"
    r"|(?:of )?(?:more|less|higher|lower|greater) than|(?:of )?at (?:least|most)) [\d$€£]"
)
MOST_GROUPS = 12  # different numbers in a column after "per"; with more of them a ratio is meant
_DAYS_OF = {"day": 0.9, "month": 26, "quarter": 85, "year": 350}  # the least days between the rows of a period


def complete(clause: Clause) -> Ask | Refusal:
    only_ends = bool(clause.hows) and set(clause.hows) <= {"min", "max"}
    measures = measured(clause, keys=only_ends)
    if isinstance(measures, Refusal):
        return measures
    measures = tuple(c for c in measures if not is_key(c, clause.table)) or measures
    if clause.says(_SORTED) and not clause.by:
        return Refusal(reason='The rows are not listed in an order; "top 10" would list the first of them.')
    grouped = clause.by or clause.by_numbers or clause.which
    if grouped and clause.says(_OF_AVERAGE) and {c.column for c in clause.limits()} & {*names(measures)}:
        return Refusal(reason="Groups are not picked out by a limit on their average or total.")
    texts = [c for c in clause.texts() if not clause.entity(c) and not _of_all(clause, c)]
    chosen = {condition.column for condition in clause.conditions if condition.test == "=="}
    which = clause.which if clause.which and clause.which.name not in chosen else None
    texts = [c for c in texts if c is not which]
    if texts and not clause.by:
        names_ = ", ".join(f"`{c.name}`" for c in texts)
        return Refusal(reason=f"It is not clear what {names_} is to do with it.")
    by = number_groups(clause, measures)
    ratio = [c for c in clause.by_numbers if not is_year(c) and not is_key(c, clause.table)]
    ratio = [c for c in ratio if c.unique > MOST_GROUPS or c.unique == clause.table.rows]
    if ratio and clause.says(r"\bper\b"):
        return Refusal(reason=f"Figures per `{ratio[0].name}` are not computed.")
    if not clause.hows and (by or clause.period) and all(additive(column.name) for column in measures):
        clause.hows = ("sum",)  # "sales by region"
    if not by and which and which.kind == "text":
        by = (which.name,)
    adds_up = all(additive(column.name) for column in measures) or clause.says(r"\b(?:spend|spends|spent)\b")
    if not clause.hows and clause.says(r"^\W*how much\b") and adds_up:
        clause.hows = ("sum",)  # "how much did we sell in Graz?"
    several = next((c.column for c in clause.conditions if c.test == "in"), "")
    by = without_own_groups(clause, by) or ((several,) if several else ())  # "of men and women": of each
    period = "" if _once_each(clause) else clause.period
    if clause.says_beside(CHANGE) and not by and not period:
        return Refusal(reason="It does not say between which times or groups the change is meant.")
    empty = [name for name in by if (c := clause.table.column(name)) and c.missing > 0.2 * clause.table.rows]
    if empty:  # merged cells are read as gaps, too
        return Refusal(reason=f"`{empty[0]}` is empty in many rows, so its groups would be incomplete.")
    for column in [c for c in clause.table.columns if c.name in by and c.missing]:
        clause.notes.append(f"{column.missing:,} rows without `{column.name}` left out")
    return with_chart(ask_of(clause, "figures", measures=names(measures), by=by, period=period), "bar")


def _of_all(clause: Clause, column: Column) -> bool:
    """Whether a column is only named for its rows: "the total population of all states", "in small countries"."""
    starts = [min(mention.tokens) for mention in clause.mentions if mention.column is column]
    values = {token for _, tokens in clause.places for token in tokens}
    return all("all" in (clause.word(i - 1), clause.word(i - 2)) or i - 1 in values for i in starts)


def _once_each(clause: Clause) -> bool:
    """Whether "the average a month" is asked of a table with one row a month: then it is the average of all rows."""
    dates = clause.table.of_kind("date")[:1]
    per = clause.period in ("month", "quarter", "year", "day") and clause.says(rf"\b(?:a|per)\s+{clause.period}\b")
    return bool(
        per
        and clause.hows == ("mean",)
        and dates
        and dates[0].unique == clause.table.rows
        and days_apart(dates[0]) > _DAYS_OF[clause.period]
    )


def compute_figures(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """`values` by column and figure; or `groups`: by group, then `column|figure`."""
    measures, hows = ask["measures"], ask["hows"]

    def figure(cells: Any, how: str) -> Any:
        value = getattr(cells, how)(ddof=ask["ddof"]) if how in ("std", "var") else getattr(cells, how)()
        return None if value != value else value

    keys = group_keys(rows, ask)
    if not keys:
        values = {name: {how: figure(rows[name], how) for how in hows} for name in measures}
        return {"values": values, "counts": {name: int(rows[name].count()) for name in measures}}
    groups = {}
    single = rows.groupby(keys).size().max() == 1  # each group is one row
    for key, part in rows.groupby(keys):
        groups[key_text(key)] = {f"{name}|{how}": figure(part[name], how) for name in measures for how in hows}
    first = f"{measures[0]}|{hows[0]}"
    if ask["period"] == "weekday" and len(keys) == 1:
        week = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
        groups = {day: groups[day] for day in week if day in groups}
    elif ask["period"] == "calendar month" and len(keys) == 1:
        import calendar

        groups = {month: groups[month] for month in calendar.month_name if month in groups}
    elif not ask["period"] and not all(key.lstrip("-").isdigit() for key in groups):
        groups = dict(sorted(groups.items(), key=lambda item: -(item[1][first] or 0)))
    import pandas as pd

    series = pd.Series({key: values[first] for key, values in groups.items()}, dtype=float)
    return {"groups": groups, "series": series, "single": bool(single)}


def sentence(ask: Ask, result: Result, table: Table) -> str:
    if "values" in result:
        return _values(ask, result, table)
    groups: Mapping[str, Mapping[str, Any]] = result["groups"]
    columns = list(next(iter(groups.values()), {}))
    one = bool(result.get("single"))
    heads = [_head(column, single=one) for column in columns]
    group = group_name(ask)
    lines = [f"| {group[:1].upper()}{group[1:]} | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for key, values in list(groups.items())[:MOST_ROWS]:
        cells = [number(values[column], column_of(table, column.rpartition("|")[0])) for column in columns]
        lines.append(f"| {group_value(ask, key).replace('|', '/')} | {' | '.join(cells)} |")
    of = joined(label(name) for name in ask.measures[:3]) if len(ask.measures) < 4 else "figures"
    single = figure_name(ask.hows[0], ask.measures[0], single=one)
    what = single if len(columns) == 1 else f"{joined(FIGURES.get(h, h) for h in ask.hows)} of {of}"
    lead = f"{what[:1].upper()}{what[1:]} by {group}{where_text(ask)}:"
    more = f"\n\n({len(groups) - MOST_ROWS} more groups are not shown.)" if len(groups) > MOST_ROWS else ""
    return lead + "\n\n" + "\n".join(lines) + more + _ends(ask, result, columns, table)


def _head(column: str, *, single: bool = False) -> str:
    name, _, how = column.rpartition("|")
    text = figure_name(how, name, single=single)
    return text[:1].upper() + text[1:]


def _ends(ask: Ask, result: Result, columns: list[str], table: Table) -> str:
    """A sentence about the groups with the highest and the lowest figure."""
    groups: Mapping[str, Mapping[str, Any]] = result["groups"]
    ranked = (
        [(values[columns[0]], key) for key, values in groups.items() if values[columns[0]] is not None]
        if columns
        else []
    )
    ranked = sorted((value, key) for value, key in ranked if math.isfinite(value))
    if len(ranked) < 2 or len(columns) > 2:
        return ""
    column = column_of(table, columns[0].rpartition("|")[0])
    (bottom, low), (top, high) = ranked[0], ranked[-1]
    head = _head(columns[0], single=bool(result.get("single"))).lower()
    return (
        f"\n\n{group_value(ask, high)} has the highest {head} ({number(top, column)}), "
        f"{group_value(ask, low)} the lowest ({number(bottom, column)})."
    )


def _values(ask: Ask, result: Result, table: Table) -> str:
    found = [(name, how, value) for name, values in result["values"].items() for how, value in values.items()]
    counts = result["counts"]
    if len(found) == 1:
        name, how, value = found[0]
        text = number(value, column_of(table, name))
        if counts[name] == 1 and how in ("mean", "median", "sum"):
            return f"The {label(name)}{where_text(ask)} is **{text}**."
        total = how == "sum" and not label(name).startswith("total")
        what = f"total of {label(name)}" if total else figure_name(how, name)
        return f"The {what}{where_text(ask)} is **{text}** ({counts[name]:,} values)."
    lines = [f"- {_head(f'{name}|{how}')}: **{number(value, column_of(table, name))}**" for name, how, value in found]
    return f"Over {result['rows']:,} rows{where_text(ask)}:\n\n" + "\n".join(lines)


def reading(ask: Ask) -> str:
    what = joined(FIGURES.get(how, how) for how in ask.hows)
    return reading_of(f"{what[:1].upper()}{what[1:]} of {columns_text(ask.measures)}", ask)


FIGURES_KIND = Kind(
    name="figures",
    examples=(
        "What is the average X?",
        "How much X is there altogether?",
        "What do people usually pay?",
        "What is the typical X in each group?",
        "Add up all X",
        "What is the sum of X?",
        "Give me the median and the standard deviation of X",
        "How much do we make per group?",
    ),
    cues=(
        r"\baverages?\b|\bmeans?\b|\bavg\b|\bmedians?\b|\btotals?\b|\bsum(?:med)?\b"
        r"|\bstandard deviations?\b|\bstd\b|\bvariances?\b"
        r"|\badd(?:s|ed|ing)? up\b|\baltogether\b|\bin all\b|\bon average\b|\btypical(?:ly)?\b|\bhow much\b"
        r"|\bmin(?:imum)?\b.{0,40}\bmax(?:imum)?\b|\boverall\b|\bcombined\b"
    ),
    words="usual usually normally add up make earn spend spent planned sold change changed changes",
    complete=complete,
    program=compute_figures,
    helpers=(group_keys, key_text),
    sentence=sentence,
    reading=reading,
)
