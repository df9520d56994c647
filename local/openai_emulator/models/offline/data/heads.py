"""Nouns and participles beside a column or a value that add nothing: "gold medals", "miles driven".

What is asked for is in the column or the value. A noun that would make another measure of it ("income tax") is not
accounted for; the others are left out, and the reading says so.
"""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.clause import FIGURES, Clause, is_key
from local.openai_emulator.models.offline.data.entities import fits, is_other_role, some_of_people
from local.openai_emulator.models.offline.data.names import UNIT_STEMS, name_stems
from local.openai_emulator.models.offline.words import stem

# Nouns that make another measure of the one that they stand behind
_MAKING = """
change changes increase increases decrease decreases growth rise fall drop drops tax taxes margin margins target
targets goal goals ratio ratios range ranges gap gaps difference differences cut cuts forecast forecasts budget
budgets limit limits cap caps trend trends loss losses return returns cost costs price prices fee fees discount
discounts refund refunds bonus bonuses variance deviation per percentage percentages share shares rank ranks ranking
change level expectancy density rate rates index capita nominations nominees attempts chances hits misses wins defeats
draws points owners holders
"""
_MAKES_ANOTHER = frozenset(_MAKING.split())
_FIGURES = frozenset(map(stem, ("median", "mean", "average", "avg", "total", "sum", "overall", "minimum", "maximum")))
_IN = frozenset(map(stem, ("in", "dollars", "euros", "rupees", "million", "millions", "usd", "thousands")))
_MOST_OF_TABLE = frozenset(["some", "other", "others", "new", "old", "only", "still", "ever", "more", "less", "fewer"])
_BEHIND = re.compile(r"\b(?:has|have|had|makes?|sells?|offers?) the (?:most |least )?(\w+) (\w+)\b", re.IGNORECASE)
_PARTICIPLE = re.compile(r"\w{2,}(?:ed|wn|ven|tten|ken|sold|run|made|won|spent|paid|read|sent|held)")


def words_beside(clause: Clause) -> None:
    """Leave out a noun behind a column of figures or a value of text, and a participle behind a column of figures."""
    for mention in clause.mentions:
        after = mention.tokens[-1] + 1
        if mention.column.kind != "number" or is_key(mention.column, clause.table) or not _is_plain(clause, after):
            continue
        is_figure = set(name_stems(mention.column.name)) <= _FIGURES
        word = clause.word(after)
        plural = word.endswith("s") and not word.endswith("ss")
        whole = len(mention.tokens) >= len(set(name_stems(mention.column.name)) - UNIT_STEMS - _FIGURES - _IN)
        if not whole:
            continue  # "home wins" are no `home_goals`
        if (plural and not _is_own_measure(clause, after)) or is_figure or _PARTICIPLE.fullmatch(word):
            _leave_out(clause, after)
            if _PARTICIPLE.fullmatch(word) and not clause.hows and clause.says(r"\bby\b|\bmost\b|\bfewest\b"):
                clause.hows = ("sum",)
    for name, at in clause.places:
        column, after = clause.table.column(name), max(at) + 1
        if column is None or column.kind != "text" or not _is_plain(clause, after):
            continue
        word = clause.word(after)
        plural = word.endswith("s") and not word.endswith("ss")
        if plural and _has_more(clause) and fits(word, clause.table) and not _is_some(clause, word):
            _leave_out(clause, after)


def noun_behind_adjective(clause: Clause) -> None:
    """Leave out the noun behind a superlative where a group is asked for: "which club has the youngest squad"."""
    found = _BEHIND.search(clause.text) if clause.which is not None else None
    at = max(clause.within(found)) if found else -1
    if found and found[1].lower() in words.ADJECTIVES and _is_plain(clause, at) and fits(clause.word(at), clause.table):
        _leave_out(clause, at)


def _is_plain(clause: Clause, at: int) -> bool:
    """Whether a word that is not accounted for can be a noun or a participle, with nothing of its own to say."""
    word = clause.word(at)
    if at not in clause.free() or not word.isalpha() or not clause.tokens[at][0].islower():
        return False
    if clause.text[clause.tokens[at - 1].end() : clause.tokens[at].start()].strip():
        return False
    ends_ = words.HIGHEST | words.LOWEST | frozenset(words.ADJECTIVES) | words.NOT | _MOST_OF_TABLE
    figure = any(re.fullmatch(pattern, word) for _, pattern in FIGURES)
    known = ends_ | words.SILENT | words.OPERATIONS | words.VERBS | frozenset(words.NUMBERS) | _MAKES_ANOTHER
    return word not in known and not figure


def _is_own_measure(clause: Clause, at: int) -> bool:
    """Whether a noun could be another column: it begins like a word of its name."""
    own = stem(clause.word(at))
    return any(own[:4] == part[:4] for column in clause.table.columns for part in name_stems(column.name))


def _is_some(clause: Clause, word: str) -> bool:
    """Whether a noun is for some of the rows, or for other ones: "male nurses"."""
    people = word in words.WOMEN | words.MEN | words.OF_AGES | words.ROLES
    return people or some_of_people(word, clause.table) or is_other_role(word, clause.table)


def _has_more(clause: Clause) -> bool:
    """Whether a clause asks for figures or numbers of rows, so that the noun is not what is asked for."""
    return bool(clause.measures(conditioned=False)) or clause.says(r"\bhow many\b|\bshare\b|\bpercent|\bproportion")


def _leave_out(clause: Clause, at: int) -> None:
    clause.used.add(at)
    clause.notes.append(f'"{clause.word(at)}" was not used')
