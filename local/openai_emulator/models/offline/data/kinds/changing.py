"""How a measure changed in each group between two times: `Which country grew most from 2010 to 2020?`"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from local.openai_emulator.models.offline.data.ask import Ask, Condition, Refusal
from local.openai_emulator.models.offline.data.clause import CHANGE, Clause, is_short_year, is_year, names
from local.openai_emulator.models.offline.data.kinds.base import (
    MOST_ROWS,
    Kind,
    Result,
    column_of,
    columns_text,
    figure_name,
    group_name,
    number,
    reading_of,
)
from local.openai_emulator.models.offline.data.kinds.completing import additive, ask_of, measured, with_chart
from local.openai_emulator.models.offline.data.rows import group_keys, keep, key_text
from local.openai_emulator.models.offline.data.table import Column, Table

_THAN = re.compile(
    r"\b(?:(?P<more>more|higher|larger|greater|better|bigger)|less|fewer|lower|smaller|worse)\b.{1,100}?\bthan\b", re.I
)
_MOST = r"\b(?:most|biggest|largest|greatest|highest|strongest)\b"
_LEAST = r"\b(?:least|smallest|lowest)\b"
_DOWN = r"\b(?:decrea\w+|declin\w+|fall|fell|fallen|falls|drop\w*|lost|shrank|shrink\w*|went down|go down|gone down)\b"
_EITHER = r"\b(?:change[ds]?|changing|differences?|differed)\b"


def changes_of_groups(clause: Clause) -> bool:
    """Whether a clause compares a measure at two times in each of several groups."""
    if _group(clause) is None or _pair(clause) is None:
        return False
    return clause.says_beside(CHANGE) or bool(_THAN.search(clause.text))


def _group(clause: Clause) -> Column | None:
    """The column after "which", "by" or "in how many"; none if several could be meant."""
    named = [*([clause.which] if clause.which else []), *clause.by, *clause.texts()]
    texts = list(dict.fromkeys(c for c in named if c.kind == "text"))
    return texts[0] if len(texts) == 1 else None


def _pair(clause: Clause) -> Condition | None:
    """The condition that names two times."""
    years = {c.name for c in clause.table.of_kind("number") if is_year(c) or is_short_year(c)}
    found = [
        c
        for c in clause.conditions
        if (c.test == "spans" or (c.test == "in" and c.column in years)) and len(c.value) == len({*c.value}) == 2
    ]
    return found[0] if len(found) == 1 else None


def complete(clause: Clause) -> Ask | Refusal:
    pair, group = _pair(clause), _group(clause)
    measures = measured(clause)
    if isinstance(measures, Refusal):
        return measures
    if pair is None or group is None or len(measures) > 1:
        return Refusal(reason="It does not say of what the change is meant, and between which times.")
    than = _THAN.search(clause.text)
    times = list(zip(pair.value, _told(pair), strict=True))
    (first, before), (second, after) = times[::-1] if than else sorted(times)
    every = not than and clause.says(_EITHER)
    if clause.says(_LEAST) or (every and clause.says(_MOST)):
        return Refusal(reason="It is not clear whether increases or decreases are meant.")
    how = clause.hows if set(clause.hows) & {"mean", "sum", "median"} else ()
    test = "==" if pair.test == "in" else "spans"
    parts = tuple((pair.column, test, value if test == "==" else (value,)) for value in (first, second))
    ask = ask_of(
        clause,
        "change",
        measures=names(measures),
        by=(group.name,),
        period="",
        hows=how[:1] or ("sum" if additive(measures[0].name) else "mean",),
        parts=parts,
        targets=(before, after),
        lowest=not than["more"] if than else clause.says(_DOWN),
        count=1 if clause.says(_MOST) else 0,
        method="every" if every else "",
    )
    return with_chart(ask, "bar")


def _told(pair: Condition) -> list[str]:
    """The two times in words."""
    if pair.test == "in":
        return [f"{value:g}" for value in pair.value]
    return pair.words.removeprefix("in ").removeprefix("on ").split(" and ")


def compute_changes(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """`changes`: of each group that has both times the figure at the first, at the second, and their difference."""
    import pandas as pd

    keys, name, how = group_keys(rows, ask), ask["measures"][0], ask["hows"][0]
    first, second = (
        getattr(part.groupby([key[part.index] for key in keys])[name], how)()
        for part in (keep(rows, [condition]) for condition in ask["parts"])
    )
    both = pd.DataFrame({"first": first, "second": second}).dropna()
    both["change"] = both["second"] - both["first"]
    both = both.sort_values("change", ascending=ask["lowest"], kind="stable")
    found = {key_text(key): [float(cell) for cell in cells] for key, cells in zip(both.index, both.values, strict=True)}
    return {"changes": found, "series": both["change"].head(30)}


def sentence(ask: Ask, result: Result, table: Table) -> str:
    changes: Mapping[str, Sequence[float]] = result["changes"]
    column = column_of(table, ask.measures[0])
    first, second = ask.targets
    what = figure_name(ask.hows[0], ask.measures[0])
    every = ask.method == "every"
    found = {key: cells for key, cells in changes.items() if every or (cells[2] < 0 if ask.lowest else cells[2] > 0)}
    side = "lower" if ask.lowest else "higher"
    of = f"of {len(changes)} values of {group_name(ask)} that have both"
    if not found:
        return f"In none {of} is the {what} {side} for {second} than for {first}."
    if every:
        lead = f"The change of the {what} from {first} to {second} by {group_name(ask)}, {of}:"
    elif ask.count:
        name, cells = next(iter(found.items()))
        end = "decrease" if ask.lowest else "increase"
        told = f"**{number(abs(cells[2]), column)}** ({number(cells[0], column)} to {number(cells[1], column)})"
        lead = f"**{name}** has the largest {end} of the {what} from {first} to {second}: {told}, {of}:"
    else:
        lead = f"The {what} is {side} for {second} than for {first} in {len(found)} {of}: **{', '.join(found)}**."
    lines = [
        f"| {name.replace('|', '/')} | {' | '.join(number(cell, column) for cell in cells)} |"
        for name, cells in list(found.items())[:MOST_ROWS]
    ]
    return f"{lead}\n\n| {group_name(ask)} | {first} | {second} | Change |\n|---|---:|---:|---:|\n" + "\n".join(lines)


def reading(ask: Ask) -> str:
    figure = {"sum": "total", "mean": "average"}.get(ask.hows[0], ask.hows[0])
    end = "Change" if ask.method == "every" else "Decrease" if ask.lowest else "Increase"
    return reading_of(f"{end} of the {figure} of {columns_text(ask.measures)}", ask)


CHANGE_KIND = Kind(
    name="change",
    examples=("Which group had the biggest increase of X from A to B?", "Which groups had more X in A than in B?"),
    cues="",
    words="did do does had have than more less fewer higher lower better worse larger smaller greater bigger most "
    "biggest largest greatest highest increase increased increases decrease decreased change changed rise rose risen "
    "fall fell fallen grow grew grown growth drop dropped decline declined gain gained went "
    "go up down improve improved",
    complete=complete,
    program=compute_changes,
    helpers=(group_keys, keep, key_text),
    sentence=sentence,
    reading=reading,
)
