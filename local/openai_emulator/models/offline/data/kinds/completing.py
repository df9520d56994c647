"""What the kinds share when they make an ask from a clause: measures, groups, totals."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Ask, Condition, Refusal
from local.openai_emulator.models.offline.data.clause import (
    Clause,
    Mention,
    figures,
    is_key,
    is_part_of_date,
    is_year,
    names,
)
from local.openai_emulator.models.offline.data.likeness import SAME, alike, consonants, ends
from local.openai_emulator.models.offline.data.names import is_score, name_stems, of_end
from local.openai_emulator.models.offline.data.stated import level_of
from local.openai_emulator.models.offline.data.table import Column, Table
from local.openai_emulator.models.offline.data.units import bare_prices
from local.openai_emulator.models.offline.words import joined, stem

_ADDED = """
requests visits orders sales revenue amount quantity qty count downtime incidents sessions hits users total units
votes sold goals points tickets bounces profit spending cost expenses deaths births population runs wins losses medals
arrests accidents cases defects rain rainfall precipitation snow snowfall
"""
_ADDITIVE = frozenset(map(stem, _ADDED.split()))
_ENDS_OF_ADDITIVE = tuple(map(stem, ("runs", "goals", "visits", "sales", "orders", "votes")))  # `homeruns`
_AVERAGED = frozenset(
    map(stem, ["avg", "average", "mean", "rate", "percent", "ratio", "median", "p95", "price", "score", "share", "per"])
)
_ENDS = "|".join(sorted({*words.ADJECTIVES, *words.HIGHEST, *words.LOWEST}))
# "of the cheapest car", "of the car with the highest price": what is asked for are other cells of one row.
ROW_OF = (
    rf"\bof the (?:(?:most|least) )?(?:{_ENDS})\b(?! (?:common|frequent|popular))"
    r"|\b(?:of|is|was|are|were) the (?:(?!of\b)[\w-]+ ){1,5}?(?:with|having|that (?:has|had)|who (?:has|had)) the "
    rf"(?:{_ENDS})\b"
    rf"|\b(?:is|was|are|were) the (?:\w+ )?\w+ (?:who|that|which) \w+ the (?:{_ENDS})\b"
)
_WHAT_IS_ITS = r"(?:\band|,) (?:what|which|how \w+) (?:is|was|are|were) (?:its|their|his|her|the)\b"
MOST_NUMBERS = 50  # different ones in a column that is grouped by
SHORTEST_ROOT = 4  # letters of an adjective
UNIT_SHARE = 0.4  # of the rows: "the average per game for each player" is one of rows, not of groups
_SHORTER_THAN = {"day": 28, "month": 56, "quarter": 300, "year": 3600}  # days
VERSUS = r"\b(?:versus|vs)\b"
_NUMBER_OF_ROWS = r"\b(?:number of|how many|(?:most|fewest) (?!of\b)\w+s)\b"  # no average of the only figures
NO_MEASURE = "It names no column of figures, and the table has more than one."


def period_of(condition: Condition) -> str:
    """The period that spans of dates are: days, months, quarters, years or decades."""
    first, end = (date.fromisoformat(text) for text in condition.value[0])
    return next((period for period, days in _SHORTER_THAN.items() if (end - first).days < days), "decade")


def is_denial(condition: Condition) -> bool:
    """Whether a condition denies something: "no smokers", "not in Graz", "no comment"."""
    denies = condition.words.lower().startswith(("no ", "not "))
    return denies or condition.test in ("!=", "not in", "missing") or (condition.test == "==" and condition.value == 0)


def additive(name: str) -> bool:
    """Whether the sum of a column has a meaning: requests yes, error rates no."""
    stems = set(name_stems(name))
    added = stems & _ADDITIVE or any(part.endswith(_ENDS_OF_ADDITIVE) for part in stems)
    return bool(added) and not stems & _AVERAGED


def is_averaged(name: str) -> bool:
    """Whether the name of a column says that it does not add up: a price, a rate."""
    return bool(set(name_stems(name)) & _AVERAGED)


def ask_of(clause: Clause, kind: str, **fields: Any) -> Ask:
    """An ask with the groups, conditions and chart of the clause."""
    population = r"(?i)\bpopulation standard deviation"
    clause.claim_all(r"\bpopulation(?= standard)|\bnot the (?:sample|population) standard deviation(?: formula)?")
    ask = Ask(
        kind=kind,
        by=names(clause.by),
        least=clause.least,
        period=clause.period,
        date=clause.dates(),
        hows=clause.hows or ("mean",),
        conditions=tuple(clause.conditions),
        chart=clause.chart,
        level=level_of(clause.whole),
        ddof=0
        if re.search(population, clause.whole) and not re.search(f"not the {population[4:]}", clause.whole)
        else 1,
    )
    return replace(ask, **fields)


def with_chart(ask: Ask, usual: str) -> Ask:
    """The kind's usual chart, when the question asks for any."""
    return replace(ask, chart=usual) if ask.chart == "any" else ask


