"""The words of questions and texts: tokens in any script, and stems and stop words of English (see `languages`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from threading import Lock

import snowballstemmer  # type: ignore[import-untyped]

SHORTEST_SPELT = 4  # letters; shorter words have too many neighbours
MOST_CACHED = 200_000  # stems; the words come from users' texts
# Scripts without spaces between words, and Hangul, whose endings are part of the word: a run of them is cut into
# overlapping pairs of characters.
UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"
_MARKS = "\u0300-\u036f\u064b-\u0652\u0900-\u0903\u093a-\u094f"  # accents and vowel signs inside of words
_LETTERS = rf"[^\W\d_{UNSPACED}]"
_WORD = re.compile(
    rf"([{UNSPACED}]+)|{_LETTERS}+(?:[{_MARKS}]+{_LETTERS}*|'{_LETTERS}+)*|\d+(?:[.,:]\d+)*", re.IGNORECASE
)
_HYPHEN = re.compile("[\u2010\u2011]")
_COMPOUND = re.compile(rf"(?<![\w-]){_LETTERS}++(?:-{_LETTERS}++)+(?![\w-])")
_ASKS_MEANING = re.compile(r"\bmeans?\b(?=\W*$)|(?<=\bwhat is )mean\b|(?<=\bdoes )mean\b", re.IGNORECASE)

_STOP_WORDS = """
a about according after all also am an and any are as at be been before being between but by can could define did
describe do does documentation document documents doing during each either every explain file files find for found from
get give given had has have having he her here his how i if in into is it its itself just kind know let like list
long last lasts lasted many may me might more most much must my need name no nor not now of off on one only or other
our out please question quick regarding s say says shall summarize summarise summary overview she should show so
some such t tell than that the their them then there these they this those to too under up us use used using very
via want was we were what when where which while who whom whose why will with within would you your one's please
happen happened happens role type types often mention mentioned mentions outlined stated specific specifically
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def snowball(language: str) -> Callable[[str], str]:
    """The Snowball stemmer of a language. Threads can share it: it has a lock, since it keeps the word in itself."""
    stemmer, lock = snowballstemmer.stemmer(language), Lock()

    def stem(word: str) -> str:
        with lock:
            return str(stemmer.stemWord(word))

    return stem


_english = snowball("english")


@lru_cache(MOST_CACHED)
def stem(word: str) -> str:
    """The stem of an English word (Snowball): `expires`, `expired`, `expiration` -> `expir`."""
    word = word.lower()
    return "find" if word == "found" else _english(word)  # not `founded`'s


def words(text: str) -> list[str]:
    """All words and numbers, in lower case, in order; of a script without spaces, pairs of characters."""
    found: list[str] = []
    for match in _WORD.finditer(text):
        found += _pairs(match[1]) if match[1] else [match[0].lower()]
    return found


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]


def compounds(text: str) -> dict[str, list[str]]:
    """The words with hyphens, written as one word in lower case, and their parts: `preauthorization`, [`pre`, ...]."""
    parts = [match[0].lower().split("-") for match in _COMPOUND.finditer(_HYPHEN.sub("-", text))]
    return {"".join(each): each for each in parts}


def without_compounds(text: str) -> str:
    """A text without its words with hyphens."""
    return _COMPOUND.sub(" ", _HYPHEN.sub("-", text))


def is_pair(term: str) -> bool:
    """Whether a term is a pair of characters of a script without spaces."""
    return len(term) == 2 and bool(re.match(f"[{UNSPACED}]", term))


def terms(text: str) -> list[str]:
    """The distinct stems of all words that are not stop words, in order."""
    text = _ASKS_MEANING.sub("", text)
    return list(dict.fromkeys(stem(word) for word in words(text) if word not in STOP_WORDS))


def all_stems(text: str) -> list[str]:
    """The stems of all words, in order; then those of the words with hyphens, written as one word."""
    return [stem(word) for word in (*words(text), *compounds(text))]


def joined(items: Iterable[str], *, last: str = "and") -> str:
    """`a, b and c`."""
    parts = list(items)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}" if parts else ""


def one_edit(word: str, other: str) -> bool:
    """Whether, after the first letter, one letter is missing, or, in a longer word, another edit was made.

    The other edits: a letter too many, a wrong letter, two neighbours swapped.
    """
    same = next((at for at, (x, y) in enumerate(zip(word, other, strict=False)) if x != y), min(len(word), len(other)))
    a, b = word[same:], other[same:]
    if not same or a == b[1:]:
        return bool(same)
    return len(word) > SHORTEST_SPELT and (a[1:] in (b, b[1:]) or (a[:2] == b[1::-1] and a[2:] == b[2:]))
