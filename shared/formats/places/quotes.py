"""Finds a quote in the places of a document, whatever the service did to white space, hyphens and ligatures. Pure."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from shared.formats.places.base import Place, Places

SHORTEST_CHARS = 24  # of a part of a quote that is accepted for the whole; shorter parts stand in many documents
# Signs that readers of documents add, drop or replace: hyphens at the ends of lines, typographic quotes, bullets, and
# the marks of Markdown. A quote is compared without them.
IGNORED = (
    "\u00ad\u200b\u200c\u200d\u2060\ufeff\ufffe"  # soft hyphen, characters without width, PDFium's mark of a hyphen
    "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
    "\"'`\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033\u2039\u203a\u00ab\u00bb\u00b4"
    "*_#|~>\\\u2022\u00b7\u25aa\u25cf\u25cb\u2023\u2043"
)
DROPPED = re.compile(rf"[\s{re.escape(IGNORED)}]+")
SPACE = re.compile(r"\s")
BLOCK_CHARS = 4_096
UNSEEN = re.compile("[\u00ad\ufffe]")


def squeezed(text: str) -> str:
    """The text in compatibility form (NFKC), without white space and the signs above."""
    return DROPPED.sub("", unicodedata.normalize("NFKC", text))


@dataclass(frozen=True, kw_only=True)
class Found:
    """A place that holds a quote, and the words as the place has them."""

    place: Place
    words: str


class PlaceIndex:
    """The places of a document version, prepared for searches."""

    def __init__(self, places: Places) -> None:
        self.complete = places.complete
        self.chars = sum(len(place.text) for place in places.places)
        self.places = places.places
        self._starts_of_blocks: dict[int, list[tuple[int, int]]] = {}

    @cached_property
    def _texts(self) -> list[str]:
        return [squeezed(place.text) for place in self.places]

    @cached_property
    def _whole(self) -> str:
        return "".join(self._texts)

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [], 0
        for text in self._texts:
            starts.append(at)
            at += len(text)
        return starts

    def find(self, quote: str, *, passage: str = "") -> Found | None:
        """The place of a quote; None when no place holds it, or a long part of it.

        Args:
            passage: The text around the quote. It decides when several places hold the quote.
        """
        wanted = squeezed(quote)
        if not wanted:
            return None
        around = self._passage_starts(passage)
        if span := self._span(wanted, around):
            return self._found(*span, quote)
        for part in _parts(quote):  # the service may have read other text in between: a footer, a second column
            if len(wanted := squeezed(part)) >= SHORTEST_CHARS and (span := self._span(wanted, around)):
                return self._found(*span, part)
        return None

    def _passage_starts(self, passage: str) -> int:
        """Where the passage begins in the whole text; 0 when it is not there."""
        for part in _parts(passage):
            if len(start := squeezed(part)) >= SHORTEST_CHARS and (at := self._whole.find(start)) >= 0:
                return at
        return 0

    def _span(self, wanted: str, around: int) -> tuple[int, int] | None:
        """Start and end in the whole text: the first one from `around` on, else the first one."""
        at = self._whole.find(wanted, around)
        if at < 0:
            at = self._whole.find(wanted)
        return (at, at + len(wanted)) if at >= 0 else None

    def _found(self, start: int, end: int, quote: str) -> Found:
        """The words of the span as they are in its place; in the one that holds most of them, if it has several."""
        shares = [
            (min(end, begin + len(text)) - max(start, begin), number)
            for number, (begin, text) in enumerate(zip(self._starts, self._texts, strict=True))
            if begin < end and begin + len(text) > start
        ]
        _, number = max(shares, key=lambda share: (share[0], -share[1]))
        begin, text = self._starts[number], self._texts[number]
        place = self.places[number]
        first, last = max(start - begin, 0), min(end - begin, len(text))
        words = self._original(number, first, last)
        # Some scripts compose letters across what `_clusters` takes for borders: then the quote's own words.
        return Found(place=place, words=words if squeezed(words) == text[first:last] else " ".join(quote.split()))

    def _original(self, number: int, first: int, last: int) -> str:
        """The part of a place's text whose squeezed form has these positions, with single spaces."""
        text, blocks = self.places[number].text, self._blocks(number)
        starts = [squeezed_at for _, squeezed_at in blocks]
        begin, at = blocks[bisect_right(starts, first) - 1]
        after = bisect_right(starts, last)
        end = blocks[after][0] if after < len(blocks) else len(text)
        return _original(text[begin:end], first - at, last - at)

    def _blocks(self, number: int) -> list[tuple[int, int]]:
        """Where blocks of a place's text begin, in the text and in its squeezed form: a search walks few of them."""
        if number not in self._starts_of_blocks:
            text, blocks, at = self.places[number].text, [(0, 0)], 0
            for begin, end in pairwise((0, *_block_ends(text))):
                at += len(squeezed(text[begin:end]))
                blocks.append((end, at))
            self._starts_of_blocks[number] = blocks
        return self._starts_of_blocks[number]


def _block_ends(text: str) -> Iterator[int]:
    """Where blocks of a text end: at white space, where no character composes with the next one, if there is any."""
    at = 0
    while at + BLOCK_CHARS < len(text):
        space = SPACE.search(text, at + BLOCK_CHARS // 2, at + BLOCK_CHARS)
        at = space.end() if space else at + BLOCK_CHARS
        yield at


def _parts(quote: str) -> Sequence[str]:
    """The lines and sentences of a quote, the longest first."""
    return sorted(re.split(r"\n+|(?<=[.!?])\s+", quote), key=len, reverse=True)


def _original(text: str, start: int, end: int) -> str:
    """The part of `text` whose squeezed form is `squeezed(text)[start:end]`, with single spaces.

    A character may become several, such as the ligature `ﬁ`, or disappear; an accent may join the letter before it.
    """
    at = 0
    first = last = None
    for position, piece in _clusters(text):
        length = len(squeezed(piece))
        if length and at < end and at + length > start:
            first = position if first is None else first
            last = position + len(piece)
        at += length
        if at >= end:
            break
    if first is None or last is None:
        return ""
    return " ".join(UNSEEN.sub("", text[first:last]).split())


def _clusters(text: str) -> Iterator[tuple[int, str]]:
    """Each character with the combining marks that follow it, and its position."""
    start = 0
    for position in range(1, len(text) + 1):
        if position == len(text) or not unicodedata.combining(text[position]):
            yield start, text[start:position]
            start = position
