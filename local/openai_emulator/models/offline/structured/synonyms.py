"""Words that name the same kind of value, as the field of a schema and as a document may call it."""

from __future__ import annotations

from functools import cache

from local.openai_emulator.models.offline.words import stem

_SYNONYMS = (
    "outage downtime incident unavailable",
    "cause reason why",
    "certificate tls ssl cert",
    "database db",
    "latency delay slow response",
    "limit threshold maximum",
    "minimum least lowest",
    "length duration lasts hours",
    "react reaction respond",
    "average mean",
    "website web http url",
    "cost price fee charge",
    "staff employee worker",
    "doctor provider physician",
    "salary pay compensation wage",
    "holiday vacation leave",
    "lesson learned learnt",
    "fix resolve solve repair",
    "owner responsible owned",
    "retention kept keep stored retained",
    "frequency often interval every",
    "notify inform call announce page",
    "begin start",
    "memory ram",
    "error failure fail",
    "expire expiry expiration",
    "cpu processor",
    "increase raise rise grow",
)


@cache
def synonyms(term: str) -> frozenset[str]:
    """The stems of a stem's synonyms, without the stem itself."""
    groups = (frozenset(map(stem, group.split())) for group in _SYNONYMS)
    return frozenset().union(*(group for group in groups if term in group)) - {term}
