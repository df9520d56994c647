"""Find the columns that a clause names, in full, in part or by other words; and what it groups by."""

from __future__ import annotations

import re
from collections.abc import Iterator

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.clause import (
    FIGURES,
    Clause,
    Mention,
    is_flag,
    is_key,
    is_part_of_date,
    is_year,
    name_beside,
)
from local.openai_emulator.models.offline.data.likeness import LIMITS, SAME, SURE, alike
from local.openai_emulator.models.offline.data.names import UNIT_STEMS, name_stems, of_end, plain_words
from local.openai_emulator.models.offline.data.spelt_out import spelt_out
from local.openai_emulator.models.offline.data.table import Column
from local.openai_emulator.models.offline.words import stem

_FILLER_WORDS = "is has avg mean total number num count the per of in and column"
_FILLER = frozenset(map(stem, _FILLER_WORDS.split()))
_MEASURED = frozenset(map(stem, ("sum", "inches", "inch", "level", "count", "value", "amount")))
_NAMES = frozenset(["name", "titl", "role"])  # what else the name of the column may say that names a thing: `team_name`
SHARES = frozenset(["share", "shares", "percent", "percentage", "percentages", "proportion", "fraction"])
_BEFORE_RATE = words.SILENT | words.HIGHEST | words.LOWEST | {"average", "mean", "median", "total", ""}
_COUNTS = frozenset(map(stem, ("count", "counts", "number", "num", "total", "cases", "n")))
_LASTING = frozenset(map(stem, ("duration", "hours", "minutes", "time", "length", "amount", "days")))
_CURRENCIES = {"dollars": "USD", "euros": "EUR", "pounds": "GBP", "rupees": "INR", "yen": "JPY", "yuan": "CNY"}
_RATES = frozenset(
    map(stem, ("rate", "ratio", "share", "percent", "percentage", "pct", "per", "avg", "average", "index"))
)
_IDS = frozenset(map(stem, ("id", "no", "nr", "number", "key", "code")))
_ATTRIBUTES = frozenset(
    map(stem, ("date", "time", "type", "status", "id", "number", "code", "reason", "method", "year", "month"))
)
_ROWS = frozenset(map(stem, words.ROW_NOUNS))
_SUMS = frozenset(["total", "overall", "sum", "all"])
_ALL = frozenset(map(stem, ("global", "total", "overall", "all", "world", "worldwide")))
_TIMES = frozenset(map(stem, ("year", "month", "day", "date", "time", "week", "hour", "quarter")))
# "in the company", "in the 2015 ranking"
OF_WHOLE = re.compile(
    r"\b(?:in|at|on|of|from|with|during|for|over|across) (?:the|this|any|our) (?:whole |entire |full |[12]\d{3} )?"
    r"(\w+)\b(?! of\b)",
    re.IGNORECASE,
)


_WORDS = "a i in on of and no to who what when where which how why is are was were"
_NEVER_BARE = frozenset(_WORDS.split())  # such a word is only a column's name in quotes
LENGTH_OF_CURRENCY = 3  # letters of a code such as `EUR`
THIRD_OF_NAME = 0.34  # of the words of a column of yes and no; with fewer it is not named
MOST_PARTS = 3  # words of a name of which "people" says one: `energy consumption per capita (kWh/person)`


def written_columns(clause: Clause) -> None:
    """Columns whose whole name stands in the text, and not inside of a value; the longest first."""
    text = clause.text.lower()
    values = [v.lower() for c in clause.table.of_kind("text") for v in c.values if " " in v and v.lower() in text]
    spans = [(at, at + len(value)) for value in values if (at := text.find(value)) >= 0]
    for column in sorted(clause.table.columns, key=lambda c: -len(c.name)):
        name = column.name
        flags = re.IGNORECASE if len(name) > 1 else 0
        quoted = r"[\"'`“‘]" if name.lower() in _NEVER_BARE else ""
        whole = " ?".join(map(re.escape, re.split(r"(?<=[a-z])(?=[A-Z])", name)))  # "daily rate" for `DailyRate`
        spaced = re.sub(r"_|(?<=\w)\\\.(?=\w)", "[_. ]", whole)  # "red cards" for `red_cards`
        spaced = spaced.replace("\\ /\\ ", "(?: / | per )")  # "deaths per 100 cases" for `Deaths / 100 Cases`
        for match in re.finditer(rf"(?<!\w){quoted}{spaced}{quoted}(?!\w)", clause.text, flags):
            inside = [i for i, t in enumerate(clause.tokens) if t.start() < match.end() and match.start() < t.end()]
            in_value = any(low <= match.start() and match.end() <= high for low, high in spans)
            if inside and not clause.used & set(inside) and (not in_value or quoted):
                clause.used |= set(inside)
                clause.mentions.append(Mention(column=column, tokens=tuple(inside)))


