"""Verbs that only relate the rows to a condition: "discovered" in "planets discovered before 2000"."""

from __future__ import annotations

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.clause import Clause, is_short_year, is_year

REACH = 4  # words between the verb and what it relates the rows to
_BEFORE = """
in by with before after at on from under during since between through using via to for over as which what
"""
_PREPOSITIONS = frozenset(_BEFORE.split())
_ARTICLES = frozenset(["the", "a", "an", "all", "each", "every", "any"])
_TIMES = ("spans", "weekdays", "hours")


def relating_verbs(clause: Clause) -> None:
    """Account for a verb that says how the rows came about, where it stands before a condition, or at the end.

    The reading says that every row is taken as one of which the verb is true. With two columns of times a verb could
    choose one of them, so it is not accounted for.
    """
    for i in clause.free():
        word = clause.word(i)
        if word not in words.RELATING or (_of_time(clause) and _times(clause) > 1):
            continue
        if _is_before_condition(clause, i) or _is_before_most(clause, i) or _is_at_end(clause, i):
            clause.used.add(i)
            clause.notes.append(f"every row taken as {word}")


def _times(clause: Clause) -> int:
    table = clause.table
    years = [c for c in table.of_kind("number") if is_year(c) or is_short_year(c)]
    return len(years) + len(table.of_kind("date"))


def _of_time(clause: Clause) -> bool:
    """Whether a clause is about a time: a period, a span, or a limit of a year."""
    years = {c.name for c in clause.table.of_kind("number") if is_year(c) or is_short_year(c)}
    named = any(m.column.kind == "date" or m.column.name in years for m in clause.mentions)
    return bool(clause.period) or named or any(c.test in _TIMES or c.column in years for c in clause.conditions)


def _is_before_condition(clause: Clause, at: int) -> bool:
    """Whether a preposition and something that is accounted for follow: "found with the transit method"."""
    after = at + 1
    while clause.word(after) in _PREPOSITIONS | _ARTICLES and after <= at + REACH:
        after += 1
    related = any(clause.word(i) in _PREPOSITIONS for i in range(at + 1, after))
    return after in clause.used and (related or (after == at + 1 and bool(clause.period)))


def _is_before_most(clause: Clause, at: int) -> bool:
    """Whether the rows follow as its object: "has found the most planets"."""
    return clause.word(at + 1) == "the" and clause.word(at + 2) in ("most", "fewest") and at + 3 in clause.used


def _is_at_end(clause: Clause, at: int) -> bool:
    """Whether nothing of the sentence follows: "In which year were the most planets discovered?"."""
    rest = clause.text[clause.tokens[at].end() :]
    return not rest.strip(" .?!") or rest.lstrip()[:1] in (",", ";")
