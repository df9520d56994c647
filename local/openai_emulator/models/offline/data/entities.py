"""Words for what the rows of a table are: "cars" of a table of makes and engines, "people" of one with ages."""

from __future__ import annotations

import re
from functools import cache

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.clause import FIGURES, LABELS_SHARE, Clause, Mention
from local.openai_emulator.models.offline.data.names import label, name_stems, plain_words
from local.openai_emulator.models.offline.data.table import Table
from local.openai_emulator.models.offline.words import stem

NEAR = 0.14  # cosine of a word and the table's names; below it the word could be about something else
NEAR_ONE = 0.35  # cosine of a word and one name or value: "animals" and `Cow`
COMMON = 0.6  # of these is enough for a common noun
SEVERAL_SHARE = 0.5  # of the rows have a name of their own; if fewer, each name has several rows
_OF_PERSONS = """
age sex gender salary income wage married surname marital single race ethnicity education occupation job children kids
child smoker smoke husband wife spouse handed unemployed widow widowed divorced male female
"""
_PERSONAL = frozenset(map(stem, _OF_PERSONS.split()))
_NOUNS = frozenset(map(stem, words.ROW_NOUNS))
_PEOPLE = frozenset(map(stem, words.PEOPLE))
_OF_AGES = frozenset(map(stem, words.OF_AGES))
_OF_ONE = frozenset(map(stem, ("age", "sex", "gender", "name", "married", "education")))
_POPULATION = frozenset(map(stem, ("population", "pop", "inhabitants", "residents")))
_ROLES = frozenset(map(stem, words.ROLES))
_PEOPLE_OF = tuple(frozenset(map(stem, group.split())) for group in words.PEOPLE_OF)
_OF_PLACES = "cities countries nations states towns regions districts counties provinces"
_PLACES = frozenset(map(stem, _OF_PLACES.split()))
_TIMES = frozenset(["hour", "day", "week", "month", "year", "season"])
_OF_ANY = frozenset(["listings", "listing", "records", "entries", "postings", "occurrences"])
_SALES = frozenset(map(stem, ("sales", "payments", "claims", "points", "hours", "days")))
NAMELESS = re.compile(r"column \d+|row ?names?|unnamed: \d+|index|(?:full ?)?name|title|entity", re.IGNORECASE)
_WHICH_ONE = re.compile(
    r"^\W*(?:which|what) (\w+) (?:has|have|had|is|was|are|were|with|shows?|got|gets?)\b", re.IGNORECASE
)
_BEFORE_ROWS = frozenset(["which", "what", "many", "different", "distinct", "unique", "by", "per", "each"])
_ENDS = words.HIGHEST | words.LOWEST | frozenset(words.ADJECTIVES)
_GROUPS = "time date hour day weekday week month quarter year season period group category sort sector gender sex"
# Of common words for rows, `words_for_rows` knows whether the table fits them; the others here are groups of rows.
_KNOWN = _NOUNS | _PEOPLE | _ROLES | frozenset(map(stem, (*_GROUPS.split(), *words.CLASSES)))
_OF_GROUPS = "|".join(pattern for name, pattern in FIGURES if name not in ("min", "max"))


