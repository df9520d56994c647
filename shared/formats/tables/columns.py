"""What the cells of one column are, and how each is written into the clean copy. Pure.

A column is only read as numbers, dates or durations when nearly all of its cells allow it and none contradicts the
others; else its text stays as it is, and `doubt` says why.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

from shared.formats.tables import moments, numerals
from shared.formats.tables.moments import Moment, Order, number_text
from shared.formats.tables.numerals import Decimal, Numeral, is_missing
from shared.formats.tables.totals import label_of
from shared.formats.tables.units import is_unit, with_unit

Kind = Literal["text", "number", "date", "duration"]
KNOWN_MAX = 20_000  # different cells of a column whose written form is remembered
EXACT_DIGITS = 15  # that a float holds
INTEGER_DIGITS = 18  # that an integer of pandas holds
PLAIN_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)
PLAIN_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
# The usual forms, for speed; all others take the way through `numerals`.
FAST_COMMA = re.compile(r"-?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+)(?:,\d+)?", re.ASCII)
FAST_POINT = re.compile(r"-?(?:[1-9]\d{0,2}(?:,\d{3})+|\d+)(?:\.\d+)?", re.ASCII)
MANY_COMMA, MANY_POINT = (
    re.compile(rf"(?:{one.pattern})?(?:\n(?:{one.pattern})?)*", re.ASCII) for one in (FAST_COMMA, FAST_POINT)
)
_LEADING_ZERO = re.compile(r"0\d+", re.ASCII)
_CODE = re.compile(r"[\w./ -]+")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a column is read. `doubt`: why its text stays as it is, although it looks like numbers or dates."""

    name: str
    kind: Kind = "text"
    identifier: bool = False  # digits that are no number: leading zeros, or too many of them
    grouped: bool = False  # thousands are separated
    boolean: bool = False  # a workbook or JSON says so
    decimal: Decimal = ""
    order: Order = ""
    with_time: bool = False
    unit: str = ""
    scale: int = 1  # 100: a workbook stores 0.475 for 47.5 %
    pad: int = 0  # digits of an identifier that a workbook stores as a number
    doubt: str = ""
    open: Literal["", "decimal", "order"] = ""  # what other columns may decide

    @property
    def title(self) -> str:
        """The name in the clean copy."""
        return with_unit(self.name, self.unit)

    def words(self) -> list[str]:
        """What is special about the column, for the data card."""
        found = []
        if self.kind == "number" and self.decimal == ",":
            found.append("decimal comma")
        elif self.kind == "number" and self.grouped:
            found.append("thousands separated")
        if self.kind == "date" and self.order in ("dmy", "mdy"):
            found.append("dates day first" if self.order == "dmy" else "dates month first")
        if self.kind == "duration":
            found.append("durations, in seconds in the clean copy")
        return found


@dataclass(frozen=True, kw_only=True)
class Custom:
    """What the other columns of a file decide: its decimal separator and its order of day and month."""

    decimal: Decimal = ""
    order: Order = ""


def reading_of(name: str, cells: Iterable[Any], *, number_format: str = "") -> Reading:
    """Decide how a column is read.

    Args:
        cells: The values of a sample of rows, in their order; blank ones count for nothing.
        number_format: The format code that all numbers of the column have in a workbook.
    """
    values = [cell.strip() if isinstance(cell, str) else cell for cell in cells]
    values = [value for value in values if value is not None and value != ""]
    texts = [value for value in values if isinstance(value, str) and not is_missing(value)]
    typed = [value for value in values if not isinstance(value, str)]
    if not texts and not typed:
        return Reading(name=name)
    if any(_LEADING_ZERO.fullmatch(text) for text in texts) and all(_CODE.fullmatch(text) for text in texts):
        return Reading(name=name, identifier=True)
    if not typed and all(text.isdigit() and text.isascii() for text in texts):
        lengths = {len(text) for text in texts}
        if max(lengths) > INTEGER_DIGITS or (min(lengths) > EXACT_DIGITS and len(lengths) == 1 and len(texts) > 1):
            return Reading(name=name, identifier=True)
    if typed:
        return _typed_reading(name, typed, texts, number_format)
    return _date_reading(name, texts) or _duration_reading(name, texts) or _number_reading(name, texts)


