"""Numbers that people write: decimal comma or point, thousands separators, currency, percent and unit signs. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Decimal = Literal[".", ",", "", "?", "!"]

MISSING = frozenset(
    """n/a na #n/a #na n.a. n.a n/v #n/v k.a. k.a nan null none nil - -- --- – — … .. . ? ?? (null) <na> <null> #null!
    #div/0! #value! #wert! #ref! #bezug! #name? #num! #zahl! missing n.d. nd n.d s/o k.\u00a0a. n.\u00a0a. <none>
    (none) (n/a) (na) [null] \\n --.-- -.-""".split()  # noqa: SIM905
) | {"keine angabe", "not available", "no data", "k. a.", "n. a.", "- -", "no value", "not applicable"}
# pandas reads these as missing of itself: https://pandas.pydata.org/docs/reference/api/pandas.read_csv.html
PANDAS_MISSING = frozenset(
    "#N/A;#N/A N/A;#NA;-1.#IND;-1.#QNAN;-NaN;-nan;1.#IND;1.#QNAN;<NA>;N/A;NA;NULL;NaN;None;n/a;nan;null".split(";")  # noqa: SIM905
)
CELL_MAX_CHARS = 60  # a longer cell is no number
SPACES = " \u00a0\u202f\u2009"
CURRENCY = "$€£¥₹₽₩₺฿₫₴₪₦"
CODES = [
    "US$",
    "A$",
    "C$",
    "EUR",
    "USD",
    "GBP",
    "CHF",
    "JPY",
    "CNY",
    "RMB",
    "INR",
    "SEK",
    "NOK",
    "DKK",
    "PLN",
    "CZK",
    "HUF",
    "RON",
    "BGN",
    "RUB",
    "UAH",
    "TRY",
    "ILS",
    "AUD",
    "NZD",
    "CAD",
    "BRL",
    "MXN",
    "ZAR",
    "KRW",
    "SGD",
    "HKD",
    "R$",
    "Fr.",
    "kr",
    "zł",
    "Kč",
    "Ft",
    "lei",
    "лв",
    "руб",
]
_SIGN = "-+−–"
_PREFIX = "|".join([f"[{re.escape(CURRENCY)}]", *(re.escape(code) for code in CODES)])
# At most 15 characters, of which the first is a letter or a sign: `kg`, `m3/h`, `°C`, `µg/m³`, `%`.
_SUFFIX = rf"%|‰|[{re.escape(CURRENCY)}]|[^\W\d_°µ][\w°µ²³/·^.%$€\-]{{0,14}}|[°µ][\w/²³·]{{0,10}}|円|元"
_CELL = re.compile(
    rf"""(?P<open>\()?[{SPACES}]?(?P<sign>[{_SIGN}])?[{SPACES}]?(?P<prefix>{_PREFIX})?[{SPACES}]?(?P<sign2>[{_SIGN}])?
    (?P<digits>\d(?:[\d.,'’{SPACES}]*\d)?|[.,]\d+)(?P<dot>\.)?(?P<exponent>[eE][-+]?\d{{1,3}})?
    (?P<space>[{SPACES}]*)(?P<after>-(?![\w]))?(?P<suffix>{_SUFFIX})?[{SPACES}]?(?P<close>\))?""",
    re.VERBOSE,
)
_GROUPS = rf"[{SPACES}'’]"
_POINT = re.compile(
    rf"[1-9]\d{{0,2}}(?:,\d{{3}})+(?:\.\d+)?|[1-9]\d?(?:,\d\d)+,\d{{3}}(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
    rf"|[1-9]\d{{0,2}}(?:{_GROUPS}\d{{3}})+(?:\.\d+)?"
)
_COMMA = re.compile(
    rf"[1-9]\d{{0,2}}(?:\.\d{{3}})+(?:,\d+)?|\d+(?:,\d+)?|,\d+|[1-9]\d{{0,2}}(?:{_GROUPS}\d{{3}})+(?:,\d+)?"
)
_SEPARATORS = re.compile(r"[^\d]")


@dataclass(frozen=True, slots=True)
class Numeral:
    """A cell that is a number. `digits` has its separators still; `unit` is "" or a currency, percent or unit sign."""

    digits: str
    negative: bool
    exponent: str
    unit: str
    glued: bool  # no space before the unit


def is_missing(text: str) -> bool:
    """Whether people write this for "no value". Only of weight in a column of numbers or dates."""
    return text.casefold() in MISSING


def numeral(text: str) -> Numeral | None:
    """The parts of a number; None when the cell is not one number."""
    found = _CELL.fullmatch(text) if len(text) <= CELL_MAX_CHARS else None
    if not found:
        return None
    signs = [found["sign"], found["sign2"], found["after"]]
    if bool(found["open"]) != bool(found["close"]) or sum(s is not None for s in signs) > 1:
        return None
    prefix, suffix = found["prefix"] or "", found["suffix"] or ""
    if prefix and suffix and suffix not in ("%", "‰"):
        return None
    negative = bool(found["open"]) or any(sign not in (None, "+") for sign in signs)
    if found["open"] and any(signs):
        return None
    digits, dot = found["digits"], found["dot"]
    if dot and (_SEPARATORS.search(digits) or suffix):
        return None
    unit = (prefix or suffix).replace("μ", "µ")
    return Numeral(digits, negative, found["exponent"] or "", unit, bool(suffix) and not found["space"])


def decimal_of(digits: Iterable[str]) -> Decimal:
    """The decimal separator that the numbers of one column have.

    Returns:
        `.` or `,`; "" when no number has a separator; `?` when both are possible, as in `1,234`; `!` when the numbers
        contradict each other.
    """
    points = commas = 0
    one: Counter[str] = Counter()  # separators of numbers that both can explain
    bare_small = bare_large = 0
    for text in digits:
        if text.isdigit():
            bare_small += len(text) <= 3
            bare_large += len(text) > 3
            continue
        as_point, as_comma = bool(_POINT.fullmatch(text)), bool(_COMMA.fullmatch(text))
        if as_point and as_comma:
            one[_SEPARATORS.findall(text)[0]] += 1
        elif as_point:
            points += 1
        elif as_comma:
            commas += 1
        else:
            return "!"
    if points and commas:
        return "!"
    if points or commas:
        return "." if points else ","
    unclear = [separator for separator in one if separator in ".,"]
    if not unclear:
        return "." if one else ""
    if len(unclear) == 2:
        return "!"
    if bare_small and one[unclear[0]] > 1 and not bare_large:
        # Small numbers without a separator, large ones all with it and with three digits: it groups thousands.
        return "." if unclear[0] == "," else ","
    return "?"


def plain(found: Numeral, decimal: str) -> str | None:
    """The number as Python reads it, digit by digit as written; None when it does not fit the decimal separator."""
    digits = found.digits
    if not digits.isdigit():
        pattern = _COMMA if decimal == "," else _POINT
        if not pattern.fullmatch(digits):
            return None
        whole, point, fraction = digits.rpartition(decimal) if decimal in digits else (digits, "", "")
        digits = (re.sub(r"\D", "", whole) or "0") + ("." if point else "") + fraction
    elif not digits.isascii():
        digits = str(int(digits))
    return f"{'-' if found.negative else ''}{digits}{found.exponent}"
