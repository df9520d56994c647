"""Citations of an answer: what is quoted from which document, and where it stands there. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from shared.collections.attributes import Source
from shared.engines.base import Annotation, Output
from shared.engines.stores import Passage
from shared.formats.places.quotes import PlaceIndex
from shared.formats.places.sentences import sentences
from shared.models.runs import Citation, Run

QUOTE_MAX_CHARS = 600
NOT_CITED = "This answer cites no document."
NO_SOURCE = "This answer uses no document: none was searched or read for it."

# ---- what is quoted ----------------------------------------------------------------------------------------------


def citations_of(
    text: str, annotations: Sequence[Annotation], passages: Sequence[Passage], documents: Mapping[str, Source]
) -> Iterator[tuple[Citation, str]]:
    """One citation per annotation, quoting the part of its passage that shares most words with the cited sentence.

    Args:
        documents: File id -> the document version that the file was made from.

    Returns:
        Each citation, and the passage that it quotes; "" if there is none.
    """
    for annotation in sorted(annotations, key=lambda annotation: annotation.position):
        position = min(max(annotation.position, 0), len(text))
        source = documents.get(annotation.file_id) or Source(path=annotation.filename)
        statement = _statement(text, position)
        passage, quoted = _best_quote(statement, [p for p in passages if p.file_id == annotation.file_id])
        citation = Citation(
            n=0,
            document=source.path,
            file_id=annotation.file_id,
            filename=annotation.filename or (passage.filename if passage else source.path.rsplit("/", 1)[-1]),
            quote=quoted,
            position=position,
            etag=source.etag,
            last_modified_at=source.last_modified_at,
        )
        yield citation, passage.text if passage else ""


def numbered_citations(citations: Iterable[Citation]) -> Iterator[Citation]:
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
    best = (-math.inf, passages[0], _beginning(passages[0].text))
    for passage in passages:
        score, quoted = _best_window(words, passage.text, _pieces(passage.text))
        if score > best[0]:
            best = (score, passage, quoted)
    return best[1], best[2]


def _beginning(text: str) -> str:
    """The first sentences of a passage, as many as fit into a quote."""
    pieces = _pieces(text)
    if not pieces:
        return ""
    start = pieces[0][0]
    ends = [end for _, end, _ in pieces if end - start <= QUOTE_MAX_CHARS] or [start + QUOTE_MAX_CHARS]
    return text[start : ends[-1]]


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
    return tuple((start, end, frozenset(_words(text[start:end]))) for start, end in sentences(text))


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+(?:\.\d+)?", text.casefold()))


# ---- answers without sources ---------------------------------------------------------------------------------------


def note_on_sources(run: Run, output: Output, citations: Sequence[Citation]) -> tuple[str, ...]:
    """A note for an answer in text that names no document and had no data file to compute from.

    It is one neutral line, since nobody can tell a greeting from an invented figure by its words. Values that a
    function returned are a source, too, which the steps of the answer show.
    """
    is_computed = run.files and output.usage.code_interpreter_calls
    if citations or is_computed or run.answered or not output.text.strip():
        return ()
    return (NOT_CITED,) if output.usage.file_search_calls else (NO_SOURCE,)


# ---- where it stands ---------------------------------------------------------------------------------------------


def placed(citation: Citation, passage: str, index: PlaceIndex | None) -> Citation:
    """The citation with the place of its quote, and the words that stand there.

    Args:
        passage: The text around the quote, as the service returned it.
        index: The text of the cited version; None if the app has not kept it.
    """
    if index is None or not citation.quote:
        return citation
    found = index.find(citation.quote, passage=passage)
    if found is None:
        return replace(citation, verified=False if index.complete else None)
    place = found.place
    return replace(
        citation, quote=found.words, page=place.page, slide=place.slide, section=place.section, verified=True
    )
