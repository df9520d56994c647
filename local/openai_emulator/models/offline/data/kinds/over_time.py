"""Peak hours and days, and trends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from local.openai_emulator.models.offline.data.ask import Ask, Refusal
from local.openai_emulator.models.offline.data.clause import Clause, figures, is_year, names
from local.openai_emulator.models.offline.data.kinds.base import (
    Kind,
    Result,
    column_of,
    columns_text,
    date_text,
    group_value,
    number,
    reading_of,
    where_text,
)
from local.openai_emulator.models.offline.data.kinds.completing import additive, ask_of, measured
from local.openai_emulator.models.offline.data.names import label, name_stems, unit
from local.openai_emulator.models.offline.data.rows import group_keys, key_text
from local.openai_emulator.models.offline.data.table import Table
from local.openai_emulator.models.offline.words import joined, stem

_TRAFFIC = frozenset(map(stem, ("requests", "visits", "sessions", "hits", "traffic")))  # what makes a time busy
NO_DATES = "The table has no column of dates."


def complete_peak(clause: Clause) -> Ask | Refusal:
    dates = clause.table.of_kind("date")
    if not dates:
        return Refusal(reason=NO_DATES)
    found = measured(clause)
    if isinstance(found, Refusal):
        usual = [c for c in figures(clause.table) if _TRAFFIC & set(name_stems(c.name))]
        if not clause.claim_all(r"\b(?:usage|load|traffic|busiest|quietest)\b") or len(usual) != 1:
            return found
        found = (usual[0],)
    clause.claim_all(r"\b(?:usage|load|traffic|busiest|quietest|rush)\b")
    hours = any(not (c.high.endswith("00:00:00") or len(c.high) < 11) for c in dates)
    period = clause.period or ("hour" if hours else "month")
    low = clause.says(r"\bquietest\b")
    return ask_of(clause, "peak", measures=names(found[:1]), period=period, by=(), lowest=low, hows=("mean",))


def find_peak(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """The averages of all periods, the highest first."""
    name = ask["measures"][0]
    by_period = rows.groupby(group_keys(rows, ask))[name].mean().dropna()
    ranked = by_period.sort_values(ascending=ask["lowest"])
    named = {key_text(key): float(value) for key, value in ranked.items()}
    import pandas as pd

    series = pd.Series({key_text(key): value for key, value in by_period.items()}, dtype=float)
    return {"ranked": named, "overall": float(rows[name].mean()), "series": series}


def peak_sentence(ask: Ask, result: Result, table: Table) -> str:
    name = ask.measures[0]
    column = table.column(name)
    ranked: list[tuple[str, float]] = list(result["ranked"].items())
    if not ranked:
        return f"There are no values of {label(name)}{where_text(ask)}."
    whole = bool(column and column.whole and abs(ranked[0][1]) >= 100)
    ranked = [(key, round(value) if whole else value) for key, value in ranked]
    overall = round(result["overall"]) if whole else result["overall"]
    shown = column_of(table, name)
    end = "Lowest" if ask.lowest else "Peak"
    on = "on" if ask.period in ("weekday", "day") else "at" if ask.period == "hour" else "in"
    lead = (
        f"{end} {label(name)}{where_text(ask)} is {on} **{group_value(ask, ranked[0][0])}** with on average "
        f"**{number(ranked[0][1], shown)}**{'' if unit(name) else ' ' + label(name)}{_per(ask, table)}"
    )
    after = [f"{group_value(ask, key)} ({number(value, shown)})" for key, value in ranked[1:3]]
    follow = f", followed by {joined(after)}" if after else ""
    times = (
        f" That is {ranked[0][1] / overall:.1f} times the overall average of {number(overall, shown)}."
        if overall
        else ""
    )
    other = (
        f" The {'highest' if ask.lowest else 'lowest'} is {group_value(ask, ranked[-1][0])} with "
        f"{number(ranked[-1][1], shown)}."
    )
    return f"{lead}{follow}.{times}{other}"


def _per(ask: Ask, table: Table) -> str:
    """` per server`, if every time has one row for each server: then the average is that of one server."""
    date = table.column(ask.date)
    for column in table.of_kind("text"):
        single = any(c.column == column.name and c.test == "==" for c in ask.conditions)
        rows = date.unique * column.unique if date else 0
        if 1 < column.unique <= 50 and not single and abs(rows - table.rows) <= 0.02 * table.rows:
            return f" per {label(column.name)}"
    return ""


def complete_trend(clause: Clause) -> Ask | Refusal:
    """A line over time; a typical day or week when that is named; years in a column of numbers count as time."""
    measures = measured(clause)
    if isinstance(measures, Refusal):
        return measures
    years = [c for c in clause.table.of_kind("number") if is_year(c)]
    chart = clause.chart if clause.chart not in ("", "any") else "line"
    how = clause.hows or (("sum",) if additive(measures[0].name) else ("mean",))
    clause.claim_all(r"\bgetting \w+er\b")
    if not clause.table.of_kind("date"):
        if len(years) == 1:
            return ask_of(
                clause,
                "trend",
                measures=names(measures[:1]),
                date=years[0].name,
                hows=how[:1],
                chart=chart,
                period="year",
            )
        if clause.by or clause.by_numbers or clause.which:
            by = (*names(clause.by), *names(clause.by_numbers)) or names([clause.which] if clause.which else [])
            style = clause.chart if clause.chart != "any" else "bar"
            return ask_of(clause, "figures", measures=names(measures), by=by, hows=how, chart=style)
        texts = clause.texts() or [c for c in clause.table.of_kind("text") if c.unique == clause.table.rows][:1]
        if clause.says(r"\btrends?\b|\bover time\b|\bdevelop") or len(texts) != 1:
            return Refusal(reason=NO_DATES)
        style = clause.chart if clause.chart not in ("any", "") else "bar"
        return ask_of(clause, "figures", measures=names(measures), by=names(texts), hows=("sum",), chart=style)
    if clause.period in ("hour", "weekday") or clause.chart in ("bar", "pie", "histogram"):
        style = "bar" if chart == "line" and clause.chart in ("any", "") else chart
        if not clause.period and not clause.by:
            return Refusal(reason="It does not say what the bars are to be.")
        return ask_of(clause, "figures", measures=names(measures), hows=clause.hows or ("mean",), chart=style)
    few = [c for c in clause.table.of_kind("text") if 1 < c.unique <= 12]
    by = names(clause.by)
    if few and not by and not any(c.test == "==" for c in clause.conditions):
        by = (few[0].name,)
    how = clause.hows or ("mean",)
    return ask_of(clause, "trend", measures=names(measures[:1]), by=by, hows=how[:1], chart=chart)


def follow_trend(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """By line: the start, the end, the highest and the lowest; and the lines."""
    import pandas as pd

    date, name, how = ask["date"], ask["measures"][0], "sum" if ask["hows"][0] == "sum" else ask["hows"][0]
    if pd.api.types.is_numeric_dtype(rows[date]):
        grain, index = "YS", rows[date].astype("Int64")
    else:
        times = rows[date].dropna()
        days = (times.max() - times.min()).days if len(times) else 0
        usual = {"hour": "h", "day": "D", "week": "W", "month": "MS", "quarter": "QS", "year": "YS"}.get(ask["period"])
        sparse = times.nunique() > 1 and days / (times.nunique() - 1) > 27
        grain = usual or (
            "h" if days <= 4 else "MS" if sparse else "D" if days <= 130 else "W" if days <= 800 else "MS"
        )
        index = pd.Grouper(key=date, freq=grain)
    lines = rows.pivot_table(index=index, columns=ask["by"] or None, values=name, aggfunc=how)
    if lines.columns.nlevels > 1:
        lines.columns = [" / ".join(map(str, key)) for key in lines.columns]
    changes = {}
    for column in lines.columns:
        values = lines[column].dropna()
        edge = max(1, min(7, len(values) // 4))
        changes[str(column)] = {
            "start": float(values.iloc[:edge].mean()),
            "end": float(values.iloc[-edge:].mean()),
            "highest": float(values.max()),
            "highest_at": str(values.idxmax()),
            "edge": edge,
        }
    return {"trend": changes, "grain": grain, "series": lines}


def trend_sentence(ask: Ask, result: Result, table: Table) -> str:
    name = ask.measures[0]
    column = column_of(table, name)
    grains = {"h": "hours", "D": "days", "W": "weeks", "MS": "months", "QS": "quarters", "YS": "years"}
    grain = grains[result["grain"]]
    lines = []
    for key, change in result["trend"].items():
        percent = 100 * (change["end"] - change["start"]) / abs(change["start"]) if change["start"] else 0.0
        direction = "rose" if percent > 5 else "fell" if percent < -5 else "stayed level"
        moved = (
            f"{direction} from {number(change['start'], column)} to {number(change['end'], column)} ({percent:+.1f} %)"
        )
        who = f"**{key}** " if ask.by else f"{label(name)[:1].upper()}{label(name)[1:]} "
        at = _when(change["highest_at"], grain)
        lines.append(f"- {who}{moved}; highest {number(change['highest'], column)} {at}.")
    edge = max((change["edge"] for change in result["trend"].values()), default=1)
    span = (
        f"the first {edge} {grain} against the last {edge}"
        if edge > 1
        else f"the first of the {grain} against the last"
    )
    return f"Trend of {label(name)}{where_text(ask)} ({span}):\n\n" + "\n".join(lines)


def _when(text: str, grain: str) -> str:
    """`on 3 May 2025`, `in May 2025`: as fine as the steps of the trend."""
    if grain in ("hours", "days") or not re.match(r"\d{4}-\d\d-\d\d", text):
        return f"{'in' if grain == 'years' else 'on'} {date_text(text)}"
    at = datetime.fromisoformat(text[:10])
    if grain == "quarters":
        return f"in Q{(at.month + 2) // 3} {at.year}"
    if grain == "weeks":
        return f"in the week to {date_text(text[:10])}"
    return f"in {at:%Y}" if grain == "years" else f"in {at:%B %Y}"


def reading_peak(ask: Ask) -> str:
    return reading_of(f"{'Lowest' if ask.lowest else 'Highest'} average of {columns_text(ask.measures)}", ask)


def reading_trend(ask: Ask) -> str:
    figure = {"sum": "total", "mean": "average"}.get(ask.hows[0], ask.hows[0])
    return reading_of(f"The {figure} of {columns_text(ask.measures)} over time", replace(ask, period=""))


_TREND_CUES = (
    r"\btrends?\b|\bover time\b|\bover the (?:days?|weeks?|months?|years?)\b|\bdevelop(?:ed|s|ing|ment)?\b|\bevol\w+|"
    r"\btime series\b|\bgetting \w+er\b|\b(?:increas|declin|decreas)(?:e|es|ed|ing)\b|\bgr(?:ow|owing|own|ew|owth)\b"
)
PEAK = Kind(
    name="peak",
    examples=("What are the peak hours?", "When is it busiest?", "Which day of the week has the most X?"),
    cues=(
        r"\bpeak\b|\b(?:busiest|quietest|rush) (?:\w+ )?(?:hours?|times?|days?|periods?|months?|weeks?)\b"
        r"|\b(?:what|which|at what) (?:hours?|time of day|day of (?:the )?week|weekday)\b|\btime of (?:the )?day\b"
    ),
    words="usage hours hour times time day worst highest most busiest peak",
    complete=complete_peak,
    program=find_peak,
    helpers=(group_keys, key_text),
    sentence=peak_sentence,
    reading=reading_peak,
)
TREND = Kind(
    name="trend",
    examples=("How did X develop over time?", "Plot X", "Is X growing?", "Show the trend of X", "Draw a chart of X"),
    cues=_TREND_CUES,
    words="time show showing change changed changes going level",
    complete=complete_trend,
    program=follow_trend,
    sentence=trend_sentence,
    reading=reading_trend,
)
