"""The reading order of a page with columns of prose, when its file goes from column to column with each line. Pure.

A gutter is a white strip that no line crosses. What lies beside it is read column after column only where both sides
look like prose: several lines, most of them full, of many letters. The cells of a table do not, or only
within a row of the table, whose cells are then read one after the other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

LINES_MIN = 3  # of each column
FULL = 0.6  # the share of a column's width that a line of prose has
INKED = 0.75  # the share of a line that is not white
WIDTH_MIN = 9  # of a column, in heights of a line: about 18 letters
LETTERS_MIN = 12  # of a line
LETTERS = 0.7  # the share of letters in the signs of a line
GUTTER = 0.9  # its least width, in heights of a line
BREAK = 1.6  # the distance of two lines, in those of most lines, that ends what is read as one
STEPS = 1.4  # the distance of lines of one column, in that of the column beside it
GUTTERS_TRIED = 16
BOXES_MAX = 1_500  # of a page; more is a drawing
LOOKED_AT_MAX = 40_000  # boxes, again for each gutter that is tried; a page that needs more keeps its order
DEPTH_MAX = 4
EFFORT_MAX = 2_000_000  # boxes and characters of a document that are looked at: some seconds


@dataclass(frozen=True, kw_only=True)
class Box:
    """A run of text, in points from the lower left corner of the page. `number` counts in the order of the file."""

    left: float
    bottom: float
    right: float
    top: float
    number: int = 0

    @property
    def height(self) -> float:
        return self.top - self.bottom

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


class TooMuch(Exception):
    """More would have to be looked at than is worth it."""


class Effort:
    """What is left of the work on a document. Its pages may be many, and each as slow as a page can be."""

    def __init__(self, left: int = EFFORT_MAX) -> None:
        self.left = left

    def spend(self, count: int) -> None:
        """Raises TooMuch."""
        self.left -= count
        if self.left < 0:
            raise TooMuch


Line = list[Box]  # from left to right
Block = list[Line]  # a paragraph of a column, or a line outside of columns


@dataclass(frozen=True, kw_only=True)
class _Split:
    """Where a gutter divides a group of boxes: (left, right) for each height at which it does, and the other boxes."""

    pairs: list[tuple[list[Box], list[Box]]]
    rest: list[Box]

    @property
    def size(self) -> int:
        return sum(len(left) + len(right) for left, right in self.pairs)


def in_columns(
    boxes: Sequence[Box], text: Callable[[Box], str], *, right_to_left: bool = False, effort: Effort | None = None
) -> list[Block] | None:
    """The blocks of a page in reading order; None when the order of the file needs no change.

    Args:
        text: The text of a box. It is asked for where the places of boxes look like columns; may raise TooMuch.
        effort: That of the document.
    """
    if not 2 * LINES_MIN <= len(boxes) <= BOXES_MAX:
        return None
    page = _Page(boxes, text, effort or Effort())
    try:
        if page.height <= 0 or not page.is_mixed(boxes):
            return None
        blocks = list(page.arranged(boxes, right_to_left=right_to_left))
    except TooMuch:
        return None
    return [[line[::-1] for line in block] for block in blocks] if right_to_left else blocks


class _Page:
    def __init__(self, boxes: Sequence[Box], text: Callable[[Box], str], effort: Effort) -> None:
        self.height = median(box.height for box in boxes)
        self._text = text
        self._left = LOOKED_AT_MAX
        self._effort = effort
        self._splits: dict[frozenset[int], _Split | None] = {}

    def is_mixed(self, boxes: Sequence[Box], depth: int = 0) -> bool:
        """Whether the file goes back and forth between columns."""
        split = self._best_split(boxes, depth)
        if split is None:
            return False
        parts = [side for pair in split.pairs for side in pair] + [split.rest]
        return any(_changes(*pair) for pair in split.pairs) or any(self.is_mixed(part, depth + 1) for part in parts)

    def arranged(
        self, boxes: Sequence[Box], *, right_to_left: bool, depth: int = 0, is_column: bool = False
    ) -> Iterator[Block]:
        split = self._best_split(boxes, depth)
        if split is None:
            yield from map(_lines, _bands(boxes)) if is_column else ([line] for line in _lines(boxes))
            return
        pairs = sorted(split.pairs, key=lambda pair: -max(box.top for side in pair for box in side))
        ends = [-min(box.bottom for side in pair for box in side) for pair in pairs]
        between: list[list[Box]] = [[] for _ in range(len(pairs) + 1)]
        for box in split.rest:
            between[bisect_left(ends, -box.middle)].append(box)
        for others, pair in zip(between, [*pairs, ()], strict=True):
            yield from self.arranged(others, right_to_left=right_to_left, depth=depth + 1)
            for column in reversed(pair) if right_to_left else pair:
                yield from self.arranged(column, right_to_left=right_to_left, depth=depth + 1, is_column=True)

    def _best_split(self, boxes: Sequence[Box], depth: int) -> _Split | None:
        if depth > DEPTH_MAX or len(boxes) < 2 * LINES_MIN:
            return None
        key = frozenset(box.number for box in boxes)
        if key not in self._splits:
            self._splits[key] = self._find_split(boxes, depth)
        return self._splits[key]

    def _find_split(self, boxes: Sequence[Box], depth: int) -> _Split | None:
        splits = (self._split(boxes, gutter, depth) for gutter in _gutters(boxes, GUTTER * self.height))
        best = max(splits, key=lambda split: split.size, default=None)
        return best if best and best.pairs else None

    def _split(self, boxes: Sequence[Box], gutter: tuple[float, float], depth: int) -> _Split:
        self._effort.spend(len(boxes))
        self._left -= len(boxes)
        if self._left < 0:
            raise TooMuch
        crossing = [box for box in boxes if box.left < gutter[1] and box.right > gutter[0]]
        middles = sorted(-box.middle for box in crossing)
        between: dict[int, list[Box]] = {}
        for box in boxes:
            if not (box.left < gutter[1] and box.right > gutter[0]):
                between.setdefault(bisect_left(middles, -box.middle), []).append(box)
        pairs, rest = [], list(crossing)
        for group in (band for some in between.values() for band in _bands_beside(some, gutter)):
            left = [box for box in group if box.right <= gutter[0]]
            right = [box for box in group if box.left >= gutter[1]]
            if _are_beside(left, right) and self._are_columns(left, right, depth):
                pairs.append((left, right))
            else:
                rest += group
        return _Split(pairs=pairs, rest=rest)

    def _are_columns(self, left: Sequence[Box], right: Sequence[Box], depth: int) -> bool:
        """Whether one side is a column, and the other one, too, or is several columns."""
        steps = [_step(_lines(side)) for side in (left, right)]
        if max(steps) > STEPS * min(steps):
            return False
        others = [side for side in (left, right) if not self._is_prose(side)]
        if len(others) == 2:
            return False
        inner = [self._best_split(side, depth + 1) for side in others]
        return all(split and split.size >= FULL * len(side) for split, side in zip(inner, others, strict=True))

    def _is_prose(self, boxes: Sequence[Box]) -> bool:
        lines = _lines(boxes)
        if len(lines) < LINES_MIN:
            return False
        width = max(box.right for box in boxes) - min(box.left for box in boxes)
        widths = [line[-1].right - line[0].left for line in lines]
        ink = [sum(box.right - box.left for box in line) for line in lines]
        inked = [one / max(own, 1.0) for one, own in zip(ink, widths, strict=True)]
        if width < WIDTH_MIN * self.height or median(widths) < FULL * width or median(inked) < INKED:
            return False
        texts = ["".join("".join(map(self._text, line)).split()) for line in lines]
        letters = [sum(map(str.isalpha, text)) for text in texts]
        return median(letters) >= LETTERS_MIN and sum(letters) >= LETTERS * sum(map(len, texts))


# ---- gutters -----------------------------------------------------------------------------------------------------


def _changes(left: Sequence[Box], right: Sequence[Box]) -> bool:
    """Whether the file goes from one side to the other with most lines."""
    on_left = {box.number for box in left}
    sides = [box.number in on_left for box in sorted([*left, *right], key=lambda box: box.number)]
    changes = sum(one != other for one, other in pairwise(sides))
    return changes >= max(LINES_MIN, min(len(_lines(left)), len(_lines(right))) // 2)


def _gutters(boxes: Sequence[Box], width: float) -> Iterable[tuple[float, float]]:
    """White strips before an edge at which several lines begin, and behind one at which several end."""
    begin, end = min(box.left for box in boxes), max(box.right for box in boxes)
    starts = Counter(round(box.left) for box in boxes if box.left > begin + width)
    ends = Counter(round(box.right) for box in boxes if box.right < end - width)
    found = [(count, (edge - width, edge - 1.0)) for edge, count in starts.items()]
    found += [(count, (edge + 1.0, edge + width)) for edge, count in ends.items()]
    return [gutter for count, gutter in sorted(found, reverse=True)[:GUTTERS_TRIED] if count >= LINES_MIN - 1]


def _step(lines: Sequence[Line]) -> float:
    """The distance of most lines from the next one."""
    return median([one[0].middle - other[0].middle for one, other in pairwise(lines)] or [0.0])


def _bands(boxes: Sequence[Box]) -> Iterator[list[Box]]:
    """The boxes, divided where white space goes over all columns: between the rows of a table, or before a section."""
    lines = _lines(boxes)
    usual = _step(lines)
    band: list[Box] = []
    for number, line in enumerate(lines):
        if number and lines[number - 1][0].middle - line[0].middle > BREAK * usual:
            yield band
            band = []
        band += line
    if band:
        yield band


def _bands_beside(boxes: list[Box], gutter: tuple[float, float]) -> Iterable[list[Box]]:
    """As `_bands`; without that work where one side has too few boxes, as in most pages of one column."""
    on_left = sum(box.right <= gutter[0] for box in boxes)
    return _bands(boxes) if min(on_left, len(boxes) - on_left) >= LINES_MIN else [boxes]


def _are_beside(left: Sequence[Box], right: Sequence[Box]) -> bool:
    """Whether half of the shorter side has the other one at its side."""
    if min(len(left), len(right)) < LINES_MIN:
        return False
    (top, bottom), (other_top, other_bottom) = (
        (max(box.top for box in side), min(box.bottom for box in side)) for side in (left, right)
    )
    both = min(top, other_top) - max(bottom, other_bottom)
    return both >= 0.5 * min(top - bottom, other_top - other_bottom)


# ---- lines -------------------------------------------------------------------------------------------------------


def _lines(boxes: Sequence[Box]) -> list[Line]:
    """Boxes of one height on the page, from top to bottom."""
    lines: list[Line] = []
    for box in sorted(boxes, key=lambda box: -box.middle):
        if lines and lines[-1][0].bottom <= box.middle and box.top >= lines[-1][0].middle:
            lines[-1].append(box)
        else:
            lines.append([box])
    return [sorted(line, key=lambda box: box.left) for line in lines]
