"""Says in Markdown what an analysis found: every figure is one that the code printed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from local.openai_emulator.models.offline.data import charts
from local.openai_emulator.models.offline.data.ask import Ask, Plan
from local.openai_emulator.models.offline.data.columns import axis, label, unit
from local.openai_emulator.models.offline.data.profile import Table
from local.openai_emulator.models.offline.data.program import date_column
from local.openai_emulator.models.offline.words import joined

Result = Mapping[str, Any]
_HOW = {
    "mean": "average",
    "median": "median",
    "sum": "total",
    "std": "standard deviation",
    "var": "variance",
    "min": "minimum",
    "max": "maximum",
}
MOST_ROWS = 31  # of a table in an answer


def number(value: Any, name: str = "") -> str:
    """A figure with its unit: `352.81 ms`, `1,870,515`, `0.0042`."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return when(str(value))
    if isinstance(value, float) and not math.isfinite(value):
        return "not defined"
    if float(value).is_integer() and abs(value) < 1e15:
        text = f"{int(value):,}"
    elif abs(value) >= 0.1:
        text = f"{value:,.2f}"
    else:
        text = f"{value:.4f}" if abs(value) >= 0.00005 else f"{value:.2e}"
    return text + unit(name)


def when(text: str) -> str:
    """A date as people write it; other text as it is."""
    if not re.match(r"\d{4}-\d{2}-\d{2}(?:[T ]|$)", text):
        return text
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00")[:26])
    except ValueError:
        return text
    date = f"{at.day} {at:%B %Y}"
    return date if not (at.hour or at.minute) else f"{date}, {at:%H:%M}"


def paragraph(ask: Ask, result: Result, plan: Plan) -> str:
    """What one ask found, in a sentence, a list or a small table."""
    if not result:
        return "One part of the question could not be computed from the data."
    if result.get("rows") == 0:
        return f"No rows of {plan.table.filename} match {joined(f.words for f in ask.filters) or 'the question'}."
    return _WRITERS[ask.kind](ask, result, plan.table)


def scope(ask: Ask) -> str:
    """Which rows were looked at, to stand behind a figure: ` on 14 February 2026 (web-02)`."""
    times = [f.words for f in ask.filters if re.match(r"(?:in|on|at|from|since|after|before|between) ", f.words)]
    others = [f.words for f in ask.filters if f.words not in times]
    return "".join(f" {words}" for words in times) + (f" for {joined(others)}" if others else "")


def _told(how: str, name: str) -> str:
    """`average response time`; a name that says so itself is not told twice."""
    word = _HOW.get(how, how)
    return label(name) if label(name).startswith(word) else f"{word} {label(name)}"


def _key(ask: Ask, key: str) -> str:
    if ask.period == "hour" and key.isdigit():
        return f"{int(key):02d}:00"
    if ask.period == "month" and re.fullmatch(r"\d{4}-\d{2}", key):
        return f"{datetime.fromisoformat(key + '-01'):%B %Y}"
    return when(key)


def _group(ask: Ask) -> str:
    return {
        "hour": "hour of the day",
        "weekday": "day of the week",
        "weekend": "part of the week",
        "nth week": "week",
        "": label(ask.by),
    }.get(ask.period, ask.period)


