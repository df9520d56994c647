"""Values that a question names by a part of them: "Nadal", "Ford Escort", "Stephen Harper" for `Harper, Stephen`."""

from __future__ import annotations

import calendar
import re
from itertools import pairwise

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.clause import LENGTH_OF_CODE, TOKEN, Clause
from local.openai_emulator.models.offline.data.names import name_stems
from local.openai_emulator.models.offline.data.regions import PLACES
from local.openai_emulator.models.offline.data.wording import without_points
from local.openai_emulator.models.offline.words import stem

# By column: values, and the tokens that name them
Places = dict[str, list[tuple[str, tuple[int, ...]]]]
FEWEST_NAMES = 20  # different values of a column of names
_SUFFIXES = """
corp corporation inc incorporated co company companies ltd limited llc plc group holdings ag sa nv
"""
_FIRMS = frozenset(_SUFFIXES.split())  # the last word of the name of a firm
_OF_PERSONS = """
name player person author director artist driver winner loser coach president senator actor athlete employee customer
founder guest singer candidate manager owner nominee laureate captain pilot minister governor
"""
_PERSONS = frozenset(map(stem, _OF_PERSONS.split()))
MOST_NAMES = 4  # words of the name of a person
MOST_CLASSES = 20  # different values of a column of classes
SHORTEST_INNER = 5  # letters
SHORTEST_PAIR = 9  # letters of two words
_DENYING = words.NOT | frozenset(["other", "others", "unknown", "none", "un"])


def value_words(value: str) -> list[str]:
    spaced = value.replace("_", " ").replace("’", "'")
    return [word.lower().removesuffix("'s") for word in TOKEN.findall(without_points(spaced))]


def range_names(value: str) -> list[list[str]]:
    """How the values of a column of ranges are said: "under 18" for `<18`, "65 or older" for `65+`, "18 to 24"."""
    if found := re.fullmatch(r"(?:<|under |less than )\s?(\d+)", value, re.IGNORECASE):
        ways = ["under {}", "below {}", "younger than {}", "less than {}"]
    elif found := re.fullmatch(r"(?:>|over )\s?(\d+)", value, re.IGNORECASE):
        ways = ["over {}", "above {}", "older than {}"]
    elif found := re.fullmatch(r"(\d+)\s?\+", value):
        ways = [f"{{}} {word} {more}" for word in ("or", "and") for more in ("older", "more", "over", "up")] + [
            "{} plus"
        ]
    elif found := re.fullmatch(r"(\d+)\s?[-–]\s?(\d+)", value):
        ways = ["{} to {}", "between {} and {}", "from {} to {}"]
    return [way.format(*found.groups()).split() for way in ways] if found else []


def begun_names(clause: Clause, said: list[str], found: Places) -> None:
    """Two words that only one name begins with: "Ford Escort" for `Ford Escort 4`."""
    taken = {place for hits in found.values() for _, places in hits for place in places} | clause.used
    for column in clause.table.of_kind("text"):
        if column.unique <= FEWEST_NAMES:
            continue
        names = {value: value_words(value) for value in column.values}
        for at in range(len(said) - 1):
            pair = said[at : at + 2]
            own = [value for value, parts in names.items() if parts[:2] == pair and len(parts) > 2]
            common = set(pair) <= words.SILENT
            if len(own) == 1 and not common and not taken & {at, at + 1} and clause.tokens[at][0][0].isupper():
                found.setdefault(column.name, []).append((own[0], (at, at + 1)))


def first_names(clause: Clause, said: list[str], found: Places) -> None:
    """A name with a capital that only one firm begins with: "Starbucks" for `Starbucks Corp.`."""
    taken = {place for hits in found.values() for _, places in hits for place in places} | clause.used
    firms: dict[str, set[tuple[str, str]]] = {}
    for column in clause.table.of_kind("text"):
        for value in column.values:
            parts = value_words(value)
            if len(parts) > 1 and parts[-1] in _FIRMS | {"the"} and column.unique > FEWEST_NAMES:
                firms.setdefault(parts[0], set()).add((column.name, value))
    for i in range(len(clause.tokens)):
        own = firms.get(said[i], set())
        if i not in taken and len(own) == 1 and clause.tokens[i][0][0].isupper() and len(said[i]) > LENGTH_OF_CODE:
            name, value = next(iter(own))
            found.setdefault(name, []).append((value, (i,)))


