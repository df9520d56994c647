"""Dates and durations that people write: day first or month first, month names, times, hours and minutes. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Literal

Order = Literal["ymd", "dmy", "mdy", "", "?", "!"]

_MONTH_NAMES = (
    "january jan januar jänner jän janvier janv jan. enero ene gennaio gen januari janeiro",
    "february feb februar febr feber février févr fév febrero febbraio februari fevereiro fev",
    "march mar märz mär mrz mars marzo maart maa março",
    "april apr avril avr abril abr aprile",
    "may mai mayo maggio mag mei maio",
    "june jun juni juin junio giugno giu junho",
    "july jul juli juillet juil julio luglio lug julho",
    "august aug août aou agosto ago augustus agustus",
    "september sep sept septembre septiembre settembre set setembro",
    "october oct oktober okt octobre octubre ottobre ott outubro out",
    "november nov novembre noviembre novembro",
    "december dec dezember dez décembre déc diciembre dic dicembre dezembro",
)
MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, start=1) for name in names.split()}
_TIME = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?:\s*(?P<half>[aApP]\.?[mM]\.?))?(?:\s*(?P<zone>Z|UTC|[+-]\d\d:?\d\d))?"
)
_NUMERIC = re.compile(
    rf"(?P<a>\d{{1,4}})(?P<sep>[./-])(?P<b>\d{{1,2}})(?P=sep)(?P<c>\d{{1,4}})\.?(?:(?:,?\s+|T){_TIME})?", re.ASCII
)
_CJK = re.compile(rf"(?P<a>\d{{4}})年(?P<b>\d{{1,2}})月(?P<c>\d{{1,2}})日(?:\s*{_TIME})?")
_NAMED = re.compile(
    r"(?:[^\W\d_]{2,10}\.?,?\s+)?(?:(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?[\s-]*(?:de\s+)?(?P<name>[^\W\d_]{3,10})\.?"
    r"|(?P<name2>[^\W\d_]{3,10})\.?[\s-]*(?P<day2>\d{1,2})(?:st|nd|rd|th)?)"
    rf"(?:,?\s*(?:de\s+)?|[\s-]+)(?P<year>\d{{4}}|'?\d\d)(?:(?:,?\s+|T){_TIME})?"
)
_CLOCK = re.compile(
    r"(?P<sign>-)?(?:(?P<days>\d+)\s*d(?:ays?)?[,\s]+)?(?P<h>\d{1,5}):(?P<m>\d\d):(?P<s>\d\d(?:[.,]\d+)?)"
)
_SHORT_CLOCK = re.compile(r"(?P<sign>-)?(?P<h>\d{1,5}):(?P<m>\d\d)")
_WORDED = re.compile(
    r"(?:(?P<d>\d+(?:[.,]\d+)?)\s*d(?:ays?)?)?(?:[\s,]*(?P<h>\d+(?:[.,]\d+)?)\s*h(?:rs?|ours?|\.)?)?"
    r"(?:[\s,]*(?P<m>\d+(?:[.,]\d+)?)\s*m(?:in(?:ute)?s?\.?)?)?(?:[\s,]*(?P<s>\d+(?:[.,]\d+)?)\s*s(?:ec(?:ond)?s?\.?)?)?"
)
_ISO_DURATION = re.compile(r"P(?:(?P<d>\d+)D)?(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?")
_DURATION_NAME = re.compile(
    r"durat|dauer|durée|duraci|elapsed|length|runtime|\blap|travel.?time|time.?(spent|taken|worked)|talk.?time|zeit\b"
    r"|wait|hours|stunden|downtime|uptime|split|finish",
    re.IGNORECASE,
)
CELL_MAX_CHARS = 60  # a longer cell is no date
PIVOT = 69  # two-digit years from 69 on are of the 20th century, as in POSIX


@dataclass(frozen=True, slots=True)
class Moment:
    """A cell that is a date. `a`, `b`, `c` are its numbers in the order in which they stand."""

    a: int
    b: int
    c: int
    order: Order  # of `a`, `b`, `c`; "" when day and month cannot be told apart by their place
    separator: str
    clock: time | None
    zone: str  # "", "Z" or "+01:00"
    short_year: bool = False

    def value(self, order: Order) -> date | None:
        """The date, when day and month stand in this order; None when there is no such day."""
        order = self.order or order
        if order == "ymd":
            year, month, day = self.a, self.b, self.c
        elif order == "dmy":
            day, month, year = self.a, self.b, self.c
        else:
            month, day, year = self.a, self.b, self.c
        if self.short_year:
            year += 1900 if year >= PIVOT else 2000
        try:
            return date(year, month, day)
        except ValueError:
            return None


def moment(text: str) -> Moment | None:
    """The parts of a date with or without a time; None when the cell is not a date with day, month and year."""
    if (
        not text
        or len(text) > CELL_MAX_CHARS
        or not (text[0].isdigit() or text[-1].isdigit() or ":" in text or text[-1] in ".日")
    ):
        return None
    if found := _NUMERIC.fullmatch(text) or _CJK.fullmatch(text):
        a, b, c = found["a"], found["b"], found["c"]
        separator = found["sep"] if "sep" in found.groupdict() else "年"
        order: Order = ""
        if len(a) == 4:
            order = "ymd"
            if len(c) > 2:
                return None
        elif len(a) > 2 or len(c) not in (2, 4) or (separator == "." and len(a + b + c) < 6):
            return None  # `1.2.10` is a version
        clock = _clock(found)
        if clock is False:
            return None
        return Moment(int(a), int(b), int(c), order, separator, clock or None, _zone(found), not order and len(c) == 2)
    if found := _NAMED.fullmatch(text):
        month = MONTHS.get((found["name"] or found["name2"]).casefold())
        clock = _clock(found)
        if month is None or clock is False:
            return None
        year = found["year"].lstrip("'")
        day = int(found["day"] or found["day2"])
        return Moment(day, month, int(year), "dmy", "name", clock or None, _zone(found), len(year) == 2)
    return None


def _clock(found: re.Match[str]) -> time | Literal[False] | None:
    """The time of day; None without one; False when there is no such time."""
    if found["hour"] is None:
        return None
    hour, half = int(found["hour"]), (found["half"] or "").lower().replace(".", "")
    if half:
        if not 1 <= hour <= 12:
            return False
        hour = hour % 12 + (12 if half == "pm" else 0)
    fraction = int((found["fraction"] or "0").ljust(6, "0")[:6])
    try:
        return time(hour, int(found["minute"]), int(found["second"] or 0), fraction)
    except ValueError:
        return False


def _zone(found: re.Match[str]) -> str:
    zone = found["zone"] or ""
    if zone in ("Z", "UTC"):
        return "Z"
    return zone if not zone or ":" in zone else f"{zone[:3]}:{zone[3:]}"


def order_of(moments: Sequence[Moment]) -> Order:
    """The order of day and month that the dates of one column have, in the order of their rows.

    Returns:
        `dmy` or `mdy`; "" when every date states its order; `?` when both are possible; `!` when some dates are only
        possible in one order and others only in the other.
    """
    unclear = [m for m in moments if not m.order]
    if not unclear:
        return ""
    short = [m for m in unclear if m.short_year and m.separator != "."]
    if short and len({m.c for m in short}) > len({m.a for m in short}) and max(m.c for m in short) <= 31:
        return "?"  # `24-01-31`: the year may stand first
    day_first = any(m.a > 12 for m in unclear)
    month_first = any(m.b > 12 for m in unclear)
    if day_first and month_first:
        return "!"
    if day_first or month_first:
        return "dmy" if day_first else "mdy"
    if all(m.separator == "." for m in unclear):
        return "dmy"  # no country writes the month first with points
    return _order_by_sequence(unclear)


def _order_by_sequence(moments: Sequence[Moment]) -> Order:
    """Rows are often in order of time: decide when they are so in one reading, and clearly not in the other."""
    fits: list[Order] = []
    orders: tuple[Order, Order] = ("dmy", "mdy")
    for order in orders:
        days = [day for day in (m.value(order) for m in moments) if day]
        falls = sum(x > y for x, y in pairwise(days))
        rises = sum(x < y for x, y in pairwise(days))
        if len(days) < len(moments):
            continue
        if min(falls, rises) == 0 and max(falls, rises) >= 5:
            fits.append(order)
        elif min(falls, rises) < 2:
            return "?"
    return fits[0] if len(fits) == 1 else "?"


def iso(found: Moment, order: Order, *, with_time: bool) -> str | None:
    """`2025-01-31`, or with a time `2025-01-31T10:00:00`; None when there is no such day."""
    day = found.value(order)
    if day is None:
        return None
    if not with_time:
        return day.isoformat()
    return datetime.combine(day, found.clock or time()).isoformat() + found.zone


def seconds(text: str, *, short: bool = False) -> float | None:
    """A duration in seconds: `1:05:00`, `2h 30min`, `PT5M`; with `short`, `1:30` is hours and minutes."""
    if not text or len(text) > CELL_MAX_CHARS:
        return None
    if found := _CLOCK.fullmatch(text) or (_SHORT_CLOCK.fullmatch(text) if short else None):
        groups = found.groupdict()
        minutes, rest = int(groups["m"]), float((groups.get("s") or "0").replace(",", "."))
        if minutes > 59 or rest >= 60:
            return None
        total = (int(groups.get("days") or 0) * 24 + int(groups["h"])) * 3600 + minutes * 60 + rest
        return -total if groups["sign"] else total
    found = _ISO_DURATION.fullmatch(text) or _WORDED.fullmatch(text)
    if found is None or sum(part is not None for part in found.groupdict().values()) < (text[:1] != "P") + 1:
        return None  # a single `5 min` is a number with a unit
    parts = {name: float((found[name] or "0").replace(",", ".")) for name in "dhms"}
    return parts["d"] * 86_400 + parts["h"] * 3_600 + parts["m"] * 60 + parts["s"]


def are_durations(texts: Sequence[str], name: str) -> bool | None:
    """Whether `H:MM:SS` values last so long, rather than being times of day. None: cannot be told.

    An hour of 24 or more, a minus, or a column's name such as "duration" decide; so do values that would nearly all lie
    in the hour after midnight.
    """
    if any(not re.match(r"\d{1,2}:", text) for text in texts):
        return True
    hours = [int(text.split(":")[0]) for text in texts]
    if max(hours) > 23 or _DURATION_NAME.search(name):
        return True
    return True if sum(hour == 0 for hour in hours) > len(hours) / 2 and len(hours) > 2 else None


def as_seconds(value: timedelta) -> str:
    return number_text(value.total_seconds())


def number_text(value: float) -> str:
    """A number without a needless `.0`."""
    return str(int(value)) if value == int(value) else repr(round(value, 6))
