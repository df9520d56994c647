"""The words of questions and texts: tokens, stems, stop words and synonyms."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import snowballstemmer  # type: ignore[import-untyped]

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:[.,:]\d+)*", re.IGNORECASE)
_ASKS_MEANING = re.compile(r"\bmeans?\b(?=\W*$)|(?<=\bwhat is )mean\b|(?<=\bdoes )mean\b", re.IGNORECASE)
_VOWEL = re.compile(r"[aeiouy]")

_STOP_WORDS = """
a about according after all also am an and any are as at be been before being between but by can could define did
describe do does documentation document documents doing during each either every explain file files find for from
get give given had has have having he her here his how i if in into is it its itself just kind know let like list
long last lasts lasted many may me might more most much must my need name no nor not now of off on one only or other
our out please question quick regarding s say says shall summarize summarise summary overview she should show so
some such t tell than that the their them then there these they this those to too under up us use used using very
via want was we were what when where which while who whom whose why will with within would you your one's please
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

# Groups of words that are equivalent in questions. A synonym has a lower weight than the word itself (`extract`).
_SYNONYMS = (
    "outage downtime incident unavailable",
    "cause reason why",
    "certificate tls ssl cert",
    "database db",
    "latency delay slow response",
    "limit threshold maximum",
    "maximum most longest highest",
    "minimum least lowest",
    "length duration lasts hours",
    "react reaction respond",
    "average mean",
    "website web http url",
    "cost price fee charge copay copayment",
    "staff employee worker",
    "doctor provider physician",
    "salary pay compensation wage",
    "holiday vacation leave",
    "lesson learned learnt",
    "fix resolve solve repair",
    "owner responsible owned",
    "retention kept keep stored retained",
    "contact email phone",
    "frequency often interval every",
    "notify inform call announce page",
    "begin start",
    "memory ram",
    "error failure fail",
    "expire expiry expiration",
    "cpu processor",
    "increase raise rise grow",
    "quarter q4 q3 q2 q1",
)


_stemmer = snowballstemmer.stemmer("english")


@cache
def stem(word: str) -> str:
    """The stem of an English word (Snowball): `expires`, `expired`, `expiration` -> `expir`."""
    return str(_stemmer.stemWord(word.lower()))


def words(text: str) -> list[str]:
    """All words and numbers, in lower case, in order."""
    return [word.lower() for word in _WORD.findall(text)]


def terms(text: str) -> list[str]:
    """The distinct stems of all words that are not stop words, in order."""
    text = _ASKS_MEANING.sub("", text)
    return list(dict.fromkeys(stem(word) for word in words(text) if word not in STOP_WORDS))


def all_stems(text: str) -> list[str]:
    """The stems of all words, in order."""
    return [stem(word) for word in words(text)]


@cache
def synonyms(term: str) -> frozenset[str]:
    """The stems of a stem's synonyms, without the stem itself."""
    groups = (frozenset(map(stem, group.split())) for group in _SYNONYMS)
    return frozenset().union(*(group for group in groups if term in group)) - {term}


def joined(items: Iterable[str], *, last: str = "and") -> str:
    """`a, b and c`."""
    parts = list(items)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}" if parts else ""
