"""Schedules of timer triggers: NCRONTAB and time spans.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from local.functions_host.settings import time_span

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS = {  # field: lowest value, highest value, names of the values
    "second": (0, 59, ()),
    "minute": (0, 59, ()),
    "hour": (0, 23, ()),
    "day": (1, 31, ()),
    "month": (1, 12, MONTHS),
    "weekday": (0, 6, DAYS),
}
LONGEST_GAP = timedelta(days=366 * 8 + 1)  # from 29 February 2096 to 2104: 2100 is no leap year


@dataclass(frozen=True, kw_only=True)
class Every:
    """A time span between two runs."""

    interval: timedelta

    def after(self, at: datetime) -> datetime | None:
        """The next run."""
        return at + self.interval


@dataclass(frozen=True, kw_only=True)
class Crontab:
    """An NCRONTAB schedule in UTC: all fields must match, both day and weekday."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday

    def after(self, at: datetime) -> datetime | None:
        """The next run; None if there is none."""
        day = at.date()
        while day - at.date() < LONGEST_GAP:
            if day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays:
                for moment in self._times(at.hour if day == at.date() else 0):
                    candidate = datetime.combine(day, moment, tzinfo=at.tzinfo)
                    if candidate > at:
                        return candidate
            day += timedelta(days=1)
        return None

    def _times(self, first_hour: int) -> Iterator[time]:
        for hour in self.hours:
            if hour >= first_hour:
                yield from (time(hour, minute, second) for minute in self.minutes for second in self.seconds)


Schedule = Every | Crontab


def parse_schedule(text: str) -> Schedule:
    """Parse an NCRONTAB expression of six fields (or five, for second 0) or a time span.

    Raises:
        ValueError: the text is neither.
    """
    if ":" in text:
        return Every(interval=time_span(text))
    fields = text.split()
    if len(fields) == 5:
        fields = ["0", *fields]
    if len(fields) != 6:
        raise ValueError(f"{text!r} is neither six fields nor a time span")
    second, minute, hour, day, month, weekday = (
        field_values(field, name) for field, name in zip(fields, FIELDS, strict=True)
    )
    return Crontab(
        seconds=tuple(sorted(second)),
        minutes=tuple(sorted(minute)),
        hours=tuple(sorted(hour)),
        days=day,
        months=month,
        weekdays=weekday,
    )


def field_values(text: str, name: str) -> frozenset[int]:
    """The values of a field such as `*`, `5`, `1-5`, `*/10`, `10/20`, `mon`, or a list of these."""
    return frozenset(value for part in text.split(",") for value in part_values(part, name))


def part_values(part: str, name: str) -> range:
    lowest, highest, _ = FIELDS[name]
    base, slash, step_text = part.partition("/")
    step = int(step_text) if slash else 1
    if step < 1:
        raise ValueError(f"step {step_text!r} in {name}")
    if base == "*":
        first, last = lowest, highest
    elif "-" in base:
        first, last = (field_value(end, name) for end in base.split("-", 1))
    else:
        first = field_value(base, name)
        last = highest if slash else first
    if first > last:
        raise ValueError(f"range {base!r} in {name} goes backwards")
    return range(first, last + 1, step)


def field_value(text: str, name: str) -> int:
    lowest, highest, names = FIELDS[name]
    value = names.index(text[:3].lower()) + lowest if text[:3].lower() in names else int(text)
    if not lowest <= value <= highest:
        raise ValueError(f"{value} is not a {name}")
    return value