def _parts(column: Column) -> list[str]:
    stems = name_stems(column.name)
    for at in range(len(stems) - 1, 0, -1):  # `CO2 emissions` has the word co2
        joined = stems[at - 1] + stems[at]
        if stems[at].isdigit() and len(stems[at - 1]) <= 2 and joined in column.name.lower():
            stems = [*stems[: at - 1], joined, *stems[at + 1 :]]
    core = [part for part in stems if part not in _FILLER and part not in UNIT_STEMS]
    return core or [part for part in stems if part not in UNIT_STEMS] or stems


def named_columns(clause: Clause) -> None:
    """Columns that the words name in part, or by other words. What names two columns alike names none."""
    while candidates := list(_candidates(clause)):
        best = max(score for score, _, _ in candidates)
        top = [(column, tokens) for score, column, tokens in candidates if score >= best - 1e-9]
        places = min(tokens for _, tokens in top)
        top = [entry for entry in top if entry[1] == places]
        top = [entry for entry in top if entry[0].unique > 1] or top  # a column of one value tells nothing
        if len(top) == 1 and _is_event(clause, top[0][0], places):
            clause.used |= set(places)
            continue
        if len(top) > 1:
            column = _one_of(clause, [column for column, _ in top], places)
            if column is None:
                clause.used |= set(places)
                continue
            top = [(column, places)]
        column, tokens = top[0]
        clause.used |= set(tokens)
        if not (_is_time(column) and len(tokens) == 1 and clause.word(tokens[0]).endswith("ed")):
            clause.mentions.append(Mention(column=column, tokens=tokens))  # but "reviewed" is no `ReviewDate`
    clause.mentions.sort(key=lambda mention: mention.tokens)
    starts = {mention.tokens[0] for mention in clause.mentions}
    figure = re.compile("|".join(pattern for _, pattern in FIGURES), re.IGNORECASE)
    clause.mentions = [  # "total fare" is a total, though there is a column `total`
        m for m in clause.mentions if not (figure.fullmatch(m.column.name) and m.tokens[-1] + 1 in starts)
    ]


def _one_of(clause: Clause, columns: list[Column], places: tuple[int, ...]) -> Column | None:
    """The one that is meant of columns that are named alike; None if the words name none, or it is not clear which."""
    spoken = [clause.word(i) for i in places]
    said = {stem(form) for word in spoken for form in (word, words.IRREGULAR.get(word, word))}
    if all(map(_is_time, columns)) and not said & _TIMES:
        return None  # the verb of `YearSold` and `MonthSold`
    told = _told_elsewhere(columns, said, clause)
    if told is not None:
        return told
    numbers = [column for column in columns if column.kind == "number"]
    before = [clause.word(places[0] - 2), clause.word(places[0] - 1)]
    if before == ["how", "much"] and len(numbers) == 1:
        return numbers[0]
    noun, counts = clause.word(places[0]), clause.says(r"\bhow many\b")
    counted = counts and (before[1] == "many" or before[0] == "the") and noun in words.ROW_NOUNS and bool(clause.places)
    if _are_attributes(clause, columns, places) or counted:  # "how many products failed": the rows
        clause.notes.append(f"a row taken as one of the {noun}")
        return None
    often = clause.says(r"\bmost often\b|\bthe most\b|\bhow (?:many times|often)\b")
    if len(places) == 1 and noun.endswith("ed") and often:
        return None  # "which customer ordered most often"
    called = [column for column in columns if {*name_stems(column.name)} - said <= _NAMES]
    kinds = called if len(called) == 1 else numbers
    if len(kinds) != 1 or (columns[0].kind == "date" and not called):
        named = " or ".join(f"`{column.name}`" for column in columns[:4])
        clause.ambiguous.append(f'"{" ".join(clause.tokens[i][0] for i in places)}" could be {named}.')
        return None
    return kinds[0]