def words_for_rows(clause: Clause) -> None:
    """Account for a noun that says what the rows are, if only one stands in the clause and the table fits it."""
    aged = any("age" in name_stems(column.name) for column in clause.table.columns)
    nouns = (_NOUNS | _PEOPLE | _ROLES) - (_OF_AGES if aged else frozenset())
    share = clause.says(r"\bshares? of\b|\bwhat share\b")  # no shares of a firm
    known = [i for i in clause.free() if stem(clause.word(i)) in nouns and _is_noun(clause.word(i))]
    found = {stem(clause.word(i)): i for i in known}
    found = {noun: i for noun, i in found.items() if not (share and clause.word(i) in ("share", "shares"))}
    behind = {noun: i for noun, i in found.items() if clause.word(i - 1) in words.ADJECTIVES}
    if len(found) == 2 and len(behind) == 1:  # "which company has the most expensive stock"
        found = _claim_behind(clause, found, behind)
    if len(found) != 1:
        return
    noun = next(iter(found))
    word = clause.word(found[noun])
    if (noun in _PEOPLE and are_places(clause.table)) or is_other_role(word, clause.table):
        return
    if _is_beside_counted(clause, found[noun]):
        return
    ends_ = (words.HIGHEST | words.LOWEST) - {"most", "fewest", "least", "top"}
    if noun in _SALES and {clause.word(found[noun] - 1), clause.word(found[noun] - 2)} & ends_:
        return  # "the highest yearly sales" are no rows
    if have_several_rows(clause.table) or is_had(clause, found[noun]):
        return
    before = clause.word(found[noun] - 1)
    back = 2 if before.isdigit() or before in words.NUMBERS else 1  # "which 5 states"
    asked = clause.word(found[noun] - back) in ("which", "what")  # "which athlete", of a table of countries
    labels = [c for c in clause.table.of_kind("text") if c.unique > LABELS_SHARE * clause.table.rows]
    if asked and noun in _PLACES and not are_places(clause.table) and not _called(noun, clause.table):
        return  # "which city", of a table of firms
    is_labelled = any(NAMELESS.fullmatch(c.name) for c in labels)  # a row has a name that does not say what it is
    if (
        (noun in _PEOPLE | _ROLES and (of_people(clause.table) or is_labelled))
        or _called(noun, clause.table)
        or (not (noun in _PEOPLE and asked) and (fits if noun in _PEOPLE or asked else may_be)(word, clause.table))
    ):
        named = {i for i in clause.free() if stem(clause.word(i)) == noun}
        means = clause.says(r"\baverages?\b|\bmean\b|\bon average\b")
        clause.used |= named | {i - 1 for i in named if means and clause.word(i - 1) == "per"}
        several = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
        role = word if word.endswith("s") or noun in _PEOPLE else several
        is_assumed = noun in _ROLES or not (of_people(clause.table) or fits(word, clause.table))
        clause.notes += [f"every row taken as one of the {role}"] if is_assumed else []


def _is_noun(word: str) -> bool:
    """Whether a word is not only a form of a verb with the stem of a noun: "shipping" is not for ships."""
    forms = {word, f"{word}s", f"{word}es", f"{word.removesuffix('y')}ies"}
    return bool(forms & (words.ROW_NOUNS | words.PEOPLE | words.ROLES))


def is_had(clause: Clause, at: int) -> bool:
    """Whether a noun is what a row has, and no row: "how many employees does Acme have", "ended in a purchase"."""
    had = clause.says(rf"\bhow many {re.escape(clause.word(at))} (?:do|does|did)\b.*\bhave\b")
    people = clause.word(at) in words.PEOPLE and not of_people(clause.table)
    owner = re.search(r"\bhow many \w+ (?:do|does|did) (?:the |our )?(\w+)", clause.text, re.IGNORECASE)
    if had and owner and owner[1].lower() in words.ROW_NOUNS | words.PEOPLE and clause.word(at) in words.PEOPLE:
        return True  # "how many children do employees have"
    if clause.says(r"\bhow many (?:days|hours|weeks|months|years|minutes) (?:do|does|did) (?:it|they|he|she)\b"):
        return clause.word(at) in ("days", "hours", "weeks", "months", "years", "minutes")
    if clause.word(at - 1) == "in" and clause.word(at) in ("hours", "minutes", "seconds", "days", "weeks", "months"):
        return True  # a unit
    if clause.word(at - 1) in ("his", "her", "its", "their", "whose"):
        return True  # "what is his job"
    return (had and people) or (clause.word(at - 1) in ("a", "an") and clause.word(at - 2) in ("in", "into", "with"))


