"""Links and file names of an answer, and its Markdown. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote, unquote

from shared.engines.base import MadeFile
from shared.formats.filetypes import made_name, own_name
from shared.models.runs import Answer, Citation
from shared.runs.escaping import edited, inert, label, plain

IMAGE_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}

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
        first.setdefault((file.container_id, file.file_id or file.url or ""), file)
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


def with_own_names(text: str, paths: Iterable[str], *, found: Iterable[str] = ()) -> tuple[str, Callable[[int], int]]:
    """The text in which files have the names of their documents, instead of those that they have at the service.

    Args:
        paths: The documents whose data files code interpreter had.
        found: The documents that file search found.

    Returns:
        As `link`.
    """
    searched = set(found)
    names = {path.rsplit("/", 1)[-1] for path in searched}
    made = {edit for path in searched for edit in made_name(text, path) if text[edit[0] : edit[1]] not in names}
    edits = sorted(made.union(edit for path in paths for edit in own_name(text, path)))
    apart = [edit for n, edit in enumerate(edits) if not n or edit[0] >= edits[n - 1][1]]
    return edited(text, apart)


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
        quoted = f": “{plain(citation.quote)}”" if citation.quote else ""
        doubt = " (this quote was not found in the document)" if citation.verified is False else ""
        yield f"{n}. **{plain(citation.document)}**{_place(citation)}{quoted}{doubt}"


def _place(citation: Citation) -> str:
    if citation.page:
        return f", page {citation.page}"
    if citation.slide:
        return f", slide {citation.slide}"
    return f", section “{plain(citation.section)}”" if citation.section else ""


def _footer(answer: Answer) -> str:
    cost = f"cost {answer.cost.usd:.4f} USD at {answer.cost.prices}" if answer.cost else ""
    parts = [
        f"Run `{answer.id}`",
        f"model {plain(answer.model)}" if answer.model else "",
        f"{answer.timings.total_ms / 1000:.1f} s",
        cost,
    ]
    return " · ".join(part for part in parts if part)