def _aggregate(ask: Ask, result: Result, table: Table) -> str:
    if "counts" in result:
        return _count(ask, result, table)
    if "values" in result:
        return _values(ask, result)
    groups: Mapping[str, Mapping[str, float]] = result["groups"]
    columns = list(next(iter(groups.values()), {}))
    heads = [_column_head(column) for column in columns]
    group = " / ".join(filter(None, (_group(ask) if ask.period else "", label(ask.by) if ask.by else "")))
    lines = [f"| {group[:1].upper()}{group[1:]} | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for key, values in list(groups.items())[:MOST_ROWS]:
        cells = [number(values[column], column.rpartition("|")[0]) for column in columns]
        lines.append(f"| {_key(ask, key).replace('|', '/')} | {' | '.join(cells)} |")
    hows = list(dict.fromkeys(column.rpartition("|")[2] for column in columns))
    of = joined(label(name) for name in ask.measures[:3]) if len(ask.measures) < 4 else "figures"
    what = _told(hows[0], ask.measures[0]) if len(columns) == 1 else f"{joined(_HOW.get(h, h) for h in hows)} of {of}"
    lead = f"{what[:1].upper()}{what[1:]} by {group}{scope(ask)}:"
    more = f"\n\n({len(groups) - MOST_ROWS} more groups are not shown.)" if len(groups) > MOST_ROWS else ""
    return lead + "\n\n" + "\n".join(lines) + more + _remark(ask, groups, columns)


def _column_head(column: str) -> str:
    name, _, how = column.rpartition("|")
    text = _told(how, name)
    return text[:1].upper() + text[1:]


def _remark(ask: Ask, groups: Mapping[str, Mapping[str, float]], columns: list[str]) -> str:
    """Which group has the most, which the least."""
    if len(groups) < 2 or not columns or len(columns) > 2:
        return ""
    name = columns[0].rpartition("|")[0]
    ranked = sorted(groups, key=lambda key: groups[key][columns[0]])
    ranked = [key for key in ranked if math.isfinite(groups[key][columns[0]])]
    if len(ranked) < 2:
        return ""
    low, high = ranked[0], ranked[-1]
    top, bottom = groups[high][columns[0]], groups[low][columns[0]]
    return (
        f"\n\n{_key(ask, high)} has the highest {label(name)} ({number(top, name)}), "
        f"{_key(ask, low)} the lowest ({number(bottom, name)})."
    )


def _values(ask: Ask, result: Result) -> str:
    lines = [
        f"{_HOW.get(how, how)} of {label(name)}: **{number(value, name)}**"
        for name, values in result["values"].items()
        for how, value in values.items()
    ]
    if len(lines) == 1:
        name, values = next(iter(result["values"].items()))
        how, value = next(iter(values.items()))
        what = f"total of {label(name)}" if how == "sum" and not label(name).startswith("total") else _told(how, name)
        return f"The {what}{scope(ask)} is **{number(value, name)}** ({result['rows']:,} rows)."
    return f"Over {result['rows']:,} rows{scope(ask)}:\n\n" + "\n".join(
        f"- {line[:1].upper()}{line[1:]}" for line in lines
    )


def _compare(ask: Ask, result: Result, table: Table) -> str:
    text = _aggregate(ask, result, table)
    groups = result.get("groups", {})
    if len(groups) == 2 and len(ask.measures) == 1:
        (a, first), (b, second) = groups.items()
        x, y = next(iter(first.values())), next(iter(second.values()))
        if x and y:
            more = 100 * (x - y) / y
            name = ask.measures[0]
            side = "above" if more > 0 else "below"
            text += f" The difference is {number(abs(x - y), name)}: "
            text += f"{_key(ask, a)} is {abs(more):.1f} % {side} {_key(ask, b)}."
    if test := result.get("t_test"):
        verdict = "significant" if test["p"] < 0.05 else "not significant"
        text += f" The difference is {verdict} (Welch's t-test, p {_p(test['p'])})."
    return text


def _count(ask: Ask, result: Result, table: Table) -> str:
    if "values" in result:
        return _values(ask, result)
    lead = f"{result['rows']:,} rows{scope(ask)}"
    if result.get("of", result["rows"]) != result["rows"]:
        lead += f" of {result['of']:,} ({100 * result['rows'] / result['of']:.1f} %)"
    counts: Mapping[str, int] = result.get("counts", {})
    if not counts:
        return f"There are **{lead}** in {table.filename}."
    lines = [f"| {_key(ask, key).replace('|', '/')} | {n:,} |" for key, n in list(counts.items())[:MOST_ROWS]]
    group = _group(ask) if ask.by or ask.period else label(str(result.get("column", "")))
    different = f", {result['unique']:,} different {group} values" if "unique" in result else ""
    return f"There are {lead}{different}:\n\n| {group[:1].upper()}{group[1:]} | Rows |\n|---|---:|\n" + "\n".join(lines)


def _peak(ask: Ask, result: Result, table: Table) -> str:
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
        f"Peak {what}{scope(ask)} is "
        f"{'on' if ask.period in ('weekday', 'day') else 'at' if ask.period == 'hour' else 'in'} "
        f"**{_key(ask, best[0])}** with on average "
        f"**{number(best[1], name)}**{'' if unit(name) else ' ' + label(name)}{per}"
    )
    after = [f"{_key(ask, key)} ({number(value, name)})" for key, value in ranked[1:3]]
    follow = f", followed by {joined(after)}" if after else ""
    times = f" That is {best[1] / overall:.1f} times the overall average of {number(overall, name)}." if overall else ""
    return f"{lead}{follow}.{times} The lowest is {_key(ask, least[0])} with {number(least[1], name)}."


def _per(ask: Ask, table: Table) -> str:
    """` per server`, when each moment has a row for every server and the average is over these rows."""
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


