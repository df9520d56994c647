"""Shares of a whole: of rows, of a measure that adds up, and of one measure in another."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from local.openai_emulator.models.offline.data import vocabulary
from local.openai_emulator.models.offline.data.ask import Ask, Condition, Refusal
from local.openai_emulator.models.offline.data.clause import Clause, figures, is_key, is_year, names
from local.openai_emulator.models.offline.data.entities import some_of_people
from local.openai_emulator.models.offline.data.kinds.base import (
    MOST_ROWS,
    Kind,
    Result,
    column_of,
    columns_text,
    condition_text,
    group_name,
    group_value,
    number,
    reading_of,
    where_text,
)
from local.openai_emulator.models.offline.data.kinds.completing import (
    additive,
    ask_of,
    is_averaged,
    is_number_of_row,
    is_plural,
    weighs,
    with_chart,
)
from local.openai_emulator.models.offline.data.names import label, name_stems, plain_words
from local.openai_emulator.models.offline.data.rows import group_keys, keep, key_text
from local.openai_emulator.models.offline.data.table import Column, Table
from local.openai_emulator.models.offline.data.units import is_fraction, is_percentage, same_unit
from local.openai_emulator.models.offline.words import joined, stem

_OF = re.compile(
    r"\b(?:shares?|percent(?:age)?s?|proportions?|fractions?)\s+of\s+(?:(?:all|the|our|my)\s+)*", re.IGNORECASE
)
BY_PERCENT = r"\bby (?:what|how many|how much) (?:an? )?percent(?:age)?s?\b"
_AMONG = re.compile(r"\bamong(?:st)?\b", re.IGNORECASE)
_TOTALS = frozenset(["total", "overal", "all"])
_ATTRIBUTES = frozenset(map(stem, ("type", "status", "category", "group", "class", "kind", "title")))
_BE = frozenset(["is", "are", "was", "were"])
_SIGNS = ("<", "<=", ">", ">=", "> column", "< column", "= column", "!= column", "any of", "all of", "> row", "< row")
_OF_VALUES = ("==", "!=", "in", "not in", *_SIGNS, "missing", "filled")
_NOUNS = vocabulary.PEOPLE | vocabulary.ROW_NOUNS | vocabulary.WOMEN | vocabulary.MEN
_VERBS = vocabulary.VERBS | {"who", "that", "which", "own", "owns"}
_PREPOSITIONS = ("with", "in", "from", "at", "on", "of", "aged")
_ARTICLES = ("a", "an", "the", "any")


def complete_share(clause: Clause) -> Ask | Refusal:
    """Of the rows, or of a measure that adds up: the share of the rows that the clause names, or of each group."""
    table = clause.table
    measures = [c for c in clause.measures(conditioned=False) if c not in clause.by_numbers and not is_key(c, table)]
    measures = [c for c in measures if not is_number_of_row(clause, c)]
    unique = [c for c in table.of_kind("text") if c.unique == table.rows]
    usual = figures(table)
    adds_up = len(usual) == 1 and (len(table.columns) == 2 or (bool(unique) and additive(usual[0].name)))
    if not measures and adds_up:
        measures = usual
    if any(is_averaged(c.name) or is_fraction(c) or is_percentage(c) for c in measures):
        return Refusal(reason=f"`{measures[0].name}` does not add up, so there is no share of it.")
    if clause.rate_of:
        return _rate_of(clause)
    if clause.says(BY_PERCENT):
        return Refusal(reason="It does not say between which two times the change is meant.")
    if len(measures) == 2 and not clause.by and not clause.by_numbers:
        return _of_another(clause, measures)
    if len(measures) > 1:
        return Refusal(reason="It is not clear of which column the share is meant.")
    if len(measures) == 1 and not clause.by and (total := _total_beside(clause, measures[0])):
        return _ask_of_another(clause, measures[0].name, total.name)
    if clause.says(r"\bper\b") and clause.by_numbers:
        return Refusal(reason=f"Figures per `{clause.by_numbers[0].name}` are not computed.")
    by = [*clause.by, *clause.by_numbers]
    if not by and not clause.conditions:
        by = [*clause.texts(), *([clause.which] if clause.which else []), *unique][:1]
        if not by:
            return Refusal(reason="It does not say which share is asked for.")
    if unclear := _of_things(clause, by) or _of_other([*_of_deed(clause, measures), *_beside(clause, by)]):
        return unclear
    whole = _whole(clause)
    weight = [table.weight] if table.weight and not measures else []
    if weight and not weighs(clause):
        return Refusal(reason=f"It is not clear whether rows or the cases in `{weight[0].name}` are meant.")
    if not by and not measures:
        by = [clause.which] if clause.which and clause.which.kind == "text" else _several(clause, whole)
    if measures and not by and not whole and _is_of_condition(clause, measures[0]):
        return Refusal(reason=f"It is not clear of what `{measures[0].name}` is to be a share.")
    if by and not measures:
        return rates(clause, names(by), whole, names(weight))
    parts = () if by else tuple(condition.plain for condition in clause.conditions if condition not in whole)
    if len({column for column, _, _ in parts}) > 1 and not _all_after_verb(clause, whole):
        told = joined(f'"{condition.words}"' for condition in clause.conditions if condition not in whole)
        return Refusal(reason=f"It is not clear which of {told} is the whole, and which its part.")
    kept = tuple(clause.conditions)
    measures = measures[:1] or weight
    ask = ask_of(clause, "share", measures=names(measures), by=names(by), parts=parts, conditions=kept, hows=("sum",))
    return with_chart(ask, "pie")


def _beside(clause: Clause, by: Collection[Column]) -> list[Column]:
    """The columns of text of which it is not clear what they have to do with a share."""
    texts = [c for c in clause.texts() if c.kind == "text" and not clause.entity(c)]
    beside = [c for c in texts if c not in (*by, clause.which)]
    conditioned = {condition.column for condition in clause.conditions}
    found = _OF.search(clause.text)  # "the share of the states": these are the rows
    at = max(clause.within(found)) + 1 if found else -1
    beside = [c for c in beside if not any(at in m.tokens for m in clause.mentions if m.column is c)]
    return beside if clause.by or (conditioned and not {c.name for c in beside} & conditioned) else []


def _of_things(clause: Clause, by: Collection[Column]) -> Refusal | None:
    """A refusal of "what share of the brands are ..." where a brand has several rows, and is not what the rows are."""
    found = _OF.search(clause.text)
    at = max(clause.within(found)) + 1 if found else -1
    named = next((m for m in clause.mentions if at in m.tokens and m.column.kind == "text"), None)
    if (
        named is None
        or by
        or clause.entity(named.column)
        or any(c.column == named.column.name for c in clause.conditions)
    ):
        return None
    said = {stem(clause.word(i)) for i in named.tokens}
    of_file = said & set(name_stems(clause.table.shown.rpartition(".")[0]))
    if of_file or not said <= set(name_stems(named.column.name)):
        return None
    if (set(name_stems(named.column.name)) - said) & _ATTRIBUTES or not is_plural(clause.word(at)):
        return None
    return Refusal(reason=f"A `{named.column.name}` can have several rows, so the share of them is not clear.")


def _of_other(others: Sequence[Column]) -> Refusal | None:
    return Refusal(reason=f"It is not clear what `{others[0].name}` is to do with it.") if others else None


def _of_deed(clause: Clause, measures: Collection[Column]) -> list[Column]:
    """The measures that are only named by what somebody did: "ordered" is no `cost_of_the_order`."""
    named = [m for m in clause.mentions if m.column in measures and clause.word(m.tokens[-1]).endswith("ed")]
    return [m.column for m in named if not {clause.word(i) for i in m.tokens} & set(plain_words(m.column.name))]


def _rate_of(clause: Clause) -> Ask:
    """The share of the rows in which a column of yes and no is yes, by group: "survival rate of men and women"."""
    several = [c.column for c in clause.conditions if c.test == "in"]
    which = [clause.which.name] if clause.which and clause.which.kind == "text" else []
    by = (*names(clause.by), *names(clause.by_numbers)) or tuple(which or several[:1])
    whole = tuple(c for c in clause.conditions if c.column != clause.rate_of)
    if by or clause.period:
        return rates(clause, by, whole, ())
    parts = tuple(c.plain for c in clause.conditions if c.column == clause.rate_of)
    return ask_of(clause, "share", by=(), parts=parts, hows=("sum",), chart="")


def _of_another(clause: Clause, measures: Sequence[Column]) -> Ask | Refusal:
    """The share of one measure in another: "what percent of all trials were correct"; the whole stands after "of"."""
    found = _OF.search(clause.text)
    starts = {m.column.name: clause.tokens[m.tokens[0]].start() for m in reversed(clause.mentions)}
    after = sorted((start, name) for name, start in starts.items() if found and start >= found.end())
    if len(after) != 2 or {name for _, name in after} != set(names(measures)):
        return Refusal(reason="It is not clear which column is the whole, and which is its part.")
    if not same_unit(*measures) or any(is_fraction(c) or is_percentage(c) or is_averaged(c.name) for c in measures):
        return Refusal(reason=f"`{measures[0].name}` and `{measures[1].name}` do not add up.")
    clause.claim_all(r"\bfigures?\b")
    (_, whole), (_, part) = after
    return _ask_of_another(clause, part, whole)


def _total_beside(clause: Clause, part: Column) -> Column | None:
    """The column `Total` whose part stands behind the verb: "what share of the nursing students are women"."""
    totals = [c for c in figures(clause.table) if set(name_stems(c.name)) <= _TOTALS and c is not part]
    last = min((m.tokens[0] for m in clause.mentions if m.column is part), default=0)
    behind = any(clause.word(i) in _BE for i in range(max(last - 3, 0), last))
    fits = len(totals) == 1 and part.whole == totals[0].whole and part.unit == totals[0].unit
    return totals[0] if fits and behind and part.kind == "number" else None


def _ask_of_another(clause: Clause, part: str, whole: str) -> Ask:
    return ask_of(
        clause, "share", measures=(part, whole), by=(), period="", hows=("sum",), method="of another", chart=""
    )


def _all_after_verb(clause: Clause, whole: Collection[Condition]) -> bool:
    """Whether the conditions on the part all stand after the verb: "are married and smoke"."""
    verbs = [i for i in range(len(clause.tokens)) if clause.word(i) in _VERBS]
    columns = {c.column for c in clause.conditions if c not in whole}
    places = [min(at) for column, at in clause.places if column in columns]
    relative = any(clause.word(i) in ("who", "that", "which") for i in verbs)
    return bool(verbs) and not relative and len(places) >= len(columns) and min(places) > verbs[0]


def _is_of_condition(clause: Clause, measure: Column) -> bool:
    """Whether the share is of rows, and the measure stands behind them: "what share of the women agreed"."""
    found = _OF.search(clause.text)
    own = [m for m in clause.mentions if m.column is measure and max(m.tokens) < len(clause.tokens)]
    if not found or not own or not clause.places:
        return False
    start = clause.tokens[own[0].tokens[0]].start()
    inside = [at for _, at in clause.places if found.end() <= clause.tokens[min(at)].start() < start]
    before = clause.word(own[0].tokens[0] - 1)
    return bool(inside) and before not in (*_PREPOSITIONS, *_ARTICLES, "total", "all")


def _several(clause: Clause, whole: Collection[Condition]) -> list[Column]:
    """The column of which a clause names several values, if it asks for something else of each of them."""
    several = [c for c in clause.conditions if c.test == "in"]
    others = [c for c in clause.conditions if c not in several and c not in whole]
    found = clause.table.column(several[0].column) if len(several) == 1 and others else None
    if found:
        clause.claim_all(r"\bcompare\b")
    return [found] if found else []


def rates(clause: Clause, by: tuple[str, ...], whole: Collection[Condition], measures: tuple[str, ...]) -> Ask:
    """Of each group, the share of the rows that meet the conditions; without such conditions, each group's share."""
    values = [c for c in clause.conditions if c.test in _OF_VALUES and c.column not in by and c not in whole]
    parts = tuple(condition.plain for condition in values)
    ask = ask_of(clause, "share", measures=measures, by=by, parts=parts, hows=("sum",))
    return with_chart(ask, "bar" if parts else "pie")


