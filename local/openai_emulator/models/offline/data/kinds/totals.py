"""Averages and totals, comparisons of groups, and numbers of rows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace

from local.openai_emulator.models.offline.data import charts
from local.openai_emulator.models.offline.data import columns as cols
from local.openai_emulator.models.offline.data.ask import Ask
from local.openai_emulator.models.offline.data.columns import label
from local.openai_emulator.models.offline.data.kinds.base import (
    FIGURES,
    MOST_ROWS,
    QuestionKind,
    Result,
    figure_name,
    filter_text,
    group_key,
    group_name,
    group_value,
    number,
    p_value,
    with_total,
)
from local.openai_emulator.models.offline.data.phrases import named_figures
from local.openai_emulator.models.offline.data.profile import Table
from local.openai_emulator.models.offline.words import joined


def _all_measures(ask: Ask, table: Table) -> Ask:
    """At most eight measures when the question names none."""
    return ask if ask.measures else replace(ask, measures=tuple(c.name for c in cols.figures(table)[:8]))


def _complete_aggregate(ask: Ask, text: str, table: Table) -> Ask:
    if figures := named_figures(text):
        ask = replace(ask, how=figures)
    elif re.search(r"\bmost common\b|\bmode\b", text, re.IGNORECASE):
        ask = replace(ask, how=("mode",))
    return _all_measures(ask, table)


def _complete_compare(ask: Ask, text: str, table: Table) -> Ask:
    """Compare the values, weeks, months or days that the text names, else the groups of the first category."""
    ask = _all_measures(with_total(ask, text), table)
    if re.search(r"\bweekends?\b", text, re.IGNORECASE) and table.of_kind("date"):
        others = tuple(f for f in ask.filters if f.words not in ("at weekends", "on weekdays"))
        return replace(ask, period="weekend", by="", how=("mean",), filters=others)
    if ask.by or ask.period:
        return ask
    if several := next((f for f in ask.filters if len(f.values) > 1), None):
        return replace(ask, by=several.column)
    if any(f.words.count(" week") > 1 for f in ask.filters):
        return replace(ask, period="nth week")
    if any(" and " in f.words and f.words.startswith("in ") for f in ask.filters):
        return replace(ask, period="month")
    if any(" and " in f.words and f.words.startswith("on ") for f in ask.filters):
        return replace(ask, period="day")
    few = [c for c in cols.categories(table, most=12) if c.kind == "text"]
    return replace(ask, by=few[0].name) if few else ask


def _complete_count(ask: Ask, text: str, table: Table) -> Ask:
    ask = with_total(ask, text)
    if re.search(r"\b(?:by|per|each|every)\b", text, re.IGNORECASE):
        return ask
    return replace(ask, period="", measures=() if ask.filters else ask.measures)


def _aggregate_program(ask: Ask, table: Table) -> list[str]:
    names, hows = list(ask.measures), list(ask.how)
    if ask.how == ("mode",):
        return _mode_program(ask, table)
    if not names:
        return _count_program(ask, table)
    key = group_key(ask, table)
    if not key:
        return [
            f"table = data[{names!r}].agg({hows!r})",
            "print(table.round(4).to_string())",
            'results.append({"values": table.to_dict(), "rows": len(data)})',
        ]
    keys = f"[{key}, data[{ask.by!r}]]" if ask.period and ask.by else key
    lines = [f"table = data.groupby({keys})[{names!r}].agg({hows!r})", "print(table.round(4).to_string())"]
    if ask.period in ("", "weekend"):
        lines.insert(1, f"table = table.sort_values(({names[0]!r}, {hows[0]!r}), ascending=False)")
    if ask.period and ask.by:
        lines.append('table.index = [" / ".join(map(str, key)) for key in table.index]')
    lines += [
        (
            "groups = {str(key): {f'{column}|{how}': row[(column, how)] for column, how in "
            "table.columns} for key, row in table.iterrows()}"
        ),
        'results.append({"groups": groups, "rows": len(data)})',
    ]
    return lines + (charts.bars(ask, table, f"table[({names[0]!r}, {hows[0]!r})]", how=hows[0]) if ask.chart else [])


def _mode_program(ask: Ask, table: Table) -> list[str]:
    name = ask.measures[0] if ask.measures else ask.by
    return [
        f"counts = data[{name!r}].value_counts().head(5)",
        "print(counts.to_string())",
        (
            f'results.append({{"counts": {{str(key): int(n) for key, n in counts.items()}}, "column": '
            f'{name!r}, "rows": len(data)}})'
        ),
    ]


def _aggregate_sentence(ask: Ask, result: Result, table: Table) -> str:
    if "counts" in result:
        return _count_sentence(ask, result, table)
    if "values" in result:
        return _values(ask, result)
    groups: Mapping[str, Mapping[str, float]] = result["groups"]
    columns = list(next(iter(groups.values()), {}))
    heads = [_column_head(column) for column in columns]
    group = " / ".join(filter(None, (group_name(ask) if ask.period else "", label(ask.by) if ask.by else "")))
    lines = [f"| {group[:1].upper()}{group[1:]} | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for key, values in list(groups.items())[:MOST_ROWS]:
        cells = [number(values[column], column.rpartition("|")[0]) for column in columns]
        lines.append(f"| {group_value(ask, key).replace('|', '/')} | {' | '.join(cells)} |")
    hows = list(dict.fromkeys(column.rpartition("|")[2] for column in columns))
    of = joined(label(name) for name in ask.measures[:3]) if len(ask.measures) < 4 else "figures"
    what = (
        figure_name(hows[0], ask.measures[0])
        if len(columns) == 1
        else f"{joined(FIGURES.get(h, h) for h in hows)} of {of}"
    )
    lead = f"{what[:1].upper()}{what[1:]} by {group}{filter_text(ask)}:"
    more = f"\n\n({len(groups) - MOST_ROWS} more groups are not shown.)" if len(groups) > MOST_ROWS else ""
    return lead + "\n\n" + "\n".join(lines) + more + _remark(ask, groups, columns)


def _column_head(column: str) -> str:
    name, _, how = column.rpartition("|")
    text = figure_name(how, name)
    return text[:1].upper() + text[1:]


def _remark(ask: Ask, groups: Mapping[str, Mapping[str, float]], columns: list[str]) -> str:
    """A sentence about the groups with the highest and the lowest figure."""
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
        f"\n\n{group_value(ask, high)} has the highest {label(name)} ({number(top, name)}), "
        f"{group_value(ask, low)} the lowest ({number(bottom, name)})."
    )


def _values(ask: Ask, result: Result) -> str:
    lines = [
        f"{FIGURES.get(how, how)} of {label(name)}: **{number(value, name)}**"
        for name, values in result["values"].items()
        for how, value in values.items()
    ]
    if len(lines) == 1:
        name, values = next(iter(result["values"].items()))
        how, value = next(iter(values.items()))
        what = (
            f"total of {label(name)}"
            if how == "sum" and not label(name).startswith("total")
            else figure_name(how, name)
        )
        return f"The {what}{filter_text(ask)} is **{number(value, name)}** ({result['rows']:,} rows)."
    return f"Over {result['rows']:,} rows{filter_text(ask)}:\n\n" + "\n".join(
        f"- {line[:1].upper()}{line[1:]}" for line in lines
    )


def _compare_program(ask: Ask, table: Table) -> list[str]:
    lines = _aggregate_program(ask, table)
    key = group_key(ask, table)
    if key and ask.measures:
        lines += [
            f"samples = [part[{ask.measures[0]!r}].dropna() for _, part in data.groupby({key})]",
            "if len(samples) == 2 and min(map(len, samples)) > 1:",
            "    test = stats.ttest_ind(*samples, equal_var=False)",
            '    print(f"Welch t-test: t = {test.statistic:.4f}, p = {test.pvalue:.4f}")',
            '    results[-1]["t_test"] = {"t": test.statistic, "p": test.pvalue}',
        ]
    return lines


def _compare_sentence(ask: Ask, result: Result, table: Table) -> str:
    text = _aggregate_sentence(ask, result, table)
    groups = result.get("groups", {})
    if len(groups) == 2 and len(ask.measures) == 1:
        (a, first), (b, second) = groups.items()
        x, y = next(iter(first.values())), next(iter(second.values()))
        if x and y:
            more = 100 * (x - y) / y
            name = ask.measures[0]
            side = "above" if more > 0 else "below"
            text += f" The difference is {number(abs(x - y), name)}: "
            text += f"{group_value(ask, a)} is {abs(more):.1f} % {side} {group_value(ask, b)}."
    if test := result.get("t_test"):
        verdict = "significant" if test["p"] < 0.05 else "not significant"
        text += f" The difference is {verdict} (Welch's t-test, p {p_value(test['p'])})."
    return text


def _count_program(ask: Ask, table: Table) -> list[str]:
    key = group_key(ask, table)
    if ask.measures and not key and not ask.filters:
        return _aggregate_program(replace(ask, how=("sum",)), table)
    if not key:
        return [
            'print(f"{len(data):,} of {len(df):,} rows")',
            'results.append({"rows": len(data), "of": len(df)})',
        ]
    column = f', "unique": int({key}.nunique())'
    return [
        f"counts = data.groupby({key}).size().sort_values(ascending=False)",
        "print(counts.head(40).to_string())",
        "counts_by_group = {str(key): int(n) for key, n in counts.head(40).items()}",
        f'results.append({{"rows": len(data), "of": len(df), "counts": counts_by_group{column}}})',
        *(charts.bars(ask, table, "counts.head(20)", how="count") if ask.chart else []),
    ]


def _count_sentence(ask: Ask, result: Result, table: Table) -> str:
    if "values" in result:
        return _values(ask, result)
    lead = f"{result['rows']:,} rows{filter_text(ask)}"
    if result.get("of", result["rows"]) != result["rows"]:
        lead += f" of {result['of']:,} ({100 * result['rows'] / result['of']:.1f} %)"
    counts: Mapping[str, int] = result.get("counts", {})
    if not counts:
        return f"There are **{lead}** in {table.filename}."
    lines = [f"| {group_value(ask, key).replace('|', '/')} | {n:,} |" for key, n in list(counts.items())[:MOST_ROWS]]
    group = group_name(ask) if ask.by or ask.period else label(str(result.get("column", "")))
    different = f", {result['unique']:,} different {group} values" if "unique" in result else ""
    return f"There are {lead}{different}:\n\n| {group[:1].upper()}{group[1:]} | Rows |\n|---|---:|\n" + "\n".join(lines)


COUNT = QuestionKind(
    name="count",
    phrases=(
        r"\b(?:how many|number of|count(?: of)?(?: the)?) "
        r"(?:rows|records|lines|entries|measurements|data ?points|observations|samples)"
    ),
    weak_phrases=r"\bhow many\b|\bhow often\b|\bcounts?\b|\bnumber of\b|\bpercentage of\b|\bshare of\b",
    complete=_complete_count,
    program=_count_program,
    sentence=_count_sentence,
    needs_measure=False,
    joins_figures=True,
)
COMPARE = QuestionKind(
    name="compare",
    phrases=r"\bcompar\w+|\bversus\b|\bvs\b|\bdifferences? (?:between|in)\b|\bdiffer\b",
    complete=_complete_compare,
    program=_compare_program,
    sentence=_compare_sentence,
    joins_figures=True,
    uses_scipy=True,
)
AGGREGATE = QuestionKind(
    name="aggregate",
    phrases=(
        r"\baverages?\b|\bmeans?\b|\bmedians?\b|\btotals?\b|\bsum\b|\bstandard deviations?\b|\bstd\b|"
        r"\bvariance\b|\baltogether\b"
        r"|\bminimum\b.{0,80}\bmaximum\b|\bmin\b.{0,80}\bmax\b|\bmost common\b|\bmode\b"
    ),
    complete=_complete_aggregate,
    program=_aggregate_program,
    sentence=_aggregate_sentence,
    joins_figures=True,
)
