"""Columns of numbers that a clause compares with each other: `A was ahead of B`; and `A and B both 2`."""

from __future__ import annotations

import re
from itertools import pairwise

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import Clause, figures
from local.openai_emulator.models.offline.data.names import label, name_stems
from local.openai_emulator.models.offline.data.table import Column
from local.openai_emulator.models.offline.data.units import is_fraction, is_percentage
from local.openai_emulator.models.offline.words import stem

_MORE = frozenset(["more", "higher", "larger", "greater", "bigger"])
_LESS = frozenset(["fewer", "less", "lower", "smaller"])
_BOTH = r"\b(?:are |is )?both (?:are |equal )?(?:(?P<number>\d+(?:\.\d+)?)|(?:above|over|below|under|more|less|at)\b)"
_PART_OF = r"\s?% of (?:the|their|its|all)(?: the)? (?:staff|workforce|employees|people|workers|team)\b"
_AGAINST = re.compile(
    r"\W*(?:(?:is|was|were|are|being|(?:come|came|comes) out)\W+)?"
    r"(?:(?P<more>ahead of|above|over|(?:higher|greater|larger|more|bigger) than)"
    r"|(?P<less>behind|below|under|(?:lower|less|smaller|fewer) than)|equal to|the same as)\W+"
    r"(?:(?:the|their|its)\W+)?",
    re.IGNORECASE,
)


def columns_in(clause: Clause) -> None:
    """`A was ahead of B`, of two columns of numbers, where rows are counted."""
    if clause.says(r"\bhow (?:many|much) (?:more|fewer|less)\b"):
        return  # a difference
    if not clause.says(r"\bhow many\b|\bhow often\b|\bshare\b|\bpercent|\bnumber of\b|^\W*(?:which|list|who|show)\b"):
        return
    numbers = [mention for mention in clause.mentions if mention.column.kind == "number"]
    for one, other in pairwise(numbers):
        start, end = clause.tokens[one.tokens[-1]].end(), clause.tokens[other.tokens[0]].start()
        found = _AGAINST.fullmatch(clause.text[start:end])
        more_than = re.search(r"\b(more|fewer|less) (\w+) $", clause.text[: clause.tokens[one.tokens[0]].start()], re.I)
        if more_than and more_than[2].lower() in words.PEOPLE and not found:  # "more people agree than disagree"
            clause.claim(more_than.start(1), more_than.start(2))
            found = re.fullmatch(r"\W*than\W+", clause.text[start:end]) and _AGAINST.fullmatch(
                " over " if more_than[1].lower() == "more" else " under "
            )
        word = clause.word(one.tokens[0] - 1)
        if not found and (word in _MORE | _LESS) and re.fullmatch(r"\W*than\W+(?:the\W+)?", clause.text[start:end]):
            found = _AGAINST.fullmatch(" over " if word in _MORE else " under ")
            clause.used.add(one.tokens[0] - 1)
        by_number = clause.word(one.tokens[0] - 2)[:1].isdigit() or clause.word(one.tokens[0] - 2) in words.NUMBERS
        if found and word in _MORE | _LESS and by_number:
            clause.ambiguous.append("A limit at the difference of two columns is not computed.")  # "3 more A than B"
            return
        if found and one.column is not other.column:
            sign = ">" if found["more"] else "<" if found["less"] else "="
            clause.claim(start, end)
            clause.mentions = [mention for mention in clause.mentions if mention not in (one, other)]
            text = f"{label(one.column.name)} {sign} {label(other.column.name)}"
            clause.conditions.append(
                Condition(column=one.column.name, test=f"{sign} column", value=other.column.name, words=text)
            )


def both_in(clause: Clause) -> None:
    """`min and max players both 2`: the number is that of both columns."""
    for match in re.finditer(_BOTH, clause.text, re.IGNORECASE):
        first, last = min(clause.within(match)), max(clause.within(match))
        named = [m for m in clause.mentions if m.column.kind == "number" and max(m.tokens) < first]
        if not named or max(named[-1].tokens) != first - 1:
            continue
        if len(named) < 2 or not match["number"]:
            clause.ambiguous.append(f'"{match[0]}" is not read as a limit of two columns.')
            continue
        clause.claim(match.start(), match.end())
        for name in (m.column.name for m in named[-2:]):
            text = f"`{name}` = {match['number']}"
            clause.conditions.append(Condition(column=name, test="==", value=float(match["number"]), words=text))
            clause.places.append((name, (last,)))


def share_meant(clause: Clause, at: int) -> Column | None:
    """The one column of shares for "100 % of the staff", if rows are counted and no other figure is named."""
    behind = re.match(_PART_OF, clause.text[clause.tokens[at].end() :], re.IGNORECASE)
    shares = [c for c in figures(clause.table) if is_fraction(c) or is_percentage(c)]
    others = [c for c in clause.measures(conditioned=False) if c not in shares]
    counts = behind and clause.says(r"^\W*(?:in )?how many\b")
    return shares[0] if len(shares) == 1 and not others and counts else None


def people_counted(clause: Clause, at: int, start: int) -> Column | None:
    """The one column of numbers whose name has the people behind a limit: `users_rated` for "at least 1000 users"."""
    people = clause.word(at) in words.PEOPLE and not clause.says(rf"\bhow many {clause.word(at)}\b")
    named = [c for c in figures(clause.table) if people and stem(clause.word(at)) in name_stems(c.name)]
    if len(named) != 1:
        return None
    clause.used.add(at)
    verb = clause.word(start - 1) == "by" and stem(clause.word(start - 2)) in name_stems(named[0].name)
    clause.mentions = [m for m in clause.mentions if not (verb and m.tokens == (start - 2,))]  # "rated by"
    return named[0]