def _is_event(clause: Clause, column: Column, places: tuple[int, ...]) -> bool:
    """Whether what is counted happened in each row at the date of a column: "reviews" beside `review_date`.

    Where the date is missing in some rows, it is not clear whether these count: "deaths" beside `death_date`.
    """
    noun = clause.word(places[0])
    if column.kind != "date" or stem(noun) in _TIMES or not _are_attributes(clause, [column], places):
        return False
    if column.missing:
        clause.ambiguous.append(f'It is not clear whether "{noun}" are all rows, or those with a `{column.name}`.')
    clause.notes.append(f"a row taken as one of the {noun}")
    return True


def _are_attributes(clause: Clause, columns: list[Column], places: tuple[int, ...]) -> bool:
    """Whether columns tell of what is counted: "admissions" of `Date of Admission` and `Admission Type`."""
    said = {stem(clause.word(i)) for i in places}
    before = [clause.word(i) for i in range(places[0] - 3, places[0])]
    counted = "many" in before or ("number" in before and "of" in before) or before[-1] in ("most", "by")
    others = [set(name_stems(column.name)) - said - {"of", "the"} for column in columns]
    return (
        counted
        and len(places) == 1
        and clause.word(places[0]).endswith("s")
        and all(o and o <= _ATTRIBUTES for o in others)
    )


def _is_time(column: Column) -> bool:
    return is_year(column) or is_part_of_date(column)


def _told_elsewhere(columns: list[Column], said: set[str], clause: Clause) -> Column | None:
    """Of columns named alike, the one of numbers of cases and not of rates; or whose other words stand elsewhere."""
    money = next((code for said_, code in _CURRENCIES.items() if clause.says(rf"\b{said_}\b|\b{code}\b")), "")
    if money and len(paid := [column for column in columns if column.unit == money]) == 1:
        return paid[0]  # `Price (USA)` for "in dollars"
    ends_ = (("max", r"\b(?:highest|max(?:imum)?)\b"), ("min", r"\b(?:lowest|min(?:imum)?)\b"), ("mean", FIGURES[0][1]))
    end = next((name for name, said_ in ends_ if clause.says(said_)), "")
    if end and len(of_end_ := of_end(columns, end)) == 1:
        return of_end_[0]
    others = {column.name: {*name_stems(column.name)} - said for column in columns}
    counts = [column for column in columns if others[column.name] and others[column.name] <= _COUNTS]
    if len(counts) == 1 and all(others[c.name] & _RATES for c in columns if c is not counts[0]):
        return counts[0]
    lasting = [column for column in columns if others[column.name] and others[column.name] <= _LASTING]
    if len(lasting) == 1 and clause.says(r"\b(?:hours|minutes|days|much|more|most|less|least|long\w*|short\w*)\b"):
        return lasting[0]  # "people who sleep less than 6 hours": `Sleep Duration`, beside `Sleep Quality`
    ids = [column for column in columns if others[column.name] and others[column.name] <= _IDS]
    plural = any(clause.word(i).endswith("s") and stem(clause.word(i)) in said for i in range(len(clause.tokens)))
    if len(ids) == 1 and plural and clause.says(r"\bhow many\b|\bnumber of\b"):
        return ids[0]  # "how many different orders": `Order ID`
    if len(ids) == 1 and not counts and ids[0].unique == clause.table.rows and name_beside(ids[0], clause.table):
        return ids[0]  # "which game": `game_id`, beside `age_of_game`; another column names the rows
    whole = [column for column in columns if others[column.name] and others[column.name] <= _ALL]
    sums = [c for c in clause.table.of_kind("number") if set(name_stems(c.name)) <= _SUMS and c not in columns]
    if len(columns) > 2 and len(sums) == 1 and not whole and all(c.kind == "number" for c in columns):
        if sums[0] not in [m.column for m in clause.mentions]:
            clause.notes.append(f"`{sums[0].name}` taken as all {next(iter(said))}s")
        return sums[0]
    about = {part for name, _ in clause.places for part in name_stems(name)}
    about = {part for part in about if sum(part in others[c.name] for c in columns) == 1}
    of_condition = [c for c in columns if others[c.name] & about and c.name not in [name for name, _ in clause.places]]
    if len(of_condition) == 1:
        return of_condition[0]  # "the cost of a hotel": `accommodation_cost` beside `accommodation_type`
    free = [clause.word(i) for i in range(len(clause.tokens)) if stem(clause.word(i)) not in said]
    free = [word for word in free if word not in words.SILENT | LIMITS]
    told = [c for c in columns if any(alike(word, part) for word in free for part in others[c.name] - UNIT_STEMS)]
    told = told or whole
    return told[0] if len(told) == 1 else None


