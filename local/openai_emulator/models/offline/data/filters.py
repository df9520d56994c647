"""The rows that a question is about: named values, limits, and periods of time."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from local.openai_emulator.models.offline.data.columns import label, matching
from local.openai_emulator.models.offline.data.profile import Column, Table

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_MONTH = "|".join((*_MONTHS, *(name[:3] for name in _MONTHS)))
_DAY = re.compile(
    rf"\b(?:(?P<year>\d{{4}})-(?P<m>\d{{2}})-(?P<d>\d{{2}})"
    rf"|(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m1>{_MONTH})\b\.?(?:,?\s+(?P<y1>\d{{4}}))?"
    rf"|(?P<m2>{_MONTH})\.?\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\d)(?:,?\s+(?P<y2>\d{{4}}))?)",
    re.IGNORECASE,
)
_WHOLE_MONTH = re.compile(rf"\b(?P<m>{_MONTH})\b(?:\s+(?P<y>\d{{4}}))?", re.IGNORECASE)
_WEEK = re.compile(r"\b(first|second|third|fourth|fifth|last|1st|2nd|3rd|4th|5th)\s+week\b", re.IGNORECASE)
_WEEK_NUMBER = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}
_DAYS = {name.lower(): number for number, name in enumerate(calendar.day_name)}
_HOURS = re.compile(
    r"\bbetween\s+(\d{1,2})(?::00)?(?:\s*(am|pm))?\s+and\s+(\d{1,2})(?::00|\s*(am|pm))\b|\b(?:at|around)\s+(\d{1,2}):00\b",
    re.I,
)
_LIMIT = re.compile(
    r"(?P<words>above|over|more than|greater than|higher than|exceed(?:s|ed|ing)?|at least|>=|>|below|"
    r"under|less than|lower than|"
    r"fewer than|at most|<=|<|equal(?:s| to)?|"
    r"=)\s*[$€£]?(?P<number>-?\d[\d,]*(?:\.\d+)?)(?!\s*(?:standard|times|interquartile|iqr))",
    re.IGNORECASE,
)
# Before one of these, a number is a parameter of a statistic, not a limit on rows.
_STATISTIC = re.compile(
    r"\b(?:p[- ]?values?|alpha|significance|z[- ]?scores?|coefficients?|skewness|kurtosis|r-squared|"
    r"value of r|data ?points?|"
    r"observations?|null hypothesis)\b",
    re.IGNORECASE,
)
_OPERATORS = {
    **dict.fromkeys(("above", "over", "more than", "greater than", "higher than", "exceed", ">"), ">"),
    **dict.fromkeys(("at least", ">="), ">="),
    **dict.fromkeys(("below", "under", "less than", "lower than", "fewer than", "<"), "<"),
    **dict.fromkeys(("at most", "<="), "<="),
    **dict.fromkeys(("equal", "="), "=="),
}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A condition on rows: `expression` in pandas, over `df`; `words` in English, for the answer."""

    column: str
    expression: str
    words: str
    values: tuple[str, ...] = ()  # the selected values, if the column is a category


def filters_in(text: str, table: Table, *, measures: Sequence[Column] = ()) -> tuple[Filter, ...]:
    """All conditions on the rows of a table that a text contains."""
    found = [*_named_values(text, table), *_limits(text, table, measures)]
    dates = table.of_kind("date")
    if dates:
        found += _times(text, dates[0])
    return tuple(found)


def _named_values(text: str, table: Table) -> Iterator[Filter]:
    for column in table.columns:
        if column.kind != "text" or not column.values:
            continue
        values = [value for value in column.values if len(value) > 1 and _mentions(text, value)]
        values = [v for v in values if not any(v != w and v.lower() in w.lower() for w in values)]
        if not values or len(values) == len(column.values):
            continue
        test = f"== {values[0]!r}" if len(values) == 1 else f".isin({values!r})"
        expression = f"df[{column.name!r}]{'' if test.startswith('.') else ' '}{test}"
        yield Filter(column=column.name, expression=expression, words=" and ".join(values), values=tuple(values))


