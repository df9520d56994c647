"""The average of the groups' totals: `How many trips are there per day on average?`"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.openai_emulator.models.offline.data.ask import Ask, Refusal
from local.openai_emulator.models.offline.data.clause import Clause, is_year, names
from local.openai_emulator.models.offline.data.kinds.base import (
    Kind,
    Result,
    column_of,
    group_name,
    group_value,
    number,
    reading_of,
    where_text,
)
from local.openai_emulator.models.offline.data.kinds.completing import ask_of, is_number_of_row, measured
from local.openai_emulator.models.offline.data.kinds.counting import claim_counted
from local.openai_emulator.models.offline.data.names import label
from local.openai_emulator.models.offline.data.rows import group_keys, key_text
from local.openai_emulator.models.offline.data.table import Column, Table

_COUNTED = r"\b(?:how many|numbers? of)\b"
_PER = r"\b(?:per|each|every|a|daily|weekly|monthly|yearly)\b"
_OF_EACH = re.compile(r"\b(?:for|of|in|by) (?:each|every)\b|\bby\b", re.IGNORECASE)
_ON_AVERAGE = r"\bhow many\b.*\bon average\b"


def averages_totals(clause: Clause) -> bool:
    """Whether a clause asks for the average of what is counted, or added up over time, in each of some groups.

    "The average number of links per sector" is the average of the rows of each sector: the rows have that number.
    """
    groups = clause.by or clause.by_numbers or clause.period
    is_mean = "mean" in clause.hows and clause.says(_COUNTED) and clause.says(_PER)
    if not groups or not is_mean or _OF_EACH.search(clause.text):
        return False
    times = clause.period or all(is_year(c) for c in clause.by_numbers)
    return not _measures(clause) or (clause.says(_ON_AVERAGE) and bool(times) and not clause.by)


def _measures(clause: Clause) -> list[Column]:
    nouns = [m.column for m in clause.mentions if clause.is_only_noun(m)] + clause.by_numbers
    own = [c for c in clause.measures(conditioned=False) if c not in nouns]
    return [c for c in own if not is_number_of_row(clause, c)]


def complete(clause: Clause) -> Ask | Refusal:
    measures = _measures(clause)
    if measures and isinstance(checked := measured(clause), Refusal):
        return checked
    if clause.table.weight and not measures:
        measures = [clause.table.weight]
    if len(measures) > 1:
        return Refusal(reason="It is not clear which column is to be added up.")
    by = (*names(clause.by), *names(clause.by_numbers))
    claim_counted(clause)
    if clause.texts() or clause.says(r"\bhow many (?:different|distinct|unique)\b"):
        return Refusal(reason="An average of numbers of different values is not computed.")
    return ask_of(clause, "per group", measures=names(measures), by=by, hows=("sum",), chart="")


def compute_average(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """`average` of the groups' totals, or of their numbers of rows; how many groups, the largest and the smallest."""
    grouped = rows.groupby(group_keys(rows, ask))
    totals = grouped[ask["measures"][0]].sum() if ask["measures"] else grouped.size()
    if not len(totals):
        return {"average": None, "groups": 0}
    ends = {"most": totals.idxmax(), "least": totals.idxmin()}
    told = {name: [key_text(key), float(totals[key])] for name, key in ends.items()}
    return {"average": float(totals.mean()), "groups": len(totals), **told}


def sentence(ask: Ask, result: Result, table: Table) -> str:
    if not result["groups"]:
        return f"There are no rows{where_text(ask)}."
    column = column_of(table, ask.measures[0]) if ask.measures else ""
    what = f"total of {label(ask.measures[0])}" if ask.measures else "number of rows"
    (most, high), (least, low) = result["most"], result["least"]
    return (
        f"The average {what} per {group_name(ask)}{where_text(ask)} is **{number(result['average'], column)}**, of "
        f"{result['groups']:,} that have rows: most in {group_value(ask, most)} ({number(high, column)}), least in "
        f"{group_value(ask, least)} ({number(low, column)})."
    )


def reading(ask: Ask) -> str:
    what = f"totals of `{ask.measures[0]}`" if ask.measures else "numbers of rows"
    return reading_of(f"Average of the {what}", ask)


PER_GROUP = Kind(
    name="per group",
    examples=("How many are there per group on average?", "What is the average number of rows per day?"),
    cues="",
    words="how many much number total a daily weekly monthly yearly",
    complete=complete,
    program=compute_average,
    helpers=(group_keys, key_text),
    sentence=sentence,
    reading=reading,
)
