"""The names of columns: their words, their units, how they are written in an answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from local.openai_emulator.models.offline.words import all_stems, stem, words

if TYPE_CHECKING:
    from local.openai_emulator.models.offline.data.table import Column

# Last word of a column's name -> the unit that it states. Words that can mean something else (min, s, c) are no units.
_UNITS = {
    "ms": " ms",
    "milliseconds": " ms",
    "seconds": " s",
    "minutes": " minutes",
    "hours": " h",
    "percent": " %",
    "percentage": " %",
    "pct": " %",
    "bytes": " bytes",
    "kb": " kB",
    "mb": " MB",
    "gb": " GB",
    "eur": " EUR",
    "usd": " USD",
    "gbp": " GBP",
    "kg": " kg",
    "km": " km",
    "cm": " cm",
    "mm": " mm",
    "lbs": " lbs",
    "mph": " mph",
    "kwh": " kWh",
    "celsius": " °C",
}
SHORTEST_STEMMED = 4  # letters; of a shorter word the end is no ending: `ins`
_SCORES = frozenset(map(stem, ("score", "rating", "points", "grade", "mark")))
UNIT_STEMS = frozenset(stem for name in _UNITS for stem in all_stems(name))


def name_stems(name: str) -> list[str]:
    """The words a column's name is made of: `avgResponse_time_ms` -> avg, respons, time, ms."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=\d)(?=[a-zA-Z]{2})|[_\-./#]", " ", name)
    spaced = re.sub(
        r"(?i)\b(mean|max|min|avg|average|total)(?=(?:temp|price|speed|score|humidity|pressure|rain|sales))",
        r"\1 ",
        spaced,
    )
    return [word if len(word) < SHORTEST_STEMMED else stem(word) for word in words(spaced)]


def plain_words(name: str) -> list[str]:
    """The words of a column's name as they are written, in lower case."""
    return words(re.sub(r"(?<=[a-z])(?=[A-Z])|[_\-./#]", " ", name))


def squeezed(name: str) -> str:
    """A name without what stands between its words: `growth (30 days)` -> growth30days."""
    return re.sub(r"[\W_]", "", name.lower())


def is_score(name: str) -> bool:
    """Whether the name of a column says that it holds scores, of which a higher one is better."""
    return bool(_SCORES & set(name_stems(name)))


_ENDS = {"max": {"max", "maximum", "high"}, "min": {"min", "minimum", "low"}, "mean": {"avg", "averag", "mean"}}


def of_end(columns: list[Column], end: str) -> list[Column]:
    """Of columns such as `temp_max`, `temp_avg` and `temp_min` those of an end: "the hottest" is that of `temp_max`."""
    own = {name: [c for c in columns if words_ & set(name_stems(c.name))] for name, words_ in _ENDS.items()}
    one_each = len(own["max"]) == len(own["min"]) == 1 and len(own["mean"]) <= 1
    return own[end] if one_each and own[end] and sum(map(len, own.values())) == len(columns) else columns


def unit(name: str) -> str:
    """The unit at the end of a column's name, as written after a figure: ` ms`, ` %`, or empty."""
    parts = re.split(r"[_\s(\[./-]+", name.strip(" )]"))
    last = parts[-1].lower() if len(parts) > 1 else ""
    if name.rstrip().endswith(("%", "(%)")):
        return " %"
    return _UNITS.get(last, "")


def label(name: str) -> str:
    """A column's name in words: `response_time_ms` -> response time."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name).strip()
    if unit(name):
        last = re.split(r"[\s(\[./-]", words)[-1]
        words = words[: len(words) - len(last)].rstrip(" \t\n([./-") or words
    words = re.sub(r"^(?:avg|mean)\b", "average", words)
    return re.sub(r"\bcpu\b", "CPU", words if words.isupper() else words[:1].lower() + words[1:])


def axis(name: str) -> str:
    """The title of an axis: `Response time (ms)`."""
    text = label(name)
    return f"{text[:1].upper()}{text[1:]}" + (f" ({unit(name).strip()})" if unit(name) else "")