def settled(reading: Reading, custom: Custom) -> Reading:
    """The reading, when the other columns of the file decide what this one leaves open."""
    if reading.open == "decimal" and custom.decimal in (".", ","):
        return replace(reading, kind="number", decimal=custom.decimal, doubt="", open="")
    if reading.open == "order" and custom.order in ("dmy", "mdy"):
        return replace(reading, kind="date", order=custom.order, doubt="", open="")
    return reading


def custom_of(readings: Sequence[Reading]) -> Custom:
    decimals = {r.decimal for r in readings if r.kind == "number" and r.decimal in (".", ",")}
    orders = {r.order for r in readings if r.kind == "date" and r.order in ("dmy", "mdy")}
    decimal: Decimal = decimals.pop() if len(decimals) == 1 else ""
    order: Order = orders.pop() if len(orders) == 1 else ""
    if not order and decimal == ",":
        order = "dmy"  # countries with a decimal comma write the day first
    return Custom(decimal=decimal, order=order)


def _few(misfits: int, count: int) -> bool:
    return misfits <= max(count // 10, 1 if count >= 4 else 0)


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join(repr(text[:30]) for text in texts[:2])


def _date_reading(name: str, texts: Sequence[str]) -> Reading | None:
    found = [(text, moments.moment(text)) for text in texts]
    dates = [m for _, m in found if m]
    if not dates or not _few(len(found) - len(dates), len(found)):
        return None
    order = moments.order_of(dates)
    with_time = any(m.clock is not None for m in dates)
    example = next(text for text, m in found if m and not m.order) if order in ("!", "?") else ""
    reading = Reading(name=name, order=order, with_time=with_time)
    if order == "!":
        why = "some dates have the day first and others the month"
        return replace(reading, doubt=f"{why}; its text is kept as it is", order="")
    if order == "?":
        why = f"dates such as {example!r} can have the day or the month first"
        return replace(reading, doubt=f"{why}; their text is kept as it is", order="", open="order")
    if not all(_is_possible(m, order) for m in dates):
        return None
    return replace(reading, kind="date")


def _is_possible(found: Moment, order: Order) -> bool:
    return found.value(order) is not None


def _duration_reading(name: str, texts: Sequence[str]) -> Reading | None:
    clock = [text for text in texts if re.match(r"-?\d+:\d\d(:|$)", text)]
    found = [text for text in texts if moments.seconds(text) is not None]
    if found and _few(len(texts) - len(found), len(texts)):
        if len(clock) < len(found) or moments.are_durations(clock, name):
            return Reading(name=name, kind="duration", unit="s")
        return None  # times of day
    if clock and _few(len(texts) - len(clock), len(texts)) and moments.are_durations(clock, name):
        why = f"durations such as {clock[0]!r} can be hours and minutes or minutes and seconds"
        return Reading(name=name, doubt=f"{why}; their text is kept as it is")
    return None


def _number_reading(name: str, texts: Sequence[str]) -> Reading:
    found = [(text, numerals.numeral(text)) for text in texts]
    figures = [n for _, n in found if n]
    others = [text for text, n in found if n is None]
    if not figures or not _few(len(others), len(texts)):
        doubt = f"it mixes numbers with text such as {_quoted(others)}" if len(figures) >= len(texts) / 2 else ""
        return Reading(name=name, doubt=doubt)
    unit, doubt = _unit_of(figures)
    if unit is None:
        return Reading(name=name, doubt=doubt and f"{doubt}; its text is kept as it is")
    decimal = numerals.decimal_of(n.digits for n in figures)
    if _are_phones(figures):
        return Reading(name=name, identifier=True)
    reading = Reading(name=name, unit=unit, grouped=any(_is_grouped(n.digits) for n in figures))
    if decimal == "!":
        return replace(reading, unit="", doubt="some numbers have a decimal comma and others a point; its text is kept")
    if decimal == "?":
        example = next(text for text, n in found if n and not n.digits.isdigit())
        why = f"the separator in numbers such as {example!r} can be of thousands or of decimals"
        return replace(reading, doubt=f"{why}; their text is kept as it is", open="decimal")
    return replace(reading, kind="number", decimal=decimal)


def _is_grouped(digits: str) -> bool:
    return len(re.findall(r"[^\d]", digits)) > 1 or bool(re.search(r",\d{3}$|[ '’\u00a0\u202f]", digits))


def _unit_of(figures: Sequence[Numeral]) -> tuple[str | None, str]:
    """The unit of all numbers; None and a doubt when they have different ones, or a code such as `12A`."""
    units = Counter(n.unit for n in figures if n.unit)
    if not units:
        return "", ""
    bare = [n for n in figures if not n.unit and n.digits.strip("0.,")]
    known = [unit for unit in units if is_unit(unit)]
    if len(units) > 1:
        return None, f"its cells have different units ({', '.join(sorted(units)[:4])})" if known else ""
    unit = next(iter(units))
    if not known and any(n.glued for n in figures if n.unit):
        return None, ""
    if bare:
        return None, f"some cells have the unit {unit} and others none"
    return unit, ""


def _are_phones(figures: Sequence[Numeral]) -> bool:
    """Whether numbers in groups all have one shape, as phone numbers and codes have and amounts have not."""
    shapes = {re.sub(r"\d", "0", n.digits) for n in figures}
    shape = next(iter(shapes))
    if "." in shape or "," in shape:
        return False
    return len(shapes) == 1 and len(figures) > 1 and sum(shape.count(space) for space in numerals.SPACES) >= 2


def _typed_reading(name: str, typed: Sequence[Any], texts: Sequence[str], number_format: str) -> Reading:
    """The reading of a workbook's column, whose cells have types of their own; some may be numbers stored as text."""
    booleans = [v for v in typed if isinstance(v, bool)]
    numbers = [v for v in typed if isinstance(v, (int, float)) and not isinstance(v, bool)]
    days = [v for v in typed if isinstance(v, (date, datetime))]
    spans = [v for v in typed if isinstance(v, timedelta)]
    times = [v for v in typed if isinstance(v, time)]
    count = len(typed) + len(texts)
    if booleans:
        return Reading(name=name, boolean=count == len(booleans))
    if numbers:
        return _typed_numbers(name, numbers, texts, count, number_format)
    if days:
        written = [m for m in map(moments.moment, texts) if m]
        order = moments.order_of(written) if written else ""
        if order in ("!", "?") or not _few(len(texts) - len(written) + len(spans) + len(times), count):
            return Reading(name=name, doubt="it mixes dates with text; the text is kept as it is" if texts else "")
        with_time = any(isinstance(v, datetime) and v.time() != time() for v in days) or any(m.clock for m in written)
        return Reading(name=name, kind="date", order=order, with_time=with_time)
    clocks = [v.strftime("%H:%M:%S") for v in times]
    if spans or moments.are_durations(clocks, name):
        return Reading(name=name, kind="duration", unit="s")
    return Reading(name=name)


def _typed_numbers(
    name: str, numbers: Sequence[float], texts: Sequence[str], count: int, number_format: str
) -> Reading:
    figures = [n for n in map(numerals.numeral, texts) if n]
    others = count - len(numbers) - len(figures)
    if not _few(others, count) or any(n.unit for n in figures):
        odd = [text for text in texts if numerals.numeral(text) is None] or texts
        return Reading(name=name, doubt=f"it mixes numbers with text such as {_quoted(odd)}")
    if pad := re.fullmatch(r"0{2,}", number_format):
        return Reading(name=name, identifier=True, pad=len(pad[0]))
    unit, scale = format_unit(number_format)
    decimal = numerals.decimal_of(n.digits for n in figures)
    if decimal in ("!", "?"):
        return Reading(name=name, doubt="some numbers are text and can be read in two ways; the text is kept")
    return Reading(name=name, kind="number", unit=unit, scale=scale, decimal=decimal)


def format_unit(code: str) -> tuple[str, int]:
    """The unit that a workbook's number format shows beside a number, and what the number is multiplied by."""
    first = code.split(";")[0]
    bare = re.sub(r'"[^"]*"|\\.|\[[^\[\]]*\]', "", first)
    if "%" in bare:
        return "%", 100
    if found := re.search(r"\[\$([^\]-]+)", first):
        return found[1].strip(), 1
    literals = "".join(re.findall(r'"([^"]*)"', first)).strip()
    if literals and (is_unit(literals) or literals in numerals.CODES or literals in numerals.CURRENCY):
        return literals, 1
    if sign := re.search(rf"[{re.escape(numerals.CURRENCY)}]", bare):
        return sign[0], 1
    return "", 1


# ---- writing ---------------------------------------------------------------------------------------------------------


class Writer:
    """Writes the cells of one column into the clean copy, and counts what it had to change."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.changed = False  # a cell is not as pandas would read it from the original
        self.missing: Counter[str] = Counter()  # words for "no value" -> cells
        self.misfits = 0  # cells kept as text in a column of another kind
        self.misfit = ""  # the first of them
        self._known: dict[str, str] = {}  # cells as read -> as written
        self._odd: dict[str, str] = {}  # cells that are no values of the column's kind -> what they are

    def write(self, cells: Sequence[Any]) -> list[str]:
        """The cells as the clean copy has them. Each different text is converted once."""
        if not {str}.issuperset(map(type, cells)):
            return [self._write_typed(cell) if not isinstance(cell, str) else self.write([cell])[0] for cell in cells]
        if self.reading.kind == "text":
            return list(map(str.strip, cells))
        if self.reading.kind == "number" and not self.reading.unit and (found := self._usual_numbers(cells)):
            return found
        known = self._known
        for cell in dict.fromkeys(cells):
            if cell not in known:
                known[cell] = self._written(cell)
        written = list(map(known.__getitem__, cells))
        if not self._odd.keys().isdisjoint(cells):
            self._count(Counter(cell for cell in cells if cell in self._odd))
        if len(known) > KNOWN_MAX:
            known.clear()
            self._odd.clear()
        return written

    def _usual_numbers(self, cells: Sequence[str]) -> list[str] | None:
        """The numbers of a column that are all in the usual form: one expression matches them all, for speed."""
        text = "\n".join(cells)
        comma = self.reading.decimal == ","
        if not (MANY_COMMA if comma else MANY_POINT).fullmatch(text) or text.count("\n") != len(cells) - 1:
            return None
        if "," not in text and not (comma and "." in text):
            return list(cells)
        self.changed = True
        return (text.replace(".", "").replace(",", ".") if comma else text.replace(",", "")).split("\n")

    def _written(self, cell: str) -> str:
        text, kind = cell.strip(), self.reading.kind
        written = self._converted(text, kind) if text else ""
        if written is None:
            if is_missing(text):
                self._odd[cell] = "missing"
                self.changed = self.changed or text not in numerals.PANDAS_MISSING
                return ""
            if not label_of(text):  # of a row of totals
                self._odd[cell] = "misfit"
            return text
        if written != text and not (kind == "number" and PLAIN_NUMBER.fullmatch(text)):
            self.changed = self.changed or kind != "date" or not PLAIN_DATE.fullmatch(text)
        return written

    def _count(self, odd: Counter[str]) -> None:
        for cell, count in odd.items():
            if self._odd[cell] == "missing":
                self.missing[cell.strip()] += count
            else:
                self.misfits += count
                self.misfit = self.misfit or cell.strip()

    def _converted(self, text: str, kind: Kind) -> str | None:
        reading = self.reading
        if kind == "number":
            bare = text.removesuffix(reading.unit).rstrip() if reading.unit else text
            if reading.decimal == ",":
                if FAST_COMMA.fullmatch(bare):
                    return bare.replace(".", "").replace(",", ".")
            elif FAST_POINT.fullmatch(bare):
                return bare.replace(",", "")
            figure = numerals.numeral(text)
            if figure is None or (figure.unit and figure.unit != reading.unit):
                return None
            return numerals.plain(figure, reading.decimal or ".")
        if kind == "date":
            day = moments.moment(text)
            return moments.iso(day, reading.order, with_time=reading.with_time) if day else None
        value = moments.seconds(text)
        return None if value is None else number_text(value)

    def _write_typed(self, cell: Any) -> str:
        reading = self.reading
        if cell is None:
            return ""
        if isinstance(cell, bool):
            return str(cell)
        if isinstance(cell, (int, float)):
            if reading.pad and cell == int(cell):
                return str(int(cell)).zfill(reading.pad)
            if reading.scale != 1:
                return number_text(round(cell * reading.scale, 10))
            return number_text(cell) if isinstance(cell, int) or cell == cell // 1 else repr(cell)
        if isinstance(cell, datetime):
            with_time = reading.with_time or (reading.kind != "date" and cell.time() != time())
            return cell.isoformat() if with_time else cell.date().isoformat()
        if isinstance(cell, timedelta):
            return moments.as_seconds(cell) if reading.kind == "duration" else str(cell)
        if isinstance(cell, time):
            span = timedelta(hours=cell.hour, minutes=cell.minute, seconds=cell.second, microseconds=cell.microsecond)
            return moments.as_seconds(span) if reading.kind == "duration" else cell.isoformat()
        return str(cell)
