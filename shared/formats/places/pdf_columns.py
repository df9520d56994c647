"""The text of a PDF's page column after column, where the file has it in another order."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from shared.formats.places.columns import Box, Effort, in_columns

TOUCHING = 0.15  # of a line's height: two runs that are closer are one word
SLACK = 1.0  # in points
HYPHEN = "\ufffe"  # PDFium's mark of a hyphen at the end of a line
RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")  # Hebrew, Arabic and their neighbours
LETTER = re.compile(r"[^\W\d_]")


def column_text(text: Any, found: str, effort: Effort) -> str:
    """The text of a page in the order of its columns; "" when the order of the file needs no change.

    Args:
        text: The open text layer; None when it cannot be read. The caller holds `PDFIUM`.
        found: Its text in the order of the file.
        effort: That of the document.
    """
    if text is None or not found.strip() or effort.left <= 0:
        return ""
    boxes = list(_boxes(text))
    foreign = len(RIGHT_TO_LEFT.findall(found))
    right_to_left = foreign > 0 and 2 * foreign > len(LETTER.findall(found))

    @cache
    def texts() -> dict[int, str]:
        return _texts(text, boxes, effort)

    blocks = in_columns(boxes, lambda box: texts()[box.number], right_to_left=right_to_left, effort=effort)
    if blocks is None:
        return ""
    paragraphs = (" ".join(_line(line, texts()) for line in block) for block in blocks)
    return "\n".join(paragraphs).replace(f"{HYPHEN} ", HYPHEN)


def _boxes(text: Any) -> Iterator[Box]:
    """The runs of text that PDFium tells apart, in the order of the file."""
    import pypdfium2.raw as pdfium

    left, top, right, bottom = (ctypes.c_double() for _ in range(4))
    for number in range(pdfium.FPDFText_CountRects(text, 0, -1)):
        if pdfium.FPDFText_GetRect(text, number, left, top, right, bottom):
            yield Box(left=left.value, bottom=bottom.value, right=right.value, top=top.value, number=number)


def _texts(text: Any, boxes: Sequence[Box], effort: Effort) -> dict[int, str]:
    """The text of each box, by its number. A space that no box holds belongs to the box before it.

    Raises:
        TooMuch: the page is too large for what is left of the effort.
    """
    import pypdfium2.raw as pdfium

    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    pieces: list[list[str]] = [[] for _ in boxes]
    at = 0
    for number in range(pdfium.FPDFText_CountChars(text)):
        code = pdfium.FPDFText_GetUnicode(text, number)
        if not 0 < code <= sys.maxunicode or (char := chr(code)) in "\r\n":
            continue
        if pdfium.FPDFText_GetCharBox(text, number, left, right, bottom, top) and right.value > left.value:
            x, y = (left.value + right.value) / 2, (bottom.value + top.value) / 2
            tried = 0
            for tried, place in enumerate(_from(at, len(boxes)), 1):  # noqa: B007
                if _holds(boxes[place], x, y):
                    at = place
                    break
            effort.spend(tried)
        pieces[at].append(char)
    joined = ("".join(each).encode("utf-16", "surrogatepass").decode("utf-16", "replace") for each in pieces)
    return {box.number: each for box, each in zip(boxes, joined, strict=True)}


def _from(at: int, count: int) -> Iterator[int]:
    """All places, `at` first: most characters are in the same box as the one before, or in the next one."""
    yield from range(at, count)
    yield from range(at)


def _holds(box: Box, x: float, y: float) -> bool:
    return box.left - SLACK <= x <= box.right + SLACK and box.bottom - SLACK <= y <= box.top + SLACK


def _line(line: Sequence[Box], texts: dict[int, str]) -> str:
    words: list[str] = []
    before: Box | None = None
    for box in line:
        if before is not None and max(box.left - before.right, before.left - box.right) > TOUCHING * box.height:
            words.append(" ")
        words.append(texts[box.number])
        before = box
    return " ".join("".join(words).split())