def last_names(clause: Clause, found: Places) -> None:
    """A name with a capital that ends only one value: "Nadal" for `Rafael Nadal`; a place is no name."""
    taken = {place for hits in found.values() for _, places in hits for place in places} | clause.used
    ends: dict[str, list[tuple[str, str]]] = {}
    for column in clause.table.of_kind("text"):
        for value in column.values:
            parts = value_words(value)
            is_person = bool(_PERSONS & set(name_stems(column.name))) or not set(parts) & PLACES
            if 1 < len(parts) <= MOST_NAMES and value.istitle() and "," not in value and is_person:
                ends.setdefault(parts[-1], []).append((column.name, value))
    for i in range(1, len(clause.tokens)):
        word = clause.word(i).removesuffix("'s")
        is_date = word[:3] in {name[:3].lower() for name in (*calendar.month_name, *calendar.day_name) if name}
        if i not in taken and not is_date and clause.tokens[i][0][0].isupper() and len(ends.get(word, [])) == 1:
            name, value = ends[word][0]
            found.setdefault(name, []).append((value, (i,)))


def turned_names(clause: Clause, said: list[str], found: Places) -> None:
    """A name written with the last name first: "Stephen Harper" for `Harper, Stephen Joseph`."""
    taken = {place for hits in found.values() for _, places in hits for place in places} | clause.used
    for column in clause.table.of_kind("text"):
        names: dict[tuple[str, str], list[str]] = {}
        for value in column.values:
            last, comma, first = value.partition(", ")
            given = value_words(first)
            if comma and given and len(value_words(last)) == 1 and re.fullmatch(r"[^\d,]+", value.replace(",", "", 1)):
                names.setdefault((given[0], value_words(last)[0]), []).append(value)
        for at in range(len(said) - 1):
            own = names.get((said[at], said[at + 1].removesuffix("'s")), [])
            if len(own) == 1 and not taken & {at, at + 1}:
                found.setdefault(column.name, []).append((own[0], (at, at + 1)))


def inner_words(clause: Clause, found: Places) -> None:
    """A word that only one class of the table has: "executive" for `Federal - Executive`."""
    taken = {place for hits in found.values() for _, places in hits for place in places} | clause.used
    having: dict[str, set[tuple[str, str]]] = {}
    pairs: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for column in clause.table.of_kind("text"):
        for value in column.values if column.unique <= MOST_CLASSES else ():
            parts = value_words(value)
            if len(parts) < 2 or _DENYING & set(parts):
                continue
            for part in {parts[0], parts[-1]}:
                having.setdefault(part, set()).add((column.name, value))
            for pair in pairwise(parts):
                if not set(pair) & words.SILENT:
                    pairs.setdefault(pair, set()).add((column.name, value))
    for i in range(len(clause.tokens) - 1):  # "Latin America" for `Latin America and Caribbean`
        pair = (clause.word(i), clause.word(i + 1))
        of_pair = pairs.get(pair, set())
        if len(of_pair) == 1 and not taken & {i, i + 1} and len("".join(pair)) >= SHORTEST_PAIR:
            name, value = next(iter(of_pair))
            found.setdefault(name, []).append((value, (i, i + 1)))
            taken |= {i, i + 1}
    named = {part for column in clause.table.columns for part in name_stems(column.name)}
    named |= set(name_stems(clause.table.shown.rpartition(".")[0]))
    common = words.SILENT | words.PEOPLE | words.ROW_NOUNS | words.SAME_WORDS | words.HIGHEST | words.LOWEST
    for i in range(len(clause.tokens)):
        word = clause.word(i)
        word = word if word in having else word.removesuffix("s")
        fits = len(word) >= SHORTEST_INNER and word.isalpha() and word not in common and stem(word) not in named
        if i not in taken and fits and len(having.get(word, ())) == 1:
            name, value = next(iter(having[word]))
            is_verb = follows_people(clause, i) and not word.endswith("s")
            if is_verb or clause.word(i - 1) in ("have", "has", "i", "we", "you", "they", "he", "she", "to"):
                continue  # "how many people support Vienna", "students have parents"
            if word != value_words(value)[-1] and not _stands_before_noun(clause, i):
                continue  # "walk to school" is no `school bus`
            near = [j for j in range(i - 2, i) if clause.word(j) in value_words(value) and j not in taken and j >= 0]
            found.setdefault(name, []).append((value, (*near[:1], i)))  # "free or reduced" for `free/reduced`


def follows_people(clause: Clause, at: int) -> bool:
    """Whether a word stands after "how many people", where a verb does."""
    return clause.word(at - 1) in words.PEOPLE and clause.word(at - 2) == "many"


def _stands_before_noun(clause: Clause, at: int) -> bool:
    """Whether a word is used like an adjective: "detached homes", "which are detached", "free or reduced"."""
    after, before = clause.word(at + 1), clause.word(at - 1)
    is_noun = after not in words.SILENT | words.NOT | words.VERBS | {""} or after in words.CLASSES
    return is_noun or before in words.VERBS or after in ("or", "and") or before in ("or", "and")
