"""Wordings that a question explains itself: `siblings aboard (SibSp)` says what "siblings aboard" means."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary
from local.openai_emulator.models.offline.data.names import name_stems
from local.openai_emulator.models.offline.data.table import Table
from local.openai_emulator.models.offline.words import stem

_LEFT_OUT = re.compile(
    r"\b(?:if (?:we|you|i) )?(?:leave|leaving) out\b|\b(?:apart|aside) from\b|\bnot (?:counting|including)\b",
    re.IGNORECASE,
)
_OF_FIRST = re.compile(
    r"^\W*(?:of|among) ([^,?]+), ((?:what|which) (?:share|percent(?:age)?|proportion|fraction)) (.*)$", re.IGNORECASE
)
_DOTTED = re.compile(r"\b(?:[A-Za-z]\.){2,}(?!\w)")  # not in `a.b.csv`
_ENDS_IN_WORDS = (
    (r"\bbest[- ]selling (\w+)", r"\1 with the highest sales"),
    (r"\b(?:loses?|lost|losing)(?: us)? (?:the )?most money\b", "has the lowest total profit"),
    (r"\b(?:sells?|sold|goes|went) for (?:the )?most(?: money)?\b", "has the highest selling price"),
    (r"\b(?:sells?|sold|goes|went) for (?:the )?least(?: money)?\b", "has the lowest selling price"),
    (r"\ba breakdown of (?:all )?(?:the )?", "the number of rows by "),
    (r"\bbreak(?:ing)? down (?:all )?the (\w+) by\b", r"number of \1 by"),
    (r"\bpays? (?:the )?(?:best|most)\b(?! \w+s\b)", "has the highest pay"),
    (r"\bpays? (?:the )?(?:worst|least)\b(?! \w+s\b)", "has the lowest pay"),
    (r"\b(?:the )?most times\b", "most often"),
    (r"\b(top (?:\d+|\w+)) most popular (\w+) by\b", r"\1 \2 by"),
    (r"\bmost popular (\w+) by (?:the )?(?:total )?(?:number of )?(\w+)", r"\1 with the highest \2"),
    (r"\b(?:handed|given) out\b", "issued"),
    (r"\bvs\.(?=\s)", "vs"),
    (r"\bmodel years?\b", "year"),
    (r"\bmost densely populated (\w+)", r"\1 with the highest density"),
    (r"\b(?:least densely|most thinly|most sparsely) populated (\w+)", r"\1 with the lowest density"),
    (r"\b(?:sells|sold) (?:the )?(?:best|most)\b(?! \w+s\b)", "has the highest sales"),
    (r"\b(?:best|highest|most highly)[- ]paid (\w+)", r"\1 with the highest pay"),
    (r"\b(?:worst|lowest)[- ]paid (\w+)", r"\1 with the lowest pay"),
    (r"\b(?:what|which|how many) ?(?:%|(?:pct|per ?cent)\b)", "what percentage"),
    (r"(^\W*|\b(?:the|a|me|show|and) )(?:%|(?:pct|per ?cent)\b)(?= of\b)", r"\1percentage"),
    (r"\bhow (?:big|large|high|small) (?:a|(?:is|was) the) (share|proportion|fraction|percentage)\b", r"what \1"),
    (r"\bhow much of (?:the|this|our) (?:whole |entire )?(list|data|dataset|table|file)\b", r"what share of the \1"),
)
_STOP = r"(?!(?:than|or|per|in|on|at|from|with|average|usual|\w+er)\b)"
_THING = rf"(?:{_STOP}[\w'’-]+ ){{0,3}}{_STOP}[\w'’-]+"
_OF_EACH = r"(?:,? (?:and )?(?:how many|what number)(?: (?:of|are there of|in))? each)?"
_TAIL = rf"( (?:in|with|from|among|who|that|on|at)\b[^,?]*)?{_OF_EACH}(\W*)$"
_MORE_OF = (  # "are there more men than women", "which is more common, A or B": their numbers
    rf"^(\W*(?:in [^,?]{{1,30}}, )?)(?:are|were) there more ({_THING}) (?:than|or(?: more)?) "
    rf"({_THING}){_TAIL}",
    rf"^(\W*)(?:which|what) (?:is|are|was|were)(?: there)? more (?:common|frequent|popular|of)\W+"
    rf"({_THING}) or ({_THING}){_TAIL}",
)
_MORE_IN = (
    rf"^(\W*)(?:are|were) there more ({_THING} (?:in|from|on|at|with) {_THING}) (?:than|or(?: more)?) "
    rf"((?:in|from|on|at|with) {_THING}){_OF_EACH}(\W*)$"
)
_NUMBERS_OF = r"^(\W*)(?:the )?number of ([^,?]+?),? and (?:the )?number of "
_LIST_OF = (
    r"^\W*(?:(?:show|give)(?: me)? )?(?:an? |the )?(?:full |complete )?list (?:of )?(?:all )?(?:the )?(?:different )?"
    r"((?:[a-z]+ )?[a-z]+s)\W*$"
)
_RANGE_OF = r"\b([a-z]{3,}) range (?=(?:of|for|in|among|across)\b)"
_END_TO_END = (
    r",? \(?(?:from )?(?:the )?(?:cheapest|lowest|smallest|youngest|shortest|minimum|min) to (?:the )?"
    r"(?:dearest|most expensive|highest|largest|biggest|oldest|longest|maximum|max)\)?"
)
_COVERED = (
    r"\b(?:which|what) (?:years|period|time period|range of years) (?:does|do|is|are) (?:it|the \w+|this \w+|they)"
    r" (?:covers?|covered|spans?|contain|include)\b"
)
_HOLIDAYS = {
    "christmas eve": "24 December",
    "christmas day": "25 December",
    "christmas": "25 December",
    "new year's eve": "31 December",
    "new year's day": "1 January",
    "valentine's day": "14 February",
    "halloween": "31 October",
}
_LARGEST = ("biggest", "largest", "smallest", "highest", "lowest", "average")
_COUNTABLE = frozenset(["medal", "goal", "vote", "point", "death", "birth", "visit", "ticket", "order", "run", "win"])
_BEGINS = frozenset(map(stem, ("start", "origin", "from", "pickup", "departure")))
_FINISHES = frozenset(map(stem, ("stop", "end", "destination", "to", "dropoff", "arrival")))
_CODES = {
    "EU": "europe",
    "JP": "japan",
    "NA": "north america",
    "US": "united states|usa",
    "UK": "united kingdom",
    "USA": "united states|(?-i:US)|america",
}
_SCALES = {"k": 1e3, "thousand": 1e3, "million": 1e6, "mn": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9}
_SCALED = re.compile(
    r"(?<![\w.,])(\d[\d,]*+(?:\.\d++)?) ?((?i:thousand|million|mn|billion|bn)|(?<=\d)[kKM]|(?<=\.\d )M)\b(?!['’])"
)
_PERIODS = frozenset(["year", "quarter", "month", "week", "day", "hour", "weekday"])
SHORTEST_JOINED = 6  # letters of two words in one
MOST_VALUES = 500  # different values of a column of codes
SHORTEST_OF_NAME = 4  # letters of a word that stands for a name in brackets
_SMALL = ["of", "the", "and", "between", "by", "for", "in", "to", "or", "with", "number", "mean", "average", "total"]
_STOPS = vocabulary.HIGHEST | vocabulary.LOWEST | frozenset([*vocabulary.ADJECTIVES, *_SMALL])


_OF_LARGE = re.compile(
    r"^\W*(?:among|of|for|considering|only counting) (?:the )?(\w+)"
    r" ((?:with|having|that have) (?:at least|more than|over) \d+ \w+),? which (?:one |of them )?",
    re.IGNORECASE,
)


def plainly(question: str) -> str:
    """The question with one wording for rows that are left out and for shares, and initials without points."""
    question = re.sub(r"\b(rain|rainfall|precipitation|snow) (?:fell|falls)\b", r"\1", question, flags=re.IGNORECASE)
    question = re.sub(
        r"(?<=\d)( (?:dollars|euros|pounds|usd|eur))? (?:per|a|an|each) (?:year|month|week|day|hour)\b",
        r"\1",
        question,
        flags=re.IGNORECASE,
    )
    for pattern in _MORE_OF:
        question = re.sub(pattern, r"\1how many \2\4 and how many \3\4\5", question, flags=re.IGNORECASE)
    question = re.sub(_MORE_IN, r"\1how many \2 and how many \3\4", question, flags=re.IGNORECASE)
    question = re.sub(r"(?<!\w)(?:no\.?|nr\.?|#) of (?=[a-z])", "number of ", question, flags=re.IGNORECASE)
    question = re.sub(_NUMBERS_OF, r"\1how many \2 and how many ", question, flags=re.IGNORECASE)
    question = re.sub(_LIST_OF, r"which \1 are there", question, flags=re.IGNORECASE)
    question = _OF_LARGE.sub(r"Which of the \1 \2 ", question)
    question = re.sub(r"^(\W*)on average, ([^?]*)(\??)$", r"\1\2 on average\3", question, flags=re.IGNORECASE)
    for pattern, plain in _ENDS_IN_WORDS:
        question = re.sub(pattern, plain, question, flags=re.IGNORECASE)
    question = re.sub(r"\s?\([^()\n]{0,80}\betc\b\.?\)", "", question, flags=re.IGNORECASE)  # examples of the groups
    question = re.sub(r"\b(?:takes?|took|taken) place\b", "happened", question, flags=re.IGNORECASE)
    return _LEFT_OUT.sub("excluding", without_points(_OF_FIRST.sub(r"\2 of \1 \3", question)))


def with_codes(question: str, table: Table) -> str:
    """The question with `EU` for "Europe" where a column of figures is for that region: `EU_Sales`."""
    known = {value.lower() for column in table.of_kind("text") for value in column.values}
    parts = {part for c in table.of_kind("number") for part in re.split(r"[\W_]+", c.name) if 1 < len(part) <= 3}
    for code, names in _CODES.items():
        if code in parts and not known & set(names.split("|")):
            question = re.sub(rf"\b(?:in )?(?:the )?(?:{names})\b", code, question, flags=re.IGNORECASE)
    return question


def with_ends(question: str, table: Table) -> str:
    """The question with "minimum and maximum price" for "price range", if no column has that name."""
    is_column = any(stem("range") in name_stems(column.name) for column in table.columns)
    if is_column or not re.search(_RANGE_OF, question, re.IGNORECASE):
        return question
    question = re.sub(_RANGE_OF, r"minimum and maximum \1 ", question, flags=re.IGNORECASE)
    return re.sub(_END_TO_END, "", question, flags=re.IGNORECASE)


def with_years(question: str, table: Table) -> str:
    """The question with "minimum and maximum year" for "which years does it cover", of the one column of years."""
    years = [c for c in table.of_kind("number") if "year" in name_stems(c.name)]
    if len(years) != 1:
        return question
    named = f"what is the minimum and maximum {years[0].name}"
    return re.sub(_COVERED, lambda _: named, question, flags=re.IGNORECASE)


_OF_COLUMNS = (  # a part of a column's name, and other words for what it is called
    ("capita", r"\bper (?:person|head|inhabitant|resident|citizen)\b", "per capita"),
    ("sqft", r"\bsquare (?:feet|foot|footage)\b|\bsq\.? ?f(?:ee)?t\b", "sqft"),
    ("sqm", r"\bsquare met(?:er|re)s?\b", "sqm"),
    *(
        (part, r"\b(?:been )?(?:driven|travelled|traveled) (?:the )?(?:furthest|farthest)\b", f"the highest {part}")
        for part in ("mileage", "milage", "kilometers", "kilometer", "km", "odometer")
    ),
    ("goal", r"\btop (\d+|\w+) (?:goal ?)?scorers\b", r"top \1 players by goals"),
    ("goal", r"\btop (?:goal ?)?scorer\b", "player with the most goals"),
    ("goal", r"\b(?:highest|best|leading) (?:goal ?)?scorer\b", "player with the most goals"),
)


def with_names(question: str, table: Table) -> str:
    """The question with "per capita" for "per person", and the like, where a column is called so."""
    parts = {part for column in table.columns for part in name_stems(column.name)}
    for column in table.columns:  # "one-star ratings" for `1 star ratings`
        found = re.fullmatch(r"(\d) ([a-z]{3,})( [a-z]+)?", column.name.lower())
        if found:
            word = next((name for name, digit in vocabulary.NUMBERS.items() if digit == int(found[1])), found[1])
            said = rf"\b(?:{word}|{found[1]})[- ]{found[2]}s?(?:{found[3] or ''})?\b"
            question = re.sub(said, column.name.replace("\\", r"\\"), question, flags=re.IGNORECASE)
    numbered = "|".join(sorted(set(vocabulary.NUMBERED.split("|")) & {c.name.lower() for c in table.columns}))
    if numbered:  # "the phone number of Ann" for `phone`
        question = re.sub(rf"\b({numbered}) number(?= of\b)", r"\1", question, flags=re.IGNORECASE)
    if "count" not in parts:  # "medal count" for `medals`
        ends_ = {name_stems(column.name)[-1] for column in table.of_kind("number") if name_stems(column.name)}
        said = "|".join(sorted(_COUNTABLE & ends_))
        question = re.sub(rf"\b((?:{said})s?) counts?\b", r"\1", question, flags=re.IGNORECASE) if said else question
    for name in (column.name.lower().replace("_", " ") for column in table.of_kind("number")):
        found = re.search(r"\b([a-z]{3,}) (off|out|up|over)$", name)  # "the biggest layoff" for `total_laid_off`
        if not found or re.search(r"\b(?:which|who)\b", question, re.IGNORECASE):
            continue  # "which firm had the biggest layoff" is of one row, and no total
        for base in {k for k, v in vocabulary.IRREGULAR.items() if v == found[1]} | {found[1].removesuffix("ed")}:
            said = rf"\b({'|'.join(_LARGEST)})( single)? {base}{found[2]}\b"
            question = re.sub(said, rf"\1\2 {found[0]}", question, flags=re.IGNORECASE)
    for part, said, named in _OF_COLUMNS:
        question = re.sub(said, named, question, flags=re.IGNORECASE) if part in parts else question
    return question


def with_days(question: str, table: Table) -> str:
    """The question with "25 December" for "Christmas Day", if the table has dates and no such word."""
    known = " ".join(value.lower() for column in table.of_kind("text") for value in column.values)
    for name, day in _HOLIDAYS.items() if table.of_kind("date") else ():
        if name.split()[0] not in known:
            question = re.sub(rf"\b{name}\b", day, question, flags=re.IGNORECASE)
    return question


def with_both_ends(question: str, table: Table) -> str:
    """The question with the names of the columns of a start and an end for "from where to where"."""
    texts = table.of_kind("text")
    ends_ = [[c.name for c in texts if part & set(name_stems(c.name))] for part in (_BEGINS, _FINISHES)]
    if not all(len(names) == 1 for names in ends_):
        return question
    named = f"what is its {ends_[0][0]} and {ends_[1][0]}"
    return re.sub(r"(?:[-–,] ?)?\bfrom where to where\b", lambda _: f", {named}", question, flags=re.IGNORECASE)


def with_nouns(question: str, table: Table) -> str:
    """The question with the names of two columns for "high and low temperatures": `TempHighF`, `TempLowF`."""
    from local.openai_emulator.models.offline.data.likeness import SAME, alike

    def replacement(match: re.Match[str]) -> str:
        found = []
        for word in (match[1], match[2]):
            own = [c for c in table.of_kind("number") if stem(word.lower()) in name_stems(c.name)]
            own = [c for c in own if any(alike(match[3].lower(), part) >= SAME for part in name_stems(c.name))]
            found += own if len(own) == 1 else []
        return f"{found[0].name} and {found[1].name}" if len(found) == 2 and found[0] is not found[1] else match[0]

    return re.sub(r"\b([a-z]{3,}) and ([a-z]{3,}) ([a-z]{4,}s)\b", replacement, question, flags=re.IGNORECASE)


def with_digits(question: str, table: Table) -> str:
    """The question with 150000 for "150k" and 2500000 for "2.5 million", if no column is counted in these."""
    scaled = any(re.search(r"(?i)million|thousand|billion|\bmn\b|\bbn\b", column.name) for column in table.columns)

    def replacement(match: re.Match[str]) -> str:
        return f"{float(match[1].replace(',', '')) * _SCALES[match[2].lower()]:.0f}"

    question = re.sub(r"\bhalf (?:a|an|of a) (?=(?:million|billion|thousand)\b)", "0.5 ", question, flags=re.IGNORECASE)
    question = re.sub(r"\b(?:a|one) (?=(?:million|billion)\b)", "1 ", question, flags=re.IGNORECASE)
    return question if scaled else _SCALED.sub(replacement, question)


def in_order(question: str, table: Table) -> str:
    """The question with the name of a column in place of its words in turned order: `lotsize` for "size of a lot"."""
    names = {re.sub(r"[^a-z]", "", column.name.lower()): column.name for column in table.columns}

    def replacement(match: re.Match[str]) -> str:
        first, last = match[1].lower(), match[2].lower()
        return names.get(last + first) or names.get(last.removesuffix("s") + first) or match[0]

    return re.sub(r"\b([a-z]{3,}) of (?:(?:the|a|an|each) )?([a-z]{3,})\b", replacement, question, flags=re.IGNORECASE)


def as_one_word(question: str, table: Table) -> str:
    """The question with two words as one where a name of a column writes them so: `homeruns` for "home run"."""
    parts = {
        part for c in table.columns for part in re.findall(r"[a-z]+", c.name.lower()) if len(part) >= SHORTEST_JOINED
    }

    def replacement(match: re.Match[str]) -> str:
        joined = f"{match[1]}{match[2]}".lower()
        found = next((part for part in (joined, f"{joined}s", joined.removesuffix("s")) if part in parts), "")
        known = {match[1].lower(), match[2].lower()} & parts
        return found if found and not known else match[0]

    return re.sub(r"\b([a-z]{2,})[ -](?=([a-z]{2,})\b)\2", replacement, question, flags=re.IGNORECASE)


def without_points(text: str) -> str:
    """A text with its initials written as one word: `USA` for "U.S.A."."""
    return _DOTTED.sub(lambda match: match[0].replace(".", ""), text)


def without_glosses(question: str, table: Table) -> str:
    """The question with the name of a column in place of the words that it explains by that name in brackets."""
    for column in table.columns:
        name = _in_brackets(question, column.name, table)
        for match in list(re.finditer(rf"(?<!\s)\s*+\(\s*+[\"'`]?{name}[\"'`]?(?: column)?\s*+\)", question)):
            words = _phrase(question[: match.start()])
            if not words or (column.kind == "date" and words.split()[-1].lower() in _PERIODS):
                continue  # "by year (order date)"
            explained = question[: match.start()]
            question = f"{explained[: len(explained) - len(words)]}{column.name}{question[match.end() :]}"
            question = re.sub(rf"(?<!\w){re.escape(words)}(?!\w)", column.name, question)
            break
    return _without_glossed_values(question, table)


def _without_glossed_values(question: str, table: Table) -> str:
    """The question with a value in place of the word that it explains by that value in brackets: "Spain (ESP)"."""
    for column in table.of_kind("text"):
        for value in column.values if len(column.values) < MOST_VALUES else ():
            if f"({value})" in question and value.isupper():
                question = re.sub(rf"\b[A-Z][a-z]+ (\({re.escape(value)}\))", lambda match: match[1][1:-1], question)
    return question


def _in_brackets(question: str, name: str, table: Table) -> str:
    """What stands in brackets for a column, as a pattern: its name, or the word of it that no other name has."""
    parts = [part for part in re.split(r"[\W_]+", name.lower()) if len(part) >= SHORTEST_OF_NAME and not part.isdigit()]
    others = {part for c in table.columns if c.name != name for part in re.split(r"[\W_]+", c.name.lower())}
    own = [part for part in parts if part not in others and f"({part})" in question.lower()]
    return f"(?:{re.escape(name)}|(?i:{own[0]}))" if own else re.escape(name)


def _phrase(text: str) -> str:
    """The last words of a text, back to one that starts a phrase; at most four."""
    words = re.findall(r"[^\s(),.;:?]+|[(),.;:?]", text)
    kept: list[str] = []
    for word in reversed(words):
        if len(kept) == 4 or word.lower() in _STOPS | vocabulary.NOT or not re.match(r"[\w\"']", word):
            break
        kept.insert(0, word)
    phrase = " ".join(kept)
    return phrase if text.endswith(phrase) else ""