def _candidates(clause: Clause) -> Iterator[tuple[float, Column, tuple[int, ...]]]:
    free = _can_name(clause)
    columns = clause.table.columns
    codes = [c for c in columns if len(c.name) == LENGTH_OF_CURRENCY and c.name.isupper()]
    codes = codes if len(codes) < len(columns) else []  # `CNY` is not short for "country"
    everywhere = [part for column in clause.table.columns for part in set(_parts(column))]
    for column in clause.table.columns:
        parts = _parts(column)
        for first in free if column not in codes else ():
            if spelt := spelt_out(clause, first, parts):
                yield 0.9, column, spelt
                continue
            hits = _hits(clause, column, parts, [i for i in free if first <= i <= first + len(parts) + 1])
            if not hits or first not in [place for _, place in hits.values()]:
                joined = "".join(clause.word(i) for i in (first, first + 1))
                if len(joined) > 5 and re.sub(r"\W|_", "", column.name.lower()) in (joined, f"{joined}s"):
                    yield 1.0, column, (first, first + 1)
                continue
            share = sum(score for score, _ in hits.values()) / len(set(parts))
            places = tuple(sorted(place for _, place in hits.values()))
            if _is_other(clause, column, places, first, share):
                continue
            before_two = {clause.word(places[0] - 1), clause.word(places[0] - 2)}
            most = bool(before_two & (words.HIGHEST | words.LOWEST))  # "the biggest sample", "the most fantasy points"
            alone = not most and all(clause.word(i) in words.SILENT for i in places)
            single = {part: score for part, (score, _) in hits.items() if everywhere.count(part) == 1}
            few = len(set(parts) - _MEASURED) < MOST_PARTS  # of `low wage jobs` a salary is only a part
            sole = any(score >= SURE or (score == SAME and few) for score in single.values())
            if (share >= 0.5 or sole) and not (alone and share < 0.9):
                yield share + 0.01 * len(hits), column, places


def _hits(clause: Clause, column: Column, parts: list[str], near: list[int]) -> dict[str, tuple[float, int]]:
    """Of the parts of a name how well, and where, the best of some words fits each."""
    hits: dict[str, tuple[float, int]] = {}
    for part in parts:
        fits = [
            (alike(clause.word(i), part), -i)
            for i in near
            if not _is_cost(clause.word(i), part, parts) and not _is_done(clause, i, part, column)
        ]
        score, at = max(fits, default=(0.0, 0))
        if score and -at not in [place for _, place in hits.values()]:
            hits[part] = (score, -at)
    sure = any(score >= 0.9 for score, _ in hits.values())
    for part in [part for part in parts if sure and len(part) == 3 and part not in hits]:  # `UrbanPop`
        taken = {place for _, place in hits.values()}
        begun = [i for i in near if i not in taken and clause.word(i).startswith(part)]
        hits |= {part: (0.8, begun[0])} if begun else {}
    return {} if all(part.isdigit() for part in hits) else hits  # the 2 of "top 2" is no `price2`


