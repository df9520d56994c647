"""Verbs that only relate the rows to a condition: "discovered" in "planets discovered before 2000"."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.clause import Clause, is_short_year, is_year
from local.openai_emulator.models.offline.data.columns import is_way_of_paying
from local.openai_emulator.models.offline.data.names import name_stems, plain_words
from local.openai_emulator.models.offline.data.verbs import ACTING
from local.openai_emulator.models.offline.words import stem

_STARTS = frozenset(map(stem, ("start", "begin", "hire", "hired", "join", "open", "opened", "from", "appointed")))
_BUYING = frozenset(["buy", "purchase"])  # at the end: "How many units did Bob buy?"
_BOUGHT = frozenset(
    ["sold", "purchased", "bought", "given", "awarded", "handed"]
)  # "how many were sold" can ask for a quantity
_GETS = "lasts lasted score scores scored win wins won earn earns earned collect collected get got"
_LENGTHS = frozenset(["duration", "length", "time", "days", "hours", "minutes", "seconds", "weeks"])
_GETTING = frozenset(_GETS.split())
MOST_BEFORE_MEASURE = 4  # words of "how many gold medals"
REACH = 4  # words between the verb and what it relates the rows to
_BEFORE = """
in by with before after at on from under during since between through using via to for over as which what
"""
_PREPOSITIONS = frozenset(_BEFORE.split())
_ARTICLES = frozenset(["the", "a", "an", "all", "each", "every", "any"])
_TIMES = ("spans", "weekdays", "hours")
_BETWEEN = (
    _PREPOSITIONS
    | _ARTICLES
    | frozenset(["both", "more", "less", "fewer", "than", "least", "most", "about", "up", "out", "only", "themselves"])
)
# After these, a word that could be a verb is a noun: "the most votes for Trump".
_BEFORE_NOUNS = _ARTICLES | frozenset(
    [
        "many",
        "much",
        "most",
        "fewest",
        "least",
        "of",
        "no",
        "per",
        "their",
        "its",
        "his",
        "her",
        "our",
        "average",
        "total",
    ]
)


def relating_verbs(clause: Clause) -> None:
    """Account for a verb that says how the rows came about, where it stands before a condition, or at the end.

    The reading says that every row is taken as one of which the verb is true. With two columns of times a verb could
    choose one of them, so it is not accounted for.
    """
    dates = clause.table.of_kind("date")
    for i in clause.free():
        word = clause.word(i)
        begins = word in words.BEGINNING and bool(dates) and bool(_STARTS & set(name_stems(dates[0].name)))
        if not begins and (word not in words.RELATING or (_of_time(clause) and _times(clause) > 1)):
            continue
        if (
            _is_before_condition(clause, i)
            or _is_before_most(clause, i)
            or ((word not in _BOUGHT or _is_given(clause, i)) and _is_at_end(clause, i))
        ):
            clause.used.add(i)
            clause.notes.append(f"every row taken as {word}")


def _is_given(clause: Clause, at: int) -> bool:
    """Whether a column that is named has what was given: "how many medals were awarded"."""
    return clause.word(at) in ("awarded", "given", "handed") and bool(clause.measures(conditioned=False))


def acting_verbs(clause: Clause) -> None:
    """Leave out a verb whose object is accounted for, "chose rail", "weigh less than 2"; the reading says so."""
    for i in clause.free():
        if clause.word(i) in _GETTING | {"pay", "pays", "paid"} and _is_of_measure(clause, i):
            clause.used.add(i)
            continue
        gap = clause.word(i) in ("leave", "left") and _is_before_gap(clause, i)
        pays = clause.word(i) in ("pay", "pays", "paid")
        if gap or (pays and (_has_object(clause, i) or is_way_of_paying(clause, i))):
            clause.used.add(i)
            continue
        if clause.word(i) not in ACTING | _BUYING or clause.word(i - 1) in _BEFORE_NOUNS or not i:
            continue
        if clause.word(i) in words.NAMING and any(i + 1 == min(at) for _, at in clause.places):
            continue  # a value that is no name
        if not clause.mentions and clause.says(r"^\W*(?:who|whom|where|when|what (?:did|does|do|is|was))\b"):
            continue  # in "who directed Frozen" the verb says what is asked for
        asked = clause.says(r"\b(?:do|does|did)\b") and _is_at_end(clause, i)
        by_people = clause.word(i - 1) in words.PEOPLE and i - 1 in clause.used and bool(clause.mentions)
        if by_people and _is_at_end(clause, i):  # "the average rating that customers gave"
            clause.used.add(i)
            clause.notes.append(f'"{clause.word(i)}" was not used')
            continue
        timed = clause.word(i + 1) in ("in", "on") and _is_time(clause, i + 2) and _times(clause) == 1
        asked = asked or (timed and clause.says(r"\b(?:do|does|did)\b"))
        if asked and any(i - 1 in places for _, places in clause.places):  # "In how many films does Ann Lee play?"
            clause.used.add(i)
            clause.notes.append(f'"{clause.word(i)}" was not used')
            continue
        if clause.word(i) in _BUYING:
            continue
        if clause.word(i + 1) == "the" and clause.word(i + 2) in words.ADJECTIVES:  # "which dish takes the longest"
            clause.used.add(i)
            continue
        after = i + 1
        while clause.word(after) in _BETWEEN and after <= i + REACH:
            after += 1
        if after in clause.used and not _is_time(clause, after):
            clause.used.add(i)
            clause.notes.append(f'"{clause.word(i)}" was not used')


def _has_object(clause: Clause, at: int) -> bool:
    """Whether what is paid is named: "pay no dividend", "paid the fee"."""
    after = at + 1
    while clause.word(after) in words.NOT | _ARTICLES | {"most", "more"}:
        after += 1
    named = {i for mention in clause.mentions for i in mention.tokens} | {i for _, on in clause.places for i in on}
    return after > at + 1 and (after in named or (after in clause.used and _is_before_gap(clause, at)))


def _is_before_gap(clause: Clause, at: int) -> bool:
    """Whether what is not there follows: "pay no dividend"."""
    gaps = {c.column for c in clause.conditions if c.test in ("missing", "filled") or c.value == 0}
    return bool(gaps) and (clause.word(at + 1) in words.NOT | _ARTICLES) and at + 2 in clause.used


def _is_of_measure(clause: Clause, at: int) -> bool:
    """Whether the object of a verb is a column of figures: "won more than 20 gold medals"; or it is what is counted."""
    lasting = clause.word(at) in ("lasts", "lasted")
    scored = clause.word(at) in ("score", "scores", "scored")  # "scored the most runs" is no `win_by_runs`
    measures = {
        i
        for m in clause.mentions
        if m.column.kind == "number"
        and (not scored or len(m.tokens) == len(name_stems(m.column.name)))
        and (not lasting or _LENGTHS & set(plain_words(m.column.name)))
        for i in m.tokens
    }
    measures |= {
        i for name, places in clause.places if (c := clause.table.column(name)) and c.kind == "number" for i in places
    }
    counted = re.match(r"\W*how (?:many|much) ", clause.text, re.IGNORECASE) and _is_at_end(clause, at)
    first = min(measures, default=-1)
    after = at + 1
    while clause.word(after) in _BETWEEN | {"a", "single", "than", "or"} or clause.word(after)[:1].isdigit():
        after += 1
    return after in measures or bool(
        counted and 2 <= first <= MOST_BEFORE_MEASURE and clause.says(r"\bdid\b|\bdoes\b|\bdo\b")
    )


def _is_time(clause: Clause, at: int) -> bool:
    """Whether a word belongs to a condition on a time: what "delivered in March" says is when, and of what."""
    columns = {c.name for c in clause.table.columns if c.kind == "date" or is_year(c) or is_short_year(c)}
    return any(at in places and name in columns for name, places in clause.places)


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
    while clause.word(after) in _PREPOSITIONS | _ARTICLES | {"something", "things", "out"} and after <= at + REACH:
        after += 1
    related = any(clause.word(i) in _PREPOSITIONS for i in range(at + 1, after))
    return after in clause.used and (related or (after == at + 1 and bool(clause.period)))


def _is_before_most(clause: Clause, at: int) -> bool:
    """Whether the rows follow as its object: "has found the most planets"."""
    return clause.word(at + 1) == "the" and clause.word(at + 2) in ("most", "fewest") and at + 3 in clause.used


def _is_at_end(clause: Clause, at: int) -> bool:
    """Whether nothing of the sentence follows: "In which year were the most planets discovered?"."""
    rest = clause.text[clause.tokens[at].end() :]
    after = range(at + 1, len(clause.tokens))
    whole = clause.of_all and all(i in clause.used or clause.word(i) in words.SILENT for i in after)
    rest = re.sub(r"^ (?:in total|in all|overall|altogether)\b", "", rest)
    return whole or not rest.strip(" .?!") or rest.lstrip()[:1] in (",", ";")