def _whole(clause: Clause) -> tuple[Condition, ...]:
    """The conditions on what the share is of: "of the women" in "What share of the women never smoke?".

    They stand after "among"; else before the verb; without a verb, before the noun ("black applicants") or after a
    preposition ("boards with size S"). What follows the verb or the noun ("applicants denied") is asked for.
    """
    found = _OF.search(clause.text)
    if not found:
        return ()
    among = _AMONG.search(clause.text, found.end())
    if among and clause.conditions and not _BE & {*clause.text[found.end() : among.start()].lower().split()}:
        clause.claim(among.start(), among.end())
        inside = {column for column, at in clause.places if clause.tokens[min(at)].start() >= among.end()}
        return tuple(c for c in clause.conditions if c.column in inside)
    first = next((i for i, token in enumerate(clause.tokens) if token.start() >= found.end()), len(clause.tokens))
    after = range(first, len(clause.tokens))
    verb = next((i for i in after if clause.word(i) in _VERBS), len(clause.tokens))
    noun = next((i for i in after if clause.word(i) in _NOUNS), verb - 1)
    if (
        first <= noun == verb - 1
        and (verb < len(clause.tokens) or is_plural(clause.word(noun)))
        and noun in clause.free()
        and clause.word(noun).isalpha()
        and not some_of_people(clause.word(noun), clause.table)
        and clause.word(noun - 1) not in ("or", "and")  # "2010 or later"
    ):  # what the rows are has any name
        clause.used.add(noun)
    inside = set()
    for column, places in clause.places:
        start = min(places)
        if start < first:
            continue
        own = {token for mention in clause.mentions if mention.column.name == column for token in mention.tokens}
        before = next(i for i in range(start - 1, -2, -1) if i not in own and clause.word(i) not in _ARTICLES)
        has_verb = verb < len(clause.tokens)
        is_subject = clause.word(verb) in ("did", "do", "does") and before == verb  # "of his games did Ana score"
        is_inside = (start < verb or is_subject) if has_verb else start <= noun or clause.word(before) in _PREPOSITIONS
        inside |= {column} if is_inside else set()
    times = {c.column for c in clause.conditions if c.test == "spans" or _is_year(clause, c)}
    rest = {c.column for c in clause.conditions} - times - inside
    return tuple(c for c in clause.conditions if c.column in inside | times) if rest else ()


