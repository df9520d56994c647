"""Which chunks have a word, and how often: postings.

The words of new chunks are counted in a dictionary in memory (`Vocabulary`). When there are enough of them, their
postings are written to the database as a segment, one row per word, and the dictionary starts anew. So adding a file
never rewrites what is stored, and a search reads only the rows of its own words.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from local.openai_emulator.search.words import shortened

Postings = NDArray[np.uint64]  # a chunk's id, and in the last TIMES_BITS how often it has the word
TIMES_BITS = 16  # a chunk has at most 4,096 tokens
_MIN_BEGINNING = 3  # letters; a shorter word, or a number, would be the beginning of too many others
_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class Term:
    """What is looked up for a query word: the words from `first` to `last`, in the order of their code points."""

    first: str
    last: str

    @classmethod
    def of(cls, word: str) -> Term:
        """All words that begin like `word` shortened; only the word itself if that is short or a number."""
        beginning = shortened(word)
        if len(beginning) < _MIN_BEGINNING or beginning.isdigit():
            return cls(word, word)
        return cls(beginning, beginning + _LAST_CHARACTER)


class Vocabulary:
    """The postings of the chunks that are in no segment yet, by word."""

    def __init__(self) -> None:
        self._postings: dict[str, array[int]] = {}
        self._sorted: list[str] = []

    def add(self, chunk_id: int, words: str) -> None:
        """Add a chunk; `words` is the result of `words.indexable`."""
        postings, chunk = self._postings, chunk_id << TIMES_BITS
        for word, times in Counter(words.split()).items():
            if word in postings:
                postings[word].append(chunk | times)
            else:
                postings[word] = array("Q", (chunk | times,))

    def find(self, term: Term) -> bytes:
        """The postings of a term, as bytes. A removed chunk still has some."""
        if term.first == term.last:
            return self._postings.get(term.first, array("Q")).tobytes()
        words = self._in_order()
        found = []
        for place in range(bisect_left(words, term.first), len(words)):
            if words[place] > term.last:
                break
            found.append(self._postings[words[place]])
        return b"".join(found)

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """Each word with its postings, in order."""
        return ((word, self._postings[word].tobytes()) for word in self._in_order())

    def _in_order(self) -> list[str]:
        if len(self._sorted) < len(self._postings):  # words are only added, and a dictionary keeps their order
            self._sorted = sorted(self._postings)
        return self._sorted


def postings(data: bytes) -> Postings:
    return np.frombuffer(data, dtype=np.uint64)
