"""Places of DOCX and PPTX: the sections of a document, and the slides of a presentation with their notes.

Only the parts that hold text are unpacked, each up to a limit, and their XML is read as a stream.
Source: https://ecma-international.org/publications-and-standards/standards/ecma-376/
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree

from shared.formats.packages import ANY, DAMAGED, attribute, elements, name_of, value_of
from shared.formats.places.base import Place
from shared.formats.places.charts import chart_tables

NAME_MAX_CHARS = 200
BODY_TEXT = 9  # the outline level of text that is no heading
# Parts of a DOCX beside the text itself, and how a person calls them.
BESIDE = {
    "header": "Header",
    "footer": "Footer",
    "footnotes": "Footnotes",
    "endnotes": "Endnotes",
    "comments": "Comments",
}
# The relationships of a slide to parts with text, and what the text is called.
SLIDE_PARTS = {"notesSlide": "Notes", "chart": "Chart", "diagramData": "Diagram", "comments": "Comments"}


class UnreadableOffice(Exception):
    """The app cannot read the text of this file."""


def docx_places(content: IO[bytes]) -> Iterator[Place]:
    """Sections below headings; then headers, footers, notes and comments.

    Raises:
        UnreadableOffice: the text is damaged or too large.
    """
    try:
        with zipfile.ZipFile(content) as parts:
            yield from _sections(parts)
            seen = set[tuple[str, str]]()  # many sections repeat their headers
            for name in sorted(parts.namelist()):
                if re.fullmatch(r"word/charts/chart\d*\.xml", name):
                    for text in chart_tables(parts, name):
                        yield Place(kind="section", name="Charts", text=text, beside=True)
                found = re.fullmatch(r"word/([a-z]+)\d*\.xml", name)
                if found and found[1] in BESIDE:
                    text = "\n".join(text for _, text in _word_paragraphs(parts, name) if text.strip())
                    if (found[1], text) in seen:
                        continue
                    seen.add((found[1], text))
                    yield Place(kind="section", name=BESIDE[found[1]], text=text, beside=_has_words(text))
    except DAMAGED as exc:
        raise UnreadableOffice(str(exc)) from exc


def _sections(parts: zipfile.ZipFile) -> Iterator[Place]:
    headings: set[str] | None = None
    name, lines = "", list[str]()
    for style, text in _word_paragraphs(parts, "word/document.xml"):
        if style and headings is None:  # many documents use no styles, and the part that defines them is large
            headings = _heading_styles(parts)
        if headings and style in headings and text.strip():
            yield Place(kind="section", name=name, text="\n".join(lines))
            name, lines = " ".join(text.split())[:NAME_MAX_CHARS], []
        lines.append(text)
    yield Place(kind="section", name=name, text="\n".join(lines))


def _heading_styles(parts: zipfile.ZipFile) -> set[str]:
    """The ids of paragraph styles with an outline level or the name of a heading, which Word stores in English."""
    styles = set[str]()
    if "word/styles.xml" not in parts.namelist():
        return styles
    for element in elements(parts, "word/styles.xml", "style"):
        title = value_of(element.find(f"{ANY}name")).lower()
        level = value_of(element.find(f"{ANY}pPr/{ANY}outlineLvl"))
        if title.startswith(("heading", "title")) or (level.isdecimal() and int(level) < BODY_TEXT):
            styles.add(attribute(element, "styleId"))
    return styles


def _word_paragraphs(parts: zipfile.ZipFile, part: str) -> Iterator[tuple[str, str]]:
    """The style id and the text of each paragraph, also of those in tables and text boxes."""
    for paragraph in elements(parts, part, "p"):
        yield value_of(paragraph.find(f"{ANY}pPr/{ANY}pStyle")), "".join(_word_text(paragraph))


def _word_text(paragraph: ElementTree.Element) -> Iterator[str]:
    for element in paragraph.iter():
        match name_of(element):
            case "t":
                yield element.text or ""
            case "tab" | "br" | "cr":
                yield " "
            case "noBreakHyphen":
                yield "-"


def pptx_places(content: IO[bytes]) -> Iterator[Place]:
    """Slides in the order of the presentation, each with its speaker notes, comments, and the figures of its charts.

    Raises:
        UnreadableOffice: the text is damaged or too large.
    """
    try:
        with zipfile.ZipFile(content) as parts:
            for number, slide in enumerate(_slides(parts), start=1):
                lines = [*_drawing_paragraphs(parts, slide)]
                name = _first_line(lines)
                yield Place(kind="slide", number=number, name=name, text="\n".join(lines))
                beside = "\n\n".join(_beside(parts, slide))
                yield Place(kind="slide", number=number, name=name, text=beside, beside=_has_words(beside))
    except DAMAGED as exc:
        raise UnreadableOffice(str(exc)) from exc


def _beside(parts: zipfile.ZipFile, slide: str) -> Iterator[str]:
    """What belongs to a slide and is in other parts of the file."""
    names = set(parts.namelist())
    for kind, title in SLIDE_PARTS.items():
        for part in sorted(set(_related(parts, slide, kind).values()) & names):
            if kind == "chart":
                yield from chart_tables(parts, part)
            elif lines := [text for text in _drawing_paragraphs(parts, part) if _has_words(text)]:
                yield f"{title}:\n\n" + "\n".join(lines)
            elif kind == "comments":  # in the form of before 2018, their text is in an element of its own
                old = [element.text or "" for element in elements(parts, part, "text")]
                yield from (f"{title}:\n\n" + "\n".join(old),) if any(old) else ()


def _has_words(text: str) -> bool:
    """Whether a text is more than page numbers and signs."""
    return any(map(str.isalpha, text))


def _slides(parts: zipfile.ZipFile) -> Iterator[str]:
    """The names of the slides' parts. Their numbers say nothing: the presentation lists the order."""
    main = "ppt/presentation.xml"
    slides, left = _related(parts, main, "slide"), set(parts.namelist())
    for element in elements(parts, main, "sldId"):
        relation = next((value for name, value in element.items() if name.endswith("}id")), "")
        if (part := slides.get(relation, "")) in left:
            left.remove(part)  # a presentation shows each of its slides once
            yield part


def _related(parts: zipfile.ZipFile, part: str, kind: str) -> dict[str, str]:
    """Relationship id -> name of the part, for the relationships of this kind."""
    folder, name = posixpath.split(part)
    relations = f"{folder}/_rels/{name}.rels"
    if relations not in parts.namelist():
        return {}
    return {
        element.get("Id") or "": posixpath.normpath(posixpath.join(folder, element.get("Target") or "")).lstrip("/")
        for element in elements(parts, relations, "Relationship")
        if (element.get("Type") or "").endswith(f"/{kind}")
    }


def _drawing_paragraphs(parts: zipfile.ZipFile, part: str) -> Iterator[str]:
    for paragraph in elements(parts, part, "p"):
        yield "".join(element.text or "" for element in paragraph.iter() if name_of(element) == "t")


def _first_line(lines: list[str]) -> str:
    return next((" ".join(line.split())[:NAME_MAX_CHARS] for line in lines if line.strip()), "")
