"""What a clause groups by: the columns after "by", "per" and "for each", and the one after "which"."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.clause import Clause
from local.openai_emulator.models.offline.data.columns import SHARES
from local.openai_emulator.models.offline.data.conditions import days_apart
from local.openai_emulator.models.offline.data.names import name_stems
from local.openai_emulator.models.offline.data.table import Column

_BY = re.compile(
    r"\b(?:by|per|a(?= month| week| day| year)|for each|for every|of each|of every|in each|in every"
    r"|across|among|each|every)\s+",
    re.I,
)
_OF_ALL = re.compile(r"\b(?:across|over|among|in|of) all (?:of )?(?:the )?", re.IGNORECASE)
_WHICH = re.compile(r"\b(?:which|what|whose)\s+(?:of (?:the|those|these)\s+)?", re.IGNORECASE)
_RANGES = frozenset(["group", "groups", "range", "ranges", "bracket", "band"])
MOST_GROUPS = 8  # numbers that stand for groups


def groups(clause: Clause) -> None:
    """The columns after "by", "per", "for each", and the one after "which"."""
    starts = {mention.tokens[0]: mention.column for mention in clause.mentions}

    def column_at(position: int) -> tuple[int, Column] | None:
        place = next((i for i, token in enumerate(clause.tokens) if token.start() >= position), len(clause.tokens))
        for i in range(place, min(place + 3, len(clause.tokens))):
            if i in starts:
                return i, starts[i]
            if clause.word(i) in words.CLASSES | words.MEASURES and clause.word(i + 1) == "of":  # "each level of"
                if clause.word(i) in SHARES:
                    break  # "what percentage of the bars"
                continue
            if clause.word(i) not in words.SILENT and clause.word(i) not in words.ORDINALS:
                break
        return None

    for match in _OF_ALL.finditer(clause.text):
        if (found := column_at(match.end())) and found[1].kind == "text":  # all rows, and no groups
            clause.claim(match.start(), match.end())
            clause.mentions = [mention for mention in clause.mentions if mention.tokens[0] != found[0]]
            del starts[found[0]]
    for match in _BY.finditer(clause.text):
        found = column_at(match.end())
        if found and match[0].lower().startswith(("among", "across")) and clause.entity(found[1]):
            clause.claim(match.start(), match.end())  # "among the customers": all rows
            clause.mentions = [mention for mention in clause.mentions if mention.tokens[0] != found[0]]
            continue
        while found:
            clause.claim(match.start(), match.end())
            if clause.word(found[0])[:1].isdigit() and found[1].kind == "number":
                break  # "per 100g": the unit of `100g_USD`
            if found[1].kind == "number" and found[1] not in clause.by_numbers:
                clause.by_numbers.append(found[1])
                if clause.word(found[0] + 1) in _RANGES and not _is_sparse(found[1]):
                    clause.ambiguous.append(f"The groups of `{found[1].name}` are not given.")
            elif found[1].kind == "text" and found[1] not in clause.by:
                clause.by.append(found[1])
            elif found[1].kind == "date" and not clause.period:
                clause.period = _said_period(clause, found[0]) or _period(found[1])
            end = clause.tokens[found[0]].end()
            more = re.match(r"\w*\s*(?:,|and|,\s*and)\s+", clause.text[end:])
            found = column_at(end + more.end()) if more else None
    for match in _WHICH.finditer(clause.text):
        if (found := column_at(match.end())) and not clause.which:
            clause.which = found[1]


def _is_sparse(column: Column) -> bool:
    """Whether a column has a few numbers with others between them, which stand for groups: 7, 13, 16 and 18."""
    low, high = column.usual
    return column.whole and column.unique <= MOST_GROUPS and 2 * column.unique <= high - low


def _said_period(clause: Clause, at: int) -> str:
    """The period that stands in or behind the name of a column of dates: "per launch year"."""
    return next((word for i in (at, at + 1) if (word := clause.word(i)) in ("month", "quarter", "year", "week")), "")


def _period(column: Column) -> str:
    """The period of a date column after "by": what its name says, else the steps of its dates."""
    named = next((p for p in ("month", "quarter", "year", "week") if p in name_stems(column.name)), "")
    apart = days_apart(column)
    return named or ("year" if apart > 350 else "month" if apart > 26 else "day")
