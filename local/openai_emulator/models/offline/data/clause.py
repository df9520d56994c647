"""A clause of a question as it was read, and what its table can measure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.names import name_stems
from local.openai_emulator.models.offline.data.table import Column, Table
from local.openai_emulator.models.offline.words import stem

TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|\w+(?:['’]\w+)?")
LENGTH_OF_CODE = 2  # letters
LABELS_SHARE = 0.9  # of the rows have a name of their own; two can be called alike
FEWEST_ROWS, SEVERAL_ROWS, MOST_GAPS = 20, 50, 3  # of a column that numbers the rows; its highest number by the rows
FIRST_SHORT_YEAR = 30  # lower numbers could be years of service, or of this century
_NUMBERING = "id no nr index zip code year phone postcode zcta isbn number"
_KEYS = frozenset(map(stem, _NUMBERING.split()))
_INDEX = stem("index")
_NAMES = frozenset(["name", "titl"])
_BEGUN = frozenset(map(stem, ("founded", "established", "built", "born", "released", "launched", "opened", "vintage")))
_ATTRIBUTES = frozenset(map(stem, ("price", "cost", "fee", "fare", "rate", "score", "rating", "weight", "size", "age")))
_PARTS_OF_DATES = {"month": 12, "day": 31, "hour": 24, "weekday": 7, "week": 53, "quarter": 4}  # and the last number
# What a question about two points in time says.
CHANGE = (
    r"\bchang(?:e[ds]?|ing)\b|\b(?:go|went|gone) (?:up|down)\b|\b(?:in|de)creased?\b|\bdifferences?\b"
    r"|\b(?:rise|rose|risen|fall|fell|fallen|grow|grew|grown|drop(?:ped)?|declined?|improved?|gained?|increase)\b"
)
FIGURES = (
    ("mean", r"\baverages?\b|\bmeans?\b|\bavg\b|\btypical(?:ly)?\b|\bon average\b"),
    ("median", r"\bmedians?\b"),
    (
        "sum",
        r"\btotals?\b|\bsum(?:med)?\b|\baltogether\b|\bin all\b(?=\W*$|[,;.])|\boverall\b|\bcombined\b"
        r"|\badd(?:s|ed|ing)? up\b",
    ),
    ("std", r"\bstandard deviations?\b|\bstd\b"),
    ("var", r"\bvariances?\b"),
    ("min", r"\bmin(?:imum)?\b|\blowest\b|\bsmallest\b"),
    ("max", r"\bmax(?:imum)?\b|\bhighest\b|\blargest\b"),
)


@dataclass(frozen=True, kw_only=True)
class Mention:
    """A column, and the tokens that name it."""

    column: Column
    tokens: tuple[int, ...]


@dataclass
class Clause:
    """A clause as it was read. `used` are the tokens that are accounted for."""

    text: str
    table: Table
    method: bool = False  # it says how to compute, not what
    tokens: list[re.Match[str]] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    mentions: list[Mention] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    by: list[Column] = field(default_factory=list)
    by_numbers: list[Column] = field(default_factory=list)  # named after "by": a group, or what is ranked by
    which: Column | None = None
    period: str = ""
    date: str = ""  # the column of dates or of years that the period is of, if it is no usual one
    chart: str = ""
    hows: tuple[str, ...] = ()
    settled: set[int] = field(default_factory=set)  # the tokens of "above the average" and "of different sexes"
    rate_of: str = ""  # the column of yes and no of a rate: "survival rate"
    places: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)  # the tokens of values, by column
    either: dict[tuple[int, ...], tuple[str, ...]] = field(default_factory=dict)  # of a value in any of some columns
    ambiguous: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # assumptions, for the reading of the answer
    least: int = 0  # rows that a group has at least
    of_all: bool = False  # it says that the whole table is meant: "in the company"
    repeats: bool = False  # it only says how to compute what another clause asks for
    kind: str = ""  # the name of its `Kind`
    whole: str = ""  # the question that the clause is a part of

    def claim(self, start: int, end: int) -> None:
        """Account for the words between two positions."""
        self.used |= {i for i, token in enumerate(self.tokens) if token.start() < end and start < token.end()}

    def claim_all(self, pattern: str) -> bool:
        """Account for the words that match; whether there are any."""
        found = False
        for match in re.finditer(pattern, self.text, re.IGNORECASE):
            self.claim(match.start(), match.end())
            found = found or bool(match[0])
        return found

    def within(self, match: re.Match[str]) -> set[int]:
        """The tokens of a match in the text."""
        return {i for i, t in enumerate(self.tokens) if t.start() < match.end() and match.start() < t.end()}

    def says(self, pattern: str) -> bool:
        return re.search(pattern, self.text, re.IGNORECASE) is not None

    def says_beside(self, pattern: str, named: set[int] | None = None) -> bool:
        """Whether the clause says it, and not only within some tokens: those of columns, `price change`."""
        named = {i for mention in self.mentions for i in mention.tokens} if named is None else named
        return any(not self.within(match) <= named for match in re.finditer(pattern, self.text, re.IGNORECASE))

    def written(self, tokens: Sequence[int]) -> str:
        """The text of some words in a row, in lower case; empty if they are not in the clause."""
        if max(tokens) >= len(self.tokens):
            return ""
        return self.text[self.tokens[min(tokens)].start() : self.tokens[max(tokens)].end()].lower()

    def is_free(self, start: int, end: int) -> bool:
        """Whether no word between two positions is accounted for."""
        return not any(i in self.used for i, t in enumerate(self.tokens) if t.start() < end and start < t.end())

    def word(self, index: int) -> str:
        return self.tokens[index][0].lower().replace("’", "'") if 0 <= index < len(self.tokens) else ""

    def free(self) -> list[int]:
        return [i for i in range(len(self.tokens)) if i not in self.used]

    def left(self) -> list[str]:
        """The words that are not accounted for; in a sentence about the method, operations that no program does."""
        if self.repeats:
            denied = re.compile(r"\b(?:without|not|don't|no|any)\b(?:\s+\w+){0,3}\s*$", re.IGNORECASE)
            found = [t for t in self.tokens if t[0].lower() in words.OPERATIONS]
            return [t[0] for t in found if not denied.search(self.text[: t.start()])]
        asks = self.says(r"^\W*(?:and |then )?(?:what|how|which|who|whose|when|where|average|total|is|are|do|does)\b")
        method = words.METHOD - words.NOT if asks else words.METHOD
        silent = words.SILENT | (method if self.method else frozenset())
        left = [i for i in self.free() if self.word(i) not in silent or self._is_code(i) or self._is_verb(i)]
        return [self.tokens[i][0] for i in left]

    def _is_verb(self, at: int) -> bool:
        """Whether "return" is what somebody did, and no order to the model."""
        asked = any(self.word(i) in ("did", "does", "do", "were", "was") for i in range(at))
        return self.word(at) in ("return", "returned", "returns") and asked

    def _is_code(self, at: int) -> bool:
        """Whether a word is written like a code: "US", "IT"."""
        word = self.tokens[at][0]
        return len(word) == LENGTH_OF_CODE and word.isupper() and word != "OR" and not self.text.isupper()

    def measures(self, *, conditioned: bool = True) -> list[Column]:
        """The named columns of figures that are not grouped by; those of conditions only if there are no others."""
        found = list(dict.fromkeys(m.column for m in self.mentions if m.column.kind == "number"))
        others = {condition.column for condition in self.conditions}
        plain = [c for c in found if c.name not in others]
        return plain or (found if conditioned else [])

    def is_only_noun(self, mention: Mention) -> bool:
        """Whether words name what the rows are, and not the column that numbers them: "orders" beside `order_id`."""
        said = {stem(self.word(i)) for i in mention.tokens}
        if "".join(self.word(i) for i in mention.tokens) == re.sub(r"\W|_", "", mention.column.name.lower()):
            return False
        after, one = self.word(mention.tokens[-1] + 1), not self.word(mention.tokens[-1]).endswith("s")
        if stem(after) in _KEYS or (one and after.isdigit()):
            return False  # "employee number 117", "customer 1234"
        before = [self.word(min(mention.tokens) - back) for back in (2, 1)]
        earlier = [self.word(min(mention.tokens) - back) for back in (3, 2, 1)]
        behind = [self.word(mention.tokens[-1] + more) for more in (1, 2)]
        counted = (
            before[1] in ("most", "fewest", "many")
            or before == ["number", "of"]
            or earlier == ["many", "of", "the"]
            or (self.word(mention.tokens[-1]).endswith("ed") and "most" in behind)
            or (before[1].isdigit() and self.word(mention.tokens[-1]).endswith("s"))
        )
        if counted and mention.column.kind == "number" and _ATTRIBUTES & (set(name_stems(mention.column.name)) - said):
            return True  # "the most sales" beside `Sale Price`
        if counted and mention.column.kind == "number" and _numbers_rows(mention.column, self.table):
            return True  # `review` beside "the most reviews"
        numbering = (_KEYS & set(name_stems(mention.column.name))) - said - _counting(mention.column, self.table)
        return mention.column.kind == "number" and bool(numbering) and not said & _KEYS and not is_year(mention.column)

    def limits(self) -> list[Condition]:
        """The conditions that a column of numbers is above or below something."""
        return [c for c in self.conditions if c.test.partition(" ")[0] in ("<", "<=", ">", ">=")]

    def entity(self, column: Column) -> bool:
        """Whether a column names the rows: each has a value of its own, or nearly so."""
        return column.kind == "text" and column.unique > LABELS_SHARE * self.table.rows and not column.entries

    def texts(self) -> list[Column]:
        """The named columns of text and dates that are neither grouped by nor in a condition."""
        grouped = {c.name for c in self.by} | {condition.column for condition in self.conditions}
        grouped |= {c.name for c in self.table.of_kind("date")} if self.period else set()
        return list(
            dict.fromkeys(m.column for m in self.mentions if m.column.kind != "number" and m.column.name not in grouped)
        )

    def dates(self) -> str:
        if self.date:
            return self.date
        dates = self.table.of_kind("date")
        return next((m.column.name for m in self.mentions if m.column.kind == "date"), dates[0].name if dates else "")


def _counting(column: Column, table: Table) -> frozenset[str]:
    """The words of a name that do not say that it numbers rows: of `Number.of.Bags`, and of a measure, `Rent Index`."""
    found = re.match(r"(?:number|no|nr|num)[\W_]*of[\W_]", column.name, re.IGNORECASE)
    of_measure = name_stems(column.name) != [_INDEX] and not _numbers_rows(column, table)
    return frozenset(["number", "no", "nr", "num"] if found else []) | ({_INDEX} if of_measure else set())


def is_flag(column: Column) -> bool:
    """Whether a column holds yes and no."""
    return len(column.values) == 2 and {value.lower() for value in column.values} <= words.YES | words.NO


def is_year(column: Column) -> bool:
    """Whether a column of numbers holds years."""
    low, high = column.usual
    return (
        column.whole
        and low >= 1500
        and high <= 2200
        and any(
            part in ("yr", "season", "date") or part in _BEGUN or part.endswith(("year", "jahr"))
            for part in name_stems(column.name)
        )
    )


def is_short_year(column: Column) -> bool:
    """Whether a column of numbers holds the last two digits of years of the 20th century."""
    try:
        low, high = float(column.low), float(column.high)
    except ValueError:
        return False
    is_named = any(part in ("yr", "year") for part in name_stems(column.name))
    return is_named and column.whole and low >= FIRST_SHORT_YEAR and high <= 99


def is_part_of_date(column: Column) -> bool:
    """Whether a column of whole numbers holds months, days, hours or weekdays."""
    plain = {word.lower() for word in re.findall(r"[A-Za-z]+", column.name)}
    if plain & {"days", "months", "hours", "weeks"} and len(plain) > 1:
        return False  # `duration_days`
    last = next((last for part, last in _PARTS_OF_DATES.items() if part in name_stems(column.name)), 0)
    try:
        return bool(last) and column.whole and float(column.low) >= 0 and float(column.high) <= last
    except ValueError:
        return False


def is_key(column: Column, table: Table) -> bool:
    """Whether a number identifies a row (an id, a code, a year): its figures have no meaning."""
    parts = [part for part in name_stems(column.name) if part not in _counting(column, table)]
    named = any(part in _KEYS or part.endswith(("year", "jahr")) for part in parts) or column.name.startswith("column ")
    return (named and column.whole) or is_part_of_date(column) or _numbers_rows(column, table)


def name_beside(key: Column, table: Table) -> Column | None:
    """The column that names what another one numbers: `name` or `game_name` beside `game_id`."""
    own = {*name_stems(key.name), *_NAMES}
    names = [c for c in table.of_kind("text") if set(name_stems(c.name)) <= own and _NAMES & set(name_stems(c.name))]
    return names[0] if len(names) == 1 and 2 * names[0].unique > table.rows else None


def _numbers_rows(column: Column, table: Table) -> bool:
    """Whether a column holds numbers of its own for each row: those from 0 or 1 on, or with some left out."""
    if not (column.whole and column.unique == table.rows > FEWEST_ROWS):
        return False
    if column.low in ("0", "1", "0.0", "1.0") and float(column.high) - float(column.low) == table.rows - 1:
        return True
    return table.rows >= SEVERAL_ROWS and float(column.low) >= 0 and float(column.high) <= MOST_GAPS * table.rows


def figures(table: Table) -> list[Column]:
    """The columns of numbers that can be measured: no identifiers, no years."""
    return [c for c in table.of_kind("number") if not is_key(c, table) and not is_year(c)]


def names(columns: Iterable[Column]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)
