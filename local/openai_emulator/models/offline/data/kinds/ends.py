"""What a superlative is about: one row or its group, a year, persons, cells beside it; and when that is not clear."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Refusal
from local.openai_emulator.models.offline.data.clause import (
    LABELS_SHARE,
    Clause,
    Mention,
    figures,
    is_key,
    is_part_of_date,
    is_year,
)
from local.openai_emulator.models.offline.data.entities import NAMELESS, of_people
from local.openai_emulator.models.offline.data.kinds.completing import MOST_NUMBERS, additive, adjective
from local.openai_emulator.models.offline.data.names import name_stems, plain_words
from local.openai_emulator.models.offline.data.table import Column
from local.openai_emulator.models.offline.words import joined, stem

_OF_A_THING = r"\W*(?:what|how much) (?:did|does|do|was|is) the (smallest|largest|biggest)\b"
_SIZE_AND = r"\b(largest|smallest|biggest)\b[^.?\n]{0,60}?(?:\band|,) (?:what|how|which)\b"
BUSY = r"\b(?:busiest|quietest)\b"
_NUMBER_OF = r"\bby (?:the )?(?:total )?(?:number|count) of (?:the )?$"
_OF_PERSONS = "customer client employee agent player person student user buyer seller author artist driver salesperson"
_PERSONS = frozenset(map(stem, _OF_PERSONS.split()))
_AND_ITS = r"(?:\band|,) (?:who|what|where|in which|by whom|(?:tell me |give me )?(?:their|its|his|her))\b[^,]{0,25}$"
ROWS = frozenset(["rows", "records", "cases", "entries", "items", "things"])
_GOOD = (
    "availability score revenue sales profit rating points happiness yield output accuracy wins income grade efficiency"
)
_BAD = """
time error errors failures latency response duration price cost fare fee deaths accidents crime crimes murder
loss losses delay delays defects complaints unemployment pollution inflation debt poverty violations penalties
bounces downtime injuries infections incidents misses faults murders arrests waiting wait usage
"""
_GOOD_HIGH, _BAD_HIGH = frozenset(_GOOD.split()), frozenset(_BAD.split())
_NO_TOP = (words.HIGHEST | words.LOWEST | set(words.ADJECTIVES)) - {"top", "bottom"}
_MORE_THAN_TOP = rf"\b(?:{'|'.join(sorted(_NO_TOP))})\b"
_ROWS_COUNTED = words.ROW_NOUNS | words.PEOPLE | words.ROLES | ROWS | {"shows"}
_BY_COUNT = re.compile(
    r"\bby (?:the )?(?P<number>(?:total )?(?:number|count) of )?(?P<more>(?:[\w-]+ ){0,2})"
    r"(?:[a-z]+s|people|men|women|children)\b",
    re.IGNORECASE,
)


def has_two_ends(clause: Clause) -> bool:
    """Whether the ends of two columns are joined: "the largest screen and the highest price"."""
    ends_ = words.HIGHEST | words.LOWEST | set(words.ADJECTIVES)
    both = re.search(r"\b(\w+) (?:\w+ )?and (?:the )?(?:most |least )?(\w+)\b", clause.text, re.IGNORECASE)
    said = {both[1].lower(), both[2].lower()} if both else set()
    return len(said) == len(ends_ & said) and len(said) > 1


def numbers_what_is_most(clause: Clause, mention: Mention) -> bool:
    """Whether a column only numbers what there is most of: `match` in "who won the most matches"."""
    if not is_key(mention.column, clause.table) or is_year(mention.column):
        return False
    texts = {i for name, at in clause.places if (c := clause.table.column(name)) and c.kind == "text" for i in at}
    of_values = any(clause.word(i - 1) in ("most", "fewest") for i in texts)
    is_group = mention.column is clause.which and mention.column.unique <= LABELS_SHARE * clause.table.rows
    if is_group and (of_values or most_rows(clause)):
        return True  # "which zip code has the most beagles"
    most = clause.word(mention.tokens[0] - 1) in ("most", "fewest")
    return most and clause.word(mention.tokens[-1]).endswith("s")


def is_most(clause: Clause, at: int) -> bool:
    """Whether a word says of what there is most: "the most products", "the most of these products"."""
    back = at - 1 - (clause.word(at - 1) in ("these", "those", "the", "our"))
    back -= clause.word(back) == "of"
    return clause.word(back) in ("most", "fewest")


def is_of_one(clause: Clause) -> bool:
    """Whether a superlative is of one thing: "the cheapest laptop", and not "the cheapest laptops"."""
    found = re.search(rf"\bthe (?:most |least )?(?:{'|'.join(words.ADJECTIVES)}) (\w+)\b", clause.text, re.IGNORECASE)
    return (
        found is not None
        and not found[1].endswith("s")
        and clause.says(r"\b(?:makes?|made|sells?|sold|has|had|offers?)\b")
    )


def is_of_many(clause: Clause) -> bool:
    """Whether a superlative is of a group, without its total or average being said: "the most valuable squad"."""
    said = rf"\bthe (?:most |least )?(?:{'|'.join(words.ADJECTIVES)}) (?:squad|team|staff|fleet|menu|collection|crew)\b"
    return clause.says(said) and not clause.hows


def who_of_one(clause: Clause) -> bool:
    """Whether a person of one row is asked for: "who directed the longest film"."""
    adjectives = "|".join(words.ADJECTIVES)
    found = re.match(rf"\W*who \w+ the (?:most |least )?(?:{adjectives}) (\w+)", clause.text, re.IGNORECASE)
    return found is not None and not found[1].endswith("s")


def persons(clause: Clause) -> list[Column]:
    """The one column of persons of whom each has several rows, for "who spent the most"."""
    texts = [c for c in clause.table.of_kind("text") if not clause.entity(c) and _PERSONS & set(name_stems(c.name))]
    return texts if len(texts) == 1 and clause.says(r"^\W*who\b") else []


def is_asked_for_itself(clause: Clause, column: Column) -> bool:
    """Whether persons are asked for by age, size or pay, and the column has persons: "which doctor is the oldest"."""
    roles = _PERSONS | set(map(stem, words.ROLES | words.OTHER_PERSONS))
    own = clause.says(r"\b(?:oldest|youngest|tallest|heaviest|earns?|earned|(?:best|highest|worst|lowest)[- ]paid)\b")
    return own and bool(roles & set(name_stems(column.name)))


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
    after += clause.word(after) == "single"
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
    if clause.says(BUSY) and not clause.measures():
        return True  # "the busiest year"
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


def is_count(clause: Clause, match: re.Match[str]) -> bool:
    """Whether a number says how many are listed: it is not accounted for by a limit or as the number of a row."""
    group = match.lastindex or 1
    taken = {i for _, at in clause.places for i in at}
    at = next(i for i, token in enumerate(clause.tokens) if token.start() == match.start(group))
    return at not in taken and not (clause.least and at in clause.used)


def by_number_of_rows(clause: Clause) -> bool | Refusal:
    """Whether groups are ranked by their number of rows, or of rows that meet a condition.

    "By number of coasters", "by reviews" of `review_date`, "by number of non vegetarian dishes". A refusal if what is
    counted has several rows, or none: "by number of customers" of a table of orders.
    """
    places = {i for _, at in clause.places for i in at}
    named = {i: m.column for m in clause.mentions for i in m.tokens}
    nouns = {i for m in clause.mentions if clause.is_only_noun(m) for i in m.tokens}
    for match in _BY_COUNT.finditer(clause.text):
        at = max(clause.within(match))
        known = clause.word(at) in _ROWS_COUNTED or at in clause.used
        if not match["number"]:  # "by reviews", but not "by sales"
            known = f"a row taken as one of the {clause.word(at)}" in clause.notes
        if not known or at in places or (match["more"] and not places & clause.within(match)):
            continue
        if at in named and named[at].unique < clause.table.rows:
            if at in nouns:
                return Refusal(reason=f"It is not clear whether rows are counted, or different `{named[at].name}`.")
            continue
        if at in named:  # each row has its own
            clause.mentions = [m for m in clause.mentions if at not in m.tokens]
            clause.by = [c for c in clause.by if c is not named[at]]
            clause.by_numbers = [c for c in clause.by_numbers if c is not named[at]]
        of_file = stem(clause.word(at)) in name_stems(clause.table.shown.rpartition(".")[0])
        if any(m.column.kind == "number" and i > at and i not in nouns for m in clause.mentions for i in m.tokens):
            continue  # "by number of people laid off" of `total_laid_off`
        if clause.word(at) in words.PEOPLE and not (of_file or at in nouns or of_people(clause.table)):
            return Refusal(reason=f"It is not clear what a row has to do with {clause.word(at)}.")
        clause.claim(match.start(), match.end())
        return True
    return False


def most_frequent(clause: Clause) -> list[Column] | Refusal | None:
    """The column of "top 5 breeds", if no column of figures could rank its values; a refusal if several could."""
    group = [c for c in clause.texts() if c.kind == "text"]
    nouns = all(clause.is_only_noun(m) or m.column in group for m in clause.mentions)
    bare = nouns and len(group) == 1 and not (clause.by or clause.by_numbers or clause.period or clause.hows)
    if not bare or clause.entity(group[0]) or clause.says(r"\bby\b") or clause.says(_MORE_THAN_TOP):
        return None
    choices = [f"`{c.name}`" for c in figures(clause.table)]
    if len(choices) > 1:
        ways = joined(("their number of rows", *choices[:4]), last="or")
        return Refusal(reason=f"It does not say by what the values of `{group[0].name}` are ranked: {ways}.")
    return None if choices else group


def of_few_numbers(clause: Clause) -> list[Column]:
    """The one column of whole numbers that rows are grouped by: "the top 3 precincts by number of tickets"."""
    named = clause.measures(conditioned=False)
    few = [c for c in named if c.whole and (c.unique <= MOST_NUMBERS or 4 * c.unique <= clause.table.rows)]
    return few if few == named and len(few) == 1 else []


def heights(clause: Clause) -> tuple[Column, ...]:
    """The one column that "the highest mountain" is about."""
    stems = set(map(stem, words.ADJECTIVES["tallest"][1].split()))
    found = tuple(c for c in figures(clause.table) if stems & set(name_stems(c.name)))
    return found if len(found) == 1 else ()


def low_asked(clause: Clause) -> bool:
    """Whether low values are asked for. "Worst" and "best" depend on whether high values of the measure are good."""
    measures = clause.measures() or figures(clause.table)[:1]
    said = {form for word in plain_words(measures[0].name) for form in (word, f"{word}s")} if measures else set()
    if measures and stem("rank") in name_stems(measures[0].name):  # the best rank is 1
        return clause.says(r"\b(?:best|top|highest|first|number one)\b")
    after = {clause.word(m.tokens[-1] + 1) for m in clause.mentions if m.column in measures}
    said |= after & _GOOD_HIGH  # "the worst IMDb rating"
    if clause.says(r"\bworst\b"):
        if measures and bool(said & _GOOD_HIGH) == bool(said & _BAD_HIGH):
            clause.ambiguous.append(f"It is not clear whether a high or a low `{measures[0].name}` is bad.")
        return bool(said & _GOOD_HIGH)
    if clause.says(r"\bbest\b"):
        return bool(said & _BAD_HIGH) and not said & _GOOD_HIGH
    if clause.says(r"\bquietest\b"):
        return True
    lowest = [i for i in range(len(clause.tokens)) if clause.word(i) in words.LOWEST and clause.word(i - 1) != "at"]
    return bool(lowest) and not clause.says(r"\bhighest\b|\bmax")


def are_rows(clause: Clause, column: Column) -> bool:
    """Whether the values of a column name rows, of which two can be called alike, and no groups of rows."""
    meant = adjective(clause) if NAMELESS.fullmatch(column.name) and not clause.hows else None
    of_one = meant is not None and bool(meant[1]) and not additive(meant[1][0].name)  # "which car is the dearest"
    many = of_one and 5 * column.unique > clause.table.rows
    return (
        column not in clause.by and (clause.entity(column) or many) and not {"mean", "sum", "median"} & set(clause.hows)
    )