def _mentions(text: str, value: str) -> bool:
    flags = re.IGNORECASE if len(value) > 3 else 0
    return bool(re.search(rf"(?<![\w-]){re.escape(value)}(?:s|'s)?(?![\w-])", text, flags))


def _limits(text: str, table: Table, measures: Sequence[Column]) -> Iterator[Filter]:
    for match in _LIMIT.finditer(text):
        before = text[max(0, match.start() - 60) : match.start()]
        if _STATISTIC.search(before):
            continue
        named = matching(before, table.of_kind("number")) or list(measures)
        sign = next((s for word, s in _OPERATORS.items() if match["words"].lower().startswith(word)), ">")
        if match["words"] in (">=", "<=", ">", "<"):
            sign = match["words"]
        if not named:
            continue
        number = match["number"].replace(",", "")
        column = named[-1]
        words = f"{label(column.name)} {match['words'].lower()} {match['number']}"
        yield Filter(column=column.name, expression=f"df[{column.name!r}] {sign} {number}", words=words)


def _times(text: str, column: Column) -> Iterator[Filter]:
    low, high = datetime.fromisoformat(column.low[:19]), datetime.fromisoformat(column.high[:19])
    yield from _spans(text, column.name, low, high)
    when = f"df[{column.name!r}].dt"
    if re.search(r"\b(?:on|at|during|of) (?:the )?weekends?\b|\bweekends?\b(?! and| vs| versus)", text, re.IGNORECASE):
        yield Filter(column=column.name, expression=f"({when}.day_of_week >= 5)", words="at weekends")
    elif re.search(r"\b(?:working|business|week)\s?days?\b(?! and| vs| versus)", text, re.IGNORECASE):
        yield Filter(column=column.name, expression=f"({when}.day_of_week < 5)", words="on weekdays")
    days = [number for name, number in _DAYS.items() if re.search(rf"\b{name}s?\b", text, re.IGNORECASE)]
    if days:
        names = " and ".join(f"{calendar.day_name[day]}s" for day in days)
        yield Filter(column=column.name, expression=f"{when}.day_of_week.isin({days})", words=f"on {names}")
    hours = _HOURS.search(text)
    if hours and hours[5]:
        yield Filter(column=column.name, expression=f"({when}.hour == {int(hours[5])})", words=f"at {hours[5]}:00")
    elif hours:
        first, last = _hour(hours[1], hours[2] or hours[4]), _hour(hours[3], hours[4])
        expression = f"({when}.hour >= {first}) & ({when}.hour < {last})"
        yield Filter(column=column.name, expression=expression, words=f"between {first}:00 and {last}:00")


def _hour(number: str, half: str | None) -> int:
    hour = int(number) % 12 if half else int(number)
    return hour + (12 if (half or "").lower() == "pm" else 0)


def _spans(text: str, name: str, low: datetime, high: datetime) -> Iterator[Filter]:
    days = [day for match in _DAY.finditer(text) if (day := _day(match, low, high))]
    lead = text[: (first.start() if (first := _DAY.search(text)) else 0)].rstrip().lower()
    if len(days) == 2 and re.search(r"(?:between|from)$", lead):
        yield _span(name, days[0], days[1] + timedelta(days=1), f"from {_date(days[0])} to {_date(days[1])}")
    elif days and re.search(r"(?:since|from|starting)$", lead):
        yield _span(name, days[0], high + timedelta(days=1), f"since {_date(days[0])}")
    elif days and re.search(r"after$", lead):
        yield _span(name, days[0] + timedelta(days=1), high + timedelta(days=1), f"after {_date(days[0])}")
    elif days and re.search(r"(?:before|until)$", lead):
        yield _span(name, low, days[0], f"before {_date(days[0])}")
    elif len(days) > 1:
        parts = [_span(name, day, day + timedelta(days=1), _date(day)) for day in days]
        words = "on " + " and ".join(part.words for part in parts)
        yield Filter(column=name, expression=" | ".join(f"({part.expression})" for part in parts), words=words)
    elif days:
        yield _span(name, days[0], days[0] + timedelta(days=1), f"on {_date(days[0])}")
    else:
        yield from _longer_spans(text, name, low, high)


