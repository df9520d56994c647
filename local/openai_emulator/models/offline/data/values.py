"""Find the conditions that a clause names: values of text columns, columns of yes and no, limits, ranges, years."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from itertools import pairwise

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import (
    CHANGE,
    FIGURES,
    TOKEN,
    Clause,
    Mention,
    is_key,
    is_part_of_date,
    is_year,
)
from local.openai_emulator.models.offline.data.columns import alike
from local.openai_emulator.models.offline.data.denials import denial, denied
from local.openai_emulator.models.offline.data.names import UNIT_STEMS, label, name_stems
from local.openai_emulator.models.offline.data.table import Column
from local.openai_emulator.models.offline.words import STOP_WORDS, stem

_LIMIT = re.compile(
    r"(?P<words>\b(?:above|over|more than|greater than|higher than|larger than|older than|longer than"
    r"|exceed(?:s|ed|ing)?"
    r"|at least|below|under|less than|lower than|smaller than|younger than|shorter than|fewer than|at most|up to"
    r"|equals?(?: to)?|since|after|before|until)\b|>=|<=|>|<|==?)\s*[$€£]?(?P<number>-?\d[\d,]*(?:\.\d+)?"
    rf"|(?:{'|'.join(words.NUMBERS)})\b(?! (?:standard|times)))",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"(?:\b(?:between|from)\s++)?(?<![\d,.])(?P<low>-?\d[\d,]*+(?:\.\d++)?)\s++(?:and|to|-)\s++(?P<high>-?\d[\d,]*(?:\.\d+)?)\b",
    re.I,
)
_OR_MORE = re.compile(
    r"(?<![\d,.])(?P<number>-?\d[\d,]*+(?:\.\d++)?)\s+(?:years )?(?:or|and) "
    r"(?:(?P<more>older|more|above|over|higher|up|greater)|younger|less|below|under|lower|fewer)\b(?! than)",
    re.IGNORECASE,
)
_SIGNS = (
    (r"above|over|more|greater|higher|larger|older|longer|exceed|>$|after", ">"),
    (r"at least|>=|since", ">="),
    (r"below|under|less|lower|smaller|younger|shorter|fewer|<$|before", "<"),
    (r"at most|up to|<=|until", "<="),
    (r"equal|=", "=="),
)
_AGAINST = re.compile(
    r"\W*(?:(?:is|was|were|are|being)\W+)?(?:(?P<more>ahead of|above|over|(?:higher|greater|larger|more|bigger) than)"
    r"|(?P<less>behind|below|under|(?:lower|less|smaller|fewer) than)|equal to|the same as)\W+"
    r"(?:(?:the|their|its)\W+)?",
    re.IGNORECASE,
)
_ENDINGS = ("ese", "an", "ian", "n", "ish", "i", "ic", "er", "")  # Japan-ese, Ital-ian, Finn-ish, German-
_COMMON = frozenset(map(stem, (*words.ROW_NOUNS, *words.PEOPLE, "count", "number", "share", "other")))
_LITTLE = STOP_WORDS | words.SILENT | words.NOT  # "in", "or", "me" and "no" are no codes of states


def _value_words(value: str) -> list[str]:
    return [word.lower() for word in TOKEN.findall(value)]


def values_in(clause: Clause) -> None:
    """Values of text columns that the words name: `web-02`, "Sunday" for `Sun`, "women" for `Female`."""
    said = [clause.word(i) for i in range(len(clause.tokens))]
    found: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for column in clause.table.of_kind("text"):
        for value in column.values:
            parts = _value_words(value)
            for places in _places(said, parts, clause, value, column):
                found.setdefault(column.name, []).append((value, places))
    _one_column_each(clause, found)
    everything = sorted((len(places), name, value, places) for name, hits in found.items() for value, places in hits)
    chosen: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for _, name, value, places in reversed(everything):
        others = {place for hits in chosen.values() for _, at in hits for place in at}
        if not set(places) & others:
            chosen.setdefault(name, []).append((value, places))
    for name, hits in chosen.items():
        if len(hits) == 2 and _from_to(clause, hits):
            continue
        column_ = next(c for c in clause.table.columns if c.name == name)
        not_these = denied(clause, hits, column_)
        clause.used |= {place for _, at in hits for place in at} | {i for at in not_these.values() for i in at}
        clause.places += [(name, at) for _, at in hits]
        plain = tuple(dict.fromkeys(value for value, _ in hits if value not in not_these))
        _condition(clause, name, plain, "")
        _condition(clause, name, tuple(not_these), "not ")


def _one_column_each(clause: Clause, found: dict[str, list[tuple[str, tuple[int, ...]]]]) -> None:
    """Of columns that have the same value, keep the one that is named beside it, or that does not name the rows.

    If neither tells which is meant, the clause is ambiguous.
    """
    by_places: dict[tuple[int, ...], dict[str, str]] = {}
    for name, hits in found.items():
        for value, places in hits:
            by_places.setdefault(places, {})[name] = value
    for places, values in by_places.items():
        columns = [c for c in clause.table.columns if c.name in values]
        if len(columns) < 2 or _is_from_or_to(clause, places):
            continue
        named = [c for c in columns if _is_beside(c, clause, places)]
        common = [c for c in columns if not _names_rows(c, clause)]
        kept = named if len(named) == 1 else common if len(common) == 1 else columns
        for column in columns:
            if column not in kept:
                found[column.name] = [hit for hit in found[column.name] if hit[1] != places]
        if len(kept) > 1:
            said = " ".join(clause.tokens[i][0] for i in places)
            clause.ambiguous.append(f'"{said}" could be {" or ".join(f"`{c.name}`" for c in kept[:4])}.')


def _is_beside(column: Column, clause: Clause, places: tuple[int, ...]) -> bool:
    """Whether a column is named within three words of a value."""
    beside = [clause.word(i) for i in (*range(places[0] - 3, places[0]), *range(places[-1] + 1, places[-1] + 4))]
    return any(alike(word, part) >= 0.8 for word in beside for part in name_stems(column.name))


def _is_from_or_to(clause: Clause, places: tuple[int, ...]) -> bool:
    return clause.word(places[0] - 1) in ("from", "to")


def _names_rows(column: Column, clause: Clause) -> bool:
    """Whether most rows have a value of their own, as in a column of names."""
    return column.unique > max(0.5 * clause.table.rows, 20)


def _condition(clause: Clause, name: str, values: tuple[str, ...], negation: str) -> None:
    """Add the condition that a column is one of some values, or none of them."""
    if not values:
        return
    test = ("not in" if negation else "in") if len(values) > 1 else "!=" if negation else "=="
    wanted: object = values if len(values) > 1 else values[0]
    text = negation + (" or " if negation else " and ").join(sorted(values))
    clause.conditions.append(Condition(column=name, test=test, value=wanted, words=text))


def _from_to(clause: Clause, hits: list[tuple[str, tuple[int, ...]]]) -> bool:
    """Whether two values are "from A to B". They are then one in each of two columns, or left when there are no two."""
    (start, at), (end, to) = sorted(hits, key=lambda hit: hit[1])
    if clause.word(min(at) - 1) != "from" or clause.word(min(to) - 1) != "to":
        return False
    columns = [c for c in clause.table.of_kind("text") if start in c.values and end in c.values]
    if len(columns) == 2:
        clause.used |= {*at, *to}
        for column, value in zip(columns, (start, end), strict=True):
            words_ = f"{label(column.name)} {value}"
            clause.conditions.append(Condition(column=column.name, test="==", value=value, words=words_))
    return True


def _places(said: list[str], parts: list[str], clause: Clause, value: str, column: Column) -> Iterator[tuple[int, ...]]:
    """Where a value stands in the clause."""
    if not parts or {v.lower() for v in column.values} <= words.YES | words.NO:
        return
    size = len(parts)
    for at in range(len(said) - size + 1):
        places = tuple(range(at, at + size))
        if clause.used & set(places):
            continue
        window = said[at : at + size]
        if size == 1 and not _can_be_a_value(clause.tokens[at][0], value, is_name=_names_rows(column, clause)):
            continue
        if window == parts or (size == 1 and _plural(window[0], parts[0], value)):
            if len(value) == 1 and clause.tokens[at][0] != value:
                continue
            if all(word in words.SILENT for word in window) and not value[:1].isupper() and len(value) < 3:
                continue
            yield places
        elif size == 1 and (_means(window[0], parts[0], column) or _comes_from(clause.tokens[at][0], value, column)):
            yield places
        elif size == 1 and len(value) > 3 and window[0].startswith(parts[0]) and _is_beside(column, clause, places):
            yield places  # "exercise frequently": `Freq` of the column `Exer`


def _can_be_a_value(word: str, value: str, *, is_name: bool) -> bool:
    """Whether a word can mean a value, and not something of its own: "in" is not `IN`, "total" not the firm `Total`."""
    own = word.lower()
    if word == value and not (own in words.SILENT and word.islower()):
        return True
    if any(re.fullmatch(pattern, own) for _, pattern in FIGURES) or (len(value) < 4 and own in _LITTLE):
        return False
    common = own in words.HIGHEST | words.LOWEST or stem(word) in _COMMON
    return not (is_name and word.islower() and common)


def _comes_from(word: str, value: str, column: Column) -> bool:
    """Whether a word with a capital is an adjective of a value: "Japanese" of `Japan`, "Italian" of `Italy`."""
    if not (word[:1].isupper() and value[:1].isupper() and " " not in value and word != value):
        return False
    root = value.rstrip("aeiouy")
    begins = len(root) >= 4 and word.startswith(root) and word[len(root) :] in _ENDINGS
    return begins and sum(other.startswith(root) for other in column.values) == 1


def _plural(word: str, part: str, value: str) -> bool:
    """Whether a word is a value in another form: `herbivore`, "herbivores"; `suv`, "SUVs"."""
    return (len(value) > 3 and stem(word) == stem(part)) or (len(value) == 3 and word == f"{part}s")


def _means(word: str, value: str, column: Column) -> bool:
    """Whether a word means a value that is written otherwise: a weekday, a month, a gender."""
    named = {name.lower() for name in (*calendar.day_name, *calendar.month_name) if name}
    if len(value) >= 3 and value != word and word.rstrip("s").startswith(value) and word.rstrip("s") in named:
        return True
    short = {v.lower() for v in column.values}
    if short <= {"f", "m", "female", "male", "woman", "man", "w", "women", "men"}:
        return (word in words.WOMEN and value in ("f", "w", "female", "woman", "women")) or (
            word in words.MEN and value in ("m", "male", "man", "men")
        )
    return False


def flags_in(clause: Clause) -> None:
    """A column of yes and no whose name stands for its yes: "smokers", "non-smokers", "who survived"."""
    for mention in list(clause.mentions):
        column = mention.column
        values = {value.lower() for value in column.values}
        yes = [v for v in column.values if v.lower() in words.YES]
        no = [v for v in column.values if v.lower() in words.NO]
        if len(values) != 2 or not yes or not no or any(c.column == column.name for c in clause.conditions):
            continue
        before = clause.word(mention.tokens[0] - 1)
        if (
            before in ("by", "per", "each", "which", "the", "of")
            and clause.says(rf"\b{before}\s+{re.escape(clause.word(mention.tokens[0]))}")
            and before != "the"
            and before != "of"
        ):
            continue
        if (
            clause.word(mention.tokens[0]) == column.name.lower()
            and column.kind == "number"
            and clause.says(r"correlat|between")
        ):
            continue
        verb = _verb_before(clause, mention.tokens[0])
        denying = denial(clause, min((*verb, mention.tokens[0])), column)
        negated = bool(denying)
        clause.used |= set(verb)
        value: object = (no if negated else yes)[0]
        if column.kind == "number":
            value = float(str(value)) if str(value).replace(".", "").isdigit() else 1.0
        clause.used |= set(denying)
        clause.places.append((column.name, mention.tokens))
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


def _verb_before(clause: Clause, at: int) -> tuple[int, ...]:
    """The verb of "published by a society", where `society` is yes or no: what it is does not matter."""
    first = at - 1
    while clause.word(first) in ("a", "an", "the", "any"):
        first -= 1
    verb = clause.word(first - 1)
    return (
        (first - 1, first) if clause.word(first) in ("by", "with", "to") and verb.endswith(("ed", "wn", "ng")) else ()
    )


# ---- limits ------------------------------------------------------------------------------------------------------


def limits_in(clause: Clause) -> None:
    """Limits and ranges of numbers, years in a column of whole numbers, and `8 cylinders` or `class 3`."""
    _months_in(clause)
    _years_in(clause)
    for match in _RANGE.finditer(clause.text):
        if _is_free(clause, match.start("low"), match.end("high")) and (
            column := _near(clause, match.start(), match.end(), match["low"])
        ):
            low, high = _value(match["low"]), _value(match["high"])
            clause.claim(match.start(), match.end())
            clause.places.append((column.name, tuple(clause.within(match))))
            words_ = f"`{column.name}` from {match['low']} to {match['high']}"
            clause.conditions.append(Condition(column=column.name, test=">=", value=low, words=words_))
            clause.conditions.append(Condition(column=column.name, test="<=", value=high, words=words_))
    for match in _OR_MORE.finditer(clause.text):
        if _is_free(clause, match.start(), match.end()) and (
            column := _near(clause, match.start(), match.end(), match["number"])
        ):
            clause.claim(match.start(), match.end())
            sign = ">=" if match["more"] else "<="
            clause.places.append((column.name, tuple(clause.within(match))))
            text = f"{label(column.name)} {match[0].lower()}"
            clause.conditions.append(
                Condition(column=column.name, test=sign, value=_value(match["number"]), words=text)
            )
    for match in _LIMIT.finditer(clause.text):
        if _is_free(clause, match.start("number"), match.end("number")) and (
            column := _near(clause, match.start(), match.end(), match["number"])
        ):
            sign = next(sign for pattern, sign in _SIGNS if re.search(pattern, match["words"].lower()))
            clause.claim(match.start(), match.end())
            clause.places.append((column.name, tuple(clause.within(match))))
            text = f"{label(column.name)} {match['words'].lower()} {match['number']}"
            clause.conditions.append(
                Condition(column=column.name, test=sign, value=_value(match["number"]), words=text)
            )
    _columns_in(clause)
    clause.used |= {i for i in clause.free() if clause.word(i) in ("year", "years") and i + 1 in clause.used}
    units = {
        i for i in clause.free() if stem(clause.word(i)) in UNIT_STEMS and re.fullmatch(r"[\d.,]+", clause.word(i - 1))
    }
    clause.used |= {i for i in units if i - 1 in clause.used}
    for i in clause.free():
        word = str(words.NUMBERS.get(clause.word(i), clause.word(i)))
        if not re.fullmatch(r"\d+(?:\.\d+)?", word) or (word == "1" and not clause.word(i).isdigit()):
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


def _columns_in(clause: Clause) -> None:
    """`A was ahead of B`, of two columns of numbers, where rows are counted."""
    if not clause.says(r"\bhow many\b|\bhow often\b|\bshare\b|\bpercent|\bnumber of\b"):
        return
    numbers = [mention for mention in clause.mentions if mention.column.kind == "number"]
    for one, other in pairwise(numbers):
        start, end = clause.tokens[one.tokens[-1]].end(), clause.tokens[other.tokens[0]].start()
        found = _AGAINST.fullmatch(clause.text[start:end])
        if found and one.column is not other.column:
            sign = ">" if found["more"] else "<" if found["less"] else "="
            clause.claim(start, end)
            clause.mentions = [mention for mention in clause.mentions if mention not in (one, other)]
            text = f"{label(one.column.name)} {sign} {label(other.column.name)}"
            clause.conditions.append(
                Condition(column=one.column.name, test=f"{sign} column", value=other.column.name, words=text)
            )


def _months_in(clause: Clause) -> None:
    """`in July` in a table with a column of month numbers."""
    months = [c for c in clause.table.of_kind("number") if is_part_of_date(c) and "month" in name_stems(c.name)]
    if len(months) != 1 or clause.table.of_kind("date"):
        return
    named = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
    found = {named[clause.word(i)]: i for i in clause.free() if clause.word(i) in named}
    if found:
        clause.used |= set(found.values())
        name = months[0].name
        value: object = tuple(map(float, found)) if len(found) > 1 else float(next(iter(found)))
        text = " and ".join(calendar.month_name[number] for number in found)
        test = "in" if len(found) > 1 else "=="
        clause.conditions.append(Condition(column=name, test=test, value=value, words=f"in {text}"))


def _years_in(clause: Clause) -> None:
    """`1999 and 2008` beside a column of years: both, not what is between them."""
    years = [c for c in clause.table.of_kind("number") if is_year(c)]
    match = re.search(
        r"(?<![\d.,-])(?:(between|from) )?([12]\d{3}),? (?:and|or|vs\.?|versus|with|(to)) ([12]\d{3})\b", clause.text
    )
    if match and (match[1] or match[3]) and not clause.says(CHANGE):
        return
    if match and len(years) == 1 and _is_free(clause, match.start(), match.end()):
        clause.claim(match.start(), match.end())
        both = (float(match[2]), float(match[4]))
        text = f"`{years[0].name}` {match[2]} and {match[4]}"
        clause.conditions.append(Condition(column=years[0].name, test="in", value=both, words=text))


def _beside(clause: Clause, mention: Mention, i: int) -> bool:
    """Whether a number stands directly before or after a column: `8 cylinders`, `class 3`, `cylinders = 8`."""
    last = mention.tokens[-1]
    return (
        i == mention.tokens[0] - 1
        or i == last + 1
        or (i == last + 2 and clause.word(last + 1) in ("is", "of", "equal"))
    )


def _is_free(clause: Clause, start: int, end: int) -> bool:
    return not any(i in clause.used for i, t in enumerate(clause.tokens) if t.start() < end and start < t.end())


def _value(text: str) -> float:
    return float(words.NUMBERS.get(text.lower(), text.replace(",", "")))


def _near(clause: Clause, start: int, end: int, number: str) -> Column | None:
    """The column that a limit is about: the nearest one named before it, else the next one after it."""
    numbers = [(clause.tokens[m.tokens[0]].start(), m.column) for m in clause.mentions if m.column.kind == "number"]
    years = [c for c in clause.table.of_kind("number") if is_year(c)]
    if re.fullmatch(r"[12]\d{3}", number) and len(years) == 1:
        return years[0]
    beside = next((i for i, token in enumerate(clause.tokens) if token.start() >= end), -1)
    behind = [m.column for m in clause.mentions if m.column.kind == "number" and m.tokens[0] == beside]
    if behind:  # "more than 10 defects"
        return behind[0]
    before = [column for at, column in numbers if at < start and not is_key(column, clause.table)]
    after = [column for at, column in numbers if at >= end]
    ages = [c for c in clause.table.of_kind("number") if "age" in name_stems(c.name)]
    own = clause.text[max(start - 8, 0) : end + 10]
    if re.search(r"(?i)\b(?:older|younger|years old|aged?)\b", own) and len(ages) == 1:
        clause.claim_all(r"\byears old\b|\baged?\b|\byears\b")
        return ages[0]
    return before[-1] if before else after[0] if after else None
