"""The words of texts and queries for the keyword index, and the windows of a text for the vectors."""

from __future__ import annotations

import math
import re
import unicodedata
from itertools import pairwise

MAX_QUERY_WORDS = 64
_WORD = re.compile(r"[^\W_]+")
_ACCENTS = re.compile("[\u0300-\u036f]")
# Scripts written without spaces are split into overlapping pairs of characters, because a whole sentence
# would be one word.
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f\U00020000-\U0003134f]+")
_ENDING = re.compile(r"(?:ations?|ments?|ings?|ions?|ies|ers?|ed|es|ly|s|y|e)$")
_STOP_WORDS = """
    a about above after again against all am an and any are aren as at be because been before being below between
    both but by can cannot could did do does doing don down during each few for from further had has have having he
    her here hers him his how i if in into is isn it its itself just know let me mean more most much my no nor not of
    off on once only or other our ours out over own please same she should so some such tell than that the their theirs
    them then there these they this those through to too under until up us very was we were what when where which while
    who whom whose why will with would you your yours
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def indexable(text: str) -> str:
    """The words of a text in lower case and without accents, a space before each."""
    spaced = _UNSPACED.sub(lambda run: f" {' '.join(_pairs(run[0]))} ", _folded(text))
    words = _WORD.findall(spaced)
    return " " + " ".join(words) if words else ""


def _folded(text: str) -> str:
    """Lower case, without accents."""
    lowered = text.lower()
    if lowered.isascii():
        return lowered
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", lowered)))


def query_words(query: str) -> list[str]:
    """The distinct words of a query in order, without stop words unless it has only these; at most MAX_QUERY_WORDS."""
    words = list(dict.fromkeys(indexable(query).split()))[:MAX_QUERY_WORDS]
    return [word for word in words if word not in STOP_WORDS] or words


def shortened(word: str) -> str:
    """The first letters of an English word, roughly those that its forms share."""
    # Not a Snowball stem: these letters are looked up as the beginning of words, and "repli", the stem of "replies", is
    # not that of "reply". Snowball stems of query and text were measured with bench/retrieval.py: Contoso pages held
    # @3 fall from 0.52 to 0.49.
    return _ENDING.sub("", word) if len(word) > 4 else word


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def windows(text: str, *, max_words: int = 170) -> list[str]:
    """Split a text into windows of similar length, of at most `max_words` words each.

    Each window gets its own vector, because one vector of a whole chunk (800 tokens) represents no part of it well.
    """
    spans = [match.span() for match in re.finditer(r"\S{1,60}", text)]
    n_parts = max(1, math.ceil(len(spans) / max_words))
    firsts = [len(spans) * part // n_parts for part in range(n_parts)]
    cuts = [0, *(spans[first][0] for first in firsts[1:]), len(text)]
    return [text[start:end] for start, end in pairwise(cuts)]
