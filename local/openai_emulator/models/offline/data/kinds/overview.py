"""Missing values, and the description of a whole table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.openai_emulator.models.offline.data.ask import Ask, Condition, Refusal
from local.openai_emulator.models.offline.data.clause import Clause, names
from local.openai_emulator.models.offline.data.kinds.base import (
    MOST_ROWS,
    Kind,
    Result,
    columns_text,
    date_text,
    number,
    reading_of,
    where_text,
)
from local.openai_emulator.models.offline.data.kinds.completing import ask_of
from local.openai_emulator.models.offline.data.names import axis, label
from local.openai_emulator.models.offline.data.table import Table
from local.openai_emulator.models.offline.words import joined

_WHICH_ROWS = r"^\W*(?:which|list|who|name|show)\b(?!.*\b(?:columns?|variables?|fields?)\b)"


def complete_missing(clause: Clause) -> Ask | Refusal:
    targets = names(dict.fromkeys(m.column for m in clause.mentions if m.column is not clause.which))
    if clause.says(_WHICH_ROWS) and targets:  # the rows, not how many
        which = clause.which or next((c for c in clause.table.columns if clause.entity(c)), None)
        gaps = (Condition(column=n, test="missing", words=f"no {label(n)}") for n in targets)
        conditions = (*clause.conditions, *gaps)
        return ask_of(clause, "lookup", targets=names([which] if which else []), conditions=conditions, by=(), chart="")
    return ask_of(clause, "missing", targets=targets, by=(), period="", chart="")


def find_missing(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """The number of empty cells by column."""
    columns = ask["targets"] or list(rows.columns)
    missing = rows[columns].isna().sum().sort_values(ascending=False, kind="stable")
    return {"missing": {str(key): int(n) for key, n in missing.items()}}


def missing_sentence(ask: Ask, result: Result, table: Table) -> str:
    missing = {key: n for key, n in result["missing"].items() if n}
    of = f" in {joined(map(label, ask.targets))}" if ask.targets else f" in {table.shown}"
    if not missing:
        return f"No values are missing{of}{where_text(ask)} (**0** of {result['rows']:,} rows)."
    lines = [f"- {key}: **{n:,}** ({100 * n / result['rows']:.1f} %)" for key, n in list(missing.items())[:MOST_ROWS]]
    plural = "s" if len(missing) > 1 else ""
    return (
        f"Values are missing in {len(missing)} column{plural}{where_text(ask)} ({result['rows']:,} rows):\n\n"
        + "\n".join(lines)
    )


def complete_describe(clause: Clause) -> Ask | Refusal:
    return ask_of(clause, "describe", by=(), period="", chart="")


def describe(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """The average, minimum and maximum of each column of numbers."""
    numbers = rows.select_dtypes("number").iloc[:, :12]
    return {"describe": {name: {h: getattr(numbers[name], h)() for h in ("mean", "min", "max")} for name in numbers}}


def describe_sentence(ask: Ask, result: Result, table: Table) -> str:
    lines = [
        f"| {axis(name).replace('|', '/')} | {number(v['mean'])} | {number(v['min'])} | {number(v['max'])} |"
        for name, v in result["describe"].items()
    ]
    text = f"{table.shown} has {table.rows:,} rows and {len(table.columns)} columns"
    if dates := table.of_kind("date"):
        text += f", from {date_text(dates[0].low, dates[0])} to {date_text(dates[0].high, dates[0])}"
    groups = [f"{label(c.name)} ({', '.join(c.values[:8])})" for c in table.of_kind("text") if 0 < c.unique <= 12]
    text += f". Groups: {'; '.join(groups)}." if groups else "."
    return text + (
        "\n\n| Column | Average | Minimum | Maximum |\n|---|---:|---:|---:|\n" + "\n".join(lines) if lines else ""
    )


MISSING = Kind(
    name="missing",
    examples=("Are there missing values?", "How many X have no Y recorded?", "Which columns have gaps?"),
    cues=(
        r"\bmissing\b(?! values (?:should|are|were))|(?<!non-)(?<!non )\bnulls?\b|\bnan\b|\bempty (?:values|cells)"
        r"|\bno (?:\w+ ){0,3}(?:recorded|entered|known|values?|data|measurements?|information)\b"
        r"|\bwithout (?:a |any )?(?:value|entry|data)s?\b|\bincomplete\b"
    ),
    words=(
        "percent percentage share proportion many without no recorded entered known value values gaps any "
        "information measurement measurements"
    ),
    complete=complete_missing,
    program=find_missing,
    sentence=missing_sentence,
    reading=lambda ask: reading_of(f"Missing values of {columns_text(ask.targets) or 'all columns'}", ask),
)
DESCRIBE = Kind(
    name="describe",
    examples=(
        "What is in this table?",
        "Give me an overview",
        "Summarize the data",
        "Describe the file",
        "What columns are there?",
    ),
    cues=(
        r"\bsummar\w+|\bdescribe\b|\boverview\b|\banaly[sz]\w+|\bstatistics\b|\bwhat(?:'s| is"
        r"| does)\b.{0,12}\b(?:in|contain)\b.{0,12}\b(?:file|data|table)|\b(?:which|what) columns\b"
    ),
    words="summary statistics in insights about columns contain",
    complete=complete_describe,
    program=describe,
    sentence=describe_sentence,
    reading=lambda ask: reading_of("Overview of the table", ask),
)