def _trend(ask: Ask, result: Result, table: Table) -> str:
    changes: Mapping[str, Mapping[str, Any]] = result["trend"]
    name = ask.measures[0]
    grain = {"h": "hours", "D": "days", "W": "weeks", "MS": "months", "YS": "years"}[result["grain"]]
    lines = []
    for key, change in changes.items():
        percent = 100 * (change["end"] - change["start"]) / change["start"] if change["start"] else 0.0
        direction = "rose" if percent > 5 else "fell" if percent < -5 else "stayed level"
        moved = f"{direction} from {number(change['start'], name)} to {number(change['end'], name)} ({percent:+.1f} %)"
        who = f"**{key}** " if ask.by else f"{label(name)[:1].upper()}{label(name)[1:]} "
        lines.append(f"- {who}{moved}; highest {number(change['highest'], name)} on {when(change['highest_at'])}.")
    edge = max((change["edge"] for change in changes.values()), default=1)
    span = (
        f"the first {edge} {grain} against the last {edge}"
        if edge > 1
        else f"the first of the {grain} against the last"
    )
    return f"Trend of {label(name)}{scope(ask)} ({span}):\n\n" + "\n".join(lines)


def _row(ask: Ask, row: Mapping[str, Any], table: Table) -> str:
    """What tells a row: its date, its categories, and its identifiers."""
    told = [c for c in table.columns if c.kind in ("date", "text", "bool") and c.name not in ask.measures][:4]
    if not any(c.unique > 0.9 * table.rows for c in told) and table.columns and table.columns[0] not in told:
        told = [c for c in (table.columns[0],) if c.name not in ask.measures] + told[:3]
    parts = [
        when(str(row[c.name])) if c.kind != "number" else f"{label(c.name)} {row[c.name]}"
        for c in told
        if row.get(c.name) is not None
    ]
    return ", ".join(parts) or "row"


def _top(ask: Ask, result: Result, table: Table) -> str:
    name = ask.measures[0]
    end = "lowest" if ask.lowest else "highest"
    if "ranked" in result:
        lines = [
            f"{n}. **{_key(ask, key)}**: {number(v, name)}" for n, (key, v) in enumerate(result["ranked"].items(), 1)
        ]
        return f"The {_group(ask)}s with the {end} {_told(ask.how[0], name)}{scope(ask)}:\n\n" + "\n".join(lines)
    lines = [f"{n}. {_row(ask, row, table)}: **{number(row[name], name)}**" for n, row in enumerate(result["top"], 1)]
    return f"The {len(lines)} {end} values of {label(name)}{scope(ask)}:\n\n" + "\n".join(lines)


def _extreme(ask: Ask, result: Result, table: Table) -> str:
    name = ask.measures[0]
    end = "lowest" if ask.lowest else "highest"
    if "ranked" not in result:
        where = [_row(ask, row, table) for row in result["rows_there"]]
        other = [
            f"{label(c.name)} {number(row[c.name], c.name)}"
            for row in result["rows_there"][:1]
            for c in table.of_kind("number")
            if len(result["rows_there"]) == 1
            and c.name != name
            and len(table.columns) < 12
            and row.get(c.name) is not None
        ]
        with_it = f" At that point: {', '.join(other)}." if other else ""
        value = number(result["extreme"], name)
        return f"The {end} {label(name)}{scope(ask)} is **{value}** ({'; '.join(where)}).{with_it}"
    ranked = list(result["ranked"].items())
    rest = [f"{_key(ask, key)} {number(value, name)}" for key, value in ranked[1:6]]
    others = f"; then {', '.join(rest)}" if rest else ""
    key, value = ranked[0]
    return (
        f"**{_key(ask, key)}** has the {end} {_told(ask.how[0], name)}{scope(ask)}: **{number(value, name)}**{others}."
    )


def _correlate(ask: Ask, result: Result, table: Table) -> str:
    pairs = result["pairs"]
    if not pairs:
        return "There are not enough figures for a correlation."
    lines = []
    for pair in pairs[:8]:
        size = abs(pair["r"])
        strength = (
            "strong" if size >= 0.7 else "moderate" if size >= 0.4 else "weak" if size >= 0.1 else "practically no"
        )
        sign = "" if size < 0.1 else " positive" if pair["r"] > 0 else " negative"
        sure = "" if pair["p"] < 0.05 else ", not significant"
        lines.append(
            f"{label(pair['a'])} and {label(pair['b'])}: r = **{pair['r']:.3f}** "
            f"({strength}{sign} correlation{sure}, p {_p(pair['p'])}, n = {pair['n']:,})"
        )
    if len(lines) == 1:
        return f"Pearson correlation{scope(ask)} of {lines[0]}."
    return f"Pearson correlations{scope(ask)}, the strongest first:\n\n" + "\n".join(f"- {line}" for line in lines)


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"= {value:.4f}"


