"""Find the columns that a text names or means, and the units of their figures."""

from __future__ import annotations

import re
from collections.abc import Iterable

from local.openai_emulator.models.offline.data.profile import Column, Table
from local.openai_emulator.models.offline.words import all_stems, stem

# Last word of a column's name -> the unit, as written after a figure.
_UNITS = {
    "ms": " ms",
    "milliseconds": " ms",
    "s": " s",
    "sec": " s",
    "seconds": " s",
    "minutes": " minutes",
    "min": " min",
    "hours": " h",
    "days": " days",
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
    "kwh": " kWh",
    "celsius": " °C",
    "c": " °C",
}
_KEYS = frozenset(map(stem, ("id", "no", "index", "zip", "code", "year", "unnamed")))
_FILLER = frozenset(["avg", "mean", "total", "sum", "number", "num", "count", "the", "per", "of", "in"])

# Word of a question -> words in column names.
_MEANT = {
    "usage": "requests visits sessions hits usage traffic users calls consumption",
    "traffic": "requests visits sessions hits traffic",
    "busy": "requests visits sessions hits traffic cpu load",
    "busiest": "requests visits sessions hits traffic orders",
    "volume": "requests orders quantity volume count",
    "load": "cpu load requests",
    "processor": "cpu",
    "ram": "memory",
    "slow": "response latency duration time",
    "slower": "response latency duration time",
    "faster": "response latency duration time",
    "slowest": "response latency duration time",
    "fast": "response latency duration time",
    "fastest": "response latency duration time",
    "latency": "response latency duration",
    "speed": "response latency speed",
    "performance": "response latency score performance",
    "errors": "error errors failures",
    "failure": "error failures failed",
    "unreliable": "error failures",
    "reliable": "error availability",
    "uptime": "availability uptime",
    "outage": "downtime",
    "sales": "sales revenue amount orders sold",
    "revenue": "revenue sales turnover amount",
    "income": "income salary revenue",
    "earnings": "earnings income salary revenue",
    "cost": "cost price expense amount",
    "price": "price cost fare amount",
    "expensive": "price cost fare",
    "cheapest": "price cost fare",
    "old": "age",
    "oldest": "age",
    "youngest": "age",
    "heavy": "weight",
    "heaviest": "weight",
    "tall": "height",
    "tallest": "height",
    "machine": "server host machine",
    "host": "server host",
    "product": "product item article",
    "country": "country nation",
    "date": "date day timestamp time",
}
_BY_STEM = {stem(word): frozenset(map(stem, means.split())) for word, means in _MEANT.items()}


def name_stems(name: str) -> list[str]:
    """The words a column's name is made of: `avgResponse_time_ms` -> avg, response, tim, ms."""
    return all_stems(re.sub(r"(?<=[a-z])(?=[A-Z])|[_\-./]+", " ", name))


def unit(name: str) -> str:
    """The unit at the end of a column's name, as written after a figure: ` ms`, ` %`, or empty."""
    parts = re.split(r"[_\s(\[./-]+", name.strip(" )]"))
    last = parts[-1].lower() if len(parts) > 1 else ""
    if name.rstrip().endswith(("%", "(%)")):
        return " %"
    return _UNITS.get(last, "")


def label(name: str) -> str:
    """A column's name in words: `response_time_ms` -> response time."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[_]+", " ", name).strip()
    if unit(name):
        last = re.split(r"[\s(\[./-]", words)[-1]
        words = words[: len(words) - len(last)].rstrip(" \t\n([./-") or words
    words = re.sub(r"^(?:avg|mean)\b", "average", words)
    return re.sub(r"\bcpu\b", "CPU", words if words.isupper() else words[:1].lower() + words[1:])


def axis(name: str) -> str:
    """The title of an axis: `Response time (ms)`."""
    title = label(name)
    return f"{title[:1].upper()}{title[1:]}" + (f" ({unit(name).strip()})" if unit(name) else "")


def matching(text: str, columns: Iterable[Column], *, least: float = 0.5) -> list[Column]:
    """The columns that a text names or means, in the order of the text.

    If the text quotes or contains full names of columns, only these are returned. Otherwise the names are compared word
    by word; columns with a score of at least `least` (0 to 1) and close to the best score are returned.
    """
    columns = list(columns)
    written = [column for column in columns if _written(column.name, text)]
    if written:
        longest = [c for c in written if not any(c is not o and _inside(c.name, o.name, text) for o in written)]
        return sorted(longest, key=lambda column: text.lower().find(column.name.lower()))
    said = all_stems(text)
    scored = [
        (score, -index, column) for index, column in enumerate(columns) if (score := _score(said, column.name)) >= least
    ]
    if not scored:
        return []
    best = max(score for score, _, _ in scored)
    near = [(score, index, column) for score, index, column in scored if score >= best - 0.26]
    spoken = {id(column): _position(said, column.name) for _, _, column in near}
    return [column for _, _, column in sorted(near, key=lambda item: (spoken[id(item[2])], -item[0], -item[1]))]


def _written(name: str, text: str) -> bool:
    quoted = rf"[\"'`“‘]{re.escape(name)}[\"'`”’]"
    if re.search(quoted, text, re.IGNORECASE):
        return True
    plain = (len(name) > 2 and not name.islower()) or "_" in name or " " in name
    return bool(plain and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE if len(name) > 3 else 0))


def _inside(name: str, other: str, text: str) -> bool:
    """Whether a name occurs in the text only as a part of another name."""
    lowered, name, other = text.lower(), name.lower(), other.lower()
    return name in other and name != other and lowered.count(name) <= lowered.count(other)


def _score(said: list[str], name: str) -> float:
    parts = [part for part in name_stems(name) if part not in _FILLER]
    units = {stem(word) for word in _UNITS}
    core = [part for part in parts if part not in units] or parts
    if not core:
        return 0.0
    meant = frozenset().union(*(_BY_STEM.get(word, frozenset()) for word in said))
    hits = sum(1.0 if part in said else 0.7 if part in meant else 0.0 for part in core)
    extra = 0.05 if any(part in said for part in parts if part not in core) else 0.0
    joined = 1.0 if len(core) > 1 and "".join(core) in said else 0.0
    return max(hits / len(core), joined) + extra


def _position(said: list[str], name: str) -> int:
    places = [said.index(part) for part in name_stems(name) if part in said]
    return min(places, default=len(said))


def figures(table: Table) -> list[Column]:
    """The numeric columns that can be measured: not identifiers, years and the like."""
    return [column for column in table.of_kind("number") if not is_key(column, table)]


def is_key(column: Column, table: Table) -> bool:
    """Whether a number identifies a row (an id, a code, a year): its mean has no meaning."""
    stems = name_stems(column.name)
    named = bool(_KEYS & set(stems))
    return named or bool(column.whole and column.unique == table.rows > 50 and column.low in ("0", "1"))


def categories(table: Table, *, most: int = 50) -> list[Column]:
    """Columns with 2 to `most` values, which divide the rows into groups."""
    return [
        column
        for column in table.columns
        if (column.kind in ("text", "bool") and 1 < column.unique <= most)
        or (column.kind == "number" and column.whole and 1 < column.unique <= 12 and column.values)
    ]


def has_hours(table: Table) -> bool:
    """Whether a date column holds times of day."""
    return any(
        not column.high.endswith("00:00:00") or not column.low.endswith("00:00:00") for column in table.of_kind("date")
    )
