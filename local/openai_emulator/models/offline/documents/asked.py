"""The kind of thing that a question asks for, and whether a unit can hold one: a date, a number, a time.

"When was the firm founded?" is not answered by a sentence without a date, however many of its words it has.
"""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.words import words

_NUMBER = (
    r"\d|\b(?:none|zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w{3,6}teen|twenty|thirty|forty|"
    r"fifty|sixty|seventy|eighty|ninety|dozens?|hundreds?|thousands?|millions?|billions?|half|single|both|pair|couple|"
    r"several|twice|double|no|free|unlimited)\b"
)
_DATE = (
    r"\d|\b(?:january|february|march|april|june|july|august|september|october|november|december|century|today|"
    r"yesterday|tomorrow|spring|summer|autumn|winter)\b|\b(?:in|of|since|until|early|late|last) may\b|"
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)day"
)
_TIME = (
    rf"{_NUMBER}|\b(?:bi|semi)?(?:year|month|week|day|daily|night|hour|minute|quarter|annual|seconds\b)|"
    r"\b(?:regular|frequent|occasional|permanent|continu|immediate|instant|prompt|lifetime|lifelong|indefinite)|"
    r"\b(?:once|each|every|until|always|seldom|rarely|never|often|forever|soon)\b"
)

# What a question says, and what an answer then holds; the first that fits counts.
_KINDS = tuple(
    (re.compile(asks, re.IGNORECASE), re.compile(holds, re.IGNORECASE))
    for asks, holds in (
        (r"\bwhen (?:was|were|did)\b|\b(?:what|which) (?:date|year)\b", _DATE),
        (r"\bhow (?:often|long|soon)\b", _TIME),
        (r"\bhow (?:many|old|tall|heavy|high|far)\b|\bhow much (?:is|are|was|were|does|do|did|will|money)\b", _NUMBER),
    )
)


def can_answer(question: str, text: str) -> bool:
    """Whether a text holds the kind of thing that the question asks for, other than what the question says itself."""
    holds = next((holds for asks, holds in _KINDS if asks.search(question)), None)
    said = {*words(question)}
    return holds is None or bool(holds.search(" ".join(word for word in words(text) if word not in said)))