def _is_other(clause: Clause, column: Column, places: tuple[int, ...], first: int, share: float) -> bool:
    """Whether words that name a part of a column mean something else."""
    before, said = [clause.word(first - 2), clause.word(first - 1)], [clause.word(i) for i in places]
    if before == ["how", "much"] and column.kind == "text":
        return True
    if share < SURE and column.kind == "number" and before in (["in", "a"], ["in", "an"], ["in", "one"]):
        return True  # "in a session" is no `session_duration`
    if share < THIRD_OF_NAME and is_flag(column):
        return True  # "their job" is no `FromDiversityJobFair`
    if share < SURE and _are_rows(clause, places, column):
        return True
    if before[1] in ("most", "fewest") and said == ["ratings"] and column.kind == "number" and not column.whole:
        return True  # how many rated it, and not how
    if said == ["rated"] and clause.word(places[0] + 1) == "by" and column.kind == "number":
        return True  # it says by whom, and not how
    of_rate = all(clause.word(i) in ("rate", "rates") for i in places)  # "the unemployment rate" is no `literacy_rate`
    return of_rate and clause.word(places[0] - 1) not in _BEFORE_RATE


def _are_rows(clause: Clause, places: tuple[int, ...], column: Column) -> bool:
    """Whether words that name a part of a column only say what the rows are: "matches" of matches.csv, "people"."""
    said = {clause.word(i) for i in places}
    if clause.word(places[0] - 1) in ("different", "distinct", "unique"):
        return False
    numbers = is_key(column, clause.table) or column.unique == 1 or len(_parts(column)) > MOST_PARTS
    numbers = numbers and not (column.kind == "number" and clause.word(places[0] - 1).isdigit())
    if said <= words.PEOPLE and (numbers or _are_people(clause, places, column)):
        return True
    head, of, _ = column.name.lower().replace("_", " ").partition(" of ")
    of_text = bool(of) and column.kind == "text" and said <= words.ROW_NOUNS
    if of_text and not any(alike(word, part) for word in said for part in name_stems(head)):
        return True  # "games" are no `player_of_match`
    named = set(name_stems(clause.table.shown.rpartition(".")[0]))
    of_file = {stem(word) for word in said} <= _ROWS and any(stem(word) in named for word in said)
    plural = all(clause.word(i).endswith("s") for i in places)
    if (
        plural
        and said <= words.ROW_NOUNS
        and column.kind == "number"
        and not {*map(stem, said)} & {*name_stems(column.name)}
    ):
        return all(not any(stem(word) in group for group in words.SAME) for word in said)  # "applications"
    figure = clause.word(places[0] - 1) in ("total", "average", "mean", "by")
    fits = column.kind == "text" or (plural and not figure)
    return of_file and fits and not _IDS & set(name_stems(column.name))


def _are_people(clause: Clause, places: tuple[int, ...], column: Column) -> bool:
    """Whether "applicants" are the rows, beside `ApplicantIncome`; or "employees" that are counted, by their names."""
    if clause.word(places[0] - 1).isdigit() and clause.says(r"\b(?:have|has|had|with)\b") and column.kind == "number":
        return False  # "courses that have more than 1000 students"
    if column.kind in ("number", "date"):
        figure = clause.word(places[0] - 1) in ("total", "average", "mean", "by")
        return not figure and all(clause.word(i).endswith("s") or clause.word(i) == "people" for i in places)
    counted = clause.says(r"\b(?:how many|share|percent\w*|proportion)\b")
    return counted and clause.entity(column)


def _is_done(clause: Clause, at: int, part: str, column: Column) -> bool:
    """Whether a noun would be taken for a participle: "films" for `filmed_in`, but not "user ratings"."""
    word, before, after = clause.word(at), stem(clause.word(at - 1)), stem(clause.word(at + 1))
    participle = any(plain.endswith("ed") and stem(plain) == part for plain in plain_words(column.name))
    if participle and word in ("rated", "ranked") and clause.word(at + 1) in words.HIGHEST | words.LOWEST:
        return True  # "rated highest" is no number of `users_rated`
    goes_on = any(near in name_stems(column.name) and near != part for near in (before, after))
    return participle and len(name_stems(column.name)) > 1 and not word.endswith(("ed", "ing")) and not goes_on