def _distribution(ask: Ask, result: Result, table: Table) -> str:
    facts, name = result["distribution"], ask.measures[0]
    skew = facts["skewness"]
    shape = "roughly symmetrical" if abs(skew) < 0.5 else f"skewed to the {'right' if skew > 0 else 'left'}"
    return (
        f"Distribution of {label(name)}{scope(ask)} ({int(facts['count']):,} values): median "
        f"**{number(facts['50%'], name)}**, "
        f"average {number(facts['mean'], name)}, standard deviation {number(facts['std'], name)}. "
        f"Half of the values lie between "
        f"{number(facts['25%'], name)} and {number(facts['75%'], name)}, nine in ten between "
        f"{number(facts['5%'], name)} and "
        f"{number(facts['95%'], name)}; the range is {number(facts['min'], name)} to {number(facts['max'], name)}. "
        f"It is {shape} (skewness {skew:.2f}, kurtosis {facts['kurtosis']:.2f})."
    )


def _normality(ask: Ask, result: Result, table: Table) -> str:
    facts, name = result["normality"], ask.measures[0]
    test = {"ks": "Kolmogorov-Smirnov", "dagostino": "D'Agostino-Pearson", "shapiro": "Shapiro-Wilk"}[ask.method]
    verdict = (
        "is **normally distributed** as far as the test can tell"
        if facts["p"] >= 0.05
        else "is **not normally distributed**"
    )
    return (
        f"{label(name)} {verdict}: {test} test, statistic {facts['statistic']:.4f}, p {_p(facts['p'])} (skewness "
        f"{facts['skewness']:.2f}, kurtosis {facts['kurtosis']:.2f}, mean "
        f"{number(facts['mean'], name)}, standard deviation {number(facts['std'], name)})."
    )


def _outliers(ask: Ask, result: Result, table: Table) -> str:
    facts, name = result["outliers"], ask.measures[0]
    rule = (
        f"more than {ask.limit:g} standard deviations from the mean"
        if ask.method == "z"
        else f"{ask.limit:g} times the interquartile range beyond the quartiles"
    )
    low, high = facts["bounds"]
    lead = (
        f"**{facts['count']:,}** of {result['rows']:,} values of {label(name)}{scope(ask)} are outliers "
        f"({rule}: below {number(low, name)} or above {number(high, name)})."
    )
    lines = [f"- {_row(ask, row, table)}: {number(row[name], name)}" for row in facts["first"]]
    shown = (
        f"\n\nThe {'farthest' if facts['count'] > len(lines) else 'values'}:\n\n" + "\n".join(lines) if lines else ""
    )
    mean, std = number(facts["mean_without"], name), number(facts["std_without"], name)
    rest = f"Without them the average is {mean}, the standard deviation {std}."
    return lead + shown + f"\n\n{rest}"


def _missing(ask: Ask, result: Result, table: Table) -> str:
    missing = {key: n for key, n in result["missing"].items() if n}
    of = f" in {joined(map(label, ask.measures))}" if ask.measures else f" in {table.filename}"
    if not missing:
        return f"No values are missing{of} ({result['rows']:,} rows)."
    lines = [f"- {key}: **{n:,}** ({100 * n / result['rows']:.1f} %)" for key, n in list(missing.items())[:MOST_ROWS]]
    return (
        f"Values are missing in {len(missing)} column{'s' if len(missing) > 1 else ''} ({result['rows']:,} rows):\n\n"
        + "\n".join(lines)
    )


def _describe(ask: Ask, result: Result, table: Table) -> str:
    lines = [
        f"| {axis(name).replace('|', '/')} | {number(values['mean'])} | {number(values['min'])} | "
        f"{number(values['max'])} |"
        for name, values in result["describe"].items()
    ]
    text = f"{table.filename} has {table.rows:,} rows and {len(table.columns)} columns"
    if dates := table.of_kind("date"):
        text += f", from {when(dates[0].low)} to {when(dates[0].high)}"
    groups = [f"{label(c.name)} ({', '.join(c.values[:8])})" for c in table.of_kind("text") if 0 < len(c.values) <= 12]
    text += f". Groups: {'; '.join(groups)}." if groups else "."
    return text + (
        "\n\n| Column | Average | Minimum | Maximum |\n|---|---:|---:|---:|\n" + "\n".join(lines) if lines else ""
    )


def chart_title(ask: Ask, result: Result) -> str:
    """The words a chart is announced with."""
    if ask.kind == "distribution":
        return f"Distribution of {label(ask.measures[0])}{scope(ask)}"
    how = "" if ask.kind == "correlate" else ask.how[0]
    return charts.title(ask, how=how, grain=str(result.get("grain", ""))).replace("[", "(").replace("]", ")")


_WRITERS: dict[str, Callable[[Ask, Result, Table], str]] = {
    "aggregate": _aggregate,
    "compare": _compare,
    "correlate": _correlate,
    "count": _count,
    "describe": _describe,
    "distribution": _distribution,
    "extreme": _extreme,
    "missing": _missing,
    "normality": _normality,
    "outliers": _outliers,
    "peak": _peak,
    "top": _top,
    "trend": _trend,
}
