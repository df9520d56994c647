"""Read one clause of a question against a table: which words are columns, values, conditions, groups; which are left."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.conditions import days_apart, time_conditions
from local.openai_emulator.models.offline.data.names import UNIT_STEMS, label, name_stems
from local.openai_emulator.models.offline.data.table import Column, Table
from local.openai_emulator.models.offline.words import stem

_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|\w+(?:['’]\w+)?")
_FILLER = frozenset(map(stem, ("avg", "mean", "total", "number", "num", "the", "per", "of", "in", "and", "column")))
_KEYS = frozenset(map(stem, ("id", "no", "nr", "index", "zip", "code", "year", "phone", "postcode", "isbn", "number")))
_LIMIT = re.compile(
    r"(?P<words>\b(?:above|over|more than|greater than|higher than|larger than|older than|longer than|exceed(?:s|ed|ing)?"
    r"|at least|below|under|less than|lower than|smaller than|younger than|shorter than|fewer than|at most|up to"
    r"|equals?(?: to)?|since|after|before|until)\b|>=|<=|>|<|==?)\s*[$€£]?(?P<number>-?\d[\d,]*(?:\.\d+)?)",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"\b(?:between|from)?\s*(?P<low>-?\d[\d,]*(?:\.\d+)?)\s+(?:and|to|-)\s+(?P<high>-?\d[\d,]*(?:\.\d+)?)\b", re.I
)
_SIGNS = (
    (r"above|over|more|greater|higher|larger|older|longer|exceed|>$|after", ">"),
    (r"at least|>=|since", ">="),
    (r"below|under|less|lower|smaller|younger|shorter|fewer|<$|before", "<"),
    (r"at most|up to|<=|until", "<="),
    (r"equal|=", "=="),
)
_BY = re.compile(
    r"\b(?:by|per|a(?= month| week| day| year)|for each|for every|of each|of every|in each|in every|across|among|each|every)\s+",
    re.I,
)
_WHICH = re.compile(r"\b(?:which|what|whose)\s+(?:of (?:the|those|these)\s+)?", re.IGNORECASE)
PERIODS = (
    (
        "hour",
        r"\b(?:peak )?hours? of (?:the )?day\b|\b(?:by|per|each|every|which|what) (?:the )?hours?\b|\bhourly\b|\b(?:peak|busiest) (?:\w+ )?hours?\b",
    ),
    ("weekday", r"\bdays? of (?:the )?week\b|\b(?:by|per|each|every|which|what) weekdays?\b"),
    (
        "weekend",
        r"\bweekdays? (?:and|vs\.?|versus|with|to) (?:the )?weekends?\b|\bweekends? (?:and|vs\.?|versus|with|to) (?:the )?weekdays?\b",
    ),
    ("day", r"\bdaily\b(?! return)|\b(?:by|per|each|every|which|what) (?:day|date)s?\b"),
    ("week", r"\bweekly\b|\b(?:by|per|each|every|which|what) weeks?\b"),
    ("month", r"\bmonthly\b|\b(?:by|per|each|every|which|what|a) months?\b"),
    ("quarter", r"\bquarterly\b|\b(?:by|per|each|every|which|what) quarters?\b"),
    ("year", r"\byearly\b|\bannual(?:ly)?\b|\b(?:by|per|each|every|which|what) years?\b"),
)
_DAYS_OF = {"month": 45, "quarter": 100, "year": 400}  # a period must not be shorter than the steps between dates
_CHARTS = (
    ("pie", r"\bpies?(?: charts?| graphs?)?\b"),
    ("line", r"\blines? (?:charts?|graphs?|plots?)\b"),
    ("bar", r"\b(?:bars?|columns?) (?:charts?|graphs?|plots?)\b"),
    ("histogram", r"\bhistograms?\b"),
    ("scatter", r"\bscatter(?: ?plots?)?\b"),
    ("any", r"\b(?:charts?|plot(?:s|ted)?|graphs?|diagrams?|visuali[sz]\w*|draw)\b"),
)
FIGURES = (
    ("mean", r"\baverages?\b|\bmeans?\b|\bavg\b|\btypical(?:ly)?\b|\bon average\b"),
    ("median", r"\bmedians?\b"),
    ("sum", r"\btotals?\b|\bsum(?:med)?\b|\baltogether\b|\bin all\b|\boverall\b|\bcombined\b"),
    ("std", r"\bstandard deviations?\b|\bstd\b"),
    ("var", r"\bvariances?\b"),
    ("min", r"\bmin(?:imum)?\b|\blowest\b|\bsmallest\b"),
    ("max", r"\bmax(?:imum)?\b|\bhighest\b|\blargest\b"),
)
_METHOD_NUMBER = re.compile(
    r"\b(?:significance|alpha|p-?values?|threshold|iqr|z-?scores?|level|round\w*)\b[^.\n]{0,60}?(-?\d+(?:\.\d+)?)"
    r"|(-?\d+(?:\.\d+)?)\s*(?:\*|times\b|x\b)?\s*(?:the )?(?:iqr\b|interquartile|standard dev|decimal|%? significance)",
    re.IGNORECASE,
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
    chart: str = ""
    hows: tuple[str, ...] = ()
    ambiguous: list[str] = field(default_factory=list)
    repeats: bool = False  # it only says how to compute what another clause asks for
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

    def says(self, pattern: str) -> bool:
        return re.search(pattern, self.text, re.IGNORECASE) is not None

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
        silent = words.SILENT | (words.METHOD if self.method else frozenset())
        return [self.tokens[i][0] for i in self.free() if self.word(i) not in silent]

    def measures(self, *, conditioned: bool = True) -> list[Column]:
        """The named columns of figures that are not grouped by; those of conditions only if there are no others."""
        found = list(dict.fromkeys(m.column for m in self.mentions if m.column.kind == "number"))
        others = {condition.column for condition in self.conditions}
        plain = [c for c in found if c.name not in others]
        return plain or (found if conditioned else [])

    def conditions_of_limit(self) -> bool:
        return any(condition.test in ("<", "<=", ">", ">=") for condition in self.conditions)

    def entity(self, column: Column) -> bool:
        """Whether a column names the rows: each has a value of its own."""
        return column.kind == "text" and column.unique == self.table.rows

    def texts(self) -> list[Column]:
        """The named columns of text and dates that are neither grouped by nor in a condition."""
        grouped = {c.name for c in self.by} | {condition.column for condition in self.conditions}
        return list(
            dict.fromkeys(m.column for m in self.mentions if m.column.kind != "number" and m.column.name not in grouped)
        )

    def dates(self) -> str:
        dates = self.table.of_kind("date")
        return next((m.column.name for m in self.mentions if m.column.kind == "date"), dates[0].name if dates else "")


def read(text: str, table: Table, *, method: bool = False) -> Clause:
    """Read a clause; the kind of question is decided afterwards."""
    clause = Clause(text=text, table=table, method=method, tokens=list(_TOKEN.finditer(text)))
    for match in _METHOD_NUMBER.finditer(text):
        clause.claim(match.start(1 if match[1] else 2), match.end(1 if match[1] else 2))
    _written_columns(clause)
    for column in table.of_kind("date")[:1]:
        for found in time_conditions(text, column):
            clause.claim(found.start, found.end)
            if found.condition not in clause.conditions:
                clause.conditions.append(found.condition)
    _charts_and_periods(clause)
    _values(clause)
    _named_columns(clause)
    _flags(clause)
    _limits(clause)
    _groups(clause)
    _file_words(clause)
    clause.hows = tuple(name for name, pattern in FIGURES if clause.says(pattern))
    return clause


# ---- columns -----------------------------------------------------------------------------------------------------


def _written_columns(clause: Clause) -> None:
    """Columns whose whole name stands in the text; the longest first."""
    for column in sorted(clause.table.columns, key=lambda c: -len(c.name)):
        name = column.name
        flags = re.IGNORECASE if len(name) > 1 else 0
        quoted = r"[\"'`“‘]" if name.lower() in ("a", "i", "in", "on", "of", "and", "no", "to") else ""
        for match in re.finditer(rf"(?<!\w){quoted}{re.escape(name)}{quoted}(?!\w)", clause.text, flags):
            inside = [i for i, t in enumerate(clause.tokens) if t.start() < match.end() and match.start() < t.end()]
            if inside and not clause.used & set(inside):
                clause.used |= set(inside)
                clause.mentions.append(Mention(column=column, tokens=tuple(inside)))


def _parts(column: Column) -> list[str]:
    stems = name_stems(column.name)
    core = [part for part in stems if part not in _FILLER and part not in UNIT_STEMS]
    return core or [part for part in stems if part not in UNIT_STEMS] or stems


def _alike(word: str, part: str) -> float:
    """How well a word of a question fits a word of a column's name, 0 to 1."""
    own = stem(word)
    if own == part or word == part:
        return 1.0
    if min(len(own), len(part)) >= 4 and (own.startswith(part) or part.startswith(own)) and not part.isdigit():
        return 0.9
    return 0.7 if any(own in group and part in group for group in words.SAME) else 0.0


