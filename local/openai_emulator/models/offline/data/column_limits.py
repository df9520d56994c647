"""Columns of numbers that a clause compares with each other: `A was ahead of B`."""

from __future__ import annotations

import re
from itertools import pairwise

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import (
    Clause,
)
from local.openai_emulator.models.offline.data.names import label

_MORE = frozenset(["more", "higher", "larger", "greater", "bigger"])
_LESS = frozenset(["fewer", "less", "lower", "smaller"])
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
        if found and one.column is not other.column:
            sign = ">" if found["more"] else "<" if found["less"] else "="
            clause.claim(start, end)
            clause.mentions = [mention for mention in clause.mentions if mention not in (one, other)]
            text = f"{label(one.column.name)} {sign} {label(other.column.name)}"
            clause.conditions.append(
                Condition(column=one.column.name, test=f"{sign} column", value=other.column.name, words=text)
            )
