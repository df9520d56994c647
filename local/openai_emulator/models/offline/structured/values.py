"""Typed values in a quoted text: numbers, dates, words of a list of options. Nothing is returned that is not in it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from local.openai_emulator.models.offline.structured.schema import Field, words_of_name
from local.openai_emulator.models.offline.words import stem

_NUMBER = re.compile(r"(?<![\w.,-])(?<!\d-)-?[$€£]?(\d+(?:,\d{3})*(?:\.\d+)?)(?![\w]*\d)(?!\.\d)")
_SCALES = {"hundred": 1e2, "thousand": 1e3, "k": 1e3, "million": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9}
_SCALE = re.compile(r"\s?(hundred|thousand|million|billion|bn|[kK](?!\w))\b", re.IGNORECASE)
_UNITS: Mapping[str, tuple[str, float]] = {
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds", "millis"), ("time", 0.001)),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), ("time", 1.0)),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), ("time", 60.0)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), ("time", 3600.0)),
    **dict.fromkeys(("d", "day", "days"), ("time", 86_400.0)),
    **dict.fromkeys(("week", "weeks"), ("time", 604_800.0)),
    **dict.fromkeys(("month", "months"), ("months", 1.0)),
    **dict.fromkeys(("year", "years"), ("months", 12.0)),
    **dict.fromkeys(("byte", "bytes"), ("size", 1.0)),
    **dict.fromkeys(("kb",), ("size", 1e3)),
    **dict.fromkeys(("mb",), ("size", 1e6)),
    **dict.fromkeys(("gb",), ("size", 1e9)),
    **dict.fromkeys(("tb",), ("size", 1e12)),
    **dict.fromkeys(("percent", "pct", "%"), ("share", 1.0)),
}
_IN_NAMES = {unit for unit in _UNITS if len(unit) > 1 and unit != "min"}  # `min_value` is no time
_AFTER = re.compile(r"\s?(%|[A-Za-z]+)")
_WORD_LIST = "zero one two three four five six seven eight nine ten eleven twelve"
_WORDS = {word: number for number, word in enumerate(_WORD_LIST.split())}
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b", re.IGNORECASE)
_MONTH_LIST = "january february march april may june july august september october november december"
_MONTHS = _MONTH_LIST.split()
_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" if month != "may" else "may" for month in _MONTHS)
_DATES = (
    re.compile(r"\b(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})\b"),
    re.compile(rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?(?P<mon>{_MONTH})\.?,?\s+(?P<y>\d{{4}})\b", re.I),
    re.compile(rf"\b(?P<mon>{_MONTH})\.?\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y>\d{{4}})\b", re.I),
    re.compile(r"\b(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})\b"),
)
_FORMATS = {
    "date-time": re.compile(r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?"),
    "time": re.compile(r"\b\d{1,2}:\d{2}(?::\d{2})?\b"),
    "email": re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+(?:\.[\w-]+)+"),
    "uri": re.compile(r"\bhttps?://[^\s<>\"')\]]+[^\s<>\"')\].,;]"),
    "uuid": re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"),
    "ipv4": re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"),
}
_FORMATS["url"] = _FORMATS["uri"]
_YES = re.compile(r"yes|true|y|on|enabled|allowed|required|permitted|included|available|✓|✔", re.IGNORECASE)
_NO = re.compile(
    r"no|false|n|off|none|never|disabled|forbidden|prohibited|excluded|unavailable|✗|✘"
    r"|not (?:allowed|required|permitted|included|available|enabled)",
    re.IGNORECASE,
)
_NEGATION = re.compile(r"\b(?:not|no|never|cannot|neither|nor|prohibited|forbidden)\b|n't\b", re.IGNORECASE)
_STATES = re.compile(r"\b(?:is|are|was|were|be|been|must|has|have)\s+((?:[\w'-]+\s*){1,4})", re.IGNORECASE)
_STATUS_LIST = (
    "allowed required permitted included available enabled disabled supported possible mandatory prohibited forbidden"
)
_STATUSES = frozenset(stem(word) for word in _STATUS_LIST.split())
_CONDITIONAL = re.compile(
    r"\b(?:if|unless|when|whether|except|only|may|might|could|until|without|hardly|scarcely|barely|rarely|seldom"
    r"|sometimes|often|partly|almost|nearly|mostly)\b",
    re.IGNORECASE,
)
# A text with one of these words denies a value, or names a bound or a part of it.
_DOUBT = re.compile(
    r"\b(?:not|no|never|cannot|neither|nor|hardly|scarcely|barely|without|except|unless|if|may|might|could|over|under"
    r"|above|below|fewer|more|less|least|most|than|up to|between|until|about|around|approximately|roughly|nearly"
    r"|almost|lower|higher|former|formerly|left|unknown|tbd|from|instead|other)\b|n't\b|n/a|[<>≤≥~≈±]",
    re.IGNORECASE,
)
_CURRENCIES = {
    "usd": r"\$|usd|dollars?", "eur": r"€|eur|euros?", "gbp": r"£|gbp|pounds?", "chf": r"chf|francs?",
    "jpy": r"¥|jpy|yen",
}  # fmt: skip
_MANY = re.compile(r"\s+(?:dozen|hundred|thousand|million|billion|score|pairs?)\b", re.IGNORECASE)


def candidates(field: Field, text: str) -> list[tuple[int, Any]]:
    """The values of the field's type that a text states, each with its place in it, in order."""
    found: list[tuple[int, Any]] = []
    if field.kind in ("integer", "number"):
        found += numbers(field, text)
    elif field.kind == "enum":
        found += options_in(field, text)
    elif field.kind == "string":
        found += _strings(field, text)
    return [(place, value) for place, value in found if fits(field, value)]


