"""The words of questions and texts: tokens, stems and stop words."""

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
describe do does documentation document documents doing during each either every explain file files find for found from
get give given had has have having he her here his how i if in into is it its itself just kind know let like list
long last lasts lasted many may me might more most much must my need name no nor not now of off on one only or other
our out please question quick regarding s say says shall summarize summarise summary overview she should show so
some such t tell than that the their them then there these they this those to too under up us use used using very
via want was we were what when where which while who whom whose why will with within would you your one's please
happen happened happens role type types often
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

_stemmer = snowballstemmer.stemmer("english")


@cache
def stem(word: str) -> str:
    """The stem of an English word (Snowball): `expires`, `expired`, `expiration` -> `expir`."""
    word = word.lower()
    return "find" if word == "found" else str(_stemmer.stemWord(word))  # not `founded`'s


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


def joined(items: Iterable[str], *, last: str = "and") -> str:
    """`a, b and c`."""
    parts = list(items)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}" if parts else ""
