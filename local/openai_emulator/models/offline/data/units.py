"""Numbers of a question in the unit of a column: 5 kg in a column of grams, 50 % in a column of fractions."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.clause import Clause, is_short_year, is_year
from local.openai_emulator.models.offline.data.names import UNIT_STEMS, plain_words, unit
from local.openai_emulator.models.offline.data.table import Column, Table
from local.openai_emulator.models.offline.words import stem

# Of each dimension the sizes of its units.
_DIMENSIONS: tuple[dict[str, float], ...] = (
    {"mg": 1e-6, "g": 1e-3, "kg": 1.0, "t": 1000.0, "lb": 0.45359237, "oz": 0.028349523},
    {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1000.0, "inch": 0.0254, "ft": 0.3048, "mi": 1609.344},
    {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0, "week": 604800.0},
    {"kb": 1e3, "mb": 1e6, "gb": 1e9},
)
_WORDS = """
milligram mg gram g kilo kg kilogram kg kilograms kg tonne t ton t pound lb lbs lb ounce oz millimeter mm millimetre mm
centimeter cm centimetre cm meter m metre m kilometer km kilometre km inches inch foot ft feet ft mile mi
millisecond ms second s minute min hour h sec s mins min hrs h day day week week
"""
_SAID = dict(zip(_WORDS.split()[::2], _WORDS.split()[1::2], strict=True))
_UNIT = re.compile(r"\s?([a-z]{1,11})\b", re.IGNORECASE)
_SHARES = frozenset(["percent", "percentage", "pct", "perc", "share", "rate", "proportion", "fraction", "probability"])
_UNITLESS = "units pieces degrees litres liters gallons dollars euros pounds cents points percent calories watts"
_OTHERS = frozenset(_UNITLESS.split())
_PRICED = frozenset(["price", "cost", "fare", "fee", "salary", "amount", "revenue", "sales"])
HALF = "half"
SHORTEST_UNIT = 4  # letters of a unit inside of a name


def number_of(text: str) -> float:
    return float(words.NUMBERS.get(text.lower(), text.replace(",", "")))


def is_fraction(column: Column) -> bool:
    """Whether a column holds parts of 1."""
    return not column.whole and _range(column)[0] >= 0 and _range(column)[1] <= 1


def is_percentage(column: Column) -> bool:
    """Whether the name of a column, or the unit of its cells, says that it holds percentages."""
    named = column.unit == "%" or unit(column.name) == " %" or bool(_SHARES & set(plain_words(column.name)))
    named = named or column.name.endswith(("_p", "_perc"))
    return named and _range(column)[0] >= 0 and 1 < _range(column)[1] <= 100


def _range(column: Column) -> tuple[float, float]:
    try:
        return float(column.low), float(column.high)
    except ValueError:
        return -1.0, float("inf")


def value_in(clause: Clause, column: Column, text: str, end: int) -> tuple[float, str]:
    """The number that a text says in the unit of a column, and how it is told: "5 kg (5000)".

    The clause is ambiguous if it says a unit that cannot be converted to that of the column.

    Args:
        text: Of the number; "half" is 50 %.
        end: The place behind it in the clause.
    """
    if text.lower() == HALF:
        value = 0.5 if is_fraction(column) else 50.0
        return value, f"half ({value:g})"
    value, rest = number_of(text), clause.text[end:]
    if is_short_year(column) and re.fullmatch(r"19\d\d", text):
        return value % 100, text
    if is_fraction(column) and (percent := re.match(r"\s?(?:%|percent\b|per cent\b)", rest)):
        clause.claim(end, end + percent.end())
        return value / 100, f"{text} % ({value / 100:g})"
    said = _UNIT.match(rest)
    asked, own = _unit_of(said[1]) if said else "", _own_unit(column)
    sizes = next((sizes for sizes in _DIMENSIONS if asked in sizes), {})
    if said and own in sizes and asked != own:
        clause.claim(end, end + said.end())
        value = round(value * sizes[asked] / sizes[own], 9)
        return value, f"{text} {said[1]} ({value:g})"
    if said and sizes and own and own not in sizes:
        clause.ambiguous.append(f"`{column.name}` is in {own}, and the question says {said[1]}.")
    elif said and sizes and (own_currency(column) or _PRICED & set(plain_words(column.name))):
        clause.ambiguous.append(f"`{column.name}` is no number of {said[1]}.")
    elif said and asked == "week" and not own:
        clause.ambiguous.append(f"It is not known in which unit `{column.name}` is.")
    elif said and sizes and not own:
        clause.claim(end, end + said.end())
        clause.notes.append(f"`{column.name}` taken to be in {said[1]}")
    elif re.match(r"\s?(?:%|percent\b|per cent\b)", rest) and not is_percentage(column):
        clause.ambiguous.append(f"`{column.name}` does not hold percentages.")
    return value, text


def is_of_dimension(column: Column, word: str) -> bool:
    """Whether a column is in a unit of the same dimension as a word: `body_mass_g` for "kg"."""
    own, asked = _own_unit(column), _unit_of(word)
    return any(own in sizes and asked in sizes for sizes in _DIMENSIONS)


def states_no_other(column: Column, word: str) -> bool:
    """Whether a column is in the unit that a word is for, or does not say in which one it is."""
    return _own_unit(column) in ("", _unit_of(word))


def is_unit(word: str) -> bool:
    """Whether a word is for a unit: "millimetres", "kg"."""
    return bool(_unit_of(word)) or stem(word) in UNIT_STEMS or word in _OTHERS


def same_unit(one: Column, other: Column) -> bool:
    return _own_unit(one) == _own_unit(other)


def _own_unit(column: Column) -> str:
    """The symbol of the unit of a column's cells, or of its name: at the end, or a whole word of it."""
    name = re.split(r"(?i)[\W_]per[\W_]", column.name)[0]  # `Hours per day`
    parts = [part.lower() for part in re.split(r"[\W_]+", name.strip(" )]"))]
    last = parts[-1] if len(parts) > 1 else ""
    whole = [part for part in parts if len(part) >= SHORTEST_UNIT and _unit_of(part)]
    return _unit_of(column.unit or {"in": "inch"}.get(last, last)) or _unit_of(whole[0] if whole else "")