def numbers(field: Field, text: str) -> list[tuple[int, float | int]]:
    """The numbers, in the unit that the field's name or description asks for, without those of another kind."""
    if _is_other_currency(field, text):
        return []
    spans = [match.span() for pattern in _DATES for match in pattern.finditer(text)]
    found: list[tuple[int, float | int]] = []
    in_unit: list[tuple[int, float | int]] = []
    wanted = unit_of(field)
    for match in _NUMBER.finditer(text):
        if any(start <= match.start() < end for start, end in spans) and not _wants_year(field):
            continue
        value: float | int = _number(match[1].replace(",", "")) * (-1 if match[0].startswith("-") else 1)
        end = match.end()
        if scale := _SCALE.match(text, end):
            value, end = value * _SCALES[scale[1].lower()], scale.end()
        after = _AFTER.match(text, end)
        unit = after[1].lower() if after else ""
        if (converted := _in_unit(wanted, value, unit)) is not None:
            exact = converted if isinstance(converted, int) else round(converted, 9)
            (in_unit if wanted and unit in _UNITS else found).append((match.start(), exact))
    found = in_unit or found
    if not found:
        words = [one for one in _NUMBER_WORD.finditer(text) if not _MANY.match(text, one.end())]
        found = [(one.start(), _WORDS[one[0].lower()]) for one in words]
    return [(place, int(value) if float(value).is_integer() else value) for place, value in found]


def is_doubtful(text: str) -> bool:
    """Whether a text denies what it names, or names a bound, a range or a change, so that no value may be taken."""
    return _DOUBT.search(text) is not None


def _number(text: str) -> float | int:
    return float(text) if "." in text else int(text)


def _is_other_currency(field: Field, text: str) -> bool:
    """Whether the field is in a currency that a text with amounts in another one does not name."""
    named = set(words_of_name(f"{field.name} {field.description}").lower().split())
    wanted = next((code for code in _CURRENCIES if code in named), None)
    if wanted is None:
        return False
    said = {code for code, names in _CURRENCIES.items() if re.search(rf"(?<![a-z])(?:{names})(?![a-z])", text, re.I)}
    return bool(said) and said != {wanted}


def _wants_year(field: Field) -> bool:
    return "year" in words_of_name(f"{field.name} {field.description}").lower().split()


def unit_of(field: Field) -> str:
    """The unit that a field's name or description asks for; '' if none."""
    name = words_of_name(field.name).lower().split()
    described = re.findall(r"\bin (\w+)", field.description.lower())
    return next((word for word in (*reversed(name), *described) if word in _IN_NAMES), "")


