"""Split a document into overlapping chunks, if possible at the end of a paragraph or sentence.

The text is split into pieces (sentences, table rows, lines of code). The strength of a piece says how good a chunk
boundary its end is. A chunk is a sequence of pieces; the next chunk repeats its last pieces. Only leading and trailing
white space of chunks is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from local.openai_emulator.search import tokens
from local.openai_emulator.search.parsers import ParseError, Section

# Strengths of a piece's end, the weakest first.
_NONE, _WORD, _SENTENCE, _LINE, _PARAGRAPH, _SECTION = range(6)

MAX_PIECE_CHARS = 1000
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n\s*")
_SENTENCE_END = re.compile(r"[.!?…][\"'»”’)\]]*\s+|[。！？]+[」』”]*\s*")
_TABLE_ROW = re.compile(r"\t| \| ")
_EARLIEST_END = 0.7  # of max_tokens: a chunk of at least this size may end at a stronger boundary
_LATEST_START = 0.5  # of overlap_tokens: the overlap may be this short to start at a stronger boundary


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A part of a document. `page` is the page with the largest part of the text."""

    text: str
    tokens: int
    page: int | None = None


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    tokens: int
    strength: int  # of the boundary at its end
    page: int | None


def split(
    sections: Sequence[Section],
    *,
    max_tokens: int = 800,
    overlap_tokens: int = 400,
    max_file_tokens: int | None = None,
) -> list[Chunk]:
    """Chunks of at most `max_tokens` tokens; each repeats about `overlap_tokens` tokens of the previous one.

    Raises:
        ParseError: the file has more than `max_file_tokens` tokens, without the overlaps.
        ValueError: `overlap_tokens` is more than half of `max_tokens`.
    """
    if not 0 <= overlap_tokens <= max_tokens // 2:
        raise ValueError("The overlap must not be more than half of the chunk size.")
    pieces = list(_pieces(sections, max_tokens))
    if max_file_tokens is not None and sum(piece.tokens for piece in pieces) > max_file_tokens:
        message = f"This file has more than {max_file_tokens:,} tokens, the limit of a file in a vector store."
        raise ParseError("invalid_file", message)
    chunks = []
    start = 0
    while start < len(pieces):
        end = _end(pieces, start, max_tokens)
        chunks.append(_chunk(pieces[start:end]))
        if end == len(pieces):
            break
        start = _next_start(pieces, start, end, overlap_tokens)
    return [chunk for chunk in chunks if chunk.text]


def _chunk(pieces: Sequence[_Piece]) -> Chunk:
    text = "".join(piece.text for piece in pieces).strip()
    sizes: dict[int | None, int] = {}
    for piece in pieces:
        sizes[piece.page] = sizes.get(piece.page, 0) + piece.tokens
    return Chunk(text=text, tokens=tokens.count(text), page=max(sizes, key=lambda page: sizes[page]))


def _end(pieces: Sequence[_Piece], start: int, max_tokens: int) -> int:
    """The index after the chunk's last piece: the strongest boundary in its last part, the last of equal ones."""
    total, best, strongest = 0, start + 1, -1
    for index in range(start, len(pieces)):
        total += pieces[index].tokens
        if total > max_tokens and index > start:
            return best
        if total >= _EARLIEST_END * max_tokens or strongest < 0:
            strength = pieces[index].strength
            if total < _EARLIEST_END * max_tokens:
                best = index + 1
            elif strength >= strongest:
                best, strongest = index + 1, strength
    return len(pieces)


def _next_start(pieces: Sequence[_Piece], start: int, end: int, overlap_tokens: int) -> int:
    """The first piece of the next chunk: after the strongest boundary in the overlap, the first of equal ones."""
    total, best, strongest = 0, end, -1
    for index in range(end - 1, start, -1):
        total += pieces[index].tokens
        if total > overlap_tokens:
            break
        if total >= _LATEST_START * overlap_tokens and pieces[index - 1].strength >= strongest:
            best, strongest = index, pieces[index - 1].strength
    return best


def _pieces(sections: Sequence[Section], max_tokens: int) -> Iterator[_Piece]:
    raw = [piece for section in sections for piece in _section_pieces(section)]
    counts = [len(ids) for ids in tokens.encoding().encode_ordinary_batch([text for text, _, _ in raw], num_threads=2)]
    for (text, strength, page), count in zip(raw, counts, strict=True):
        yield from _fitting(_Piece(text, count, strength, page), max_tokens)


def _section_pieces(section: Section) -> Iterator[tuple[str, int, int | None]]:
    if section.heading:
        yield section.heading + "\n\n", _NONE, section.page  # no chunk ends between a heading and its text
    found = [(text, strength) for text, strength in _cut(section.text) if text]
    for index, (text, strength) in enumerate(found):
        last = index == len(found) - 1
        yield (text.rstrip() + "\n\n", _SECTION, section.page) if last else (text, strength, section.page)


def _cut(text: str) -> Iterator[tuple[str, int]]:
    for paragraph, strength in _parts(text, _PARAGRAPH_END, _PARAGRAPH):
        lines = paragraph.splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            line_strength = strength if number == len(lines) else _LINE
            if _TABLE_ROW.search(line) and len(line) <= MAX_PIECE_CHARS:
                yield line, line_strength
                continue
            for sentence, sentence_strength in _parts(line, _SENTENCE_END, _SENTENCE, last=line_strength):
                yield from _short(sentence, sentence_strength)


def _parts(text: str, ends: re.Pattern[str], strength: int, *, last: int | None = None) -> Iterator[tuple[str, int]]:
    start = 0
    for match in ends.finditer(text):
        if match.end() < len(text):
            yield text[start : match.end()], strength
            start = match.end()
    yield text[start:], strength if last is None else last


def _short(text: str, strength: int) -> Iterator[tuple[str, int]]:
    """Split text longer than MAX_PIECE_CHARS, at a space if it has one."""
    start = 0
    while len(text) - start > MAX_PIECE_CHARS:
        space = text.rfind(" ", start, start + MAX_PIECE_CHARS)
        cut = space + 1 if space > start else start + MAX_PIECE_CHARS
        yield text[start:cut], _WORD
        start = cut
    yield text[start:], strength


def _fitting(piece: _Piece, max_tokens: int) -> Iterator[_Piece]:
    """Halve a piece until it has at most `max_tokens`."""
    if piece.tokens <= max_tokens or len(piece.text) == 1:
        yield piece
        return
    middle = len(piece.text) // 2
    for text, strength in ((piece.text[:middle], _WORD), (piece.text[middle:], piece.strength)):
        yield from _fitting(_Piece(text, tokens.count(text), strength, piece.page), max_tokens)