def _longer_spans(text: str, name: str, low: datetime, high: datetime) -> Iterator[Filter]:
    start = datetime(low.year, low.month, low.day)
    weeks = list(dict.fromkeys(match[1].lower() for match in _WEEK.finditer(text)))
    if weeks:
        parts = [_week(word, name, start, high) for word in weeks]
        expression = " | ".join(f"({part.expression})" for part in parts) if len(parts) > 1 else parts[0].expression
        yield Filter(column=name, expression=expression, words="in " + " and ".join(part.words for part in parts))
        return
    months = months_in(text, low, high)
    if months and not (len(months) == 1 and (low.year, low.month) == (high.year, high.month)):
        parts = [_span(name, first, _next_month(first), f"{first:%B %Y}") for first in months]
        words = "in " + " and ".join(part.words for part in parts)
        yield Filter(column=name, expression=" | ".join(f"({part.expression})" for part in parts), words=words)


def _week(word: str, name: str, start: datetime, high: datetime) -> Filter:
    if word == "last":
        begin = datetime(high.year, high.month, high.day) - timedelta(days=6)
    else:
        begin = start + timedelta(days=7 * ((_WEEK_NUMBER.get(word) or int(word[0])) - 1))
    words = f"the {word} week ({_date(begin)} to {_date(begin + timedelta(days=6))})"
    return _span(name, begin, begin + timedelta(days=7), words)


def months_in(text: str, low: datetime, high: datetime) -> list[datetime]:
    """The months that a text names, if the data contain them; without a year, the latest."""
    found: list[datetime] = []
    for match in _WHOLE_MONTH.finditer(text):
        if match["m"].lower() == "may" and not match["m"][0].isupper():
            continue
        month = _month(match["m"])
        years = [int(match["y"])] if match["y"] else range(high.year, low.year - 1, -1)
        fits = [
            datetime(y, month, 1)
            for y in years
            if _next_month(datetime(y, month, 1)) > low and datetime(y, month, 1) <= high
        ]
        found += [first for first in fits[:1] if first not in found]
    quarter = re.search(r"\bQ([1-4])(?:\s+(\d{4}))?\b", text)
    if quarter:
        year = (
            int(quarter[2])
            if quarter[2]
            else next(
                (y for y in range(high.year, low.year - 1, -1) if datetime(y, int(quarter[1]) * 3, 1) <= high),
                high.year,
            )
        )
        found += [datetime(year, int(quarter[1]) * 3 - back, 1) for back in (2, 1, 0)]
    return found


def _month(name: str) -> int:
    return next(number for full, number in _MONTHS.items() if full.startswith(name.lower()[:3]))


def _next_month(first: datetime) -> datetime:
    return (first + timedelta(days=32)).replace(day=1)


def _day(match: re.Match[str], low: datetime, high: datetime) -> datetime | None:
    year = match["year"] or match["y1"] or match["y2"]
    day = int(match["d"] or match["d1"] or match["d2"])
    month = int(match["m"]) if match["m"] else _month(match["m1"] or match["m2"])
    for candidate in [int(year)] if year else range(high.year, low.year - 1, -1):
        try:
            found = datetime(candidate, month, day)
        except ValueError:
            return None
        if year or low - timedelta(days=1) < found <= high:
            return found
    return None


def _date(day: datetime) -> str:
    return f"{day.day} {day:%B %Y}"


def _span(name: str, first: datetime, end: datetime, words: str) -> Filter:
    expression = f"(df[{name!r}] >= {f'{first:%Y-%m-%d}'!r}) & (df[{name!r}] < {f'{end:%Y-%m-%d}'!r})"
    return Filter(column=name, expression=expression, words=words)
