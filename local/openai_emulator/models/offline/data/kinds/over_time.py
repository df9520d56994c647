"""Peak hours and days, and trends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from local.openai_emulator.models.offline.data import charts
from local.openai_emulator.models.offline.data import columns as cols
from local.openai_emulator.models.offline.data.ask import Ask
from local.openai_emulator.models.offline.data.columns import label, unit
from local.openai_emulator.models.offline.data.kinds.base import (
    QuestionKind,
    Result,
    date_column,
    date_text,
    filter_text,
    group_key,
    group_value,
    number,
    with_usual_measure,
)
from local.openai_emulator.models.offline.data.phrases import additive
from local.openai_emulator.models.offline.data.profile import Table
from local.openai_emulator.models.offline.words import joined


def _without_dates(ask: Ask) -> Ask:
    """Another kind for a table without dates."""
    if ask.by:
        return replace(ask, kind="aggregate")
    return replace(ask, kind="distribution" if ask.chart and len(ask.measures) < 2 else "describe")


def _complete_peak(ask: Ask, text: str, table: Table) -> Ask:
    if not ask.measures:
        usual = sorted(cols.figures(table), key=lambda column: not additive(column.name))
        ask = replace(ask, measures=tuple(column.name for column in usual[:1]))
    if not table.of_kind("date"):
        return _without_dates(ask)
    return ask if ask.period else replace(ask, period="hour" if cols.has_hours(table) else "month")


def _complete_trend(ask: Ask, text: str, table: Table) -> Ask:
    ask = replace(with_usual_measure(ask, text, table), chart=True)
    if ask.period in ("hour", "weekday"):  # a chart of the typical day or week
        return replace(ask, kind="aggregate")
    few = [column for column in cols.categories(table, most=12) if column.kind == "text"]
    if few and not ask.by and not any(len(f.values) == 1 for f in ask.filters):
        ask = replace(ask, by=few[0].name)
    return ask if table.of_kind("date") else _without_dates(ask)


def _peak_program(ask: Ask, table: Table) -> list[str]:
    measure, how = ask.measures[0], "mean"
    lines = [
        f"by_{ask.period} = data.groupby({group_key(ask, table)})[{measure!r}].{how}()",
        f"print(by_{ask.period}.round(2).to_string())",
        f"ranked = by_{ask.period}.sort_values(ascending=False)",
        "groups = {str(key): value for key, value in ranked.items()}",
        f'results.append({{"ranked": groups, "overall": data[{measure!r}].mean(), "rows": len(data)}})',
    ]
    return lines + (charts.bars(ask, table, f"by_{ask.period}", how=how) if ask.chart else [])


def _peak_sentence(ask: Ask, result: Result, table: Table) -> str:
    name = ask.measures[0]
    ranked: list[tuple[str, float]] = list(result["ranked"].items())
    per = _per(ask, table)
    whole = bool((column := table.column(name)) and column.whole and ranked[0][1] >= 100)
    ranked = [(key, round(value) if whole else value) for key, value in ranked]
    overall = round(result["overall"]) if whole else result["overall"]
    best, least = ranked[0], ranked[-1]
    what = (
        label(name)
        if unit(name)
        else "usage"
        if label(name) in ("requests", "visits", "sessions", "traffic")
        else label(name)
    )
    lead = (
        f"Peak {what}{filter_text(ask)} is "
        f"{'on' if ask.period in ('weekday', 'day') else 'at' if ask.period == 'hour' else 'in'} "
        f"**{group_value(ask, best[0])}** with on average "
        f"**{number(best[1], name)}**{'' if unit(name) else ' ' + label(name)}{per}"
    )
    after = [f"{group_value(ask, key)} ({number(value, name)})" for key, value in ranked[1:3]]
    follow = f", followed by {joined(after)}" if after else ""
    times = f" That is {best[1] / overall:.1f} times the overall average of {number(overall, name)}." if overall else ""
    return f"{lead}{follow}.{times} The lowest is {group_value(ask, least[0])} with {number(least[1], name)}."


def _per(ask: Ask, table: Table) -> str:
    """` per server`, if every time has one row for each server: then the average is that of one server."""
    date = table.column(date_column(table))
    for column in table.of_kind("text"):
        single = any(f.column == column.name and len(f.values) == 1 for f in ask.filters)
        if (
            date
            and 1 < column.unique <= 50
            and not single
            and abs(date.unique * column.unique - table.rows) <= 0.02 * table.rows
        ):
            return f" per {label(column.name)}"
    return ""


def _trend_program(ask: Ask, table: Table) -> list[str]:
    date, measure = date_column(table), ask.measures[0]
    how = "sum" if ask.how == ("sum",) else "mean"
    grain = grain_of(ask, table)
    split = f", columns={ask.by!r}" if ask.by else ""
    lines = [f"# {charts.GRAINS[grain]} {how} over time"]
    lines.append(
        f"series = data.pivot_table(index=pd.Grouper(key={date!r}, freq={grain!r}){split}, "
        f"values={measure!r}, aggfunc={how!r})"
    )
    lines += [
        "if series.columns.nlevels > 1:",
        "    series.columns = series.columns.get_level_values(-1)",
        "print(series.round(2).to_string(max_rows=40))",
        "changes = {}",
        "for name in series.columns:",
        "    values = series[name].dropna()",
        "    edge = max(1, min(7, len(values) // 4))",
        "    changes[str(name)] = {",
        '        "start": values.iloc[:edge].mean(),',
        '        "end": values.iloc[-edge:].mean(),',
        '        "highest": values.max(),',
        '        "highest_at": str(values.idxmax()),',
        '        "lowest": values.min(),',
        '        "lowest_at": str(values.idxmin()),',
        '        "edge": edge,',
        "    }",
        f'results.append({{"trend": changes, "grain": {grain!r}, "rows": len(data)}})',
    ]
    return lines + charts.lines(ask, table, grain=grain, how=how)


def grain_of(ask: Ask, table: Table) -> str:
    """The period of one point of the line, as a pandas frequency."""
    column = table.column(date_column(table))
    if column is None:
        return "D"
    asked = {"hour": "h", "day": "D", "week": "W", "month": "MS", "year": "YS"}.get(ask.period)
    days = (datetime.fromisoformat(column.high[:19]) - datetime.fromisoformat(column.low[:19])).days
    if asked and (asked != "h" or days <= 7):
        return asked
    if days <= 4:
        return "h"
    if column.unique > 1 and days / (column.unique - 1) > 27:
        return "MS"
    return "D" if days <= 130 else "W" if days <= 800 else "MS"


def _trend_sentence(ask: Ask, result: Result, table: Table) -> str:
    changes: Mapping[str, Mapping[str, Any]] = result["trend"]
    name = ask.measures[0]
    grain = {"h": "hours", "D": "days", "W": "weeks", "MS": "months", "YS": "years"}[result["grain"]]
    lines = []
    for key, change in changes.items():
        percent = 100 * (change["end"] - change["start"]) / change["start"] if change["start"] else 0.0
        direction = "rose" if percent > 5 else "fell" if percent < -5 else "stayed level"
        moved = f"{direction} from {number(change['start'], name)} to {number(change['end'], name)} ({percent:+.1f} %)"
        who = f"**{key}** " if ask.by else f"{label(name)[:1].upper()}{label(name)[1:]} "
        lines.append(f"- {who}{moved}; highest {number(change['highest'], name)} on {date_text(change['highest_at'])}.")
    edge = max((change["edge"] for change in changes.values()), default=1)
    span = (
        f"the first {edge} {grain} against the last {edge}"
        if edge > 1
        else f"the first of the {grain} against the last"
    )
    return f"Trend of {label(name)}{filter_text(ask)} ({span}):\n\n" + "\n".join(lines)


PEAK = QuestionKind(
    name="peak",
    phrases=(
        r"\b(?:peak|busiest|quietest|rush)\b.{0,80}\b(?:hours?|times?|days?|usage|traffic|load|periods?)\b|\bpeak\b"
        r"|\b(?:what|which|at what) (?:hours?|time of day|day of (?:the )?week|weekday)\b|\btime of (?:the )?day\b"
    ),
    complete=_complete_peak,
    program=_peak_program,
    sentence=_peak_sentence,
)
TREND = QuestionKind(
    name="trend",
    phrases=(
        r"\btrends?\b|\bover time\b|\bover the (?:days?|weeks?|months?|years?)\b|\bdevelop\w*\b|"
        r"\bevol\w+|\btime series\b|\bgetting \w+er\b|"
        r"\b(?:increas|decreas|grow|declin|improv)(?:e|es|ed|ing|s|n)?\b"
    ),
    weak_phrases=r"\b(?:charts?|plots?|graphs?|diagrams?|visuali[sz]\w+|draw)\b",
    complete=_complete_trend,
    program=_trend_program,
    sentence=_trend_sentence,
)
