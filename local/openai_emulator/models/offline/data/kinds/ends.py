"""What a superlative is about: one row or its group, a year, persons, cells beside it; and when that is not clear."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Refusal
from local.openai_emulator.models.offline.data.clause import Clause, Mention, is_key, is_part_of_date, is_year
from local.openai_emulator.models.offline.data.names import name_stems
from local.openai_emulator.models.offline.data.table import Column
from local.openai_emulator.models.offline.words import stem

_OF_A_THING = r"\W*(?:what|how much) (?:did|does|do|was|is) the (smallest|largest|biggest)\b"
_SIZE_AND = r"\b(largest|smallest|biggest)\b[^.?\n]{0,60}?(?:\band|,) (?:what|how|which)\b"
BUSY = r"\b(?:busiest|quietest)\b"
_NUMBER_OF = r"\bby (?:the )?(?:total )?(?:number|count) of (?:the )?$"
_OF_PERSONS = "customer client employee agent player person student user buyer seller author artist driver salesperson"
_PERSONS = frozenset(map(stem, _OF_PERSONS.split()))
_AND_ITS = r"(?:\band|,) (?:who|what|where|in which|by whom|(?:tell me |give me )?(?:their|its|his|her))\b[^,]{0,25}$"
ROWS = frozenset(["rows", "records", "cases", "entries", "items", "things"])


def has_two_ends(clause: Clause) -> bool:
    """Whether the ends of two columns are joined: "the largest screen and the highest price"."""
    ends_ = words.HIGHEST | words.LOWEST | set(words.ADJECTIVES)
    joined = re.search(r"\b(\w+) (?:\w+ )?and (?:the )?(?:most |least )?(\w+)\b", clause.text, re.IGNORECASE)
    said = {joined[1].lower(), joined[2].lower()} if joined else set()
    return len(said) == len(ends_ & said) and len(said) > 1


def numbers_what_is_most(clause: Clause, mention: Mention) -> bool:
    """Whether a column only numbers what there is most of: `match` in "who won the most matches"."""
    most = clause.word(mention.tokens[0] - 1) in ("most", "fewest")
    return most and is_key(mention.column, clause.table) and clause.word(mention.tokens[-1]).endswith("s")


def is_of_one(clause: Clause) -> bool:
    """Whether a superlative is of one thing: "the cheapest laptop", and not "the cheapest laptops"."""
    found = re.search(rf"\bthe (?:most |least )?(?:{'|'.join(words.ADJECTIVES)}) (\w+)\b", clause.text, re.IGNORECASE)
    return (
        found is not None
        and not found[1].endswith("s")
        and clause.says(r"\b(?:makes?|made|sells?|sold|has|had|offers?)\b")
    )


def persons(clause: Clause) -> list[Column]:
    """The one column of persons of whom each has several rows, for "who spent the most"."""
    texts = [c for c in clause.table.of_kind("text") if not clause.entity(c) and _PERSONS & set(name_stems(c.name))]
    return texts if len(texts) == 1 and clause.says(r"^\W*who\b") else []


def is_busiest_year(clause: Clause) -> bool:
    """Whether the year or month with the most rows is asked for: "which year has the most cars"."""
    most = clause.says(r"\b(?:most|fewest)\b") and most_rows(clause)
    which = clause.which
    return bool(
        which
        and (is_year(which) or is_part_of_date(which))
        and most
        and set(clause.measures(conditioned=False)) <= {which}
    )


def unclear_end(clause: Clause) -> Refusal | None:
    """A refusal of "the dearest one" without a price, and of "What did the smallest house cost?"."""
    if clause.says(r"\b(?:longest|shortest)[- ]serving\b|\bbeen (?:here|with|at|in)\b.*\b(?:longest|shortest)\b"):
        return Refusal(reason="How long somebody has been there is not computed.")
    unresolved = [clause.word(i) for i in range(len(clause.tokens)) if clause.word(i) in words.ADJECTIVES]
    if unresolved and not clause.says(BUSY):
        return Refusal(reason=f'It is not clear which column "{unresolved[0]}" means.')
    size = re.search(_SIZE_AND, clause.text, re.IGNORECASE)
    starts = [m.tokens[0] for m in clause.mentions if m.column.kind == "number" and m.tokens[0] < len(clause.tokens)]
    if size and starts and clause.tokens[min(starts)].start() > size.end() and not clause.by_numbers:
        return Refusal(reason=f'It is not clear of what "{size[1]}" is meant.')
    found = re.match(_OF_A_THING, clause.text, re.IGNORECASE)
    after = max(clause.within(found)) + 1 if found else -1
    if not found or any(after in m.tokens for m in clause.mentions if m.column.kind == "number"):
        return None
    return Refusal(reason=f'It is not clear of what "{found[1]}" is meant.')


def is_number_of(clause: Clause, column: Column) -> bool:
    """Whether a column is what is counted: "the top 3 folders by number of articles"."""
    starts = [clause.tokens[m.tokens[0]].start() for m in clause.mentions if m.column is column]
    return bool(starts) and all(re.search(_NUMBER_OF, clause.text[:start], re.IGNORECASE) for start in starts)


def most_rows(clause: Clause) -> bool:
    """Whether a noun for the rows stands after "most": "In which month were the most polls?"."""
    named = {i for m in clause.mentions if m.column.kind != "date" for i in m.tokens}
    named |= {i for _, at in clause.places for i in at}
    nouns = [i + 1 for i in range(len(clause.tokens)) if clause.word(i) in ("most", "fewest", "least")]
    return any(
        clause.word(i) in ROWS or (i in clause.used - named and clause.word(i) not in words.ADJECTIVES) for i in nouns
    )


def told_beside(clause: Clause) -> list[Column]:
    """The columns of "the two smallest ones with their names", "and what species is it?": shown, and no groups."""
    return [
        m.column
        for m in clause.mentions
        if (clause.word(m.tokens[0] - 2) == "with" and clause.word(m.tokens[0] - 1) in ("their", "there", "the", "its"))
        or (clause.word(m.tokens[0] - 1) in ("what", "which") and clause.word(m.tokens[-1] + 2) == "it")
        or (
            m.tokens[0] < len(clause.tokens)
            and re.search(_AND_ITS, clause.text[: clause.tokens[m.tokens[0]].start()], re.IGNORECASE)
        )
    ]