def _is_year(clause: Clause, condition: Condition) -> bool:
    column = clause.table.column(condition.column)
    return column is not None and is_year(column)


def compute_share(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """`part` and `whole`; of each group the part and the whole in `rates`; or `shares` of groups, the largest first."""
    name = ask["measures"][0] if ask["measures"] else ""
    if ask["method"] == "of another":
        both = rows[ask["measures"]].dropna()
        part, whole = (float(both[name].sum()) for name in ask["measures"])
        return {"part": part, "whole": whole, "n": len(both)}

    def size(some: Any) -> float:
        return float(some[name].sum()) if name else len(some)

    whole = size(rows)
    keys = group_keys(rows, ask)
    if ask["parts"] and keys:
        import pandas as pd

        rates = {key_text(key): [size(keep(part, ask["parts"])), size(part)] for key, part in rows.groupby(keys)}
        rates = {key: rate for key, rate in rates.items() if rate[1]}
        rates = dict(sorted(rates.items(), key=lambda item: -item[1][0] / item[1][1]))
        return {"rates": rates, "series": pd.Series({key: 100 * part / n for key, (part, n) in rates.items()})}
    if ask["parts"]:
        return {"part": size(keep(rows, ask["parts"])), "whole": whole}
    grouped = rows.groupby(keys)
    sizes = (grouped[name].sum() if name else grouped.size()).sort_values(ascending=False, kind="stable")
    import pandas as pd

    named = {key_text(key): float(value) for key, value in sizes.items()}
    return {"shares": named, "whole": whole, "series": pd.Series(named)}


def share_sentence(ask: Ask, result: Result, table: Table) -> str:
    if "rates" in result:
        return _rates_sentence(ask, result)
    whole = result["whole"]
    if ask.method == "of another":
        return _share_in_another(ask, result, table)
    column = column_of(table, ask.measures[0]) if ask.measures else ""
    if not whole:
        return "The whole is 0, so there are no shares."
    if "part" in result:
        what = f"all {label(ask.measures[0])}" if ask.measures else "rows"
        share = 100 * result["part"] / whole
        of = where_text(replace(ask, conditions=_part(ask, whole=True)))
        return (
            f"The share{where_text(replace(ask, conditions=_part(ask)))} is **{share:.2f} %** "
            f"({number(result['part'], column)} of {number(whole, column)} {what}{of})."
        )
    lines = [
        f"| {group_value(ask, key).replace('|', '/')} | {number(value, column)} | {100 * value / whole:.2f} % |"
        for key, value in list(result["shares"].items())[:MOST_ROWS]
    ]
    group = group_name(ask)
    what = label(ask.measures[0]) if ask.measures else "rows"
    return (
        f"Shares of {what} by {group}{where_text(ask)}:\n\n| {group} | {what} | Share |\n|---|---:|---:|\n"
        + "\n".join(lines)
    )


def _share_in_another(ask: Ask, result: Result, table: Table) -> str:
    part, whole = result["part"], result["whole"]
    names_ = [label(name) for name in ask.measures]
    if not 0 <= part <= whole or not whole:
        return f"The {names_[0]} is no part of the {names_[1]}{where_text(ask)}: the totals are {part:g} and {whole:g}."
    told = [number(value, column_of(table, name)) for value, name in zip((part, whole), ask.measures, strict=True)]
    rows = "one row" if result["n"] == 1 else f"the totals of {result['n']:,} rows"
    return (
        f"The share of {names_[0]} in {names_[1]}{where_text(ask)} is **{100 * part / whole:.2f} %** "
        f"({told[0]} of {told[1]}, {rows})."
    )


def _rates_sentence(ask: Ask, result: Result) -> str:
    part, whole = _part(ask), _part(ask, whole=True)
    group = group_name(ask)
    lines = [
        f"| {group_value(ask, key).replace('|', '/')} | {n:,.0f} | {of:,.0f} | {100 * n / of:.2f} % |"
        for key, (n, of) in list(result["rates"].items())[:MOST_ROWS]
    ]
    head = (
        f"The share{where_text(replace(ask, conditions=part))} by {group}{where_text(replace(ask, conditions=whole))}:"
    )
    of = label(ask.measures[0]) if ask.measures else "rows"
    return (
        f"{head}\n\n| {group} | part | {of} | Share |\n|---|---:|---:|---:|\n" + "\n".join(lines) + _ends(ask, result)
    )


def _ends(ask: Ask, result: Result) -> str:
    rates = [(group_value(ask, key), 100 * n / of) for key, (n, of) in result["rates"].items()]
    if not rates:
        return ""
    most, least = rates[0][1], rates[-1][1]
    high = " and ".join(key for key, rate in rates if rate == most)
    low = " and ".join(key for key, rate in rates if rate == least)
    return (
        f"\n\n**{high}**: the highest share ({most:.2f} %); {low}: the lowest ({least:.2f} %)." if most > least else ""
    )


def _part(ask: Ask, *, whole: bool = False) -> tuple[Condition, ...]:
    """The conditions on the part of a share; or on the whole."""
    return tuple(condition for condition in ask.conditions if (condition.plain not in ask.parts) is whole)


def reading_share(ask: Ask) -> str:
    if ask.method == "of another":
        return reading_of(f"Share of `{ask.measures[0]}` in `{ask.measures[1]}`", ask)
    whole = _part(ask, whole=True) if ask.parts else ()
    part = _part(ask) if ask.parts else ask.conditions
    what = f"Share of {columns_text(ask.measures) if ask.measures else 'the rows'}"
    of = f", of those where: {'; '.join(map(condition_text, whole))}" if whole else ""
    return reading_of(what, replace(ask, conditions=part)) + of


SHARE = Kind(
    name="share",
    examples=("What share of X has the group?", "What percentage of the rows are A?", "Show the parts of the whole"),
    cues=(
        r"\bshares? of\b|\bpercent(?:age)?s? of\b|\bwhat (?:percent(?:age)?|share|fraction"
        r"|proportion)\b|\bproportions?\b|\bfractions?\b|\bpies?\b"
    ),
    words="vs versus compared compare percent percentage share shares parts part total",
    complete=complete_share,
    program=compute_share,
    helpers=(keep, group_keys, key_text),
    sentence=share_sentence,
    reading=reading_share,
)
