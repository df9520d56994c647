"""Words beside a column or a value that add nothing: "gold medals", "miles driven", "the executive branch".

What is asked for is in the column or the value. A noun that would make another measure of it ("income tax") is not
accounted for; the others are left out, and the reading says so.
"""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.clause import FIGURES, Clause, Mention, is_key, is_part_of_date, is_year
from local.openai_emulator.models.offline.data.entities import fits, is_other_role, some_of_people
from local.openai_emulator.models.offline.data.likeness import SAME, alike
from local.openai_emulator.models.offline.data.names import UNIT_STEMS, name_stems, plain_words
from local.openai_emulator.models.offline.data.table import Column, Table
from local.openai_emulator.models.offline.data.units import is_percentage, states_no_other
from local.openai_emulator.models.offline.data.verbs import ACTING
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
MOST_CLASSES = 30  # different values of a column of classes
_CALLED = frozenset(["name", "titl"])
_ADDRESSES = frozenset(map(stem, ("email", "mail", "street", "ip", "web", "home")))
_LASTING = ("time", "duration", "length")  # so do `playtime` and `delivery_time`
_TIME_UNITS = frozenset(["minutes", "hours", "seconds"])
_SCORES = frozenset(["score", "scores", "rating", "ratings"])
_HOW_BIG = re.compile(
    r"\bhow (?:big|large|high|low|long|far|heavy|tall|deep|wide|fast|strong) (?:is|are|was|were) "
    r"(?:(?:the|a|an|its|their) )?$",
    re.IGNORECASE,
)


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
    named = found is not None and found[1].lower() in words.ADJECTIVES
    if named and _is_plain(clause, at) and fits(clause.word(at), clause.table):
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


def words_of_classes(clause: Clause) -> None:
    """`educational background`: the second word adds nothing to the column; nor does what an identifier counts."""
    for mention in clause.mentions:
        after = mention.tokens[-1] + 1
        more = words.CLASSES if mention.column.kind == "text" else words.MEASURES
        is_share = clause.word(after).startswith("percent") or (
            clause.word(after)[:4] == "rate" and mention.column.whole
        )
        if clause.word(after) in more and not (is_share and not is_percentage(mention.column)):
            clause.used.add(after)
        if more is words.MEASURES:  # "satisfaction score of customers": `Customer Satisfaction`
            clause.used |= {i + 1 for i in mention.tokens if clause.word(i + 1) in _SCORES and i + 1 in clause.free()}
        first = mention.tokens[0]
        first -= clause.word(first - 1) == "the"
        if clause.word(first - 1) in ("for", "of", "in") and clause.word(first - 2) in words.MEASURES:
            clause.used.add(first - 2)  # "the score for drawing", "the size of the army"
        if clause.word(first - 1) == "of" and clause.word(first - 2) in ("type", "kind") and more is words.CLASSES:
            clause.used.add(first - 2)  # "the most common type of cuisine"
        if after in clause.free() and clause.word(after) in _second_halves(mention.column, clause.table):
            clause.used.add(after)
        _claim_beside(clause, mention)
    _claim_behind_values(clause)
    keys = {part for c in clause.table.columns if is_key(c, clause.table) for part in name_stems(c.name)}
    clause.used |= {
        i
        for i in clause.free()
        if any(len(k) > 3 and (stem(clause.word(i)) == k or clause.word(i).startswith(k)) for k in keys)
    }


def _second_halves(column: Column, table: Table) -> frozenset[str]:
    """What follows a noun in another word for a column: "zip code" for `zip`, "email address" for `email`."""
    if _ADDRESSES & set(name_stems(column.name)) and column.kind == "text":
        return frozenset(["address", "addresses", "name", "names"])
    if is_key(column, table) and not is_year(column) and not is_part_of_date(column):
        return frozenset(["code", "codes", "number", "numbers"])
    return frozenset(["name", "names"] if column.kind == "text" else [])