def _claim_behind(clause: Clause, found: dict[str, int], behind: dict[str, int]) -> dict[str, int]:
    """Leave out the noun behind an adjective, if it can be for the rows; the nouns that are left."""
    (noun, at) = next(iter(behind.items()))
    if clause.word(at) not in _TIMES and may_be(clause.word(at), clause.table):
        clause.used.add(at)
        clause.notes.append(f'"{clause.word(at)}" was not used')
        found = {other: i for other, i in found.items() if other != noun}
    return found


def _is_beside_counted(clause: Clause, at: int) -> bool:
    """Whether another noun says what is counted: "car" in "how many students come by car"."""
    counted = re.search(r"\bhow many\s+(\w+)", clause.text, re.IGNORECASE)
    rows = {*words.ROW_NOUNS, *words.PEOPLE}
    if counted is None or counted[1].lower() not in rows:
        return False
    return at not in clause.within(counted) and at - 1 in clause.free()


def names_of_rows(clause: Clause) -> None:
    """The column `name` for "countries" or "boxers", where each name has several rows; the reading says so."""
    columns = [c for c in clause.table.of_kind("text") if NAMELESS.fullmatch(c.name)]
    if len(columns) != 1 or columns[0].unique > LABELS_SHARE * clause.table.rows:
        return
    several = columns[0].unique < SEVERAL_SHARE * clause.table.rows
    if not (several or clause.says(r"\b(?:different|distinct|unique)\b")):
        return
    for i in clause.free():
        word = clause.word(i)
        known = stem(word) in _NOUNS | _PEOPLE | _ROLES or (
            word.endswith("s") and word not in words.SILENT and fits(word, clause.table)
        )
        values = {part for c in clause.table.of_kind("text") for v in c.values for part in v.lower().split()}
        if stem(word) not in _NOUNS | _PEOPLE and word.removesuffix("s") in values:
            continue  # "how many Camrys"
        before = clause.word(i - 1)
        if not several and before not in ("different", "distinct", "unique"):
            continue
        after = before in _BEFORE_ROWS or before in words.NUMBERS or before.isdigit()
        of_file = stem(word) in name_stems(clause.table.shown.rpartition(".")[0])
        if of_file and before not in ("different", "distinct", "unique") and clause.says(r"\bhow many\b"):
            continue  # "how many cars" of used_cars.csv are rows
        if known and before == "all" and not clause.says(r"\bhow many\b"):
            clause.used.add(i)
            return
        if known and after:
            clause.used.add(i)
            clause.mentions.append(Mention(column=columns[0], tokens=(i,)))
            clause.mentions.sort(key=lambda mention: mention.tokens)
            clause.notes.append(f"`{columns[0].name}` taken as the {word}")
            return


def word_for_nameless(clause: Clause) -> None:
    """Account for the noun after "which" where the rows have names in a column that does not say what they are.

    The answer names the row, and its reading says how the noun was taken.
    """
    texts = clause.table.of_kind("text")
    labels = [c for c in texts if c.unique > LABELS_SHARE * clause.table.rows and NAMELESS.fullmatch(c.name)]
    found = _WHICH_ONE.match(clause.text)
    if len(labels) != 1 or not found or stem(found[1].lower()) in _KNOWN:
        return
    said = {clause.word(i) for i in range(len(clause.tokens))}
    having = found[0].lower().endswith(("has", "have", "had", "with"))
    if not (said & _ENDS or (having and clause.conditions)) or clause.says(_OF_GROUPS):
        return
    noun = next(i for i, token in enumerate(clause.tokens) if token.start() == found.start(1))
    unnamed = not (of_people(clause.table) and re.fullmatch(r"(?:full ?)?name", labels[0].name, re.IGNORECASE))
    if noun not in clause.used and (unnamed or fits(found[1].lower(), clause.table)):
        clause.used.add(noun)
        clause.notes.append(f"`{labels[0].name}` taken as the {found[1].lower()}")


