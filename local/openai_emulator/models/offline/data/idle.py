"""Phrases that ask for nothing, and those that cannot be answered whatever the table holds."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.clause import (
    Clause,
    is_key,
)
from local.openai_emulator.models.offline.data.names import name_stems
from local.openai_emulator.models.offline.words import stem

_SIZES = "(?:big|large|high|low|long|far|heavy|tall|old|young|deep|wide|fast|slow|strong|hot|cold|warm|expensive|cheap)"
HOW_IT_IS = rf"\bhow ({_SIZES}) (?:is|are|was|were|did|does) (?:it|they|that|he|she)(?: (?:get|go))?\b(?! \w)"
_GROUPED = """
reviews? rows records entries orders movies films games matches ratings? listings sales transactions observations cars
employees players students products songs books shows courses flights trips respondents people customers
"""
_OF_ANOTHER = rf"['’]s (?:{'|'.join(sorted(words.OTHER_PERSONS))})(?:['’]s|s['’])"
_LEAST = re.compile(
    r"\b(?:with|having|that have|that has|who have) (at least|more than|over) (\d{1,4})"
    rf" ({'|'.join(_GROUPED.split())})\b",
    re.IGNORECASE,
)
MOST_LANDS = 20  # countries of a table that is not about the world
_TOOK_PART = (
    r"\b(?:answered|completed|took|filled (?:in|out)|responded to|replied to|(?:participated|took part) in)"
    r" (?:the|this|our) (?:whole )?(?:survey|questionnaire|poll|study|form)\b"
)
_TERMS = frozenset(map(stem, ["available", "until", "expiry", "expires", "discharge", "due", "checkout", "valid"]))


def idle_phrases(clause: Clause) -> None:
    """Account for phrases that ask for nothing."""
    clause.claim_all(r"\bN/A\b|(?<=\bmost )(?:common|frequent)\b")
    if clause.says(r"\bno\b.{1,40}\bat all\b"):
        clause.claim_all(r"\bat all\b")
    clause.claim_all(r"\bshows? up\b(?=(?: the)? most)")
    clause.claim_all(r"\b(?:do|does|did) (?:this|it|the \w+) (?:cover|contain|include|have|span|list)\b")
    clause.claim_all(r"\b(?:do|does|did) (?:it|this|that|they) (?:happen|occur)\b|\bper (?:entry|row|record)\b")
    clause.claim_all(rf"\b(?:{'|'.join((*words.HIGHEST, *words.LOWEST))}) (single)\b|\bhow many times\b")
    for match in re.finditer(rf"\b(?:{'|'.join(words.ADJECTIVES)}) (reading)\b", clause.text, re.IGNORECASE):
        clause.claim(match.start(1), match.end(1))
    clause.claim_all(r"\bperfect (?=\d)|\bacross (?=all\b)|\bin (?:a|one) single (?=day|week|month|year|game|match)")
    clause.claim_all(rf"\bsingle (?=(?:{'|'.join((*words.HIGHEST, *words.LOWEST))})\b)")
    clause.claim_all(r"^\W*(?:(?:i'm|i am|we're|we are) looking for|(?:i|we) (?:want|need)) (?:something|one)\b")
    if not any(stem("rated") in name_stems(c.name) for c in clause.table.of_kind("number")):  # else it names a column
        for match in re.finditer(r"\b(?:best|highest|top|worst|lowest) (rated)\b", clause.text, re.IGNORECASE):
            clause.claim(match.start(1), match.end(1))
    clause.claim_all(r"\bended (?=in an?\b)|\bamount (?=asked)")
    found = _LEAST.search(clause.text)
    numbers = [c for c in clause.table.of_kind("number") if not is_key(c, clause.table)]
    if found and not any(stem(found[3]) in name_stems(c.name) for c in numbers):
        clause.least = int(found[2]) + (found[1].lower() != "at least")
        clause.claim(found.start(), found.end())
    if clause.says(rf"\bwith (?:at most|fewer than|less than|up to) \d+ (?:{'|'.join(_GROUPED.split())})\b"):
        clause.ambiguous.append("Groups with at most so many rows are not told apart.")
    if clause.says(r"\bthan (?:their|his|her|its) (?:own )?(?:manager|boss|supervisor|team|group|department|peers)\b"):
        clause.ambiguous.append("A row is not compared with another one that it names.")
    if clause.says(rf"\bof the (?:{'|'.join(sorted(words.OTHER_PERSONS))}) of\b") or clause.says(_OF_ANOTHER):
        clause.ambiguous.append("What another row tells of a person that a row names is not looked up.")
    dated = any(_TERMS & set(name_stems(c.name)) for c in clause.table.of_kind("date"))
    if dated and clause.says(r"\b(?:now|currently|today|at the moment)\b"):
        clause.ambiguous.append("It is not known which day is meant by now.")
    if clause.claim_all(_TOOK_PART):
        clause.of_all = True
    clause.claim_all(r"\b(?:are|is) (?:up |listed )?for (?:sale|rent)\b|\bfor sale\b(?=\W*$)|\bon the market\b")
    clause.claim_all(
        r"\bin (?:an?|one) (?:single )?(?:session|sitting|go|trip|visit|shift|match|game)\b(?=\W*$|,| and)"
    )
    clause.claim_all(r"(?<=\w )go(?:es)?(?=\W*$)" if clause.says(r"^\W*where\b") else r"$^")
    clause.claim_all(r"\b(?:happens?|happened|occurs?|occurred|appears?|appeared)\b(?= (?:the )?(?:most|least))")
    clause.claim_all(r"\bfalls? (?:under|into)\b(?! \d)")
    clause.claim_all(r"\b(?:left|gave)\b(?= no\b)|\bruns? on\b")
    clause.claim_all(r"\bwhat(?:'s| is| are| was| were) (?:it|they|he|she) called\b(?=\W*$)")
    clause.claim_all(r"\bend(?:ed|s)? up(?: with| having)?\b")
    clause.claim_all(rf"\bhow {_SIZES}(?: away)? (?=(?:is|are|was|were) the (?:most \w+|\w+est)\b)")
    lands = [c for c in clause.table.of_kind("text") if {"countri", "nation"} & set(name_stems(c.name))]
    if len(lands) == 1 and lands[0].unique > MOST_LANDS:
        said = r"\b(?:worldwide|(?:in|around|across|of) the (?:whole |entire )?world|globally)\b(?!'s)"
        clause.of_all = clause.claim_all(said) or clause.of_all
    clause.claim_all(r"^\W*(?:count|list|name|rank)\b(?=\s+(?:the|all|every|how)\b)")  # verbs, not columns