def measured(clause: Clause, *, keys: bool = False) -> tuple[Column, ...] | Refusal:
    """The measures that a clause names, else those of an adjective, else the only one of the table."""
    named = [c for c in clause.measures() if c not in clause.by_numbers] or clause.measures()
    if named:
        odd = [c for c in named if is_year(c) or (is_key(c, clause.table) and not keys)]
        if odd and len(odd) == len(named) and not keys:
            return Refusal(reason=f"`{odd[0].name}` identifies rows, so a figure of it has no meaning.")
        years = [c for c in odd if is_year(c) or is_part_of_date(c) or c.name.lower().endswith("year")]
        if years and not keys and years[0] is not clause.which and years[0] not in clause.by_numbers:
            return Refusal(reason=f"It is not clear what `{years[0].name}` is to do with it.")
        return tuple(c for c in named if keys or c not in odd)
    if meant := adjective(clause):
        return tuple(meant[1][:1])
    usual = figures(clause.table)
    if clause.says(_NUMBER_OF_ROWS):
        return Refusal(reason="It is not clear which rows or what else is counted.")
    if len(usual) == 1 and all(c is clause.which for c in clause.texts()):
        return (usual[0],)
    return Refusal(reason=NO_MEASURE if usual else "The table has no column of figures.")


def number_groups(clause: Clause, measures: tuple[Column, ...]) -> tuple[str, ...]:
    """The groups, with columns of few whole numbers that stand after "by" beside another measure."""
    grouped = [c for c in clause.by_numbers if c.unique <= MOST_NUMBERS or is_key(c, clause.table)]
    return (*names(clause.by), *(c.name for c in grouped if c not in measures))


def without_own_groups(clause: Clause, by: tuple[str, ...]) -> tuple[str, ...]:
    """No groups for "the average a month" in a table with one row for each month; but for "for each month"."""
    each = all((c := clause.table.column(name)) is not None and c.unique == clause.table.rows for name in by)
    if by and each and clause.hows == ("mean",) and clause.says(r"\b(?:a|per|(?<!for )(?<!of )(?:each|every))\b"):
        return ()
    many = [n for n in by if (c := clause.table.column(n)) and c.unique > UNIT_SHARE * clause.table.rows]
    return tuple(n for n in by if n not in many) if clause.hows == ("mean",) and len(many) < len(by) else by


def _noun_of(clause: Clause, word: str) -> str:
    """The word in a column's name that a superlative is made of: hardness for "hardest"."""
    root = word.removesuffix("est")
    if root == word or len(root) < SHORTEST_ROOT:
        return ""
    parts = {part for c in figures(clause.table) for part in name_stems(c.name) if part.startswith(root)}
    return next(iter(parts)) if len(parts) == 1 else ""


