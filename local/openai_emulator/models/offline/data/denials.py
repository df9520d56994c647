"""What a negation in a clause denies: "not returned in Graz" is in Graz, "not in Graz" is not.

A negation belongs to the word that follows it. What stands between them may only be words without a meaning of their
own, or the column of the denied value; everything else ends its scope, and the negation is not accounted for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import Clause, Mention, is_key, is_year
from local.openai_emulator.models.offline.data.names import label
from local.openai_emulator.models.offline.data.table import Column

REACH = 3  # words between a negation and what it denies
_GIVE = "give|have|report|state|answer|provide|record|tell|know"
_ENTRY = "(?:figures?|values?|entry|entries|numbers?|data|information) (?:for|of|on|about|in)"
_GAP = re.compile(
    rf"\b(?:no|without(?: an?| any)?|without a single"
    rf"|(?:not|never|\w+n't) (?:{_GIVE}|had|win|won|get|got|earn|score)(?: an?| any)?(?: single)?)\s+(?:{_ENTRY}\s+)?"
    r"(?:(?:the|their|his|her|its)\s+)?$",
    re.IGNORECASE,
)
_IS_GAP = re.compile(
    r"\s+(?:(?:(?:is|was|are|were|has|have) )?(?:not|never)|(?:isn't|wasn't|aren't|weren't)) (?:been )?"
    r"(?:recorded|known|given|stated|available|reported|filled in)\b|\s+(?:is|was|are|were) unknown\b",
    re.IGNORECASE,
)
_OWNS = re.compile(
    r"\b(?:with|have|has|had|having|gets?|got|receive[ds]?|(?:paid|given)(?= an?))\s+"
    r"(?:an?|any|at least one|some)\s+$|(?<=how many )[\w-]+ (?:have|has|had)\s+$",
    re.IGNORECASE,
)
_JOINS = re.compile(r"\W*+(?:or|nor|and)\W*+", re.IGNORECASE)
_VERBS = "be been come comes coming belong belongs belonging done made located based than"
_LIGHT = frozenset(_VERBS.split())  # between a negation and a preposition
_PREPOSITIONS = frozenset(["in", "at", "on", "for", "from", "by", "with", "to", "of"])


def denial(clause: Clause, at: int, column: Column) -> tuple[int, ...]:
    """The tokens of the negation that denies the value at a token; none if nothing denies it."""
    own = {token for mention in clause.mentions if mention.column.name == column.name for token in mention.tokens}
    for i in range(at - 1, max(at - 2 - REACH, -1), -1):
        word = clause.word(i)
        if word == "than" and clause.word(i - 1) == "other":
            return (i - 1, i)
        if word in words.NOT:
            return (i - 1, i) if clause.word(i - 1) == "but" else (i,)
        joined = word in _PREPOSITIONS and clause.word(i - 1) not in words.NOT | _LIGHT
        if joined or (word not in words.SILENT and i not in own):
            return ()
    return ()


def denied(clause: Clause, hits: Sequence[tuple[str, tuple[int, ...]]], column: Column) -> dict[str, tuple[int, ...]]:
    """Of the values that a clause names, those that are denied, with the tokens of the negations.

    What is joined to a denied value with "or", "nor" or "and" is denied, too: "not in Graz or Linz".
    """
    found: dict[str, tuple[int, ...]] = {}
    before: tuple[str, tuple[int, ...]] | None = None
    for value, places in sorted(hits, key=lambda hit: hit[1]):
        if tokens := denial(clause, min(places), column):
            found[value] = tokens
        elif before and before[0] in found:
            between = clause.text[clause.tokens[max(before[1])].end() : clause.tokens[min(places)].start()]
            if _JOINS.fullmatch(between) or between.strip() == ",":
                found[value] = ()
        before = (value, places)
    return found


def gaps_in(clause: Clause) -> None:
    """`no comment`: the rows in which a column with gaps is empty. `with a garage`: a count of at least one."""
    counted = clause.says(r"\bhow many\b|\bnumber of\b|\bcount\b|\bshare\b|\bpercent|\bproportion\b")
    for mention in list(clause.mentions):
        limited = any(condition.column == mention.column.name for condition in clause.conditions)
        if limited or min(mention.tokens) >= len(clause.tokens):  # "have a price above 50"
            continue
        column, start = mention.column, clause.tokens[min(mention.tokens)].start()
        unknown = _IS_GAP.match(clause.text, clause.tokens[max(mention.tokens)].end())
        if unknown and column.missing:
            clause.claim(unknown.start(), unknown.end())
            _add(clause, mention, start, "missing", None, f"no {label(column.name)}")
            continue
        if gap := _GAP.search(clause.text[:start]):
            if "None" in column.values and not column.missing:
                _add(clause, mention, gap.start(), "==", "None", f"no {label(column.name)} (None)")
            elif "None" in column.values:
                clause.ambiguous.append(f'"no {label(column.name)}" could be None or an empty cell.')
            elif column.missing and column.kind == "number" and column.low in ("0", "0.0"):
                clause.ambiguous.append(f'"no {label(column.name)}" could be 0 or an empty cell.')
            elif column.missing:
                _add(clause, mention, gap.start(), "missing", None, f"no {label(column.name)}")
            elif _is_count(column, clause) or (column.kind == "number" and column.low in ("0", "0.0")):
                _add(clause, mention, gap.start(), "==", 0.0, f"`{column.name}` = 0")
            elif counted and column.kind == "number":  # no cell is empty, and none is 0
                _add(clause, mention, gap.start(), "missing", None, f"no {label(column.name)}")
        elif (owns := _OWNS.search(clause.text[:start])) and _is_count(column, clause):
            measured = [c for c in clause.measures(conditioned=False) if c.name != column.name]
            if measured or counted:
                _add(clause, mention, owns.start(), ">", 0.0, f"`{column.name}` more than 0")


def _is_count(column: Column, clause: Clause) -> bool:
    return column.kind == "number" and column.whole and not is_year(column) and not is_key(column, clause.table)


def _add(clause: Clause, mention: Mention, start: int, test: str, value: object, text: str) -> None:
    clause.claim(start, clause.tokens[min(mention.tokens)].start())
    if clause.word(max(mention.tokens) + 1) in words.MEASURES | words.CLASSES:  # "no reliability rating"
        clause.used.add(max(mention.tokens) + 1)
    clause.mentions.remove(mention)
    clause.conditions.append(Condition(column=mention.column.name, test=test, value=value, words=text))


def alternatives(clause: Clause, places: Iterable[tuple[str, tuple[int, ...]]]) -> None:
    """Refuse "paid or returned" of two columns: the conditions of a question all have to hold."""
    ordered = sorted(places, key=lambda place: place[1])
    for (column, tokens), (other, others) in pairwise(ordered):
        between = [clause.word(i) for i in range(max(tokens) + 1, min(others)) if not _joins_columns(clause, i)]
        if column != other and "or" in between:
            told = f'Rows that meet one of two conditions ("or": {column}, {other}) are not computed.'
            clause.ambiguous += [told] if told not in clause.ambiguous else []


def _joins_columns(clause: Clause, at: int) -> bool:
    """Whether a word stands between two columns: "or" in "from fossil fuels or from renewables"."""
    named = {i for mention in clause.mentions for i in mention.tokens}
    return at - 1 in named and bool({at + 1, at + 2} & named)