def _named_columns(clause: Clause) -> None:
    """Columns that the words name in part, or by other words. What names two columns alike names none."""
    while candidates := list(_candidates(clause)):
        best = max(score for score, _, _ in candidates)
        top = [(column, tokens) for score, column, tokens in candidates if score >= best - 1e-9]
        taken = {tokens for _, tokens in top}
        if len(top) > 1 and len(taken) == 1:
            kinds = [entry for entry in top if entry[0].kind == "number"]
            if len(kinds) != 1 or top[0][0].kind == "date":
                names = " or ".join(f"`{column.name}`" for column, _ in top[:4])
                said = " ".join(clause.tokens[i][0] for i in next(iter(taken)))
                clause.ambiguous.append(f'"{said}" could be {names}.')
                clause.used |= set(next(iter(taken)))
                continue
            top = kinds
        column, tokens = min(top, key=lambda entry: entry[1])
        clause.used |= set(tokens)
        clause.mentions.append(Mention(column=column, tokens=tokens))
    clause.mentions.sort(key=lambda mention: mention.tokens)


def _candidates(clause: Clause) -> Iterator[tuple[float, Column, tuple[int, ...]]]:
    figures_ = {
        i for _, pattern in FIGURES for m in re.finditer(pattern, clause.text, re.I) for i in _inside(clause, m)
    }
    free = [
        i
        for i in clause.free()
        if i not in figures_ and (clause.word(i) not in words.SILENT or len(clause.word(i)) > 3)
    ]
    everywhere = [part for column in clause.table.columns for part in set(_parts(column))]
    for column in clause.table.columns:
        parts = _parts(column)
        for first in free:
            if spelt := _spelt_out(clause, first, parts):
                yield 0.9, column, spelt
                continue
            near = [i for i in free if first <= i <= first + len(parts) + 1]
            hits: dict[str, tuple[float, int]] = {}
            for part in parts:
                fits = [(_alike(clause.word(i), part), -i) for i in near]
                score, at = max(fits, default=(0.0, 0))
                if score and -at not in [place for _, place in hits.values()]:
                    hits[part] = (score, -at)
            if not hits or first not in [place for _, place in hits.values()]:
                joined = "".join(clause.word(i) for i in (first, first + 1))
                if len(joined) > 5 and joined == re.sub(r"\W|_", "", column.name.lower()):
                    yield 1.0, column, (first, first + 1)
                continue
            share = sum(score for score, _ in hits.values()) / len(set(parts))
            places = tuple(sorted(place for _, place in hits.values()))
            alone = all(clause.word(i) in words.SILENT for i in places)
            sole = any(everywhere.count(part) == 1 and score == 1.0 for part, (score, _) in hits.items())
            if (share >= 0.5 or sole) and not (alone and share < 0.9):
                yield share + 0.01 * len(hits), column, places