def _in_unit(wanted: str, value: float | int, unit: str) -> float | int | None:
    if not wanted or unit not in _UNITS or unit == wanted:
        return value
    (kind, size), (wanted_kind, wanted_size) = _UNITS[unit], _UNITS[wanted]
    return value * size / wanted_size if kind == wanted_kind else None


def options_in(field: Field, text: str) -> list[tuple[int, Any]]:
    """The options of an enum that a text names; one inside another's name does not count."""
    spans: list[tuple[int, int, Any]] = []
    for option in sorted(field.options, key=lambda one: -len(str(one))):
        shown = re.sub(r"[_\W]+", r"[\\W_]+", re.escape(str(option).replace("_", " ")).replace("\\ ", " "))
        for match in re.finditer(rf"(?<!\w){shown}(?!\w)", text, re.IGNORECASE):
            if not any(start <= match.start() < end for start, end, _ in spans):
                spans.append((match.start(), match.end(), option))
    return [(start, option) for start, _, option in sorted(spans, key=lambda one: one[0])]


def truth_of(text: str) -> bool | None:
    """What a value such as `Yes`, `not allowed` says."""
    plain = text.strip(" .!")
    return False if _NO.fullmatch(plain) else True if _YES.fullmatch(plain) else None


def stated(sentence: str, needed: Collection[str]) -> bool | None:
    """Whether a sentence states or denies something, of whose words it has all; None if it does neither.

    `Remote work is not allowed` denies it; `Allowed guests must register` says nothing of it.
    """
    if _CONDITIONAL.search(sentence):
        return None
    for match in _STATES.finditer(sentence):
        if {*needed, *_STATUSES} & {stem(word) for word in re.findall(r"[a-z]+", match[1].lower())}:
            return not _NEGATION.search(sentence)
    return None


def _strings(field: Field, text: str) -> Iterator[tuple[int, str]]:
    form = str(field.rules.get("format") or "")
    if form == "date" or (not form and is_date(field)):
        found = list(dates(text))
        if form or found:
            yield from found
            return
    if form in _FORMATS:
        yield from ((match.start(), match[0]) for match in _FORMATS[form].finditer(text))
        return
    if not form and "email" in words_of_name(field.name).lower().replace("e mail", "email").split():
        yield from ((match.start(), match[0]) for match in _FORMATS["email"].finditer(text))
        return
    if not form:
        yield 0, plain_text(text)


def plain_text(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\*\*|__|`", "", text)).strip()


def is_date(field: Field) -> bool:
    return "date" in words_of_name(field.name).lower().split()


def dates(text: str) -> Iterator[tuple[int, str]]:
    """The dates as `2026-02-14`. Those that may be read in two ways are left out."""
    for pattern in _DATES:
        for match in pattern.finditer(text):
            parts = match.groupdict()
            month = parts.get("m") or _MONTHS.index(next(m for m in _MONTHS if m[:3] == parts["mon"][:3].lower())) + 1
            try:
                yield match.start(), date(int(parts["y"]), int(month), int(parts["d"])).isoformat()
            except ValueError:
                continue


def fits(field: Field, value: Any) -> bool:
    """Whether a value keeps the bounds of its schema."""
    rules = field.rules
    if isinstance(value, bool):
        return field.kind in ("boolean", "any")
    if isinstance(value, int | float):
        whole = field.kind != "integer" or float(value).is_integer()
        step = rules.get("multipleOf")
        return (
            whole
            and not value < rules.get("minimum", value)
            and not value > rules.get("maximum", value)
            and not ("exclusiveMinimum" in rules and value <= rules["exclusiveMinimum"])
            and not ("exclusiveMaximum" in rules and value >= rules["exclusiveMaximum"])
            and not (step and abs(value / step - round(value / step)) > 1e-9)
        )
    if isinstance(value, str) and field.kind == "string":
        return _string_fits(rules, value)
    return True


def _string_fits(rules: Mapping[str, Any], value: str) -> bool:
    if not value or not rules.get("minLength", 0) <= len(value) <= rules.get("maxLength", len(value)):
        return False
    if rules.get("format") == "date-time":
        try:
            datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return False
    return True
