"""Engine output -> Answer; Answer -> Markdown. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from urllib.parse import quote, unquote

from shared.collections.attributes import Source
from shared.engines.base import Annotation, MadeFile
from shared.engines.stores import Passage
from shared.models.runs import Answer, Citation

QUOTE_MAX_CHARS = 600
PICTURES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}

# ---- citations ---------------------------------------------------------------------------------------------------


def citations_of(
    text: str, marks: Sequence[Annotation], passages: Sequence[Passage], documents: Mapping[str, Source]
) -> tuple[Citation, ...]:
    """One citation per mark, each with the words of the document that come nearest to what was said there.

    Args:
        documents: file id -> the version of the document that it was made of.
    """
    found: list[Citation] = []
    for mark in sorted(marks, key=lambda mark: mark.position):
        position = min(max(mark.position, 0), len(text))
        source = documents.get(mark.file_id) or Source(path=mark.filename)
        said = _said(text, position)
        passage, words = _nearest(said, [p for p in passages if p.file_id == mark.file_id])
        found.append(
            Citation(
                n=len(found) + 1,
                document=source.path,
                file_id=mark.file_id,
                filename=mark.filename or (passage.filename if passage else source.path.rsplit("/", 1)[-1]),
                quote=words,
                position=position,
                page=source.page(passage.attributes.get("page")) if passage else None,
                etag=source.etag,
                last_modified_at=source.last_modified_at,
            )
        )
    return tuple(_numbered(found))


def _numbered(citations: list[Citation]) -> Iterator[Citation]:
    """The same words of the same document carry the same number wherever they are cited."""
    numbers: dict[tuple[str, str], int] = {}
    for citation in citations:
        n = numbers.setdefault((citation.document, citation.quote), len(numbers) + 1)
        yield replace(citation, n=n)


def _said(text: str, position: int) -> str:
    """What a mark at `position` speaks for: the sentence before it, or what follows when that only leads up to it."""
    before = text[:position].rstrip()
    rest_of_line, _, after = text[position:].partition("\n")
    sentence = re.split(r"(?<=[.!?])\s+|\n", before)[-1]
    if (sentence + rest_of_line).rstrip(" *").endswith(":"):
        return sentence + " " + re.split(r"\n\s*\n", after.strip())[0]
    return sentence


def _nearest(said: str, passages: Sequence[Passage]) -> tuple[Passage | None, str]:
    """The sentences or lines in a row that share most words with what was said, as they stand in the passage."""
    words = _words(said)
    if not passages:
        return None, ""
    # Nothing in common, as in an answer in another language: the opening of what was found first.
    best = (-math.inf, passages[0], passages[0].text.strip()[:QUOTE_MAX_CHARS])
    for passage in passages:
        score, quoted = _best_window(words, passage.text, _pieces(passage.text))
        if score > best[0]:
            best = (score, passage, quoted)
    return best[1], best[2]


Piece = tuple[int, int, frozenset[str]]  # start, end, words


def _best_window(words: set[str], text: str, pieces: Sequence[Piece]) -> tuple[float, str]:
    """Up to `QUOTE_MAX_CHARS` of pieces in a row; a longer piece is cut."""
    best = (-math.inf, "")
    for first, (start, _, has) in enumerate(pieces):
        if not words & has:
            continue
        window: frozenset[str] = frozenset()
        for _, end, more in pieces[first:]:
            if window and end - start > QUOTE_MAX_CHARS:
                break
            window |= more
            shared = len(words & window)
            # Shared words, and as few others as may be: a whole paragraph is no quote.
            score = shared - 0.1 * (len(window) - shared)
            if score > best[0]:
                best = (score, text[start : min(end, start + QUOTE_MAX_CHARS)])
    return best


@lru_cache(maxsize=64)
def _pieces(text: str) -> tuple[Piece, ...]:
    """The sentences and lines of a passage."""
    matches = re.finditer(r"\S[^\n]*?(?:[.!?](?=\s)|(?=\n)|$)", text)
    return tuple((match.start(), match.end(), frozenset(_words(match.group()))) for match in matches)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+(?:\.\d+)?", text.casefold()))


# ---- files the code made -----------------------------------------------------------------------------------------


def media_type_of(filename: str) -> str | None:
    """Of a picture; None for any other file."""
    return PICTURES.get(filename.rsplit(".", 1)[-1].lower())


def safe_filename(filename: str) -> str:
    """The model chose it: keep letters, digits and a few signs, and no folders."""
    name = re.sub(r"[^\w.() -]+", "_", filename.replace("\\", "/").rsplit("/", 1)[-1]).strip(". ")
    return name[-100:] or "file"


def distinct(made: Sequence[MadeFile]) -> tuple[MadeFile, ...]:
    """Each file once, in the order the answer names them."""
    first: dict[tuple[str, str], MadeFile] = {}
    for file in made:
        first.setdefault((file.container_id, file.file_id), file)
    return tuple(first.values())


def numbered(made: Sequence[MadeFile]) -> Iterator[tuple[int, MadeFile]]:
    """Pictures and other files each counted from 1, lost ones included: a second try gives each the same name."""
    counts = {True: 0, False: 0}
    for file in made:
        is_picture = media_type_of(file.filename) is not None
        counts[is_picture] += 1
        yield counts[is_picture], file


def link(text: str, paths: Mapping[str, str]) -> tuple[str, Callable[[int], int]]:
    """Replace `sandbox:/mnt/data/<file>` by the path in `answers` at which the file was saved.

    Args:
        paths: file name in the sandbox -> path in `answers`. What was not saved is left as it is.

    Returns:
        The new text, and where a position of the old one is in it.
    """
    pieces: list[str] = []
    moves: list[tuple[int, int]] = []  # from this position on, so many characters further
    end = length = 0
    for match in re.finditer(r"sandbox:/mnt/data/([^\s)\"'>\]]+)", text):
        path = paths.get(unquote(match.group(1)))
        if path is None:
            continue
        pieces += [text[end : match.start()], quote(path)]
        length += len(pieces[-2]) + len(pieces[-1])
        end = match.end()
        moves.append((end, length - end))
    pieces.append(text[end:])

    def moved(position: int) -> int:
        return position + max(((start, by) for start, by in moves if start <= position), default=(0, 0))[1]

    return "".join(pieces), moved


# ---- Markdown ----------------------------------------------------------------------------------------------------


def markdown_of(answer: Answer) -> str:
    """`answer.md`: the question, the answer with its marks, charts, sources, notes, and what it took."""
    return "\n".join(_lines(answer)) + "\n"


def _lines(answer: Answer) -> Iterator[str]:
    yield f"# {' '.join(answer.question.split())}"
    yield ""
    if answer.error:
        yield f"> **{answer.status}**: {answer.error.message} (`{answer.error.code}`)"
        yield ""
    if answer.answer:
        yield _marked(answer)
        yield ""
    for chart in answer.charts:
        if quote(chart.path) not in (answer.answer or ""):
            yield f"![{chart.filename}]({_beside(answer, chart.path)})"
            yield ""
    if answer.outputs:
        yield "## Files"
        yield ""
        yield from (f"- [{file.filename}]({_beside(answer, file.path)})" for file in answer.outputs)
        yield ""
    if answer.citations:
        yield "## Sources"
        yield ""
        yield from _sources(answer.citations)
        yield ""
    yield from (f"> {note}\n" for note in answer.notes)
    yield "---"
    yield ""
    yield _footer(answer)


def _marked(answer: Answer) -> str:
    """The answer with [n] behind each cited place, and its links as seen from beside `answer.md`."""
    text = answer.answer or ""
    for citation in sorted(answer.citations, key=lambda c: (c.position, c.n), reverse=True):
        text = f"{text[: citation.position]} [{citation.n}]{text[citation.position :]}"
    return text.replace(f"]({answer.id}/", "](")


def _beside(answer: Answer, path: str) -> str:
    return quote(path.removeprefix(f"{answer.id}/"))


def _sources(citations: Sequence[Citation]) -> Iterator[str]:
    for n in sorted({citation.n for citation in citations}):
        citation = next(c for c in citations if c.n == n)
        page = f", page {citation.page}" if citation.page else ""
        words = " ".join(citation.quote.split())
        yield f"{n}. **{citation.document}**{page}" + (f": “{words}”" if words else "")


def _footer(answer: Answer) -> str:
    cost = f"cost {answer.cost.usd:.4f} USD at {answer.cost.prices}" if answer.cost else ""
    parts = [
        f"Run `{answer.id}`",
        f"model {answer.model}" if answer.model else "",
        f"{answer.timings.total_ms / 1000:.1f} s",
        cost,
    ]
    return " · ".join(part for part in parts if part)