def _spelt_out(clause: Clause, first: int, parts: list[str]) -> tuple[int, ...]:
    """The words whose initials or beginnings are the parts of a name: "gross domestic product per capita" for gdpPercap."""
    at, found = first, 0
    for part in parts:
        count = len(part)
        own = [clause.word(i) for i in range(at, at + count)]
        if 3 <= count <= 5 and "".join(word[:1] for word in own) == part and clause.word(at) != part:
            at, found = at + count, found + 1
        elif found and (clause.word(at) + clause.word(at + 1)).startswith(part):
            at = at + 2
        elif found and part.isdigit():
            years = [i for i in range(at, min(at + 5, len(clause.tokens))) if clause.word(i) == part]
            if not years:
                return ()
            return (*range(first, at), years[0])
        else:
            return ()
    return tuple(range(first, at)) if found else ()


def _inside(clause: Clause, match: re.Match[str]) -> set[int]:
    return {i for i, t in enumerate(clause.tokens) if t.start() < match.end() and match.start() < t.end()}


def _groups(clause: Clause) -> None:
    """The columns after "by", "per", "for each", and the one after "which"."""
    starts = {mention.tokens[0]: mention.column for mention in clause.mentions}

    def column_at(position: int) -> tuple[int, Column] | None:
        place = next((i for i, token in enumerate(clause.tokens) if token.start() >= position), len(clause.tokens))
        for i in range(place, min(place + 3, len(clause.tokens))):
            if i in starts:
                return i, starts[i]
            if clause.word(i) not in words.SILENT:
                break
        return None

    for match in _BY.finditer(clause.text):
        found = column_at(match.end())
        while found:
            clause.claim(match.start(), match.end())
            if found[1].kind == "number" and found[1] not in clause.by_numbers:
                clause.by_numbers.append(found[1])
            elif found[1].kind == "text" and found[1] not in clause.by:
                clause.by.append(found[1])
            elif found[1].kind == "date" and not clause.period:
                clause.period = "day"
            end = clause.tokens[found[0]].end()
            more = re.match(r"\w*\s*(?:,|and|,\s*and)\s+", clause.text[end:])
            found = column_at(end + more.end()) if more else None
    for match in _WHICH.finditer(clause.text):
        if (found := column_at(match.end())) and not clause.which:
            clause.which = found[1]


