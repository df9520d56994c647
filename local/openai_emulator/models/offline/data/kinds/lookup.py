"""Cells of rows that the question names: `Where does Anna live?`"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.openai_emulator.models.offline.data.ask import Ask, Refusal
from local.openai_emulator.models.offline.data.clause import Clause, names
from local.openai_emulator.models.offline.data.entities import NAMELESS
from local.openai_emulator.models.offline.data.kinds.base import (
    Kind,
    Result,
    column_of,
    columns_text,
    number,
    reading_of,
    row_text,
    where_text,
)
from local.openai_emulator.models.offline.data.kinds.completing import ask_of, is_denial
from local.openai_emulator.models.offline.data.names import label
from local.openai_emulator.models.offline.data.rows import told_rows
from local.openai_emulator.models.offline.data.table import Table
from local.openai_emulator.models.offline.words import joined

MOST = 10
_LISTED = re.compile(
    r"^\W*(?:list|show|name|give)(?: me)?(?: all| every)?(?: of)?(?: the)? (\w+) "
    r"(?:with|where|whose|that|which|who|in)\b",
    re.IGNORECASE,
)


def complete(clause: Clause) -> Ask | Refusal:
    if not clause.conditions:
        return Refusal(reason="It names no row and no computation.")
    for match in _LISTED.finditer(clause.text):  # what is listed has any name: "all machines with"
        clause.claim(match.start(1), match.end(1))
    chosen = {condition.column for condition in clause.conditions if condition.test == "=="}
    targets = [m.column for m in clause.mentions if m.column.name not in chosen and not clause.is_only_noun(m)]
    targets = list(
        dict.fromkeys([*targets, *([clause.which] if clause.which and clause.which.name not in chosen else [])])
    )
    if targets and clause.says(r"^\W*who\b"):  # "who got the peace prize": the name beside the prize
        named = [c for c in clause.table.of_kind("text") if NAMELESS.fullmatch(label(c.name))]
        targets = [*(c for c in named[:1] if c.name not in chosen and c not in targets), *targets]
    limited = {condition.column for condition in clause.limits()}
    if clause.which and clause.says(r"^\W*which\b"):  # "Which boxers have more than 45 wins?"
        targets = [c for c in targets if c is clause.which or c.name not in limited]
    if len(targets) == 1 and not clause.entity(targets[0]) and any(map(is_denial, clause.conditions)):
        return Refusal(reason=f"It is not clear whether all rows of a `{targets[0].name}` are meant, or any.")
    of_text = len(targets) == 1 and targets[0].kind == "text" and targets[0].unique < clause.table.rows
    hows = ("distinct",) if of_text else ("mean",)
    return ask_of(clause, "lookup", targets=names(targets), by=(), chart="", hows=hows)


def look_up(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """The first matching rows; of one column of text, its different values."""
    found: dict[str, Any] = {"found": told_rows(rows, 11)}
    if len(ask["targets"]) == 1 and ask["hows"] == ["distinct"]:
        cells = rows[ask["targets"][0]].dropna()
        found |= {"distinct": [str(value) for value in cells.unique()[:60]], "unique": int(cells.nunique())}
    return found


def sentence(ask: Ask, result: Result, table: Table) -> str:
    rows = result["found"]
    told = list(ask.targets) or [c.name for c in table.columns[:12]]
    if len(rows) == 1:
        cells = [f"{label(name)} **{number(rows[0][name], column_of(table, name))}**" for name in told]
        where = where_text(ask)
        named = all(c.test in ("==", "in") for c in ask.conditions) or not ask.targets
        only_figures = all(isinstance(rows[0][name], float | int) for name in told)
        which = f"{row_text(ask, rows[0], table)}: " if only_figures and not named else ""  # they do not say of what
        return f"{which}{joined(cells)}{where if ask.targets else ''}.".replace("..", ".")
    if result.get("unique", result["rows"]) < result["rows"]:
        some = f"{', '.join(result['distinct'])}{', ...' if result['unique'] > len(result['distinct']) else ''}"
        values = "different values" if result["unique"] > 1 else "value"
        what = f"{result['unique']:,} {values} of {label(ask.targets[0])}{where_text(ask)}"
        return f"{what} ({result['rows']:,} rows): **{some}**."
    lines = []
    for row in rows[:MOST]:
        cells = [f"{label(name)} **{number(row[name], column_of(table, name))}**" for name in told]
        lines.append(f"- {row_text(ask, row, table)}: {joined(cells)}" if ask.targets else f"- {joined(cells)}")
    more = f"\n\n({result['rows'] - MOST:,} more rows are not shown.)" if result["rows"] > MOST else ""
    return f"{result['rows']:,} rows{where_text(ask)}:\n\n" + "\n".join(lines) + more


def reading(ask: Ask) -> str:
    return reading_of(f"Value of {columns_text(ask.targets)}" if ask.targets else "Rows", ask)


LOOKUP = Kind(
    name="lookup",
    examples=(
        "What is the X of Smith?",
        "Who is responsible for the garden?",
        "What does the lamp cost?",
        "Where does Anna live?",
        "When was order 17 sent?",
        "Tell me the phone number of the office",
        "Which row is about the kitchen?",
    ),
    cues="",
    words="belong belongs much",
    complete=complete,
    program=look_up,
    helpers=(told_rows,),
    sentence=sentence,
    reading=reading,
)