def _claim_behind_values(clause: Clause) -> None:
    """Account for words beside values: "the executive branch", "under construction", "live in Graz"."""
    for condition in clause.conditions:
        value = re.search(re.escape(str(condition.value)), clause.text)
        if value and condition.test == "==":
            places = [i for i, token in enumerate(clause.tokens) if value.end() <= token.start() <= value.end() + 12]
            column = set(name_stems(condition.column))
            for i in places[:2]:
                if clause.word(i) in words.CLASSES or stem(clause.word(i)) in column:
                    clause.used.add(i)
    for name, at in clause.places:  # "under construction"
        own = clause.table.column(name)
        before = min(at) - 1
        if own is None or own.kind != "text" or before not in clause.free():
            continue
        is_name = clause.entity(own) or bool(_CALLED & set(name_stems(name)))
        if clause.word(before) == "under" or (clause.word(before) in words.NAMING and is_name):
            clause.used.add(before)  # "the dog called Rex"
    for _, at in clause.places:  # "people who live in Graz"
        clause.used |= _living_in(clause, min(at))
    if clause.measures() or clause.says(r"\bhow many\b|\bshare\b|\bpercent"):
        idle = {max(at) + 1 for name, at in clause.places if _is_of_class(clause, name, max(at) + 1)}
        clause.used |= idle
        clause.notes += [f'"{clause.word(i)}" was not used' for i in sorted(idle)]
    for name, at in clause.places:  # "left handed": `Left` of the column `W.Hnd`
        if any(alike(clause.word(max(at) + 1), part) >= 0.8 for part in name_stems(name)):
            clause.used.add(max(at) + 1)


def _is_of_class(clause: Clause, name: str, at: int) -> bool:
    """Whether a noun only says what a value is: "branch" in "the executive branch", but not "smokers" after "male"."""
    column = clause.table.column(name)
    word = clause.word(at)
    if column is None or column.kind != "text" or column.unique > MOST_CLASSES or at not in clause.free():
        return False
    if {value.lower() for value in column.values} <= words.YES | words.NO:
        return False
    if any(clause.word(i) in ("did", "does", "do", "has", "have", "had") for i in range(at)):
        return False  # it can be a verb: "How much did Ann refund?"
    known = words.SILENT | words.PEOPLE | words.NOT | words.MEASURES | words.OPERATIONS | ACTING
    if any(alike(word, part) >= SAME for c in clause.table.columns for part in name_stems(c.name)):
        return False  # it names a column
    plain = word.isalpha() and word.islower() and word not in known and clause.tokens[at][0].islower()
    return plain and not re.search(r"(?:s|er|or|ist|ian|ed|ing|ly|est|ive|al|ic|ous|ful)$", word)


def time_units(clause: Clause) -> None:
    """Account for "minutes" in "the average minutes" of `delivery_time`."""
    named = [m.column for m in clause.mentions if any(w.endswith(_LASTING) for w in plain_words(m.column.name))]
    for i in clause.free() if named else ():
        if clause.word(i) not in _TIME_UNITS or clause.word(i - 1).isdigit():
            continue
        if clause.word(i - 1) != "in":
            clause.used.add(i)
        elif len(set(named)) == 1 and named[0].kind == "number" and states_no_other(named[0], clause.word(i)):
            clause.used.add(i)
            clause.notes.append(f"`{named[0].name}` taken to be in {clause.word(i)}")


def said_again(clause: Clause) -> None:
    """Account for a word that names a column again: "mileage in mpg" for `mpg`, if no other column is called so."""
    named = {mention.column.name for mention in clause.mentions if mention.column.kind == "number"}
    for i in clause.free():
        fits = {
            c.name for c in clause.table.columns if any(alike(clause.word(i), p) >= SAME for p in name_stems(c.name))
        }
        if len(fits) == 1 and fits <= named and clause.word(i) not in words.SILENT | words.OPERATIONS:
            clause.used.add(i)


def _claim_beside(clause: Clause, mention: Mention) -> None:
    """Account for "how big" in "how big was the army", and for "people" in "unemployed people"."""
    first, after = mention.tokens[0], mention.tokens[-1] + 1
    before = clause.word(first - 1)
    if mention.column.kind == "text" and words.NUMBERS.get(before) == mention.column.unique:
        clause.used.add(first - 1)  # "the two parties"
    if before in words.ORDINALS and mention.column.name.endswith(words.ORDINALS[before]):
        clause.used.add(first - 1)  # "the first bid": `bid1`
    if mention.column.kind != "number" or after > len(clause.tokens):
        return
    if asked := _HOW_BIG.search(clause.text[: clause.tokens[first].start()]):
        clause.claim(asked.start(), asked.end())
    if after in clause.free() and clause.word(after) in words.PEOPLE | {"answers", "responses"}:
        clause.used.add(after)


def _living_in(clause: Clause, at: int) -> set[int]:
    """The verb of "live in X", which says no more than the value X."""
    said = [i for i in range(at - 5, at) if clause.word(i) in words.LIVING]
    named = {j for mention in clause.mentions for j in mention.tokens}
    return {i for i in said if all(clause.word(j) in ("in", "the", "code") or j in named for j in range(i + 1, at))}
