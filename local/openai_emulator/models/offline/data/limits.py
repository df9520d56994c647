"""Find the limits, ranges and years that a clause names, and columns of numbers that it compares."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import (
    Clause,
    Mention,
    figures,
    is_key,
    is_part_of_date,
    is_short_year,
    is_year,
)
from local.openai_emulator.models.offline.data.column_limits import both_in, columns_in, people_counted, share_meant
from local.openai_emulator.models.offline.data.denials import denial
from local.openai_emulator.models.offline.data.likeness import LIMITS, SAME, alike, ends
from local.openai_emulator.models.offline.data.names import UNIT_STEMS, is_score, label, name_stems, of_end, plain_words
from local.openai_emulator.models.offline.data.row_limits import limits_at_rows
from local.openai_emulator.models.offline.data.table import Column
from local.openai_emulator.models.offline.data.units import (
    HALF,
    bare_prices,
    currency,
    holds,
    is_fraction,
    is_of_dimension,
    is_percentage,
    is_unit,
    number_of,
    own_currency,
    value_in,
)
from local.openai_emulator.models.offline.data.years import months_in, years_in, years_meant
from local.openai_emulator.models.offline.words import stem

_LIMIT = re.compile(
    r"(?P<words>\b(?:above|over|more than|greater than|higher than|larger than|bigger than|older than"
    r"|longer than|faster than|slower than"
    r"|exceed(?:s|ed|ing)?|farther than|taller than|heavier than|more expensive than|cheaper than|lighter than"
    r"|at least|below|under|less than|lower than|smaller than|younger than|shorter than|fewer than|at most|up to"
    r"|equals?(?: to)?|since|after|before|until)\b|>=|<=|>|<|==?)\s*[$€£]?(?P<number>-?\d[\d,]*(?:\.\d+)?"
    rf"|(?:{'|'.join(words.NUMBERS)}|{HALF})\b(?! (?:standard|times)))",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"(?:\b(?:between|from)\s++)?(?<![\d,.])(?P<low>-?\d[\d,]*+(?:\.\d++)?)\s++(?:and|to|-)\s++(?P<high>-?\d[\d,]*(?:\.\d+)?)\b",
    re.I,
)
_ONE_OF_LIST = r"\d{1,3}(?:\.\d+)?"
_LIST = re.compile(
    rf"(?<![\d,.$€£-]){_ONE_OF_LIST}(?:, {_ONE_OF_LIST}){{0,9}},? (?:and|or) {_ONE_OF_LIST}"
    r"(?![\d,.]\d|%| ?percent)",
    re.IGNORECASE,
)
_OR_MORE = re.compile(
    r"(?<![\d,.])(?P<number>-?\d[\d,]*+(?:\.\d++)?)\s+"
    r"(?:(?:years|days|hours|minutes|degrees|dollars|euros|points|stars|kg|km|miles) )?(?:or|and) "
    r"(?:(?P<more>older|more|above|over|higher|up|greater|later|after|newer)|younger|less|below|under|lower|fewer"
    r"|earlier|before)\b(?! than| [$€£]?\d)",
    re.IGNORECASE,
)
UP = frozenset(["more", "older", "above", "over", "higher", "up", "greater", "later", "after", "newer"])
DOWN = frozenset(["less", "fewer", "lower", "below", "under", "younger", "earlier", "before"])
LIMITING = UP | DOWN | LIMITS | {"than", "least", "most", "to"}
_SIGNS = (
    (r"above|over|more|greater|higher|larger|bigger|older|longer|faster|farther|taller|heavier|exceed|>$|after", ">"),
    (r"at least|>=|since", ">="),
    (r"below|under|less|lower|smaller|younger|shorter|slower|fewer|cheaper|lighter|<$|before", "<"),
    (r"at most|up to|<=|until", "<="),
    (r"equal|=", "=="),
)
_OPPOSITES = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}
_UNITS = re.compile(  # of a number or a measure before them
    r"\b(?:an hour|(?:miles? )?per (?:gallon|hour|lit(?:er|re)|second|minute|km|mile)|dollars?|euros?|pounds?)\b",
    re.IGNORECASE,
)
_LOSS = re.compile(
    r"\b(?:at|made?|making|with) a loss\b|\b(?:did|do|does)(?: not|n't) (?:make|turn|earn) a profit\b"
    r"|\bloss[- ]making\b|\bunprofitable\b",
    re.IGNORECASE,
)
LARGE, BEYOND = 1000, 20  # a limit of this size that is so many times the highest value
LENGTH_OF_YEAR = 4
MOST_AGE = 120  # years
_DURATION = r"\W*\d[\d,.]*\s*(?:seconds?|minutes?|min|hours?|h|days?|weeks?)\b"
_LENGTH = r"\W*\d[\d,.]*\s*(miles?|km|kilomet\w+|met\w+|feet|ft)\b"
_PRICES = frozenset(map(stem, ("price", "cost", "fare", "fee")))
_TEMPERATURES = frozenset(map(stem, ("temp", "temperature", "temps")))
_PRICE_WORDS = frozenset(["price", "cost", "fare", "fee", "launched", "unit"])
_MONEY = re.compile(r"[$€£]|\b(?:dollars?|euros?|pounds?|usd|eur|gbp)\b", re.IGNORECASE)


def limits_in(clause: Clause) -> None:
    """Limits and ranges of numbers, years in a column of whole numbers, and `8 cylinders` or `class 3`."""
    months_in(clause)
    years_in(clause)
    _lists_in(clause)
    _ranges_in(clause)
    _or_more_in(clause)
    for match in _LIMIT.finditer(clause.text):
        if clause.is_free(match.start("number"), match.end("number")) and (
            column := _near(clause, match.start(), match.end(), match["number"])
        ):
            if match["number"].lower() == HALF and not (is_fraction(column) or is_percentage(column)):
                continue
            sign = next(sign for pattern, sign in _SIGNS if re.search(pattern, match["words"].lower()))
            before = min(clause.within(match)) - 1
            denied = clause.word(before) in ("not", "no") and sign in _OPPOSITES
            if denied:
                sign = _OPPOSITES[sign]
                clause.used.add(before)
            said, own = currency(match[0] + clause.text[match.end() : match.end() + 9]), own_currency(column)
            if said and own and said != own:
                clause.ambiguous.append(f"`{column.name}` is in {own}, and the question says {said}.")
            value, told = value_in(clause, column, match["number"], match.end())
            text = f"{label(column.name)} {'not ' if denied else ''}{match['words'].lower()} {told}"
            _add(clause, match, column, ((sign, value),), text)
    columns_in(clause)
    both_in(clause)
    limits_at_rows(clause)
    _signs_in(clause)
    clause.used |= {i for i in clause.free() if clause.word(i) in ("year", "years") and i + 1 in clause.used}
    _years_of(clause)
    _numbers_in(clause)
    _units_in(clause)
    _joined_values(clause)
    for name in {c.column for c in clause.conditions if c.test == "in" and isinstance(c.value[0], float)}:
        if len([c for c in clause.conditions if c.column == name]) > 1:
            clause.ambiguous.append(f"Several conditions on `{name}` exclude each other.")


def _lists_in(clause: Clause) -> None:
    """`1, 2 and 3`, `3 or 4`: each of these numbers."""
    for match in _LIST.finditer(clause.text):
        if re.search(r"\b(?:between|from)\b[^,;.]{0,25}$", clause.text[: match.start()], re.IGNORECASE):
            continue
        first = min(clause.within(match))
        if any(clause.word(i) in words.NOT for i in range(first - 5, first)):
            continue  # "don't have a rating of 1 or 2"
        column = _near(clause, match.start(), match.end(), "")
        if column and column.whole and clause.is_free(match.start(), match.end()):
            clause.claim(match.start(), match.end())
            values = tuple(map(number_of, re.findall(r"\d+(?:\.\d+)?", match[0])))
            text = f"`{column.name}` {match[0]}"
            clause.conditions.append(Condition(column=column.name, test="in", value=values, words=text))


def _joined_values(clause: Clause) -> None:
    """One condition in place of several on the numbers of a column: "stage 1 and stage 4"."""
    for name in dict.fromkeys(c.column for c in clause.conditions if c.test == "=="):
        same = [c for c in clause.conditions if c.column == name and c.test == "=="]
        if len(same) > 1 and all(isinstance(c.value, float) for c in same):
            values = tuple(c.value for c in same)
            text = f"`{name}` {' and '.join(f'{value:g}' for value in values)}"
            clause.conditions = [c for c in clause.conditions if c not in same]
            clause.conditions.append(Condition(column=name, test="in", value=values, words=text))


def _ranges_in(clause: Clause) -> None:
    """`30 to 40`, `65 or older`."""
    for match in _RANGE.finditer(clause.text):
        if clause.is_free(match.start("low"), match.end("high")) and (
            column := _near(clause, match.start(), match.end(), match["low"])
        ):
            low, from_ = value_in(clause, column, match["low"], match.end())
            high, to = value_in(clause, column, match["high"], match.end())
            text = f"`{column.name}` from {from_} to {to}"
            _add(clause, match, column, ((">=", low), ("<=", high)), text)
    for match in _OR_MORE.finditer(clause.text):
        if clause.is_free(match.start(), match.end()) and (
            column := _near(clause, match.start(), match.end(), match["number"])
        ):
            later = bool(match["more"])
            if is_year(column) and re.search(r"\b(?:older|younger)$", match[0], re.IGNORECASE):
                later = not later  # "from 2010 or older"
            test = ">=" if later else "<="
            value, _ = value_in(clause, column, match["number"], match.end("number"))
            _add(clause, match, column, ((test, value),), f"{label(column.name)} {match[0].lower()}")


def _or_more_in(clause: Clause) -> None:
    """`3 bedrooms or more`, `3+ bedrooms`, `10 years of experience or more`."""
    for i in clause.free():
        if not re.fullmatch(r"\d[\d,]*(?:\.\d+)?", clause.word(i)):
            continue
        is_plus = clause.text[clause.tokens[i].end() :][:1] == "+"
        noun = i + 1
        while clause.word(noun) in ("year", "years", "of"):
            noun += 1
        named = next((m for m in clause.mentions if m.tokens[0] == noun and m.column.kind == "number"), None)
        end = named.tokens[-1] + 1 if named else noun
        more = clause.word(end) in ("or", "and") and clause.word(end + 2) != "than" and clause.word(end + 1)
        if named and (is_plus or more in UP | DOWN):
            test = "<=" if more in DOWN else ">="
            clause.used |= {*range(i, end), *((end, end + 1) if more in UP | DOWN else ())}
            text = f"{label(named.column.name)} {clause.word(i)} or {'less' if test == '<=' else 'more'}"
            value = number_of(clause.word(i))
            clause.conditions.append(Condition(column=named.column.name, test=test, value=value, words=text))
            clause.places.append((named.column.name, (i,)))
        elif is_plus:
            clause.ambiguous.append(f'It is not clear what "{clause.word(i)}+" is a limit of.')


def _add(clause: Clause, match: re.Match[str], column: Column, tests: Sequence[tuple[str, float]], text: str) -> None:
    """Account for the words of a limit, and add its conditions."""
    clause.claim(match.start(), match.end())
    clause.places.append((column.name, tuple(clause.within(match))))
    highest = number_of(column.high) if re.fullmatch(r"\d+(?:\.\d+)?", column.high) else 0.0
    if highest and any(value >= LARGE and value > BEYOND * highest for _, value in tests) and not is_year(column):
        clause.ambiguous.append(f"`{column.name}` goes up to {column.high}, so it may be in another unit.")
    lowest = number_of(column.low) if re.fullmatch(r"\d+(?:\.\d+)?", column.low) else 0.0
    if any(0 < value < lowest / BEYOND for _, value in tests):
        clause.ambiguous.append(f"`{column.name}` starts at {column.low}, so it may be in another unit.")
    for test, value in tests:
        clause.conditions.append(Condition(column=column.name, test=test, value=value, words=text))


def _years_of(clause: Clause) -> None:
    """`12 years of education`; and the "years of" of "16 or more years of education"."""
    for mention in clause.mentions:
        first = mention.tokens[0]
        if mention.column.kind != "number" or [clause.word(first - 2), clause.word(first - 1)] != ["years", "of"]:
            continue
        said = clause.word(first - 3)
        if re.fullmatch(r"\d+(?:\.\d+)?", said) and first - 3 not in clause.used:
            clause.used |= {first - 3, first - 2}
            text = f"`{mention.column.name}` = {said}"
            clause.conditions.append(
                Condition(column=mention.column.name, test="==", value=number_of(said), words=text)
            )
        elif first - 3 in clause.used:
            clause.used.add(first - 2)


def _signs_in(clause: Clause) -> None:
    """`a negative profit`, and "at a loss", where rows are counted or listed."""
    profits = [c for c in figures(clause.table) if {"profit", "profits"} & set(name_stems(c.name))]
    loss = _LOSS.search(clause.text) if len(profits) == 1 else None
    if loss and clause.says(r"\bhow many\b|\bshare\b|\bpercent|\blist\b|^\W*which \w+s\b"):
        none = "profit" in loss[0].lower()  # "did not make a profit"
        test, said = ("<=", "at most") if none else ("<", "below")
        _add(clause, loss, profits[0], ((test, 0.0),), f"{label(profits[0].name)} {said} 0")
    for match in re.finditer(r"\b(negative|positive)\b", clause.text, re.IGNORECASE):
        at = min(clause.within(match))
        column = next((m.column for m in clause.mentions if m.column.kind == "number" and _beside(clause, m, at)), None)
        if column and at not in clause.used and clause.says(r"\bhow many\b|\bshare\b|\bpercent|\blist\b|\bwhich\b"):
            sign = "<" if match[1].lower() == "negative" else ">"
            _add(clause, match, column, ((sign, 0.0),), f"{match[0].lower()} {label(column.name)}")


def _units_in(clause: Clause) -> None:
    """Account for the units of numbers: `80 kg`, `32 miles per gallon`."""
    units = {i for i in clause.free() if is_unit(clause.word(i)) and re.fullmatch(r"[\d.,]+", clause.word(i - 1))}
    clause.used |= {i for i in units if i - 1 in clause.used}
    limited = {condition.column for condition in clause.conditions}
    own = {c.unit.lower() for c in clause.table.columns if c.unit and c.name in limited}
    clause.used |= {i for i in clause.free() if clause.word(i) in own and i - 1 in clause.used}
    for match in _UNITS.finditer(clause.text):
        before = min(clause.within(match)) - 1
        is_rate = match[0].lower().startswith("per ")  # "fare per mile" is a ratio
        if before in clause.used and (not is_rate or clause.word(before)[:1].isdigit()):
            clause.claim(match.start(), match.end())


def _numbers_in(clause: Clause) -> None:
    """`8 cylinders`, `class 3`, `in 1995`, `outside district 1`."""
    for i in clause.free():
        word = str(words.NUMBERS.get(clause.word(i), clause.word(i)))
        if not re.fullmatch(r"\d+(?:\.\d+)?", word) or (word == "1" and not clause.word(i).isdigit()):
            continue
        measures = [m for m in clause.mentions if m.column.kind == "number" and not clause.is_only_noun(m)]
        column = next((m.column for m in measures if _beside(clause, m, i)), None)
        years = years_meant(clause, short=word[:2] == "19")
        if (
            column is None
            and len(word) == 4
            and len(years) == 1
            and (clause.word(i - 1) in ("in", "of", "for", "year", "during") or _is_month(clause, i - 1))
        ):
            column = years[0]
        if column and is_part_of_date(column) and len(word) == LENGTH_OF_YEAR:
            column = years[0] if len(years) == 1 else None  # "which month of 2012"
        follows = any(m.column is column and m.tokens[-1] == i - 1 for m in clause.mentions)  # "at age 8"
        percent = clause.text[clause.tokens[i].end() :].lstrip()[:1] == "%"
        if percent and column is None and clause.word(i - 1) not in LIMITING:
            column = share_meant(clause, i)  # "100 % of the staff"
        follows = follows or word == "0" or bool(column and percent and is_percentage(column))  # "100 % access"
        if column and percent and is_fraction(column):
            follows, word = True, f"{float(word) / 100:g}"
        elif column and percent and not is_percentage(column):
            clause.ambiguous.append(f"`{column.name}` does not hold percentages.")
        if clause.word(i - 1) == "within":
            continue  # a limit, and which one is not clear
        if column and is_short_year(column) and re.fullmatch(r"19\d\d", word):
            word = word[2:]
        if column and len(word) == LENGTH_OF_YEAR and not is_year(column) and number_of(word) > number_of(column.high):
            column = years[0] if len(years) == 1 else None  # "in the 2015 ranking"
        if column and (column.whole or follows) and clause.word(i - 1) not in ("top", "bottom"):
            first = min([i, *(m.tokens[0] for m in clause.mentions if m.column is column and _beside(clause, m, i))])
            denying = denial(clause, first, column)
            clause.used |= {i, *denying}
            clause.places.append((column.name, (i,)))
            text = f"`{column.name}` {'is not' if denying else '='} {word}"
            test = "!=" if denying else "=="
            clause.conditions.append(Condition(column=column.name, test=test, value=number_of(word), words=text))


def _is_month(clause: Clause, at: int) -> bool:
    """Whether the name of a month stands at a token that is accounted for: "in March 2020" of two columns."""
    return at in clause.used and clause.word(at)[:3] in {name[:3].lower() for name in calendar.month_name if name}


def _beside(clause: Clause, mention: Mention, i: int) -> bool:
    """Whether a number stands directly before or after a column: `8 cylinders`, `class 3`, `cylinders = 8`."""
    first, last = mention.tokens[0], mention.tokens[-1]
    return (
        i == first - 1
        or i == last + 1
        or (i == last + 2 and clause.word(last + 1) in ("is", "of", "equal", "number", "no", "id", "nr", "code"))
        or (i == first - 2 and is_unit(clause.word(i + 1)))  # "16 GB RAM"
        or (i == first - 3 and clause.word(i + 2) == "of" and is_unit(clause.word(i + 1)))  # "0 grams of sugar"
        or (
            i == first - 2
            and clause.word(i + 1) in ("in", "on")
            and (is_score(mention.column.name) or is_percentage(mention.column))
        )  # "got 100 in math"
    )


def _near(clause: Clause, start: int, end: int, number: str) -> Column | None:
    """The column that a limit is about: the nearest one named before it, else the next one after it."""
    named = [m for m in clause.mentions if m.column.kind == "number" and not clause.is_only_noun(m)]
    numbers = [(clause.tokens[m.tokens[0]].start(), m.column) for m in named]
    is_short = re.fullmatch(r"19\d\d", number)
    years = years_meant(clause, short=bool(is_short))
    at = next((i for i, token in enumerate(clause.tokens) if token.start() >= start), -1)
    of_time = re.match(r"(?:since|before|after|until|between|from)\b", clause.text[start:], re.IGNORECASE)
    beside = next((i for i, token in enumerate(clause.tokens) if token.start() >= end), -1)
    for _ in range(2):  # "at least 3 grams of fiber"
        beside += clause.word(beside) == "of" or (is_unit(clause.word(beside)) and clause.word(beside + 1) == "of")
    beside += 2 * ([clause.word(beside), clause.word(beside + 1)] == ["years", "of"])
    behind = [m.column for m in named if m.tokens[0] == beside]
    own_ = [m for m in named if m.tokens[-1] == at - 1]
    is_own = own_ and (not of_time or (of_time[0].lower() == "between" and holds(own_[0].column, number)))
    if is_own and not (behind and "," in clause.text[clause.tokens[own_[0].tokens[-1]].end() : start]):
        return own_[0].column  # "a count under 2000"
    if behind:  # "more than 10 defects"
        return behind[0]
    if not of_time and (counted := people_counted(clause, beside, at)):
        return counted
    if re.fullmatch(r"[12]\d{3}", number) and len(years) == 1 and (of_time or clause.text[start].isdigit()):
        return years[0]
    meant = _of_comparative(clause, start)
    if meant is not None and len(meant) != 1 and re.match(rf"\w+ than{_DURATION}", clause.text[start:], re.I):
        return None
    if meant and len(meant) == 1:
        return meant[0]
    before = [column for at, column in numbers if at < start and not is_key(column, clause.table)]
    after = [column for at, column in numbers if at >= end]
    ages = [c for c in clause.table.of_kind("number") if "age" in name_stems(c.name)]
    own = clause.text[max(start - 8, 0) : end + 10]
    if re.search(r"(?i)\b(?:older|younger|years old|aged?)\b", own) and len(ages) == 1:
        clause.claim_all(r"\byears old\b|\baged?\b|\byears\b")
        return ages[0]
    if (of_unit := _of_unit(clause, end)) is not None:
        return of_unit
    if len(ages) == 1 and _of_persons(clause, start) and number_of(number or "0") <= MOST_AGE:
        return ages[0]
    if re.search(r"\b(?:make|makes|earn|earns|earning|making|earned|paid)\s+$", clause.text[:start], re.IGNORECASE):
        pays = [c for c in figures(clause.table) if any(alike("salary", part) >= SAME for part in name_stems(c.name))]
        return pays[0] if len(pays) == 1 else None
    if before or after:
        return before[-1] if before else after[0]
    warm = of_end([c for c in figures(clause.table) if _TEMPERATURES & set(name_stems(c.name))], "max")
    if len(warm) == 1 and re.match(r"\W*degrees?\b", clause.text[end:], re.IGNORECASE):
        clause.claim_all(r"\bdegrees?(?: celsius| fahrenheit)?\b")
        return warm[0]
    return _priced(clause, start, end)


def _priced(clause: Clause, start: int, end: int) -> Column | None:
    """The one column of prices that a limit in money is about: "under $500 in the US"."""
    priced = [c for c in figures(clause.table) if any(p in _PRICES or ends(p, "price") for p in name_stems(c.name))]
    priced = priced or bare_prices(clause.table)
    if len(priced) > 1:
        free = {clause.word(i) for i in clause.free()}
        priced = [c for c in priced if free & {part for part in plain_words(c.name) if len(part) > 1} - _PRICE_WORDS]
        named_ = {part for c in priced for part in plain_words(c.name)}
        clause.used |= {i for i in clause.free() if len(priced) == 1 and clause.word(i) in named_ - words.SILENT}
    return priced[0] if len(priced) == 1 and _MONEY.search(clause.text[start : end + 9]) else None


def _of_unit(clause: Clause, end: int) -> Column | None:
    """The one column whose name has the unit behind a number: `seconds_before_serve` for "25 seconds"."""
    at = next((i for i, token in enumerate(clause.tokens) if token.start() >= end), -1)
    unit_ = stem(clause.word(at)) if at >= 0 and not clause.text[end : clause.tokens[at].start()].strip() else ""
    named = [c for c in figures(clause.table) if unit_ in UNIT_STEMS & set(name_stems(c.name))]
    named = named or [c for c in figures(clause.table) if at >= 0 and is_of_dimension(c, clause.word(at))]
    return named[0] if len(named) == 1 else None


def _of_comparative(clause: Clause, start: int) -> list[Column] | None:
    """The columns that "taller than", "cheaper than" and the like mean."""
    found = re.match(
        r"(?:more )?(taller|heavier|expensive|cheaper|lighter|longer|shorter|farther|faster|slower) than",
        clause.text[start:],
        re.I,
    )
    if not found:
        return None
    word = found[1].lower()
    _, hints = words.ADJECTIVES[f"{word.removesuffix('er')}est" if word.endswith("er") else word]
    if word in ("faster", "slower"):
        hints = "speed"
    if word in ("longer", "shorter") and re.match(_DURATION, clause.text[start + found.end() :], re.IGNORECASE):
        hints = "duration minutes hours seconds days time"
    if length := re.match(_LENGTH, clause.text[start + found.end() :], re.IGNORECASE):
        hints = "distance length height"
        clause.claim(start + found.end() + length.start(1), start + found.end() + length.end(1))
    stems = {*map(stem, hints.split())}
    return [c for c in figures(clause.table) if stems & {*name_stems(c.name)}]


def _of_persons(clause: Clause, start: int) -> bool:
    """Whether the words for people stand before a limit: "men over 60"."""
    last = max((i for i, token in enumerate(clause.tokens) if token.start() < start), default=-1)
    people = words.PEOPLE | words.ROLES | words.MEN | words.WOMEN
    are = clause.word(last) in ("is", "are", "was", "were") and any(clause.word(i) in people for i in range(last))
    return clause.word(last) in people or are
