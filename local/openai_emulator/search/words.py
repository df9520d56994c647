"""Words of a text or a question as the keyword index sees them, and a text cut into windows for the vectors."""

from __future__ import annotations

import math
import re
import unicodedata
from itertools import pairwise

MAX_QUERY_WORDS = 64
_WORD = re.compile(r"[^\W_]+")
_ACCENTS = re.compile("[\u0300-\u036f]")
# Scripts written without spaces: runs of them become overlapping pairs of characters, or FTS5 would take a whole
# sentence for one word.
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
    """The words of a text, folded, each behind one space: what FTS5 gets and what the ranking counts in."""
    spaced = _UNSPACED.sub(lambda run: f" {' '.join(_pairs(run[0]))} ", _folded(text))
    return "".join(f" {word}" for word in _WORD.findall(spaced))


def _folded(text: str) -> str:
    """Lower case, without accents."""
    lowered = text.lower()
    if lowered.isascii():
        return lowered
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", lowered)))


def query_words(query: str) -> list[str]:
    """Distinct words worth looking for, in order; stop-words only when there is nothing else."""
    words = list(dict.fromkeys(indexable(query).split()))[:MAX_QUERY_WORDS]
    return [word for word in words if word not in STOP_WORDS] or words


def shortened(word: str) -> str:
    """The first letters of an English word, roughly those that its forms share."""
    # Not a Snowball stem: the ranking counts these letters in the unstemmed text, where stems such as "replic" or
    # "happi" may not occur. Measured with bench/retrieval.py, against Snowball stems of all words of the text: Contoso
    # pages held @3 0.52 against 0.49, a search 8 ms against 40 ms.
    return _ENDING.sub("", word) if len(word) > 4 else word


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def windows(text: str, *, max_words: int = 170) -> list[str]:
    """A text in parts of like length, at most `max_words` words each: a vector of 800 tokens says little about any."""
    spans = [match.span() for match in re.finditer(r"\S{1,60}", text)]
    n_parts = max(1, math.ceil(len(spans) / max_words))
    firsts = [len(spans) * part // n_parts for part in range(n_parts)]
    cuts = [0, *(spans[first][0] for first in firsts[1:]), len(text)]
    return [text[start:end] for start, end in pairwise(cuts)]