def claim_comparatives(clause: Clause) -> None:
    """Account for "heavier" in "heavier heads", if the clause names the column that it means; and for "bigger tips"."""
    starts = {mention.tokens[0] for mention in clause.mentions if mention.column.kind == "number"}
    for i in clause.free():
        word = clause.word(i)
        measures = clause.measures(conditioned=False)
        if word in ("better", "worse") and measures and all(is_score(c.name) for c in measures):
            clause.used.add(i)
        if word in ("bigger", "larger", "smaller", "higher", "lower", "greater") and i + 1 in starts:
            clause.used.add(i)
        _, hints = words.ADJECTIVES.get(f"{word[:-2]}est" if word.endswith("er") else "") or (False, "")
        columns = [c.name for c in clause.measures(conditioned=False)] + [c.column for c in clause.conditions]
        parts = {part for name in columns for part in name_stems(name)}
        if any(alike(hint, part) >= 0.8 for hint in hints.split() for part in parts):
            clause.used.add(i)


def comparatives_in(clause: Clause) -> None:
    """The column of "heavier" in "Do heavier cars use more fuel?", if the clause names one measure besides."""
    measures = clause.measures(conditioned=False)
    if not clause.says(r"^\W*(?:do|does|are|is)\b") or clause.says(r"\bthan\b"):
        return
    for i in clause.free():
        word = clause.word(i)
        _, hints = words.ADJECTIVES.get(f"{word[:-2]}est" if word.endswith("er") else "") or (False, "")
        hints = words.ADJECTIVES["tallest"][1] if word in ("higher", "lower") and not measures else hints
        stems = set(map(stem, hints.split()))
        columns = [c for c in figures(clause.table) if stems & set(name_stems(c.name)) and c not in measures]
        of_groups = not measures and any(c.test == "in" for c in clause.conditions) and clause.says(r"\bor\b")
        if len(columns) == 1 and (len(measures) == 1 or of_groups):
            clause.used.add(i)
            clause.mentions.insert(0, Mention(column=columns[0], tokens=(i,)))
            return


def is_number_of_row(clause: Clause, column: Column) -> bool:
    """Whether a column numbers things that are counted: `gameno` in "how many games"."""
    said = {stem(clause.word(i)) for m in clause.mentions if m.column is column for i in m.tokens}
    return bool(said) and any(
        part in (f"{word}{end}" for word in said for end in ("no", "nr", "id", "num", "number"))
        for part in name_stems(column.name)
    )


def is_plural(word: str) -> bool:
    """Whether a word looks like a noun in the plural."""
    return word in words.ROW_NOUNS | words.PEOPLE | {"men", "women"} or (
        word.endswith("s") and not word.endswith("ss") and word not in words.SILENT
    )


def weighs(clause: Clause) -> bool:
    """Whether a clause about a frequency table asks for its cases: for people, or by the name of their number."""
    weight = clause.table.weight
    said = {clause.word(i) for i in range(len(clause.tokens))}
    named = weight is not None and bool({stem(word) for word in said} & {*name_stems(weight.name), "case"})
    limited = weight is not None and any(c.column == weight.name for c in clause.conditions)
    return not limited and (named or bool(said & (words.PEOPLE | words.MEN | words.WOMEN)))


def _is_said(clause: Clause, parts: set[str]) -> bool:
    """Whether a word of a clause fits one of some parts of a name."""
    said = [clause.word(i) for i in range(len(clause.tokens)) if clause.word(i) not in words.SILENT]
    return any(alike(word, part) >= SAME for word in said for part in parts)


def _is_of_adjective(clause: Clause, at: int, named: list[Column]) -> bool:
    """Whether a named measure stands behind an adjective, "the longest reign"; or after "by", or alone."""
    starts = {min(m.tokens) for m in clause.mentions if m.column in named}
    joined_ = any(clause.word(i - 1) in ("by", "of", "highest", "largest") for i in starts)
    return joined_ or bool(starts & {at + 1, at + 2})