# ---- values ------------------------------------------------------------------------------------------------------


def _value_words(value: str) -> list[str]:
    return [word.lower() for word in _TOKEN.findall(value)]


def _values(clause: Clause) -> None:
    """Values of text columns that the words name: `web-02`, "Sunday" for `Sun`, "women" for `Female`."""
    said = [clause.word(i) for i in range(len(clause.tokens))]
    found: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for column in clause.table.of_kind("text"):
        for value in column.values:
            parts = _value_words(value)
            for places in _places(said, parts, clause, value, column):
                found.setdefault(column.name, []).append((value, places))
    everything = sorted((len(places), name, value, places) for name, hits in found.items() for value, places in hits)
    chosen: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for _, name, value, places in reversed(everything):
        others = {place for hits in chosen.values() for _, at in hits for place in at}
        if not set(places) & others:
            chosen.setdefault(name, []).append((value, places))
    for name, hits in chosen.items():
        values = tuple(sorted({value for value, _ in hits}, key=[v for v, _ in hits].index))
        places = {place for _, at in hits for place in at}
        clause.used |= places
        negated = any(clause.word(min(at) - 1) in words.NOT for _, at in hits)
        clause.used |= {min(at) - 1 for _, at in hits if clause.word(min(at) - 1) in words.NOT}
        test, value = ("in", values) if len(values) > 1 else ("!=" if negated else "==", values[0])
        said_words = ("not " if test == "!=" else "") + " and ".join(sorted(values))
        clause.conditions.append(Condition(column=name, test=test, value=value, words=said_words))


def _places(said: list[str], parts: list[str], clause: Clause, value: str, column: Column) -> Iterator[tuple[int, ...]]:
    """Where a value stands in the clause."""
    if not parts or value.lower() in words.YES | words.NO:
        return
    size = len(parts)
    for at in range(len(said) - size + 1):
        places = tuple(range(at, at + size))
        if clause.used & set(places):
            continue
        window = said[at : at + size]
        if window == parts or (size == 1 and len(value) > 3 and stem(window[0]) == stem(parts[0])):
            if len(value) == 1 and clause.tokens[at][0] != value:
                continue
            if all(word in words.SILENT for word in window) and not value[:1].isupper() and len(value) < 3:
                continue
            yield places
        elif size == 1 and _means(window[0], parts[0], column):
            yield places


