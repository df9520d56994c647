"""Conditions on dates: days, months, quarters, years, weeks, weekdays and hours that a text names."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import CHANGE
from local.openai_emulator.models.offline.data.table import Column

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_MONTH = "|".join((*_MONTHS, *(name[:3] for name in _MONTHS), "sept"))
_DAY = re.compile(
    rf"\b(?:(?P<year>\d{{4}})-(?P<m>\d{{2}})-(?P<d>\d{{2}})"
    rf"|(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m1>{_MONTH})\b\.?(?:,?\s+(?P<y1>\d{{4}}))?"
    rf"|(?P<m2>{_MONTH})\.?\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\d)(?:,?\s+(?P<y2>\d{{4}}))?)",
    re.IGNORECASE,
)
_WHOLE_MONTH = re.compile(
    rf"\b(?P<m>{_MONTH})\b(?:\s+(?:of\s+)?(?P<y>\d{{4}}))?|\b(?P<y3>\d{{4}})-(?P<n>\d\d)\b", re.IGNORECASE
)
_QUARTER = re.compile(r"\bQ([1-4])(?:\s+(?:of\s+)?(\d{4}))?\b", re.IGNORECASE)
_YEAR = re.compile(
    r"(?:\b(?:(?:in|of|for|during|since|from|after|before|until|year|between|and|to|with|than|or|versus|vs\.?|was|were|is)\s+){1,3}"
    r"|(?<![\d.,$€£-])(?=\d{4} (?:vs\.?|versus) [12]\d{3}\b))(?P<y>[12]\d{3})\b(?!-)",
    re.IGNORECASE,
)
_NUMBERS = re.compile(r"\bbetween (\d+) and (\d+)\b", re.IGNORECASE)
_AMOUNT = re.compile(
    r"\b(?:more|less|fewer|higher|lower|greater|larger|bigger|longer|shorter|cheaper|heavier) than \d+\b", re.IGNORECASE
)
_WEEK = re.compile(r"\b(first|second|third|fourth|fifth|last|1st|2nd|3rd|4th|5th)\s+week\b", re.IGNORECASE)
_WEEK_NUMBER = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}
_DAYS = re.compile(rf"\b({'|'.join(calendar.day_name)})s?\b", re.IGNORECASE)
_PARTS = re.compile(r"\b(?:weekends?|weekdays?|working days?|business days?)\b(?! and| vs| versus)", re.IGNORECASE)
_HOURS = re.compile(
    r"\bbetween (\d{1,2})(?::00)?\s?(am|pm)? and (\d{1,2})(?::00)?\s?(am|pm)?(?!\d)(?=\s|\W|$)|\bat (\d{1,2}):00\b",
    re.IGNORECASE,
)
_OR_LATER = re.compile(r" (?:(?:or|and) (?:later|after|newer|(?P<before>earlier|before))|onwards?)\b", re.IGNORECASE)
_END = re.compile(
    r"\b(?:on|at|in|as of|for) the (latest|most recent|last|first|earliest) (date|day|month|year)\b"
    r"(?: (?:in|of) the (?:data|file|table|dataset|list))?",
    re.IGNORECASE,
)
_BEFORE = re.compile(r"\b(since|from|starting|after|before|until|between)\s+(?:the\s+)?(?:year\s+)?$", re.IGNORECASE)


HOURS_OF_DAY = 24
OPEN_END = datetime(2200, 1, 1)  # later than any date: the condition can be moved to another column
_Unit = tuple[re.Match[str], datetime, datetime, str]  # where it stands, its start, its end, its name


@dataclass(frozen=True, kw_only=True)
class Found:
    condition: Condition
    start: int  # of its words in the text
    end: int


def time_conditions(text: str, column: Column) -> list[Found]:
    """The conditions on a date column in a text."""
    if not column.low:
        return []
    low, high = datetime.fromisoformat(column.low[:19]), datetime.fromisoformat(column.high[:19])
    if ends := list(_ends(text, column.name, low, high)):
        return ends
    if days_apart(column) > 20:  # months or years: no days, weeks or hours
        return list(_spans(text, column.name, low, high, fine=False))
    found = list(_spans(text, column.name, low, high))
    taken = [(f.start, f.end) for f in found]
    for match in _DAYS.finditer(text):
        days = sorted({_weekday(m[1]) for m in _DAYS.finditer(text)})
        names = " and ".join(f"{calendar.day_name[day]}s" for day in days)
        found.append(_found(match, column.name, "weekdays", tuple(days), f"on {names}"))
    for match in _PARTS.finditer(text):
        if re.search(r"weekends?\b", text, re.I) and re.search(r"(?:week|working |business )days?\b", text, re.I):
            break
        weekend = match[0].lower().startswith("weekend")
        days_in = (5, 6) if weekend else (0, 1, 2, 3, 4)
        by = re.search(r"\b(?:by|per|each|which|what)\s+$", text[max(0, match.start() - 8) : match.start()], re.I)
        if not by:
            words = "at weekends" if weekend else "on weekdays"
            found.append(_found(match, column.name, "weekdays", days_in, words))
    hours = _HOURS.search(text)
    has_times = {column.low[11:19], column.high[11:19]} - {"", "00:00:00"}
    if hours and not (has_times or re.search(r":00|[ap]m\b", hours[0], re.IGNORECASE)):
        hours = None  # "between 18 and 65"
    if hours and not hours[5] and max(int(hours[1]), int(hours[3])) > HOURS_OF_DAY:
        hours = None
    if hours and not any(start < hours.end() and hours.start() < end for start, end in taken):
        if hours[5]:
            first, last, words = int(hours[5]), int(hours[5]) + 1, f"at {hours[5]}:00"
        else:
            first, last = _hour(hours[1], hours[2] or hours[4]), _hour(hours[3], hours[4])
            words = f"between {first}:00 and {last}:00"
        found.append(_found(hours, column.name, "hours", (first, last), words))
    return found


def _ends(text: str, name: str, low: datetime, high: datetime) -> Iterator[Found]:
    """The span of "on the latest date" or "in the first year"."""
    for match in _END.finditer(text):
        day, unit = (low if match[1].lower() in ("first", "earliest") else high), match[2].lower()
        start = day.replace(hour=0, minute=0, second=0, microsecond=0)
        start = start.replace(day=1) if unit in ("month", "year") else start
        start = start.replace(month=1) if unit == "year" else start
        end = start + timedelta(days={"month": 32, "year": 367}.get(unit, 1))
        end = end.replace(day=1) if unit in ("month", "year") else end
        shown = f"{start:%Y}" if unit == "year" else f"{start:%B %Y}" if unit == "month" else _date(start)
        words = f"{'in' if unit in ('month', 'year') else 'on'} {shown}"
        yield _found(match, name, "spans", ((f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}"),), words)


def days_apart(column: Column) -> float:
    """How many days lie between two dates of a column, on average."""
    if not column.low or column.unique < 2:
        return 0.0
    span = datetime.fromisoformat(column.high[:19]) - datetime.fromisoformat(column.low[:19])
    return span.total_seconds() / 86400 / (column.unique - 1)


def _found(match: re.Match[str], column: str, test: str, value: object, words: str) -> Found:
    condition = Condition(column=column, test=test, value=value, words=words)
    return Found(condition=condition, start=match.start(), end=match.end())


def _weekday(name: str) -> int:
    return [day.lower() for day in calendar.day_name].index(name.lower())


def _hour(number: str, half: str | None) -> int:
    hour = int(number) % 12 if half else int(number)
    return hour + (12 if (half or "").lower() == "pm" else 0)


def _units(text: str, low: datetime, high: datetime, *, fine: bool) -> tuple[str, list[_Unit]]:
    """The finest units of time that the text names: days, weeks, months and quarters, or years."""
    days = [
        (match, _day(match, low, high))
        for match in _DAY.finditer(text)
        if fine or match["year"] or match["y1"] or match["y2"]
    ]
    units: list[_Unit] = [(match, day, day + timedelta(days=1), _date(day)) for match, day in days if day]
    if units:
        return "day", units
    if weeks := list(_WEEK.finditer(text)) if fine else []:
        return "week", [(match, *_week(match[1].lower(), low, high)) for match in weeks]
    quarters = [] if re.search(r"(?i)iqr|quartile", text) else _QUARTER.finditer(text)
    for match in (*_WHOLE_MONTH.finditer(text), *quarters):
        units += [(match, *span) for span in _month_span(match, low, high)]
    if any(re.search(r"\d{4}", unit[0][0]) for unit in units):
        units = list({unit[0].start(): unit for unit in units}.values())
    units = _of_one_year(units)
    if units:
        return "month", units
    amounts = [m for m in _NUMBERS.finditer(text) if not _are_years(int(m[1]), int(m[2]), low, high)]
    amounts += _AMOUNT.finditer(text)
    years = [(m, int(m["y"])) for m in _YEAR.finditer(text) if not any(a.start() < m.end() <= a.end() for a in amounts)]
    return "year", [(match, datetime(year, 1, 1), datetime(year + 1, 1, 1), str(year)) for match, year in years]


def _are_years(first: int, last: int, low: datetime, high: datetime) -> bool:
    """Whether two numbers can be years, and one of them is a year of the data: not those of "between 1700 and 4000"."""
    known = any(low.year <= number <= high.year for number in (first, last))
    return known and all(0 < number < OPEN_END.year for number in (first, last))


def _of_one_year(units: list[_Unit]) -> list[_Unit]:
    """Two months with the year that only the second one says: "between March and May 2022"."""
    if (
        len(units) != 2
        or units[0][0].re is not _WHOLE_MONTH
        or units[0][0]["y"]
        or not re.search(r"\d{4}", units[1][0][0])
    ):
        return units
    (match, start, _, _), (_, second, _, _) = units
    year = second.year - (start.month > second.month)
    first = datetime(year, start.month, 1)
    return [(match, first, (first + timedelta(days=32)).replace(day=1), f"{first:%B %Y}"), units[1]]


def _spans(text: str, name: str, low: datetime, high: datetime, *, fine: bool = True) -> Iterator[Found]:
    """Spans of days, weeks, months, quarters or years: the finest that the text names."""
    kind, units = _units(text, low, high, fine=fine)
    if not units:
        return
    first = units[0][0]
    if _BEFORE.search(text[max(0, first.start() - 40) : first.start()]):  # "since March": the last one
        latest = {unit[0].start(): unit for unit in units}
        units = list(latest.values())
    word_at = first.start("y") if kind == "year" else first.start()
    before = _BEFORE.search(text[max(0, word_at - 40) : word_at])
    word = before[1].lower() if before else ""
    after = _OR_LATER.match(text, units[-1][0].end()) if len(units) == 1 else None
    word = ("until the end of" if after["before"] else "since") if after and not word else word
    begin = word_at - len(before[0]) if before else first.start()
    last = units[-1][0].end()
    spans: tuple[tuple[datetime, datetime], ...]
    is_change = re.search(CHANGE, text, re.IGNORECASE)
    if word in ("between", "from") and len(units) == 2 and not is_change:
        spans, words = ((units[0][1], units[1][2]),), f"from {units[0][3]} to {units[1][3]}"
    elif word in ("since", "from", "starting") and len(units) == 1:
        spans, words = ((units[0][1], OPEN_END),), f"since {units[0][3]}"
    elif word == "after":
        spans, words = ((units[0][2], OPEN_END),), f"after {units[0][3]}"
    elif word == "until the end of":
        spans, words = ((low, units[0][2]),), f"{word} {units[0][3]}"
    elif word in ("before", "until"):
        spans, words = ((low, units[0][1]),), f"before {units[0][3]}"
    else:
        spans = tuple((start, end) for _, start, end, _ in units)
        words = ("on " if kind == "day" else "in ") + " and ".join(_shown(units))
    value = tuple((f"{a:%Y-%m-%d}", f"{b:%Y-%m-%d}") for a, b in spans)
    condition = Condition(column=name, test="spans", value=value, words=words)
    end = after.end() if after else first.end()
    yield Found(condition=condition, start=min(begin, first.start()), end=end)
    for match, *_ in units[1:]:
        yield Found(condition=condition, start=match.start(), end=min(match.end(), last))


def _shown(units: list[_Unit]) -> list[str]:
    """The names of units; those of a month that stands for each year as one, "August (2013 to 2016)"."""
    names: dict[int, list[_Unit]] = {}
    for unit in units:
        names.setdefault(unit[0].start(), []).append(unit)
    shown = [
        own[0][3] if len(own) == 1 else f"{own[0][3].rpartition(' ')[0]} ({own[0][1].year} to {own[-1][1].year})"
        for own in names.values()
    ]
    return list(dict.fromkeys(shown))


def _week(word: str, low: datetime, high: datetime) -> tuple[datetime, datetime, str]:
    start = datetime(low.year, low.month, low.day)
    if word == "last":
        begin = datetime(high.year, high.month, high.day) - timedelta(days=6)
    else:
        begin = start + timedelta(days=7 * ((_WEEK_NUMBER.get(word) or int(word[0])) - 1))
    return begin, begin + timedelta(days=7), f"the {word} week ({_date(begin)} to {_date(begin + timedelta(days=6))})"


def _month_span(match: re.Match[str], low: datetime, high: datetime) -> Iterator[tuple[datetime, datetime, str]]:
    """The span of a month or a quarter; without a year those of all years that the data contain."""
    if match.re is _QUARTER:
        month, months, named = int(match[1]) * 3 - 2, 3, match[2]
    elif match["n"]:
        month, months, named = int(match["n"]), 1, match["y3"]
    else:
        if match["m"].lower() == "may" and not match["m"][0].isupper():
            return
        month, months, named = _month(match["m"]), 1, match["y"]
    if not 1 <= month <= 12:
        return
    years = [int(named)] if named else _years_of(month, low, high)
    for year in reversed(years) if years else [high.year]:
        start = datetime(year, month, 1)
        end = start
        for _ in range(months):
            end = (end + timedelta(days=32)).replace(day=1)
        yield start, end, f"{start:%B %Y}" if months == 1 else f"Q{month // 3 + 1} {year}"


def _years_of(month: int, low: datetime, high: datetime) -> list[int]:
    """The years of which the data have a month, the latest first."""
    months = [(y, datetime(y, month, 1)) for y in range(high.year, low.year - 1, -1)]
    return [year for year, start in months if start <= high and (start + timedelta(days=31)) > low]


def _month(name: str) -> int:
    return next(number for full, number in _MONTHS.items() if full.startswith(name.lower()[:3]))


def _day(match: re.Match[str], low: datetime, high: datetime) -> datetime | None:
    year = match["year"] or match["y1"] or match["y2"]
    day = int(match["d"] or match["d1"] or match["d2"])
    month = int(match["m"]) if match["m"] else _month(match["m1"] or match["m2"])
    found = None
    for candidate in [int(year)] if year else range(high.year, low.year - 1, -1):
        try:
            found = datetime(candidate, month, day)
        except ValueError:
            return None
        if year or low - timedelta(days=1) < found <= high:
            return found
    return found


def _date(day: datetime) -> str:
    return f"{day.day} {day:%B %Y}"