def _called(noun: str, table: Table) -> bool:
    """Whether a noun means the same as the name of the file: "rides" of taxis.csv."""
    named = {*name_stems(table.shown.rpartition(".")[0])}
    return any(noun in group and named & group for group in words.SAME)


def some_of_people(word: str, table: Table) -> bool:
    """Whether a noun is for women or for men, and the table is not of these alone: `Males.csv`."""
    named = {*plain_words(table.shown.rpartition(".")[0])}
    return any(word in sex and not named & sex for sex in (words.WOMEN, words.MEN))


def is_other_role(word: str, table: Table) -> bool:
    """Whether a noun is for a role, and the table names people of another one: "teachers" beside `student`."""
    named = {*name_stems(table.shown.rpartition(".")[0]), *(p for c in table.columns for p in name_stems(c.name))}
    own = next((group for group in _PEOPLE_OF if stem(word) in group), frozenset())
    return bool(own) and not own & named and any(group & named for group in _PEOPLE_OF)


def are_places(table: Table) -> bool:
    """Whether the rows have a population: then a row is no person."""
    has_population = any(_POPULATION & set(name_stems(column.name)) for column in table.columns)
    return has_population and not any(_OF_ONE & set(name_stems(column.name)) for column in table.columns)


def have_several_rows(table: Table) -> bool:
    """Whether what the table is about has a name, and several rows each: then a row is not one of them."""
    names = [c for c in table.of_kind("text") if NAMELESS.fullmatch(c.name)]
    return any(c.unique < SEVERAL_SHARE * table.rows for c in names)


def fits(word: str, table: Table) -> bool:
    """Whether a noun can be for what the rows are: it is near the names of the table, or near one of them."""
    return _near(word, (_text(table),)) >= NEAR or _near(word, _names(table)) >= NEAR_ONE


def may_be(word: str, table: Table) -> bool:
    """Whether a common noun for rows can be for those of a table; it need not be as near as any other noun."""
    if f"{word}s" in words.ROW_NOUNS:
        word = f"{word}s"  # the plural is a better guide: "cars"
    is_near = _near(word, (_text(table),)) >= COMMON * NEAR or _near(word, _names(table)) >= COMMON * NEAR_ONE
    return is_near or word in _OF_ANY


def of_people(table: Table) -> bool:
    said = {part for column in table.columns for part in name_stems(column.name)}
    said |= {stem(value.lower()) for column in table.of_kind("text") if column.unique <= 20 for value in column.values}
    return bool(_PERSONAL & said)


def _text(table: Table) -> str:
    """The names of the file and of its columns, with a few values."""
    parts = [table.shown.rpartition(".")[0], *(label(column.name).replace(".", " ") for column in table.columns[:20])]
    parts += [value[:30] for column in table.of_kind("text") for value in column.values[:4]]
    return " ".join(parts)[:600]


def _names(table: Table) -> tuple[str, ...]:
    """The common words in the names of columns, and in a few values; and proper names."""
    from local.openai_emulator.search.embeddings import is_token

    flags = words.YES | words.NO  # a noun near the name of such a column is a condition: "skiers" for `ski`
    kept = [c for c in table.columns[:20] if not (c.values and {value.lower() for value in c.values} <= flags)]
    texts = [label(column.name) for column in kept]
    texts += [value for column in table.of_kind("text") for value in (*column.values[:8], *column.some)]
    found = {word for text in texts for word in re.findall(r"[A-Za-z]{3,}", text)}
    return tuple(sorted(word for word in found if is_token(word) or word.istitle()))


@cache
def _near(word: str, texts: tuple[str, ...]) -> float:
    """The highest cosine of a word and one of some texts."""
    from local.openai_emulator.search.embeddings import embed

    return float((embed([word]) @ embed(texts).T).max()) if texts else 0.0
