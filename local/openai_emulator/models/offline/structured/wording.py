"""The words of a schema's field, of a question, and of the sentences that values are taken from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from local.openai_emulator.models.offline.structured.schema import Field, words_of_name
from local.openai_emulator.models.offline.structured.synonyms import synonyms
from local.openai_emulator.models.offline.words import stem, terms, words

_SILENT_WORDS = "the a an of is are was were has have had can be in for to and or on by at with if any"
_SHORT_FORMS = {
    "max": "maximum", "min": "minimum", "avg": "average", "mean": "average", "num": "number", "no": "number",
    "qty": "quantity", "addr": "address", "tel": "phone", "desc": "description", "dept": "department",
    "std": "deviation", "org": "organization", "temp": "temperature", "id": "id", "sum": "total", "nr": "number",
}  # fmt: skip


def stemmed(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in text.split())


_SILENT = frozenset(_SILENT_WORDS.split())
# Words that say what kind of thing a field is; they need no match if another word of the name has one.
_KINDS_OF_VALUE = stemmed(
    "name number count amount value date time id list field text string title type percent percentage ms seconds "
    "minutes hours days bytes mb gb usd eur currency level email url link"
)
_LINK = re.compile(r"\b(?:is|are|was|were|equals?|named|called)\b\s+|\bby\s+|:\s+|=\s*")
_END = re.compile(r"[.;!?](?=\s|$)|,\s|\s(?:and|but|which|who|that|because|while|since)\s")
_FARTHEST_LINK = 6  # words between the subject and `is`

_COUNTED = re.compile(r"[-$€£]?[\d.,]+\s+([A-Za-z]{2,})")
_SILENT_STEMS = stemmed(f"{_SILENT_WORDS} but as from than per into after before since until")


_SENTENCE = re.compile(r"(?<=[.?!])\s+|\n+")
_NAME = re.compile(r"[^\W\d_][\w'-]*|\d[\w.,-]*")


def question_in(text: str) -> str:
    """The sentences of a user's text that ask; else its first sentence, up to a colon."""
    sentences = [one for one in _SENTENCE.split(text) if one.strip()]
    asking = [one for one in sentences if one.rstrip().endswith("?")]
    return " ".join(asking) if asking else sentences[0].split(":")[0] if sentences else ""


def names_in(question: str) -> set[str]:
    """The stems of the words of a question that are written as names, or have digits."""
    found: set[str] = set()
    for sentence in _SENTENCE.split(question):
        for place, word in enumerate(_NAME.findall(sentence)):
            if any(c.isdigit() for c in word) or (place > 0 and word[0].isupper() and word.lower() not in _NO_NAMES):
                found.update(stems(word))
    return found


_NO_NAMES = frozenset(["i", "json", "csv", "pdf", "url", "id"])


@lru_cache(maxsize=20_000)
def _stems_of(text: str) -> tuple[str, ...]:
    plain = (_SHORT_FORMS.get(word, word) for word in words(words_of_name(text)))
    return tuple(stem(word) for word in plain if word not in _SILENT)


def stems(text: str) -> Sequence[str]:
    return _stems_of(text)


def telling(name: str) -> set[str]:
    """The words of a name without those that only say what kind of value it is, if any others are left."""
    all_ = set(stems(name))
    return (all_ - _KINDS_OF_VALUE) or all_


def named(wanted: Field) -> set[str]:
    return set(stems(wanted.name))


def wordings(wanted: Field) -> list[set[str]]:
    """The sets of words, of which all of one must occur: those of the name, or those of the description."""
    short = (set(stems(wanted.description)) & set(terms(wanted.description))) - _KINDS_OF_VALUE
    return [telling(wanted.name), *([short] if 0 < len(short) <= 4 else [])]


def match(needed: set[str], own: set[str], around: set[str]) -> float:
    """How well all needed words occur; 0 if one is missing, or none is in the label or sentence itself."""
    if not needed:
        return 0.0
    own_also = own | {other for one in own for other in synonyms(one)}
    around_also = around | {other for one in around for other in synonyms(one)}
    shares = [1.0 if w in own else 0.8 if w in own_also else 0.6 if w in around_also else 0.0 for w in needed]
    return sum(shares) / len(shares) if min(shares) and max(shares) >= 0.8 else 0.0


def _places(text: str, needed: set[str]) -> list[tuple[int, int, str]]:
    found = []
    for match in re.finditer(r"[A-Za-z]+|\d+", text):
        one = stems(match[0])
        if one and (one[0] in needed or synonyms(one[0]) & needed):
            found.append((match.start(), match.end(), one[0]))
    return found


def window(text: str, needed: set[str]) -> tuple[int, int]:
    """The shortest part of a sentence with as many of the needed words as it has; all of the text if it has none."""
    places = _places(text, needed)
    kinds = {word for _, _, word in places}
    spans = [
        (end[1] - start[0], start[0], end[1])
        for i, start in enumerate(places)
        for end in places[i:]
        if kinds <= {word for at, _, word in places if start[0] <= at <= end[0]}
    ]
    return min(spans)[1:] if spans else (0, len(text))


def last_match(text: str, needed: set[str]) -> int:
    return window(text, needed)[1]


def counted(text: str, found: Sequence[tuple[int, Any]], needed: set[str]) -> list[tuple[int, Any]]:
    """The number of the needed things where each number counts something: `120 employees in 4 offices`."""
    things = [_COUNTED.match(text, place) for place, _ in found]
    nouns = [stem(thing[1].lower()) if thing else "" for thing in things]
    if any(not noun or noun in _SILENT_STEMS for noun in nouns):
        return []
    return [one for one, noun in zip(found, nouns, strict=True) if noun in needed]


def after_link(text: str, place: int) -> str:
    """What a sentence says of the words that end at a place: `Maria Lopez` of `The owner is Maria Lopez.`"""
    link = _LINK.search(text, max(place - 1, 0))
    if link is None or len(text[place : link.start()].split()) > _FARTHEST_LINK:
        return ""
    end = _END.search(text, link.end())
    return text[link.end() : end.start() if end else len(text)].strip(" .\"'“”")