def _is_cost(word: str, part: str, parts: list[str]) -> bool:
    """Whether "sales" would be taken for the cost of what was sold."""
    return part == "sold" and "cost" in parts and word != "sold"


def _can_name(clause: Clause) -> list[int]:
    """The words that can be for a column: no figures, no verbs that only say how something was sold or paid."""
    figures_ = {i for _, pattern in FIGURES for m in re.finditer(pattern, clause.text, re.I) for i in clause.within(m)}
    changed = clause.says(r"\b(?:did|does)\b.*\bchange\b")
    others = {i for i in clause.free() if changed and clause.word(i) == "change"}
    has_quantity = any({"quantiti", "qty", "unit"} & set(name_stems(c.name)) for c in clause.table.columns)
    has_sold = any("sold" in plain_words(c.name) for c in clause.table.of_kind("number"))
    others |= {i for i in clause.free() if has_quantity and not has_sold and clause.word(i) == "sold"}
    of_sold = has_sold and clause.says(r"\bsold\b")  # "units sold": `Number sold`, and no other quantity
    others |= {i for i in clause.free() if of_sold and clause.word(i) in ("unit", "units", "pieces")}
    others |= {i for i in clause.free() if is_way_of_paying(clause, i) or _pays_what_is_named(clause, i)}
    others |= {i for i in clause.free() if clause.word(i) in ("first", "last") and not _is_part_of_name(clause, i)}
    others |= {max(clause.within(m)) for m in OF_WHOLE.finditer(clause.text) if m[1].lower() in words.WHOLES}
    others |= {i for i in clause.free() if clause.word(i) in SHARES and clause.word(i + 1) == "of"}
    has_no = any(c.name.lower() == "no" for c in clause.table.columns)
    others |= {i for i in clause.free() if clause.word(i) == "no" and not has_no}  # no `no_advance`
    others |= {i for i in clause.free() if clause.word(i) in ("top", "bottom") and _is_number(clause.word(i + 1))}
    others |= {i for i in clause.free() if clause.word(i) in words.NAMING and _starts_value(clause, i + 1)}
    others |= {i for i in clause.free() if clause.word(i) in words.LIVING and clause.word(i + 1) in ("in", "at", "for")}
    return [
        i
        for i in clause.free()
        if i not in figures_ | others and (clause.word(i) not in words.SILENT or len(clause.word(i)) > 3)
    ]


def _is_number(word: str) -> bool:
    return word.isdigit() or word in words.NUMBERS


def _starts_value(clause: Clause, at: int) -> bool:
    return any(at == min(places) for _, places in clause.places)


def _is_part_of_name(clause: Clause, at: int) -> bool:
    """Whether "first" or "last" belongs to the name of a column: "first name", "last login"."""
    word, after = clause.word(at), clause.word(at + 1)
    named = [name_stems(c.name) for c in clause.table.columns if word in name_stems(c.name)]
    return any(alike(after, part) >= SURE for parts in named for part in parts if part != word)


def is_way_of_paying(clause: Clause, at: int) -> bool:
    """Whether a verb only says how it was paid: "paid with Ewallet", "pay cash"."""
    after = at + 1 + (clause.word(at + 1) in ("in", "with", "by", "using", "via"))
    return clause.word(at) in ("pay", "paid", "pays", "paying") and any(after in places for _, places in clause.places)


def _pays_what_is_named(clause: Clause, at: int) -> bool:
    """Whether the object of "pay" is a column itself: "pay no dividend" is about no `price`."""
    after = at + 1
    while clause.word(after) in ("no", "a", "an", "any", "the", "more", "higher", "most"):
        after += 1
    own = stem(clause.word(after))
    named = clause.word(after) not in words.SILENT and any(own in name_stems(c.name) for c in clause.table.columns)
    return clause.word(at) in ("pay", "pays", "paid", "paying") and named and after > at + 1
