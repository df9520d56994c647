"""Numbers of rows, and of different values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Ask, Condition, Refusal
from local.openai_emulator.models.offline.data.clause import Clause, Mention, is_key, is_part_of_date, is_year, names
from local.openai_emulator.models.offline.data.entities import (
    are_places,
    fits,
    have_several_rows,
    is_had,
    is_other_role,
    may_be,
    of_people,
    some_of_people,
)
from local.openai_emulator.models.offline.data.kinds.base import (
    MOST_ROWS,
    Kind,
    Result,
    group_name,
    group_value,
    reading_of,
    where_text,
)
from local.openai_emulator.models.offline.data.kinds.completing import (
    VERSUS,
    ask_of,
    is_averaged,
    is_denial,
    is_number_of_row,
    is_plural,
    measured,
    period_of,
    weighs,
    with_chart,
    without_own_groups,
)
from local.openai_emulator.models.offline.data.names import label, name_stems
from local.openai_emulator.models.offline.data.rows import group_keys, key_text
from local.openai_emulator.models.offline.data.table import Column, Table
from local.openai_emulator.models.offline.data.units import is_fraction, is_percentage, is_unit
from local.openai_emulator.models.offline.words import stem

_LISTED = r"\b(?:listed|covered|recorded|included)\b|\b(?:in|on) (?:the|this) (?:list|table|file|data|dataset)\b"
_WHAT_IS_LISTED = rf"\bhow many ((?:[\w-]+ ){{1,3}}?)(?=(?:are|were) (?:there )?(?:{_LISTED}))"
MOST_TOLD = 20  # different values that are told where only their number is asked for
_DIFFERENT = r"\b(?:different|distinct|unique)\b"
MOST_BEFORE = 2  # words between "how many" and what is counted
_COUNTED = r"\b(?:how many|number of|count(?: of)?(?: the)?)\s+(?:(?:different|distinct|unique|the|all)\s+)*(\w+)"


def complete(clause: Clause) -> Ask | Refusal:
    """The number of rows or of different values; the total of a measure that is counted (`how many tickets`)."""
    measures = clause.measures(conditioned=False)
    spans = next((c for c in clause.conditions if c.test == "spans" and len(c.value) > 1), None)
    if spans and not clause.period and clause.says(VERSUS):
        clause.period = period_of(spans)
    targets = _targets(clause)
    by = (*names(clause.by), *names(c for c in clause.by_numbers))
    different = clause.says_beside(_DIFFERENT, clause.settled)
    common = not different and clause.claim_all(r"\bmost (?:common|frequent|popular)\b|\bmode\b|\bmost often\b")
    if clause.conditions and not (different or common or by):
        targets = [c for c in targets if not clause.entity(c)]  # it only says what the rows are
    if common:
        return _most_common(clause, [*targets, *measures], by)
    if unclear := _not_counted(clause):
        return unclear
    if different and len({c.name for c in (*targets, *measures)}) > 1 and clause.says(r"\band\b") and not by:
        return Refusal(reason="The different values of one column are counted, not those of two.")
    if different and clause.claim_all(_DIFFERENT) and (targets or measures):
        return ask_of(clause, "count", targets=names((targets or measures)[:1]), by=by)
    if clause.says(r"^\W*(?:which|what)\b") and targets:
        clause.claim_all(_DIFFERENT)
        listed = "list" if clause.says(r"\b(?:are|were) there\b") else ""
        return ask_of(clause, "count", targets=names(targets[:1]), by=(), method=listed)
    if clause.says(r"\bhow many (?:different|distinct|unique)\b"):
        return Refusal(reason="It names no column whose different values are to be counted.")
    nouns = [m.column for m in clause.mentions if clause.is_only_noun(m)]
    codes = [c for c in measures if is_key(c, clause.table) and c not in nouns]
    codes = [c for c in codes if not is_year(c) and not is_part_of_date(c)]
    if codes and not by and not targets and codes[0].unique < clause.table.rows and _is_counted(clause, codes[0]):
        return _different(clause, codes[0])  # "how many zip codes are there"
    added = _added_up(clause, measures, by)
    if added is not None:
        return added
    if targets and by and _is_counted(clause, targets[0], directly=True) and targets[0].name not in by:
        return with_chart(ask_of(clause, "count", targets=names(targets[:1]), by=by), "bar")
    if len(targets) > 1 and not by:
        return Refusal(reason=f"It is not clear what `{targets[1].name}` is to do with it.")
    if targets and not by and not different and (clause.conditions or clause.period) and _is_row(clause, targets[0]):
        targets = []
    if targets and not by and not any(c.column == targets[0].name for c in clause.conditions):
        return _different(clause, targets[0])
    return _rows(clause, by)


def _most_common(clause: Clause, named: list[Column], by: tuple[str, ...]) -> Ask | Refusal:
    """How often each value of a column comes, the most common first."""
    wanted = [*([clause.which] if clause.which else []), *named]
    wanted = [c for c in wanted if not clause.entity(c)] or wanted
    if not wanted and not by:
        return Refusal(reason="It names no column whose values are to be counted.")
    if len(wanted) > 1 and not clause.which and not by:
        return Refusal(reason=f"It is not clear whether `{wanted[0].name}` or `{wanted[1].name}` is counted.")
    clause.claim_all(r"\b(?:the|top) \d{1,2}\b")  # the list of all shows them
    if weight := clause.table.weight:
        by = by or (wanted[0].name,)
        return with_chart(ask_of(clause, "extreme", measures=(weight.name,), by=by, hows=("sum",)), "bar")
    return with_chart(ask_of(clause, "count", by=by or (wanted[0].name,), method="mode"), "bar")


def _not_counted(clause: Clause) -> Refusal | None:
    """A refusal of numbers of rows that are something else, or of which it is not clear what they count."""
    happened = [m for m in clause.mentions if m.column.kind == "date" and m.column.missing]
    if happened and any(clause.word(m.tokens[0] - 1) in ("are", "is", "was", "were", "been", "not") for m in happened):
        return Refusal(reason=f"It is not clear whether rows without a `{happened[0].column.name}` are counted.")
    if clause.says(rf"\b(?:{words.NUMBERED}) number of\b"):
        return Refusal(reason="It is not clear which column numbers are in.")
    if clause.says(r"\bhow many (?:more|fewer|less)\b.+\bthan\b"):
        return Refusal(reason="A difference of two numbers of rows is not computed.")
    return None


def _different(clause: Clause, target: Column) -> Ask | Refusal:
    """The number of different values of what is counted: "how many towns had more than 10 % in 2016"."""
    unsure = bool(clause.limits()) or any(is_denial(c) or _is_no(c) for c in clause.conditions)
    if _is_counted(clause, target) and unsure and not clause.entity(target) and not _is_at_one_time(clause):
        return Refusal(reason=f"It is not clear whether all rows of a `{target.name}` are meant, or any.")
    personal = {part for c in clause.conditions for part in name_stems(c.column)} & {"gender", "sex", "age"}
    personal |= {c.column for c in clause.conditions if f"({c.column} = " in c.words}  # "how many doctors smoke"
    if personal and set(name_stems(target.name)) & {*map(stem, words.OTHER_PERSONS)}:
        return Refusal(reason=f"It is not clear whose {', '.join(sorted(personal))} is meant.")
    if _is_counted(clause, target):
        return ask_of(clause, "count", targets=(_numbered(clause, target),))
    return Refusal(reason=f"It is not clear what `{target.name}` is to do with it.")


def _is_row(clause: Clause, column: Column) -> bool:
    """Whether a plural that is counted says what the rows are, which have other names: "disasters" of disasters.csv."""
    named = set(name_stems(clause.table.shown.rpartition(".")[0]))
    said = [clause.word(i) for m in clause.mentions if m.column is column for i in m.tokens]
    others = any(clause.entity(c) for c in clause.table.of_kind("text") if c is not column)
    return others and len(said) == 1 and said[0].endswith("s") and stem(said[0]) in named


def _is_at_one_time(clause: Clause) -> bool:
    """Whether the rows are those of one year, of which a thing has one."""
    years = {c.name for c in clause.table.of_kind("number") if is_year(c)}
    return any(condition.column in years and condition.test == "==" for condition in clause.conditions)


def _is_no(condition: Condition) -> bool:
    return condition.test == "==" and str(condition.value).lower() in words.NO


def _added_up(clause: Clause, measures: list[Column], by: tuple[str, ...]) -> Ask | Refusal | None:
    """The total of a measure that "how many" counts; None if rows are counted."""
    nouns = [mention.column for mention in clause.mentions if clause.is_only_noun(mention)]
    summed = [c for c in measures if c not in clause.by_numbers and c not in nouns and not is_number_of_row(clause, c)]
    if summed and by and set(clause.hows) & {"mean", "median"} and clause.says(r"\bhow many\b.*\bper\b"):
        return Refusal(reason=f"An average of the totals by `{by[0]}` is not computed.")
    if any(is_fraction(c) or is_percentage(c) for c in summed):
        return Refusal(reason=f"`{summed[0].name}` holds shares, which do not add up.")
    if any(is_averaged(c.name) for c in summed) and not clause.hows:
        return Refusal(reason=f"`{summed[0].name}` does not add up.")
    verbs = [m for m in clause.mentions if m.column in summed and clause.word(m.tokens[-1]).endswith("ed")]
    if verbs and clause.says(r"^\W*(?:in )?how many\b") and clause.word(verbs[0].tokens[0] - 1) not in ("many", "of"):
        return Refusal(reason=f"It is not clear whether rows are counted, or what `{verbs[0].column.name}` holds.")
    heads_ = [m for m in clause.mentions if m.column in summed and _stands_before_rows(clause, m)]
    if heads_ and clause.says(r"\bhow many\b"):
        return Refusal(reason=f"It is not clear whether rows are counted, or what `{heads_[0].column.name}` holds.")
    beside = [c for c in summed if not _is_what_is_counted(clause, c)]
    if beside and clause.says(r"^\W*(?:in )?how many\b"):
        return Refusal(reason=f"It is not clear what `{beside[0].name}` is to do with it.")
    if summed and clause.says(r"\bhow many\b|\bnumber of\b") and not clause.says(r"\b(?:rows|records|values)\b"):
        whole = measured(clause)
        if isinstance(whole, Refusal):
            return None
        by = without_own_groups(clause, by)
        counted = {max(clause.within(match)) for match in re.finditer(_COUNTED, clause.text, re.IGNORECASE)}
        clause.used |= {i for i in counted if clause.word(i) in words.PEOPLE}
        return with_chart(ask_of(clause, "figures", measures=names(whole), by=by, hows=clause.hows or ("sum",)), "bar")
    return None


def _stands_before_rows(clause: Clause, mention: Mention) -> bool:
    """Whether a column of figures stands before a noun for rows: "home games" is no `home_goals`."""
    after = clause.word(mention.tokens[-1] + 1)
    return after in words.ROW_NOUNS and clause.word(mention.tokens[0] - 1) in ("many", "of")


def _numbered(clause: Clause, target: Column) -> str:
    """The name of the column that numbers what another one names, if two can be called alike: `student_id`."""
    stems = set(name_stems(target.name))
    keys = [c for c in clause.table.columns if stems < set(name_stems(c.name)) and is_key(c, clause.table)]
    return keys[0].name if len(keys) == 1 and keys[0].unique > target.unique else target.name


def _targets(clause: Clause) -> list[Column]:
    """The columns of text whose values could be counted: without verbs of a condition, "embarked at Southampton"."""
    conditioned = {part for condition in clause.conditions for part in name_stems(condition.column)}
    told = {c.name for c in clause.texts() if c.kind == "date" or conditioned & set(name_stems(c.name))}
    return [c for c in clause.texts() if c.name not in told or _is_counted(clause, c, directly=True)]


def claim_counted(clause: Clause) -> None:
    """Account for what is counted, which has any name: "how many old houses have more than 3 bedrooms".

    But "how many goals did Ana score" asks for something that the rows have.
    """
    for match in re.finditer(_COUNTED, clause.text, re.IGNORECASE):
        noun = max(clause.within(match))
        first = noun
        while noun in clause.used and noun + 1 in clause.free() and _goes_on(clause, noun + 1):
            noun += 1
        after = clause.word(noun + 1)
        is_adjective = is_plural(after) or (noun + 1 in clause.free() and after not in words.SILENT)
        if not is_adjective and after not in ("did", "does", "do"):
            if noun == max(clause.within(match)) and _may_be_some(clause, noun):
                continue
            if some_of_people(clause.word(noun), clause.table) and noun in clause.free():
                continue
            if clause.word(noun) in words.PEOPLE and are_places(clause.table):
                continue
            if noun in clause.free() and clause.word(noun) not in words.SILENT and have_several_rows(clause.table):
                continue
            if noun in clause.free() and (is_unit(clause.word(noun)) or clause.word(noun).endswith("ly")):
                continue
            if noun in clause.free() and (is_other_role(clause.word(noun), clause.table) or is_had(clause, noun)):
                continue
            common = noun in clause.used or clause.word(noun) in words.SILENT | words.PEOPLE
            known = common or (noun == first and clause.word(noun) in words.ROW_NOUNS)
            near = may_be if noun == first and clause.word(noun) in words.ROW_NOUNS | words.PEOPLE else fits
            known = known or near(clause.word(noun), clause.table)
            if noun > first and not known:
                continue  # "bus drivers" are no rows of `bus`
            if not known or (noun > first and not common):
                clause.notes.append(f"a row taken as one of the {clause.word(noun)}")
            clause.used.add(noun)


def _goes_on(clause: Clause, at: int) -> bool:
    """Whether a noun in the plural follows: "how many expensive houses", but not "how many adults died"."""
    return clause.word(at) not in words.SILENT and is_plural(clause.word(at))


def _claim_listed(clause: Clause) -> None:
    """Account for what is listed, which has any name: "how many campaign events are listed?"."""
    if have_several_rows(clause.table):
        return
    for match in re.finditer(_WHAT_IS_LISTED, clause.text, re.IGNORECASE):
        free = [i for i in clause.within(match) if i in clause.free() and clause.word(i) not in words.SILENT]
        numbers = any(clause.word(i)[:1].isdigit() for i in free)  # "2 BHK homes"
        if free and not numbers and clause.text[match.start(1) : match.end(1)].split()[-1].endswith("s"):
            clause.claim(match.start(1), match.end(1))
            clause.notes.append(f"a row taken as one of the {match[1].strip().lower()}")


def _may_be_some(clause: Clause, at: int) -> bool:
    """Whether a noun can be for some of the people that the rows are: "managers", "children"."""
    free = at in clause.free() and clause.word(at) not in words.SILENT
    return free and of_people(clause.table) and clause.word(at) not in (words.PEOPLE - words.OF_AGES) | words.ROW_NOUNS


def _is_counted(clause: Clause, column: Column, *, directly: bool = False) -> bool:
    """Whether a column stands after "how many", with one noun between them or directly: its values are counted."""
    after = [max(clause.within(match)) for match in re.finditer(_COUNTED, clause.text, re.IGNORECASE)]
    tokens = {token for mention in clause.mentions if mention.column is column for token in mention.tokens}
    if not after:
        return True
    named = {i for mention in clause.mentions for i in mention.tokens}
    # "the internal polls": the column says which polls, and is not counted
    after = [
        at
        for at in after
        if not (at in tokens and is_plural(clause.word(at + 1)) and at + 1 in clause.used - named)
        or clause.word(at + 1) in ("codes", "numbers", "ids")
    ]
    if not after:
        return False
    second = set[int]()
    if not directly:
        second = {at + 1 for at in after if at not in clause.free() and is_plural(clause.word(at + 1))}
    return bool(tokens & {*after, *second})


def _is_what_is_counted(clause: Clause, column: Column) -> bool:
    """Whether a measure is what "how many" counts: "how many tickets", but not "how many trips were paid in cash"."""
    after = [max(clause.within(match)) for match in re.finditer(_COUNTED, clause.text, re.IGNORECASE)]
    own = [m for m in clause.mentions if m.column is column]
    people = words.PEOPLE | words.MEN | words.WOMEN
    said = {stem(clause.word(i)) for m in own for i in m.tokens}
    if any(clause.word(at) in people for at in after) and said & set(name_stems(column.name)):
        return True  # "how many people agreed": `agree`
    nouns = [i for m in own for i in m.tokens if is_plural(clause.word(i)) or clause.word(i) in column.name.lower()]
    return not after or any(
        i == at or (is_plural(clause.word(i)) and at < i <= at + MOST_BEFORE) for at in after for i in nouns
    )


def _names_rows(name: str, clause: Clause) -> bool:
    column = clause.table.column(name)
    return column is not None and clause.entity(column)


def _rows(clause: Clause, by: tuple[str, ...]) -> Ask | Refusal:
    """The number of rows; in a frequency table, of the cases that they stand for."""
    if set(clause.hows) & {"mean", "median"} and not (by or clause.period or clause.conditions):
        return Refusal(reason="It does not say of which groups the average number of rows is meant.")
    if clause.conditions or by or clause.period or clause.says(_LISTED):
        claim_counted(clause)
        _claim_listed(clause)
    own = next((c for c in clause.conditions if c.test == "==" and _names_rows(c.column, clause)), None)
    of_rows = clause.says(r"\b(?:rows|records|lines|entries|combinations)\b")
    if own and not by and not of_rows:
        return Refusal(reason=f"Each row has its own `{own.column}`, so the rows of {own.words} are not counted.")
    lists = [c.column for c in clause.conditions if c.test == "in" and isinstance(c.value[0], float)]
    by = by or (tuple(lists) if len(clause.conditions) == 1 else ())  # "with 1, 2 or 3 rooms": of each, and of all
    weight = clause.table.weight
    if weight and not of_rows and not weighs(clause):
        return Refusal(reason=f"It is not clear whether rows or the cases in `{weight.name}` are meant.")
    if weight and not of_rows:
        return with_chart(ask_of(clause, "figures", measures=(weight.name,), by=by, hows=("sum",)), "bar")
    return with_chart(ask_of(clause, "count", by=by), "bar")


def count_rows(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """`counts` by group, the largest first; or `unique`, the number of different values; or only the rows."""
    if ask["targets"] and not (ask["by"] or ask["period"]):
        cells = rows[ask["targets"][0]].dropna()
        return {
            "unique": int(cells.nunique()),
            "some": [str(value) for value in cells.unique()[: 300 if ask["method"] == "list" else 20]],
        }
    keys = group_keys(rows, ask)
    if not keys:
        return {}
    counts = rows.groupby(keys)[ask["targets"][0]].nunique() if ask["targets"] else rows.groupby(keys).size()
    if not ask["period"]:
        counts = counts.sort_values(ascending=False, kind="stable")
    named = {key_text(key): int(n) for key, n in counts.items()}
    import pandas as pd

    return {"counts": named, "series": pd.Series(named)}


def sentence(ask: Ask, result: Result, table: Table) -> str:
    if "unique" in result:
        shown = result["some"] if result["unique"] <= MOST_TOLD or ask.method == "list" else ()
        first = f", the first {len(shown)} are" if 0 < len(shown) < result["unique"] else ""
        some = f"{first}: {', '.join(shown)}" if shown else ""
        return f"There are **{result['unique']:,}** different values of {label(ask.targets[0])}{where_text(ask)}{some}."
    lead = f"{result['rows']:,} row{'' if result['rows'] == 1 else 's'}{where_text(ask)}"
    if table.rows != result["rows"]:
        lead += f" of {table.rows:,} ({100 * result['rows'] / table.rows:.1f} %)"
    counts: Mapping[str, int] = result.get("counts", {})
    if not counts and not (ask.by or ask.period):
        return f"There {'is' if result['rows'] == 1 else 'are'} **{lead}** in {table.shown}."
    if ask.method == "mode":
        most = max(counts.values(), default=0)
        best = [group_value(ask, key) for key, n in counts.items() if n == most]
        return (
            f"The most common {group_name(ask)}{where_text(ask)} is **{', '.join(best[:5])}** ({most:,} rows)."
            + _list(ask, counts)
        )
    return f"There are {lead}:{_list(ask, counts)}"


def _list(ask: Ask, counts: Mapping[str, int]) -> str:
    group = group_name(ask)
    lines = [f"| {group_value(ask, key).replace('|', '/')} | {n:,} |" for key, n in list(counts.items())[:MOST_ROWS]]
    head = "Rows" if not ask.targets else f"Different {label(ask.targets[0])}"
    return f"\n\n| {group[:1].upper()}{group[1:]} | {head} |\n|---|---:|\n" + "\n".join(lines)


def reading(ask: Ask) -> str:
    what = f"different values of `{ask.targets[0]}`" if ask.targets else "rows"
    return reading_of(f"Number of {what}", ask)


COUNT = Kind(
    name="count",
    examples=(
        "How many are there?",
        "How many rows have X above 3?",
        "Count the entries of each group",
        "How often does it occur?",
        "What is the number of different values?",
        "What is the most common X?",
    ),
    cues=(
        r"\bmost often\b|\bhow many\b|\bhow often\b|\bcounts?\b|\bnumber of\b(?! \w+ in\b.{0,20}column)"
        r"|\bmost (?:common|frequent|popular)\b"
        r"|\bmode\b|\b(?:distinct|unique)\b"
    ),
    words="often times occur occurs appear appears happened distinct unique different",
    complete=complete,
    program=count_rows,
    helpers=(group_keys, key_text),
    sentence=sentence,
    reading=reading,
)
