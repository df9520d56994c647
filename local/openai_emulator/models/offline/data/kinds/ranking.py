"""The highest and lowest rows and groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Ask, Refusal
from local.openai_emulator.models.offline.data.clause import (
    LABELS_SHARE,
    Clause,
    is_key,
    is_year,
    name_beside,
    names,
)
from local.openai_emulator.models.offline.data.kinds.base import (
    Kind,
    Result,
    column_of,
    columns_text,
    figure_name,
    group_name,
    group_value,
    number,
    reading_of,
    row_text,
    where_text,
)
from local.openai_emulator.models.offline.data.kinds.completing import (
    MOST_NUMBERS,
    NO_MEASURE,
    ROW_OF,
    additive,
    adjective,
    ask_of,
    measured,
    with_chart,
)
from local.openai_emulator.models.offline.data.kinds.counting import claim_counted
from local.openai_emulator.models.offline.data.kinds.ends import (
    BUSY,
    are_rows,
    by_number_of_rows,
    has_two_ends,
    heights,
    is_asked_for_itself,
    is_busiest_year,
    is_count,
    is_most,
    is_number_of,
    is_of_many,
    is_of_one,
    low_asked,
    most_frequent,
    most_rows,
    numbers_what_is_most,
    of_few_numbers,
    persons,
    told_beside,
    unclear_end,
    who_of_one,
)
from local.openai_emulator.models.offline.data.names import label, name_stems
from local.openai_emulator.models.offline.data.rows import group_keys, key_text, told_rows
from local.openai_emulator.models.offline.data.table import Column, Table
from local.openai_emulator.models.offline.words import joined as listed

_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_OF_GROUPS = frozenset(["mean", "sum", "median"])
_ENDS = r"\b(?:highest|lowest|largest|smallest|biggest|greatest|max(?:imum)?|min(?:imum)?)\b"
_LATE = r"\b(?:latest|earliest|newest|oldest|last|first|highest|lowest|max(?:imum)?|min(?:imum)?|recent)\b"
_NUMBER = rf"\d{{1,3}}|{'|'.join(_NUMBERS)}"
# "The five heaviest", "the 3 most expensive", with a few words between.
_SUPERLATIVE = rf"(?:\w+\s+){{0,4}}?(?:{'|'.join(sorted({*words.ADJECTIVES, *words.HIGHEST, *words.LOWEST}))})\b"
_ENDED = "|".join(sorted({*words.ADJECTIVES, *words.HIGHEST, *words.LOWEST} - {"top", "bottom"}))
_BEHIND = rf"^\W*(?:the )?(?:(?:most|least) )?(?:{_ENDED})\s+({_NUMBER})(?=\W*$|\s\w+s\b)"  # "oldest 3"
_COUNT = re.compile(
    rf"\b(?:top|bottom|first|the)\s+({_NUMBER})\b|\b({_NUMBER})\s+(?={_SUPERLATIVE})|{_BEHIND}", re.IGNORECASE
)
_OF_EACH = r"\b(?:in|for|of|within|from) (?:each|every)\b|\bper\b"
_BY_TOTAL = r"\bby (?:the )?(?:total )?(?:number|amount|sum|count|total)\b"


def complete_top(clause: Clause) -> Ask | Refusal:
    count, match = 5, next((m for m in _COUNT.finditer(clause.text) if is_count(clause, m)), None)
    if match:
        word = next(group for group in match.groups() if group).lower()
        count = min(_NUMBERS.get(word) or int(word), 50)
        clause.claim(match.start(), match.end())
    frequent = most_frequent(clause)
    ask = _of_rows(clause, frequent, low=clause.says(r"\bbottom\b")) if isinstance(frequent, list) else frequent
    ask = ask or complete_extreme(clause)
    if isinstance(ask, Refusal):
        return ask
    if clause.by_numbers and not ask.by and ask.measures and ask.measures[0] not in names(clause.by_numbers):
        return Refusal(
            reason=f"It is not clear whether `{ask.measures[0]}` or `{clause.by_numbers[0].name}` is ranked."
        )
    if not clause.by and not clause.hows and clause.says(r"\b(?:different|distinct|unique)\b"):
        return Refusal(reason="The highest rows are listed, and two of them can be of the same thing.")
    if match is None and clause.least:
        return ask
    period = "" if ask.period == "hour" and not clause.says(r"\b(?:by|per|of the day|of day)\b") else ask.period
    return replace(ask, kind="top", count=count, period=period)


def complete_extreme(clause: Clause) -> Ask | Refusal:
    """The row or group at an end of a measure; without a measure, the group with the most rows."""
    if (clause.says(r"\bper\b") and clause.by_numbers) or has_two_ends(clause) or is_of_many(clause):
        return Refusal(reason="A figure per another one, two ends at once, or the end of a whole are not computed.")
    if clause.by and clause.says(_OF_EACH) and clause.which not in clause.by:
        return Refusal(reason=f"The row at the end of each `{clause.by[0].name}` is not looked for.")
    by_rows = by_number_of_rows(clause)
    if isinstance(by_rows, Refusal):
        return by_rows
    row_of = re.search(ROW_OF, clause.text, re.IGNORECASE)
    targets = _asked_of_row(clause, row_of.start()) if row_of else []
    meant = adjective(clause)
    if (not meant or clause.says(r"serving\b|\bbeen\b")) and (unclear := unclear_end(clause)):
        return unclear
    low = meant[0] if meant else low_asked(clause)
    nouns = {m.column.name for m in clause.mentions if clause.is_only_noun(m) or numbers_what_is_most(clause, m)}
    measures = tuple(meant[1][:1]) if meant else _measures(clause, nouns)
    group = _group(clause, targets)
    if not group and not meant and not isinstance(measures, Refusal) and additive(measures[0].name):
        group = persons(clause)
    if not isinstance(measures, Refusal) and (not group or clause.entity(group[0])):
        measures = tuple(c for c in measures if not is_year(c)) or measures  # the answer shows the other cells
    if not isinstance(measures, Refusal) and not targets and not meant:
        measures, group = _ranked_by(clause, measures, group)
        if isinstance(measures, Refusal):
            return measures
    if targets and not isinstance(measures, Refusal):
        measures = tuple(c for c in measures if c not in targets) or Refusal(reason="It names no column of figures.")
    counted = by_rows or clause.says(r"\b(?:most|fewest|least)\b") or (not meant and clause.claim_all(BUSY))
    if is_busiest_year(clause):
        return _most_rows(clause, [clause.which] if clause.which else [], low=low)
    if by_rows and not group and (few := of_few_numbers(clause)):
        return _most_rows(clause, few, low=low)
    unmeasured = all(c.name in nouns for c in clause.measures(conditioned=False)) and not meant
    if group and meant and not clause.hows and (who_of_one(clause) or (group[0] is clause.which and is_of_one(clause))):
        targets, group = [*targets, *group], []  # "which company makes the cheapest laptop"
    if group and meant and not clause.hows and not clause.entity(group[0]) and is_asked_for_itself(clause, group[0]):
        return Refusal(reason=f"A `{group[0].name}` has several rows, so `{meant[1][0].name}` may be that of others.")
    if group and not meant and is_number_of(clause, group[0]):
        return Refusal(reason=f"It does not say of what the number of `{group[0].name}` is ranked.")
    if group and not (unmeasured and counted) and are_rows(clause, group[0]):
        group = []
    group = group if len(group) == 2 and clause.says(r"\bcombinations? of\b") else group[:1]
    groups = bool(group or (clause.period and most_rows(clause)))
    if isinstance(measures, Refusal) or (unmeasured and groups and counted):
        unclear = measures if isinstance(measures, Refusal) else Refusal(reason="It names no column of figures.")
        if group and counted and clause.period and group[0].unique == clause.table.rows:
            group = []
        return (_of_rows(clause, group, low=low) if counted else None) or unclear
    return _ask_of_end(clause, measures, group, targets, low=low)


def _of_rows(clause: Clause, group: list[Column], *, low: bool) -> Ask | Refusal | None:
    """The group with the most or fewest rows; None if the clause names no groups."""
    if group and group[0].unique == clause.table.rows:
        return Refusal(reason=f"Each row has its own `{group[0].name}`, so their numbers of rows are all 1.")
    named = set(name_stems(clause.table.shown.rpartition(".")[0]))
    others = [m.column for m in clause.mentions if is_most(clause, m.tokens[0])]
    if group and clause.period and group[0] in others and group[0] not in (*clause.by, clause.which):
        return Refusal(reason=f"It is not clear whether rows are counted, or different `{group[0].name}`.")
    others = [c for c in others if c.kind == "text" and c not in group and 2 * c.unique < clause.table.rows]
    others = [c for c in others if not named & set(name_stems(c.name))]  # "events" of events.csv are rows
    if others and not clause.period:
        return Refusal(reason=f"It is not clear whether rows are counted, or different `{others[0].name}`.")
    if clause.least or not (group or (clause.period and most_rows(clause))):
        return None
    claim_counted(clause)
    clause.claim_all(r"\b(?:common|frequent|popular|often)\b")
    return _most_rows(clause, group, low=low)


def _most_rows(clause: Clause, group: list[Column], *, low: bool) -> Ask:
    """The ask for the group with the most rows, or the fewest."""
    return with_chart(ask_of(clause, "extreme", by=names(group), lowest=low, hows=("count",)), "bar")


def _ask_of_end(
    clause: Clause, measures: tuple[Column, ...], group: list[Column], targets: list[Column], *, low: bool
) -> Ask | Refusal:
    """The ask for the row or group at the end of a measure, with the other cells that are asked for."""
    how = _how(clause, measures[0])
    own = label(measures[0].name).startswith("average") or (how == "sum" and "total" in name_stems(measures[0].name))
    if set(clause.hows) & _OF_GROUPS and not (group or clause.period or own):
        return Refusal(reason=f"It does not say of which groups the {figure_name(how, measures[0].name)} is meant.")
    if targets and group and group[0].unique < clause.table.rows:
        return Refusal(reason=f"There are several rows for each `{group[0].name}`.")
    rest = [c for c in clause.measures(conditioned=False) if c is not measures[0] and not is_key(c, clause.table)]
    if clause.which and is_key(clause.which, clause.table) and not group and clause.which not in targets:
        only = all(clause.is_only_noun(m) for m in clause.mentions if m.column is clause.which)
        named = name_beside(clause.which, clause.table) if only else None
        targets = [named or clause.which, *targets]  # "which customer id has the largest balance"
    beside = [c for c in told_beside(clause) if c not in (measures[0], *targets) and c.kind != "number"]
    targets = [*targets, *beside]
    told = names([*targets, *(c for c in rest if c not in targets)] if not group else ())
    ask = ask_of(
        clause, "extreme", measures=names(measures[:1]), by=names(group), hows=(how,), lowest=low, targets=told
    )
    return with_chart(replace(ask, method="named" if set(clause.hows) & {"sum", "mean", "median"} else ""), "bar")


def _group(clause: Clause, targets: list[Column]) -> list[Column]:
    """The columns whose values are ranked: those after "by", the one after "which", else the first of text."""
    key = clause.which is not None and clause.which.kind == "number" and is_key(clause.which, clause.table)
    which = clause.which if clause.which not in (*targets, *told_beside(clause)) else None
    is_few = which is not None and which.unique <= MOST_NUMBERS and 2 * which.unique <= clause.table.rows
    figured = is_few and (bool(set(clause.hows) & _OF_GROUPS) or clause.says(r"\bmost\b(?! expensive)"))
    key = key and which is not None and which.unique <= LABELS_SHARE * clause.table.rows  # else it numbers rows
    group = [*clause.by, *([which] if which and (which.kind == "text" or key or figured) else [])]
    joined = clause.table.joined
    if joined and key and clause.which and clause.which.name == clause.table.key:  # the name instead of the number
        group = [c for c in joined.columns if c.kind == "text" and c.unique == joined.rows][:1] or group
    texts = [c for c in clause.texts() if c.kind == "text" and c not in (*targets, *told_beside(clause))]
    if clause.claim_all(r"\bcombinations? of\b") and len(texts) == 2 and not group:
        return texts
    return list(dict.fromkeys(group or texts[:1]))


def _how(clause: Clause, measure: Column) -> str:
    """The figure of each group: the one that is named, else the total of what adds up."""
    if named := next((how for how in clause.hows if how in _OF_GROUPS), ""):
        return named
    most = clause.says(r"\bmost\b(?! expensive)") and not _rate(measure)
    if clause.says(r"\b(?:cheapest|priciest|dearest|costliest|(?:most|least) expensive)\b"):
        return "mean"
    return "sum" if clause.says(_BY_TOTAL) or additive(measure.name) or most else "mean"


def _measures(clause: Clause, nouns: set[str]) -> tuple[Column, ...] | Refusal:
    """The named measures, without those that only name what the rows are; no year, of which the most means nothing."""
    measures = measured(clause, keys=True)
    if isinstance(measures, Refusal):
        return (clause.says(r"\b(?:highest|lowest)\b") and not clause.measures() and heights(clause)) or measures
    if nouns:
        measures = tuple(c for c in measures if c.name not in nouns) or tuple(clause.by_numbers)
    measures = tuple(c for c in measures if c is not clause.which) or measures
    if not measures:
        return Refusal(reason=NO_MEASURE)
    plain = tuple(c for c in measures if not is_year(c))
    if plain and len(plain) < len(measures) and all(c.unique == clause.table.rows for c in measures if is_year(c)):
        measures = plain  # "the top 3 years for sales", where each row has its year
    if measures == (clause.which,) and not is_key(measures[0], clause.table) and not clause.says(_ENDS):
        return Refusal(reason=f"It is not clear of what in each `{measures[0].name}` the most or least is meant.")
    odd = is_key(measures[0], clause.table) and measures[0] is clause.which and not is_year(measures[0])
    if odd and clause.says(r"\b(?:most|fewest)\b"):
        return Refusal(reason=f"`{measures[0].name}` identifies rows, so a figure of it has no meaning.")
    if is_year(measures[0]) and not clause.says(_LATE):
        return Refusal(reason=f"`{measures[0].name}` says when it was, and not of what the most or least is meant.")
    return measures


def _ranked_by(
    clause: Clause, measures: tuple[Column, ...], group: list[Column]
) -> tuple[tuple[Column, ...] | Refusal, list[Column]]:
    """Of two columns of numbers, the group and the measure: "the top 3 grades by number of pupils"."""
    several = [c for c in measures if c not in group]
    if len(several) < 2:
        return measures, group
    ends_ = words.HIGHEST | words.LOWEST
    behind = {m.column.name for m in clause.mentions if clause.word(m.tokens[0] - 1) in ends_ and m.column in several}
    of_rows = not group or clause.entity(group[0])
    if len(behind) == 1 and of_rows and clause.says(r"\b(?:what|how|and)\b"):  # the others are shown
        return tuple(c for c in several if c.name in behind), group
    by = re.search(r"\bby\b", clause.text, re.IGNORECASE)
    here = [m for m in clause.mentions if by and m.tokens[0] < len(clause.tokens)]  # others are of an earlier question
    last = {m.column.name for m in here if by and clause.tokens[m.tokens[0]].start() > by.start()}
    first = {m.column.name for m in here} - last
    groups = [c for c in several if c.name in first and c.unique <= MOST_NUMBERS]
    if len(several) == 2 and len(groups) == 1 and {c.name for c in several} - {groups[0].name} <= last and not group:
        return tuple(c for c in several if c not in groups), groups
    named = listed((f"`{c.name}`" for c in several[:4]), last="or")
    return Refusal(reason=f"It is not clear of which of {named} the most or least is meant."), group


def _asked_of_row(clause: Clause, end: int) -> list[Column]:
    """The columns named before "of the row with the highest ...", whose cells are asked for."""
    found = [
        m.column
        for m in clause.mentions
        if max(m.tokens) < len(clause.tokens) and clause.tokens[max(m.tokens)].end() <= end
    ]
    return list(dict.fromkeys(found))


def _rate(column: Column) -> bool:
    return bool(
        {"percent", "rate", "avg", "averag", "time", "price", "score", "age", "temperatur", "per"}
        & set(name_stems(column.name))
    )


def find_extreme(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """`extreme` and the rows `there`; with groups, the `ranked` figures and the winner."""
    found: dict[str, Any] = {}
    measure = ask["measures"][0] if ask["measures"] else ""
    if measure:
        cells = rows[measure].dropna()
        if cells.empty:
            return {"extreme": None, "there": []}
        extreme = cells.min() if ask["lowest"] else cells.max()
        there = rows[rows[measure] == extreme]
        found = {"extreme": extreme, "there": told_rows(there, 5), "ties": len(there)}
    keys = group_keys(rows, ask)
    single = len(keys) == 1 and not ask["period"] and len(rows) == rows[ask["by"][0]].nunique() > 0
    if not keys or (single and measure):
        return found
    if ask["least"]:
        sizes = rows.groupby(keys)[keys[0].name].transform("size")
        rows = rows[sizes >= ask["least"]]
        keys = group_keys(rows, ask)
    if not len(rows):
        return found
    ranked = getattr(rows.groupby(keys)[measure], ask["hows"][0])().dropna() if measure else rows.groupby(keys).size()
    ranked = ranked.sort_values(ascending=ask["lowest"], kind="stable")
    named = {key_text(key): value for key, value in ranked.head(50).items()}
    import pandas as pd

    winner = ranked.index[0][0] if isinstance(ranked.index[0], tuple) else ranked.index[0]
    found |= {"ranked": named, "series": pd.Series(named)}
    return found | ({"winner_of": ask["by"][0], "winner": winner} if ask["by"] and not ask["period"] else {})


def find_top(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """The first rows or groups."""
    found = find_extreme(rows, ask)
    if "ranked" in found:
        found["ranked"] = dict(list(found["ranked"].items())[: ask["count"]])
        found["series"] = found["series"].head(ask["count"])
        return found
    by = ask["measures"][0]
    top = rows.nsmallest(ask["count"], by) if ask["lowest"] else rows.nlargest(ask["count"], by)
    labels = top[ask["by"][0]].astype(str) if ask["by"] else top.index.astype(str)
    return {"top": told_rows(top, ask["count"]), "series": top[by].set_axis(labels)}


def top_sentence(ask: Ask, result: Result, table: Table) -> str:
    end = "lowest" if ask.lowest else "highest"
    name = ask.measures[0] if ask.measures else ""
    column = column_of(table, name)
    what = figure_name(ask.hows[0], name) if name else "number of rows"
    if "ranked" in result:
        lead = f"The {len(result['ranked'])} values of {group_name(ask)} with the {end} {what}{where_text(ask)}"
        entries = [(f"**{group_value(ask, key)}**", number(value, column)) for key, value in result["ranked"].items()]
    else:
        lead = f"The {len(result['top'])} {end} values of {label(name)}{where_text(ask)}"
        entries = [(row_text(ask, row, table), f"**{number(row[name], column)}**") for row in result["top"]]
    lines = [f"{place}. {who}: {value}" for place, (who, value) in enumerate(entries, 1)]
    return f"{lead}:\n\n" + "\n".join(lines)


def extreme_sentence(ask: Ask, result: Result, table: Table) -> str:
    end = "lowest" if ask.lowest else "highest"
    name = ask.measures[0] if ask.measures else ""
    column = column_of(table, name)
    if "ranked" not in result:
        return _row(ask, result, table, end)
    ranked = list(result["ranked"].items())
    ties = [group_value(ask, key) for key, value in ranked if value == ranked[0][1]]
    rest = [f"{group_value(ask, key)} {number(value, column)}" for key, value in ranked[len(ties) : len(ties) + 5]]
    others = f"; then {', '.join(rest)}" if rest else ""
    what = f"{figure_name(ask.hows[0], name)}{where_text(ask)}" if name else f"number of rows{where_text(ask)}"
    who = f"**{', '.join(ties[:5])}**{' each have' if len(ties) > 1 else ' has'}"
    text = f"{who} the {end} {what}: **{number(ranked[0][1], column)}**{others}."
    if name and ask.method != "named" and ask.hows[0] != "sum" and result["there"]:
        text += (
            f" The {end} single value is {number(result['extreme'], column)} "
            f"({row_text(ask, result['there'][0], table)})."
        )
    return text


def _row(ask: Ask, result: Result, table: Table, end: str) -> str:
    name = ask.measures[0]
    rows = result["there"]
    if not rows:
        return f"There is no value of {label(name)}{where_text(ask)}."
    where = "; ".join(row_text(ask, row, table) for row in rows)
    more = f"; and {result['ties'] - len(rows):,} more" if result["ties"] > len(rows) else ""
    others = [
        f"{label(c.name)} {number(rows[0][c.name], c)}"
        for c in table.of_kind("number")
        if len(rows) == 1 and c.name != name and len(table.columns) < 12 and rows[0].get(c.name) is not None
    ]
    with_it = f" At that point: {', '.join(others)}." if others else ""
    value = number(result["extreme"], column_of(table, name))
    if ask.targets:
        told = "; ".join(
            listed(f"{label(target)} **{number(row[target], column_of(table, target))}**" for target in ask.targets)
            for row in rows
        )
        return f"{told}, where the {label(name)}{where_text(ask)} is {end}: {value} ({where}{more})."
    return f"The {end} {label(name)}{where_text(ask)} is **{value}** ({where}{more}).{with_it}"


def reading_extreme(ask: Ask) -> str:
    end = "lowest" if ask.lowest else "highest"
    if not ask.measures:
        return reading_of(f"The {'fewest' if ask.lowest else 'most'} rows", ask)
    of = f" {ask.hows[0].replace('mean', 'average').replace('sum', 'total')}" if ask.by or ask.period else ""
    return reading_of(f"The {end}{of} of {columns_text(ask.measures)}", ask)


def reading_top(ask: Ask) -> str:
    return f"{reading_extreme(ask)} (the first {ask.count})"


TOP = Kind(
    name="top",
    examples=("What are the top 3 X?", "Rank the groups by X", "List the five largest X", "Show the 10 worst X"),
    cues=rf"\b(?:top|bottom)\b|\b(?:{_NUMBER})(?= {_SUPERLATIVE})|{_BEHIND}|\brank(?:ed|ing)?\b",
    words="order sorted sort descending ascending " + " ".join(words.HIGHEST | words.LOWEST),
    complete=complete_top,
    program=find_top,
    helpers=(group_keys, key_text, told_rows, find_extreme),
    sentence=top_sentence,
    reading=reading_top,
)
EXTREME = Kind(
    name="extreme",
    examples=(
        "Which group has the highest X?",
        "What was the lowest X?",
        "Who is the best?",
        "Which one is the cheapest?",
        "When was X at its worst?",
        "What is the biggest X?",
        "Which of them leads in X?",
        "Who spent the most?",
    ),
    cues=(
        rf"\b(?:{'|'.join(sorted(words.ADJECTIVES))}|highest|lowest|max(?:imum)?|min(?:imum)?|worst|best|most|least|fewest"
        r"|largest|smallest|biggest|greatest)\b"
    ),
    words="leads lead leading winner wins won " + " ".join(words.HIGHEST | words.LOWEST),
    complete=complete_extreme,
    program=find_extreme,
    helpers=(group_keys, key_text, told_rows),
    sentence=extreme_sentence,
    reading=reading_extreme,
)
