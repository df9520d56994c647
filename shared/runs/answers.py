"""Citations, links and file names of an answer, and its Markdown. Pure."""

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
from shared.runs.escaping import edited, inert, label, plain

QUOTE_MAX_CHARS = 600
IMAGE_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}

# ---- citations ---------------------------------------------------------------------------------------------------


def citations_of(
    text: str, annotations: Sequence[Annotation], passages: Sequence[Passage], documents: Mapping[str, Source]
) -> tuple[Citation, ...]:
    """One citation per annotation, quoting the part of its passage that shares most words with the cited sentence.

    Args:
        documents: File id -> the document version that the file was made from.
    """
    found: list[Citation] = []
    for annotation in sorted(annotations, key=lambda annotation: annotation.position):
        position = min(max(annotation.position, 0), len(text))
        source = documents.get(annotation.file_id) or Source(path=annotation.filename)
        statement = _statement(text, position)
        passage, quoted = _best_quote(statement, [p for p in passages if p.file_id == annotation.file_id])
        found.append(
            Citation(
                n=len(found) + 1,
                document=source.path,
                file_id=annotation.file_id,
                filename=annotation.filename or (passage.filename if passage else source.path.rsplit("/", 1)[-1]),
                quote=quoted,
                position=position,
                page=source.page(passage.attributes.get("page")) if passage else None,
                etag=source.etag,
                last_modified_at=source.last_modified_at,
            )
        )
    return tuple(_numbered(found))


def _numbered(citations: list[Citation]) -> Iterator[Citation]:
    """Number the citations from 1. The same quote of the same document gets the same number."""
    numbers: dict[tuple[str, str], int] = {}
    for citation in citations:
        n = numbers.setdefault((citation.document, citation.quote), len(numbers) + 1)
        yield replace(citation, n=n)


def _statement(text: str, position: int) -> str:
    """The sentence before a mark at `position`. If that ends with a colon, the paragraph after it is included."""
    before = text[:position].rstrip()
    rest_of_line, _, after = text[position:].partition("\n")
    sentence = re.split(r"(?<=[.!?])\s+|\n", before)[-1]
    if (sentence + rest_of_line).rstrip(" *").endswith(":"):
        return sentence + " " + re.split(r"\n\s*\n", after.strip())[0]
    return sentence


def _best_quote(statement: str, passages: Sequence[Passage]) -> tuple[Passage | None, str]:
    """The consecutive sentences or lines that share the most words with the statement, and their passage."""
    words = _words(statement)
    if not passages:
        return None, ""
    # If no word is shared, as with an answer in another language: the beginning of the first passage.
    best = (-math.inf, passages[0], passages[0].text.strip()[:QUOTE_MAX_CHARS])
    for passage in passages:
        score, quoted = _best_window(words, passage.text, _pieces(passage.text))
        if score > best[0]:
            best = (score, passage, quoted)
    return best[1], best[2]


Piece = tuple[int, int, frozenset[str]]  # start, end, words


def _best_window(words: set[str], text: str, pieces: Sequence[Piece]) -> tuple[float, str]:
    """The score and text of the best consecutive pieces, at most `QUOTE_MAX_CHARS` long; a longer piece is cut off."""
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
            # Other words count against it: a whole paragraph is not a quote.
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


# ---- files of code interpreter -----------------------------------------------------------------------------------


def media_type_of(filename: str) -> str | None:
    """The media type of an image; None for any other file."""
    return IMAGE_TYPES.get(filename.rsplit(".", 1)[-1].lower())


def safe_filename(filename: str) -> str:
    """The model chose the name: keep letters, digits and a few other characters, and drop folders."""
    name = re.sub(r"[^\w.() -]+", "_", filename.replace("\\", "/").rsplit("/", 1)[-1]).strip(". ")
    return name[-100:] or "file"


def distinct(made: Sequence[MadeFile]) -> tuple[MadeFile, ...]:
    """Without repetitions, in the same order."""
    first: dict[tuple[str, str], MadeFile] = {}
    for file in made:
        first.setdefault((file.container_id, file.file_id), file)
    return tuple(first.values())


