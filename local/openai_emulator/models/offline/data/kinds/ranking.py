"""The highest and lowest rows and groups."""

from __future__ import annotations

import re
from dataclasses import replace

from local.openai_emulator.models.offline.data import charts
from local.openai_emulator.models.offline.data.ask import Ask
from local.openai_emulator.models.offline.data.columns import label
from local.openai_emulator.models.offline.data.kinds.base import (
    QuestionKind,
    Result,
    figure_name,
    filter_text,
    group_key,
    group_name,
    group_value,
    number,
    row_text,
    with_total,
    with_usual_measure,
)
from local.openai_emulator.models.offline.data.profile import Table


def _complete_top(ask: Ask, text: str, table: Table) -> Ask:
    ask = with_usual_measure(with_total(ask, text), text, table)
    if ask.period == "hour" and not re.search(r"\b(?:by|per|of the day|of day)\b", text, re.IGNORECASE):
        return replace(ask, period="")  # "the slowest hours" are single hours of the data, not hours of the day
    return ask


def _complete_extreme(ask: Ask, text: str, table: Table) -> Ask:
    return with_usual_measure(with_total(ask, text), text, table)


def _top_program(ask: Ask, table: Table) -> list[str]:
    measure, how = ask.measures[0], ask.how[0]
    key = group_key(ask, table)
    if not key:
        return [
            f"rows = data.{'nsmallest' if ask.lowest else 'nlargest'}({ask.count}, {measure!r})",
            "print(rows.to_string())",
            'results.append({"top": json.loads(rows.to_json(orient="records", date_format="iso")), "rows": len(data)})',
        ]
    return [
        f"ranked = data.groupby({key})[{measure!r}].{how}().sort_values(ascending={ask.lowest}).head({ask.count})",
        "print(ranked.round(4).to_string())",
        'results.append({"ranked": {str(key): value for key, value in ranked.items()}, "rows": len(data)})',
        *(charts.bars(ask, table, "ranked", how=how) if ask.chart else []),
    ]


def _top_sentence(ask: Ask, result: Result, table: Table) -> str:
    name = ask.measures[0]
    end = "lowest" if ask.lowest else "highest"
    if "ranked" in result:
        lead = f"The {group_name(ask)}s with the {end} {figure_name(ask.how[0], name)}{filter_text(ask)}"
        entries = [(f"**{group_value(ask, key)}**", number(value, name)) for key, value in result["ranked"].items()]
    else:
        lead = f"The {len(result['top'])} {end} values of {label(name)}{filter_text(ask)}"
        entries = [(row_text(ask, row, table), f"**{number(row[name], name)}**") for row in result["top"]]
    lines = [f"{place}. {who}: {value}" for place, (who, value) in enumerate(entries, 1)]
    return f"{lead}:\n\n" + "\n".join(lines)


def _extreme_program(ask: Ask, table: Table) -> list[str]:
    measure, how = ask.measures[0], ask.how[0]
    key = group_key(ask, table)
    by = table.column(ask.by)
    one_row_each = bool(by and by.unique >= table.rows - by.missing)
    if not key or one_row_each:
        return [
            f"extreme = data[{measure!r}].{'min' if ask.lowest else 'max'}()",
            f"rows = data[data[{measure!r}] == extreme].head(5)",
            "print(rows.to_string())",
            'found = json.loads(rows.to_json(orient="records", date_format="iso"))',
            'results.append({"extreme": extreme, "rows_there": found, "rows": len(data)})',
        ]
    lines = [
        f"ranked = data.groupby({key})[{measure!r}].{how}().sort_values(ascending={ask.lowest})",
        "print(ranked.head(20).round(4).to_string())",
        'results.append({"ranked": {str(key): value for key, value in ranked.head(20).items()}, "rows": len(data)})',
    ]
    if ask.by and not ask.period:
        lines += [f"winner_column, winner = {ask.by!r}, ranked.index[0]"]
    return lines + (charts.bars(ask, table, "ranked.head(20)", how=how) if ask.chart else [])


def _extreme_sentence(ask: Ask, result: Result, table: Table) -> str:
    name = ask.measures[0]
    end = "lowest" if ask.lowest else "highest"
    if "ranked" not in result:
        where = [row_text(ask, row, table) for row in result["rows_there"]]
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
        return f"The {end} {label(name)}{filter_text(ask)} is **{value}** ({'; '.join(where)}).{with_it}"
    ranked = list(result["ranked"].items())
    rest = [f"{group_value(ask, key)} {number(value, name)}" for key, value in ranked[1:6]]
    others = f"; then {', '.join(rest)}" if rest else ""
    key, value = ranked[0]
    what = f"{figure_name(ask.how[0], name)}{filter_text(ask)}"
    return f"**{group_value(ask, key)}** has the {end} {what}: **{number(value, name)}**{others}."


TOP = QuestionKind(
    name="top",
    phrases=(
        r"\b(?:top|bottom)\b|\b\d+ (?:highest|lowest|largest|smallest|biggest|slowest|fastest|best|"
        r"worst|most|least)\b|\brank"
    ),
    complete=_complete_top,
    program=_top_program,
    sentence=_top_sentence,
)
EXTREME = QuestionKind(
    name="extreme",
    phrases=(
        r"\bhighest\b|\blowest\b|\bmax(?:imum)?\b|\bmin(?:imum)?\b|\bslowest\b|\bfastest\b|\bworst\b|"
        r"\bbest\b|\bmost\b|\bleast\b"
        r"|\blargest\b|\bsmallest\b|\bbiggest\b|\bbusiest\b|\bcheapest\b|\blongest\b|\bshortest\b|"
        r"\bgreatest\b|\bmost expensive\b"
    ),
    complete=_complete_extreme,
    program=_extreme_program,
    sentence=_extreme_sentence,
    joins_figures=True,
)