def _means(word: str, value: str, column: Column) -> bool:
    """Whether a word means a value that is written otherwise: a weekday, a month, a gender."""
    days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    months = [
        "january",
        "february",
        "march",
        "april",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ]
    if (
        len(value) >= 3
        and value != word
        and word.rstrip("s").startswith(value)
        and word.rstrip("s") in (*days, *months)
    ):
        return True
    short = {v.lower() for v in column.values}
    if short <= {"f", "m", "female", "male", "woman", "man", "w", "women", "men"}:
        return (word in words.WOMEN and value in ("f", "w", "female", "woman", "women")) or (
            word in words.MEN and value in ("m", "male", "man", "men")
        )
    return False


def _flags(clause: Clause) -> None:
    """A column of yes and no whose name stands for its yes: "smokers", "non-smokers", "who survived"."""
    for mention in list(clause.mentions):
        column = mention.column
        values = {value.lower() for value in column.values}
        yes = [v for v in column.values if v.lower() in words.YES]
        no = [v for v in column.values if v.lower() in words.NO]
        if len(values) != 2 or not yes or not no or any(c.column == column.name for c in clause.conditions):
            continue
        before = clause.word(mention.tokens[0] - 1)
        if before in ("by", "per", "each", "which", "the", "of") and clause.says(
            rf"\b{before}\s+{re.escape(clause.word(mention.tokens[0]))}"
        ):
            if before != "the" and before != "of":
                continue
        if (
            clause.word(mention.tokens[0]) == column.name.lower()
            and column.kind == "number"
            and clause.says(r"correlat|between")
        ):
            continue
        negated = before in words.NOT or clause.word(mention.tokens[0] - 2) in words.NOT
        value: object = (no if negated else yes)[0]
        if column.kind == "number":
            value = float(str(value)) if str(value).replace(".", "").isdigit() else 1.0
        clause.used |= {i for i in (mention.tokens[0] - 1, mention.tokens[0] - 2) if clause.word(i) in words.NOT}
        clause.mentions.remove(mention)
        text = f"{'no' if negated else ''} {label(column.name)}".strip()
        clause.conditions.append(
            Condition(
                column=column.name,
                test="==",
                value=value,
                words=f"{text} ({column.name} = {(no if negated else yes)[0]})",
            )
        )


# ---- limits ------------------------------------------------------------------------------------------------------


def _limits(clause: Clause) -> None:
    """Limits and ranges of numbers, years in a column of whole numbers, and `8 cylinders` or `class 3`."""
    for match in _RANGE.finditer(clause.text):
        if _is_free(clause, match.start("low"), match.end("high")) and (
            column := _near(clause, match.start(), match.end(), match["low"])
        ):
            low, high = _value(match["low"]), _value(match["high"])
            clause.claim(match.start(), match.end())
            words_ = f"`{column.name}` from {match['low']} to {match['high']}"
            clause.conditions.append(Condition(column=column.name, test=">=", value=low, words=words_))
            clause.conditions.append(Condition(column=column.name, test="<=", value=high, words=words_))
    for match in _LIMIT.finditer(clause.text):
        if _is_free(clause, match.start("number"), match.end("number")) and (
            column := _near(clause, match.start(), match.end(), match["number"])
        ):
            sign = next(sign for pattern, sign in _SIGNS if re.search(pattern, match["words"].lower()))
            clause.claim(match.start(), match.end())
            text = f"{label(column.name)} {match['words'].lower()} {match['number']}"
            clause.conditions.append(
                Condition(column=column.name, test=sign, value=_value(match["number"]), words=text)
            )
    clause.used |= {i for i in clause.free() if clause.word(i) in ("year", "years") and i + 1 in clause.used}
    units = {
        i for i in clause.free() if stem(clause.word(i)) in UNIT_STEMS and re.fullmatch(r"[\d.,]+", clause.word(i - 1))
    }
    clause.used |= {i for i in units if i - 1 in clause.used}
    for i in clause.free():
        word = clause.word(i)
        if not re.fullmatch(r"\d+(?:\.\d+)?", word):
            continue
        column = next((m.column for m in clause.mentions if m.column.kind == "number" and _beside(clause, m, i)), None)
        years = [c for c in clause.table.of_kind("number") if is_year(c)]
        if (
            column is None
            and len(word) == 4
            and len(years) == 1
            and clause.word(i - 1) in ("in", "of", "for", "year", "during")
        ):
            column = years[0]
        if column and column.whole and clause.word(i - 1) not in ("top", "bottom"):
            clause.used.add(i)
            text = f"`{column.name}` = {word}"
            clause.conditions.append(Condition(column=column.name, test="==", value=_value(word), words=text))