def numbered(made: Sequence[MadeFile]) -> Iterator[tuple[int, MadeFile]]:
    """Number images and other files separately, from 1. Lost files count, too: a retry gives the same numbers."""
    counts = {True: 0, False: 0}
    for file in made:
        is_image = media_type_of(file.filename) is not None
        counts[is_image] += 1
        yield counts[is_image], file


def link(text: str, paths: Mapping[str, str]) -> tuple[str, Callable[[int], int]]:
    """Replace `sandbox:/mnt/data/<file>` by the path in `answers` at which the file was saved.

    Args:
        paths: File name in the sandbox -> path in `answers`. Links to other files are not changed.

    Returns:
        The new text, and a function that converts a position in the old text to one in the new text.
    """
    matches = re.finditer(r"sandbox:/mnt/data/([^\s)\"'>\]]+)", text)
    found = ((match, paths.get(unquote(match[1]))) for match in matches)
    return edited(text, ((*match.span(), quote(path)) for match, path in found if path is not None))


def own_links(answer: Answer) -> frozenset[str]:
    """The targets of links to the answer's own files."""
    paths = [chart.path for chart in answer.charts] + [file.path for file in answer.outputs]
    return frozenset(map(quote, paths))


def without_active_content(answer: Answer) -> Answer:
    """The answer with Markdown that does not act on its reader; citations keep their places."""
    text, new_position = inert(answer.answer or "", own_links(answer))
    citations = tuple(replace(citation, position=new_position(citation.position)) for citation in answer.citations)
    return replace(answer, answer=text if answer.answer is not None else None, citations=citations)


# ---- Markdown ----------------------------------------------------------------------------------------------------


def markdown_of(answer: Answer) -> str:
    """`answer.md`: question, answer with citation markers, charts, files, sources, notes, time and cost."""
    return "\n".join(_lines(answer)) + "\n"


def _lines(answer: Answer) -> Iterator[str]:
    yield f"# {plain(answer.question)}"
    yield ""
    if answer.error:
        yield f"> **{answer.status}**: {plain(answer.error.message)} (`{plain(answer.error.code)}`)"
        yield ""
    if answer.answer:
        yield _with_markers(answer)
        yield ""
    for chart in answer.charts:
        if f"]({quote(chart.path)}" not in (answer.answer or ""):
            yield f"![{label(chart.filename)}]({_relative(answer, chart.path)})"
            yield ""
    if answer.outputs:
        yield "## Files"
        yield ""
        yield from (f"- [{label(file.filename)}]({_relative(answer, file.path)})" for file in answer.outputs)
        yield ""
    if answer.citations:
        yield "## Sources"
        yield ""
        yield from _sources(answer.citations)
        yield ""
    yield from (f"> {plain(note)}\n" for note in answer.notes)
    yield "---"
    yield ""
    yield _footer(answer)


def _with_markers(answer: Answer) -> str:
    """The answer with [n] after each cited place. Links are relative to `answer.md`."""
    text = answer.answer or ""
    for citation in sorted(answer.citations, key=lambda c: (c.position, c.n), reverse=True):
        text = f"{text[: citation.position]} [{citation.n}]{text[citation.position :]}"
    text, _ = inert(text, own_links(answer))  # a marker before a colon would make a definition of a link
    return text.replace(f"]({answer.id}/", "](")


def _relative(answer: Answer, path: str) -> str:
    return quote(path.removeprefix(f"{answer.id}/"))


def _sources(citations: Sequence[Citation]) -> Iterator[str]:
    for n in sorted({citation.n for citation in citations}):
        citation = next(c for c in citations if c.n == n)
        page = f", page {citation.page}" if citation.page else ""
        quoted = plain(citation.quote)
        yield f"{n}. **{plain(citation.document)}**{page}" + (f": “{quoted}”" if quoted else "")


def _footer(answer: Answer) -> str:
    cost = f"cost {answer.cost.usd:.4f} USD at {answer.cost.prices}" if answer.cost else ""
    parts = [
        f"Run `{answer.id}`",
        f"model {plain(answer.model)}" if answer.model else "",
        f"{answer.timings.total_ms / 1000:.1f} s",
        cost,
    ]
    return " · ".join(part for part in parts if part)
