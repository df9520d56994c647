"""The rows that meet a condition against all others, or against those of a second one: "wargames versus card games"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.openai_emulator.models.offline.data.ask import Ask, Condition, Refusal
from local.openai_emulator.models.offline.data.clause import Clause, names
from local.openai_emulator.models.offline.data.flags import COMPARES, two_flags
from local.openai_emulator.models.offline.data.kinds.base import (
    Kind,
    Result,
    column_of,
    columns_text,
    figure_name,
    number,
    reading_of,
    where_text,
)
from local.openai_emulator.models.offline.data.kinds.completing import additive, ask_of, claim_comparatives, measured
from local.openai_emulator.models.offline.data.rows import keep
from local.openai_emulator.models.offline.data.table import Table

_OPPOSITES = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}
_REST = (
    r"\b(?:(?:in|for|of|to|with|than) )?(?:all )?(?:the )?(?:others?|rest|other ones)\b"
    r"|\b(?:everywhere|everyone|everybody|everything) else\b|\belsewhere\b"
)


def is_contrast(clause: Clause) -> bool:
    """Whether a clause compares the rows that meet one limit with all others, or those of two columns of yes and no."""
    return _limit(clause) is not None or bool(two_flags(clause))


def _limit(clause: Clause) -> Condition | None:
    limits = [c for c in clause.conditions if c.test in _OPPOSITES]
    for one in limits:
        others = [c for c in clause.conditions if c is not one and c.column == one.column] + [
            c for c in limits if c.column != one.column
        ]
        said = not others and re.search(_REST, clause.text, re.IGNORECASE)
        if said or (len(others) == 1 and _is_opposite(one, others[0])):
            return one
    return None


def _is_opposite(one: Condition, other: Condition) -> bool:
    """Whether one limit ends where the other begins: "above 60" and "60 and below", "above 0" and "0"."""
    same = (other.column, other.value) == (one.column, one.value)
    return same and (other.test == _OPPOSITES[one.test] or (one.test, one.value, other.test) == (">", 0.0, "=="))


def complete(clause: Clause) -> Ask | Refusal:
    limit = _limit(clause)
    sides = (limit,) if limit is not None else two_flags(clause)
    claim_comparatives(clause)
    clause.claim_all(_REST if limit else rf"{COMPARES}\w*")
    clause.conditions = [c for c in clause.conditions if c not in sides and not (limit and _is_opposite(limit, c))]
    clause.mentions = [m for m in clause.mentions if m.column.name not in [side.column for side in sides]]
    measures = measured(clause)
    if isinstance(measures, Refusal):
        return measures
    beside = [c for c in clause.texts() if not clause.entity(c)]
    if clause.by or clause.by_numbers or clause.period or beside or len(measures) > 1:
        return Refusal(reason="Only one measure of all rows is compared.")
    hows = clause.hows[:1] or ("sum" if additive(measures[0].name) and not clause.says(r"\bthan\b") else "mean",)
    parts, told = tuple(side.plain for side in sides), tuple(side.words for side in sides)
    return ask_of(clause, "contrast", measures=names(measures), hows=hows, parts=parts, targets=told, chart="")


def compare_with_rest(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """`sides`: the figure and the number of values of the rows that meet a condition, and of the others.

    Rows in which the column of the condition is empty are on neither side. Of two conditions each has its side; a row
    that meets `both` is on both.
    """
    name, how = ask["measures"][0], ask["hows"][0]
    known = keep(rows, [(ask["parts"][0][0], "filled", None)])
    part = keep(known, ask["parts"][:1])
    others = keep(rows, ask["parts"][1:]) if len(ask["parts"]) > 1 else known.drop(part.index)
    sides = [part[name].dropna(), others[name].dropna()]
    found = [[float(getattr(cells, how)()) if len(cells) else None, len(cells)] for cells in sides]
    return {"sides": found, "both": len(part.index.intersection(others.index))}


def sentence(ask: Ask, result: Result, table: Table) -> str:
    column = column_of(table, ask.measures[0])
    (inside, n_inside), (outside, n_outside) = result["sides"]
    what = figure_name(ask.hows[0], ask.measures[0])
    if inside is None or outside is None:
        return f"There is no {what} on both sides of {ask.targets[0]}: {n_inside:,} and {n_outside:,} values."
    second = ask.targets[1] if len(ask.targets) > 1 else "the others"
    both = f" {result['both']:,} rows are on both sides." if result.get("both") else ""
    verdict = "higher" if inside > outside else "lower" if inside < outside else "the same"
    return (
        f"The {what}{where_text(ask)} is **{number(inside, column)}** for {ask.targets[0]} ({n_inside:,} values) and "
        f"**{number(outside, column)}** for {second} ({n_outside:,} values): {verdict} by "
        f"{number(abs(inside - outside), column)}.{both}"
    )


def reading(ask: Ask) -> str:
    figure = {"sum": "total", "mean": "average"}.get(ask.hows[0], ask.hows[0])
    second = ask.targets[1] if len(ask.targets) > 1 else "all other rows"
    return reading_of(f"The {figure} of {columns_text(ask.measures)} for {ask.targets[0]}, and for {second}", ask)


CONTRAST = Kind(
    name="contrast",
    examples=("What is the average X of those above 60, compared with the others?", "X above 5 against all others"),
    cues="",
    words="do does did are is was were have has had more less higher lower better worse larger smaller than compare "
    "compared comparison versus vs with those ones places where between difference in",
    complete=complete,
    program=compare_with_rest,
    helpers=(keep,),
    sentence=sentence,
    reading=reading,
)