def _unit_of(word: str) -> str:
    """The symbol of a unit: kg for "kilograms"."""
    word = word.lower()
    known = {symbol for sizes in _DIMENSIONS for symbol in sizes}
    return word if word in known else _SAID.get(word) or _SAID.get(word.removesuffix("s"), "")


_CURRENCIES = {
    "USD": r"\$|\b(?:dollars?|usd)\b",
    "EUR": r"€|\b(?:euros?|eur)\b",
    "GBP": r"£|\b(?:pounds?|gbp)\b",
}


def currency(text: str) -> str:
    """The code of the currency that a text says; empty if it says none."""
    return next((code for code, said in _CURRENCIES.items() if re.search(said, text, re.IGNORECASE)), "")


def bare_prices(table: Table) -> list[Column]:
    """The one column of figures whose name has nothing but a currency and a quantity, `100g_USD`: it is a price."""
    found = [c for c in table.of_kind("number") if own_currency(c) and all(map(_is_quantity, plain_words(c.name)))]
    return found if len(found) == 1 else []


def _is_quantity(word: str) -> bool:
    """Whether a word is a currency, an amount or a unit: "usd", "per", "100g"."""
    unit = word.lstrip("0123456789")
    return bool(currency(word) or not unit or _unit_of(unit)) or word in ("per", "each", "unit", "in")


def own_currency(column: Column) -> str:
    """The code of the currency that the cells or the name of a column state."""
    return currency(column.unit) or currency(column.name.replace("_", " "))


def holds(column: Column, number: str) -> bool:
    """Whether a number is within the range of a column that has no years."""
    return not is_year(column) and number_of(column.low) <= number_of(number or "0") <= number_of(column.high)