def _years_of_age(clause: Clause) -> list[Column]:
    """The one column of years that tells how old the rows are, where no column is an age: "the oldest house"."""
    numbers = clause.table.of_kind("number")
    years = [c for c in numbers if is_year(c)]
    told = any(stem("age") in name_stems(c.name) for c in numbers) or clause.table.of_kind("date")
    grouped = clause.by or clause.by_numbers or clause.period or clause.hows
    return years if len(years) == 1 and not (told or grouped) else []


def _hinted(table: Table, hints: str) -> list[Column]:
    """The columns that the words of an adjective name: in full, at the end of a name, as `wt`, or as a bare price."""
    stems, numbers = set(map(stem, hints.split())), figures(table)
    found = [c for c in numbers if stems & set(name_stems(c.name))]
    found = found or [c for c in numbers if any(ends(p, own) for p in name_stems(c.name) for own in stems)]
    if not found and hints.startswith(("weight", "height")):
        found = [c for c in numbers if any(consonants(hints.split()[0], p) for p in name_stems(c.name))]
    return found or (bare_prices(table) if "cost" in hints.split() else [])


def adjective(clause: Clause) -> tuple[bool, list[Column]] | None:
    """What an adjective such as "hottest" means: the lowest or the highest, and of which columns."""
    named_by = {token for mention in clause.mentions for token in mention.tokens}
    for i in range(len(clause.tokens)):
        word = clause.word(i)
        word = f"{word[:-2]}est" if word.endswith("er") else word
        if word in ("oldest", "newest") and (years := _years_of_age(clause)):
            clause.used.add(i)
            return word == "oldest", years
        low, hints = words.ADJECTIVES.get(word) or (False, "" if i in named_by else _noun_of(clause, word))
        if not hints:
            continue
        speeds = [c for c in figures(clause.table) if stem("speed") in name_stems(c.name)]
        if word in ("fastest", "slowest") and speeds:
            low, hints = word == "slowest", "speed"
        stems = set(map(stem, hints.split()))
        columns = _hinted(clause.table, hints)
        columns = [c for c in columns if "rank" not in name_stems(c.name)]
        named = [c for c in clause.measures(conditioned=False) if not is_key(c, clause.table)]
        apart = columns and not set(named) & set(columns)
        if apart and (re.search(ROW_OF, clause.text, re.IGNORECASE) or clause.says(_WHAT_IS_ITS)):
            named = []  # "the colour and weight of the most expensive one"
        named = [c for c in named if c in columns] or named  # "how old is the one with the longest time"
        if not columns and not _is_of_adjective(clause, i, named):
            continue  # "how long is the longest film and what is its rating", without a column of lengths
        said = {stem(clause.word(j)): j for j in clause.free() if j != i}
        closer = [c for c in columns if (set(name_stems(c.name)) - stems) & set(said)]
        if len(closer) == 1 and not named:
            columns = closer
            clause.used |= {said[part] for part in name_stems(closer[0].name) if part in said}
        if len(columns) > 1 and not named:
            told = [c for c in columns if _is_said(clause, set(name_stems(c.name)) - stems)]
            columns = told if len(told) == 1 else columns  # "the most expensive house sold": `SalePrice`
        if not named and (exact := [c for c in columns if set(name_stems(c.name)) <= stems]):
            columns = exact  # of `Min.Price` and `Price`, the one without further words
        end = "mean" if "mean" in clause.hows else "min" if low else "max"
        columns = of_end(columns, end) if "temp" in hints else columns
        alike = len({frozenset(stems & set(name_stems(c.name))) for c in columns}) == 1
        if alike and len(columns) > 1 and not named:
            several = joined((f"`{c.name}`" for c in columns[:4]), last="or")
            clause.ambiguous.append(f'"{clause.word(i)}" could be {several}.')
        if named or alike:
            clause.used.add(i)
            clause.claim_all(r"\bmost(?= expensive)|\bleast(?= expensive)")
            least = clause.says(r"\bleast expensive")
            return low != least, named or columns
    return None