def _beside(clause: Clause, mention: Mention, i: int) -> bool:
    """Whether a number stands directly before or after a column: `8 cylinders`, `class 3`, `cylinders = 8`."""
    last = mention.tokens[-1]
    return (
        i == mention.tokens[0] - 1
        or i == last + 1
        or (i == last + 2 and clause.word(last + 1) in ("is", "of", "equal"))
    )


def is_year(column: Column) -> bool:
    """Whether a column of numbers holds years."""
    try:
        low, high = float(column.low), float(column.high)
    except ValueError:
        return False
    return (
        column.whole
        and low >= 1500
        and high <= 2200
        and bool({"year", "jahr", "season", "yr"} & set(name_stems(column.name)))
    )


def _is_free(clause: Clause, start: int, end: int) -> bool:
    return not any(i in clause.used for i, t in enumerate(clause.tokens) if t.start() < end and start < t.end())


def _value(text: str) -> float:
    return float(text.replace(",", ""))


def _near(clause: Clause, start: int, end: int, number: str) -> Column | None:
    """The column that a limit is about: the nearest one named before it, else the next one after it."""
    numbers = [(clause.tokens[m.tokens[0]].start(), m.column) for m in clause.mentions if m.column.kind == "number"]
    years = [c for c in clause.table.of_kind("number") if is_year(c)]
    if re.fullmatch(r"[12]\d{3}", number) and len(years) == 1:
        return years[0]
    before = [column for at, column in numbers if at < start]
    after = [column for at, column in numbers if at >= end]
    ages = [c for c in clause.table.of_kind("number") if "age" in name_stems(c.name)]
    if clause.says(r"\b(?:older|younger|years old|aged?)\b") and len(ages) == 1:
        clause.claim_all(r"\byears old\b|\baged?\b|\byears\b")
        return ages[0]
    return before[-1] if before else after[0] if after else None


# ---- the rest ----------------------------------------------------------------------------------------------------


def _charts_and_periods(clause: Clause) -> None:
    for name, pattern in _CHARTS:
        if clause.claim_all(pattern) and not clause.chart:
            clause.chart = name
    dates = clause.table.of_kind("date")
    if dates:
        finest = days_apart(dates[0])
        for name, pattern in PERIODS:
            if finest > _DAYS_OF.get(name, 6):
                continue
            free = [m for m in re.finditer(pattern, clause.text, re.IGNORECASE) if not clause.period]
            for match in free[:1]:
                tokens = {i for i, t in enumerate(clause.tokens) if t.start() < match.end() and match.start() < t.end()}
                if not tokens <= clause.used:
                    clause.period = name
                    clause.used |= tokens


def _file_words(clause: Clause) -> None:
    """Words of the file's name say which table is meant."""
    for match in re.finditer(re.escape(clause.table.shown), clause.text, re.IGNORECASE):
        clause.claim(match.start(), match.end())
    named = set(name_stems(clause.table.shown.rpartition(".")[0]))
    clause.used |= {i for i in clause.free() if stem(clause.word(i)) in named and not clause.word(i).isdigit()}


def is_key(column: Column, table: Table) -> bool:
    """Whether a number identifies a row (an id, a code, a year): its figures have no meaning."""
    named = bool(_KEYS & set(name_stems(column.name))) or column.name.startswith("column ")
    return named or bool(column.whole and column.unique == table.rows > 20 and column.low in ("0", "1", "0.0", "1.0"))


def figures(table: Table) -> list[Column]:
    """The columns of numbers that can be measured: no identifiers, no years."""
    return [c for c in table.of_kind("number") if not is_key(c, table) and not is_year(c)]


def names(columns: Iterable[Column]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)


def first_free(clause: Clause, candidates: Sequence[str]) -> str:
    """The first unclaimed word of the candidates; empty if there is none."""
    return next((clause.word(i) for i in clause.free() if clause.word(i) in candidates), "")
