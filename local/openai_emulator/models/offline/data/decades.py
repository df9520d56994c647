"""Decades that a clause names, and decades as groups: `in the 1990s`, "the 70s, 80s and 90s", "by decade"."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import CHANGE, FIGURES, Clause, is_year
from local.openai_emulator.models.offline.data.likeness import SURE, alike
from local.openai_emulator.models.offline.data.names import label, name_stems
from local.openai_emulator.models.offline.data.table import Column
from local.openai_emulator.models.offline.data.years import years_meant

GROUPS = r"\b(?:by|per|each|every|which|what|over the|across the) (?:the )?decades?\b"
_DECADE = re.compile(
    r"(?<![\w.,-])(?P<century>1[5-9]|20)?(?P<tens>\d)0['’]?s\b"
    r"(?:\s*\(\s*(?P<from>\d{4})\s*(?:to|-|–)\s*(?P<to>\d{2,4})\s*\))?",
    re.IGNORECASE,
)
_JOINING = frozenset(["and", "or", "vs", "versus", "with", "to", "than", "in", "of", "from", "for", "the"])
_BEFORE = re.compile(
    r"\b(before|prior to|since|after|until|early|mid|late|end of)[\s-]+(?:the\s+)?['’]?$", re.IGNORECASE
)
_OF_TIME = r"\bdecades? of (?:the|year|release|birth|date|founding|opening|construction)\b"
_FIRST_SHORT = 3  # the 30s are those of the 20th century; the 20s could be these, too
YEARS = 10


def decades_in(clause: Clause, dates: list[Column]) -> None:
    """The decades that a clause names, of a column of dates or else of years, and "by decade"."""
    times = dates or [c for c in years_meant(clause, short=False) if is_year(c)]
    grouped = clause.says(GROUPS)
    if grouped and (of := re.search(r"\bdecades? of (\w+)", clause.text, re.IGNORECASE)) and not clause.says(_OF_TIME):
        clause.ambiguous.append(f'Decades of "{of[1]}" are not grouped.')
    if len(times) != 1 or not times[0].low:
        return
    column = times[0]
    if found := _found(clause, column):
        matches, starts = zip(*found, strict=True)
        for match in matches:
            clause.claim(match.start(), match.end())
        grouped = _add(clause, column, matches, starts) > 1 or grouped
    if grouped:
        clause.claim_all(GROUPS)
        clause.period, clause.date = "decade", column.name


def _found(clause: Clause, column: Column) -> list[tuple[re.Match[str], int]]:
    """The decades, and the years that they begin with; those of two digits only where they cannot be another figure."""
    found: list[tuple[re.Match[str], int]] = []
    for match in _DECADE.finditer(clause.text):
        start = int(f"{match['century'] or 19}{match['tens']}0")
        if match["from"] and (int(match["from"]) != start or int(match["to"]) % 100 != (start + YEARS - 1) % 100):
            continue
        before = clause.text[: match.start()]
        between = clause.text[found[-1][0].end() : match.start()].lower() if found else "-"
        follows = {*re.findall(r"\w+|[^\w\s,'’]", between)} <= _JOINING
        is_short = not match["century"] and int(match["tens"]) >= _FIRST_SHORT
        is_short = is_short and (follows or bool(re.search(r"\bthe\s+['’]?$", before, re.IGNORECASE)))
        within = int(column.low[:4]) < start + YEARS and start <= int(column.high[:4])
        if match["century"] or (is_short and within and not _may_be_figure(clause, column, start % 100)):
            found.append((match, start))
    return found


def _may_be_figure(clause: Clause, years: Column, low: int) -> bool:
    """Whether "in the 80s" can be a limit of a column that the clause names: "temperatures in the 80s"."""
    if any(clause.says(pattern) for _, pattern in FIGURES):
        return False
    said = [clause.word(i) for i in range(len(clause.tokens))]
    numbers = [c for c in clause.table.of_kind("number") if c is not years and c.low]
    named = [c for c in numbers if any(alike(word, part) >= SURE for word in said for part in name_stems(c.name))]
    return any(float(c.low) < low + YEARS and low <= float(c.high) for c in named)


def _add(clause: Clause, column: Column, matches: tuple[re.Match[str], ...], starts: tuple[int, ...]) -> int:
    """Add the condition that a column is in some decades, or before or after one; how many decades these are."""
    first, last, is_date = min(starts), max(starts) + YEARS, column.kind == "date"
    said = _BEFORE.search(clause.text[: matches[0].start()])
    word = said[1].lower() if said else ""
    between = re.search(r"\b(?:from|between)\s+(?:the\s+)?['’]?$", clause.text[: matches[0].start()], re.IGNORECASE)
    spans: tuple[tuple[int, int], ...] = tuple((start, start + YEARS) for start in dict.fromkeys(starts))
    text = " and ".join(f"{start}s" for start in dict.fromkeys(starts))
    text = f"in the {text}" if is_date or len(spans) > 1 else f"`{column.name}` from {first} to {last - 1}"
    if word in ("early", "mid", "late", "end of", "until") or (word and len(spans) > 1):
        clause.ambiguous.append(f'It is not clear which years "{word} {matches[0][0]}" are.')
        return 0
    if word:
        assert said is not None
        clause.claim(said.start(1), said.end(1))
        end = int(column.high[:4]) + 1
        spans = ((0, first),) if word in ("before", "prior to") else ((last if word == "after" else first, end),)
        text = f"{label(column.name)} {word} {'the ' if is_date else ''}{first}s"
    elif len(spans) == 2 and between and not clause.says(CHANGE):
        spans, text = ((first, last),), f"`{column.name}` from {first} to {last - 1}"
    clause.places += [(column.name, tuple(sorted(clause.within(match)))) for match in matches]
    if is_date:
        value = tuple((f"{max(low, 1700)}-01-01", f"{high}-01-01") for low, high in spans)
        clause.conditions.append(Condition(column=column.name, test="spans", value=value, words=text))
    elif len(spans) > 1:
        clause.conditions.append(Condition(column=column.name, test="ranges", value=spans, words=text))
    else:
        ((low, high),) = spans
        for test, limit in ((">=", float(low)), ("<=", float(high - 1))):
            clause.conditions.append(Condition(column=column.name, test=test, value=limit, words=text))
    return len(spans)
