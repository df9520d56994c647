"""The phrases in questions about data, except those of the kinds: periods, figures, groups, counts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from local.openai_emulator.models.offline.data import columns as cols
from local.openai_emulator.models.offline.data.profile import Column
from local.openai_emulator.models.offline.words import stem

CHART = re.compile(
    r"\b(?:charts?|plots?|graphs?|diagrams?|visuali[sz]\w*|histograms?|draw|line chart|bar chart)\b", re.IGNORECASE
)
PIECES = re.compile(
    r"(?<=[\w)\"'%])[.?!;](?:\s+|$)|,\s+(?:and\s+|then\s+|also\s+)*|(?<!\s)\s++and\s+(?:then\s+|also\s+)?|\.\s+then\s+",
    re.IGNORECASE,
)
BY = re.compile(
    r"\b(?:by|per|for each|for every|of each|of every|in each|across|among|grouped by|broken down by|"
    r"split by|between|each)\s+"
    r"(?:the\s+|all\s+|individual\s+|different\s+)*(?P<what>[\w\s\-/.\"']{2,40})",
    re.IGNORECASE,
)
WHICH = re.compile(r"\b(?:which|what)\s+(?:of (?:the|those|these)\s+)?(?P<what>[\w\s\-]{2,30})", re.IGNORECASE)
_FIGURES = (
    ("mean", r"\baverages?\b|\bmeans?\b"),
    ("median", r"\bmedians?\b"),
    ("sum", r"\btotals?\b|\bsum\b|\baltogether\b"),
    ("std", r"\bstandard deviations?\b|\bstd\b"),
    ("var", r"\bvariance\b"),
    ("min", r"\bmin(?:imum)?\b|\blowest\b|\bsmallest\b"),
    ("max", r"\bmax(?:imum)?\b|\bhighest\b|\blargest\b"),
)
_LOW_END = re.compile(
    r"\b(?:lowest|min(?:imum)?|least|smallest|bottom|fewest|cheapest|fastest|quietest|shortest|youngest|lightest)\b",
    re.IGNORECASE,
)
PERIODS = (
    ("hour", r"\bhours? of (?:the )?day|\bby (?:the )?hour|\bper hour of|\bhourly\b|\bhours?\b"),
    ("weekday", r"\bweekdays?\b|\bdays? of (?:the )?week\b|\bby weekday"),
    ("day", r"\bdaily\b|\b(?:by|per|each|every|which|what) (?:day|date)\b"),
    ("week", r"\bweekly\b|\b(?:by|per|each|every|which|what) week\b"),
    ("month", r"\bmonthly\b|\b(?:by|per|each|every|which|what) month\b"),
    ("year", r"\byearly\b|\bannual\w*\b|\b(?:by|per|each|every|which|what) year\b"),
)
_ADDITIVE = frozenset(
    map(
        stem,
        [
            "requests",
            "visits",
            "orders",
            "sales",
            "revenue",
            "amount",
            "quantity",
            "count",
            "downtime",
            "incidents",
            "sessions",
            "hits",
            "users",
            "total",
            "units",
        ],
    )
)
_AVERAGED = frozenset(map(stem, ["avg", "average", "mean", "rate", "percent", "ratio", "median", "p95"]))
# The start of sentences that say how to compute, not what.
METHOD = re.compile(
    r"^\W*(?:\d+[.)]\s*)?(?:if|ignore|consider|assume|do not|don't|round|use|using|assess|report|"
    r"return|note|otherwise|the null|outliers? "
    r"(?:should|is|are)|any (?:data|value|observation)|an? (?:outlier|observation|data))\b",
    re.IGNORECASE,
)


def additive(name: str) -> bool:
    """Whether the sum of a column has a meaning: requests yes, error rates no."""
    stems = set(cols.name_stems(name))
    return bool(stems & _ADDITIVE) and not stems & _AVERAGED


def named_figures(text: str) -> tuple[str, ...]:
    """The pandas names of all figures that a text names: `mean`, `median`, `sum`, `std`, `var`, `min`, `max`."""
    return tuple(name for name, pattern in _FIGURES if re.search(pattern, text, re.IGNORECASE))


def average_or_total(text: str) -> str:
    """The `mean`, `median` or `sum` that a text names, the first in this order; empty when it names none."""
    return next((name for name in named_figures(text) if name in ("mean", "median", "sum")), "")


def count_in(text: str) -> int:
    """The number in `top 3` or `5 highest`, at most 50; 5 without a number."""
    number = re.search(
        (
            r"\b(?:top|bottom|the)\s+(\d{1,3}|two|three|four|five|ten)\b|\b(\d{1,3})\s+(?:highest|lowest|"
            r"largest|smallest|slowest|worst|best|most)\b"
        ),
        text,
        re.IGNORECASE,
    )
    if not number:
        return 5
    word = (number[1] or number[2]).lower()
    return min({"two": 2, "three": 3, "four": 4, "five": 5, "ten": 10}.get(word) or int(word), 50)


def is_low(text: str, measures: Sequence[Column]) -> bool:
    """Whether a text asks for low values. "Worst" and "best" depend on whether high values of the measure are good."""
    good_high = bool(
        measures
        and {stem("availability"), stem("score"), stem("revenue"), stem("sales")}
        & set(cols.name_stems(measures[0].name))
    )
    if re.search(r"\bworst\b", text, re.IGNORECASE):
        return good_high
    if re.search(r"\bbest\b", text, re.IGNORECASE):
        return not good_high
    return bool(_LOW_END.search(text)) and not re.search(r"\bhighest\b|\bmax", text, re.IGNORECASE)
