"""Places of DOCX and PPTX: the sections of a document, and the slides of a presentation with their notes.

Only the parts that hold text are unpacked, each up to a limit, and their XML is read as a stream.
Source: https://ecma-international.org/publications-and-standards/standards/ecma-376/
"""

from __future__ import annotations

import lzma
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree

from shared.formats.places.base import Place

PART_MAX_BYTES = 64 * 1024 * 1024  # of one part, unpacked
NAME_MAX_CHARS = 200
BODY_TEXT = 9  # the outline level of text that is no heading
ANY = "{*}"  # namespaces differ between the transitional and the strict form, the names of elements do not
# Parts of a DOCX beside the text itself, and how a person calls them.
BESIDE = {
    "header": "Header",
    "footer": "Footer",
    "footnotes": "Footnotes",
    "endnotes": "Endnotes",
    "comments": "Comments",
}
DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    ElementTree.ParseError,
    NotImplementedError,
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    lzma.LZMAError,
)


class UnreadableOffice(Exception):
    """The app cannot read the text of this file."""


def unpacked_bytes(content: IO[bytes]) -> int:
    """The size of all parts by the file's directory, beyond which no part can be read; 0 when it is damaged."""
    try:
        with zipfile.ZipFile(content) as parts:
            return sum(entry.file_size for entry in parts.infolist() if entry.filename.endswith((".xml", ".rels")))
    except DAMAGED:
        return 0


def docx_places(content: IO[bytes]) -> Iterator[Place]:
    """Sections below headings; then headers, footers, notes and comments.

    Raises:
        UnreadableOffice: the text is damaged or too large.
    """
    try:
        with zipfile.ZipFile(content) as parts:
            yield from _sections(parts)
            for name in sorted(parts.namelist()):
                found = re.fullmatch(r"word/([a-z]+)\d*\.xml", name)
                if found and found[1] in BESIDE:
                    text = "\n".join(text for _, text in _word_paragraphs(parts, name))
                    yield Place(kind="section", name=BESIDE[found[1]], text=text)
    except DAMAGED as exc:
        raise UnreadableOffice(str(exc)) from exc


def _sections(parts: zipfile.ZipFile) -> Iterator[Place]:
    headings = _heading_styles(parts)
    name, lines = "", list[str]()
    for style, text in _word_paragraphs(parts, "word/document.xml"):
        if style in headings and text.strip():
            yield Place(kind="section", name=name, text="\n".join(lines))
            name, lines = " ".join(text.split())[:NAME_MAX_CHARS], []
        lines.append(text)
    yield Place(kind="section", name=name, text="\n".join(lines))


def _heading_styles(parts: zipfile.ZipFile) -> set[str]:
    """The ids of paragraph styles with an outline level or the name of a heading, which Word stores in English."""
    styles = set[str]()
    if "word/styles.xml" not in parts.namelist():
        return styles
    for element in _elements(parts, "word/styles.xml", "style"):
        title = _value(element.find(f"{ANY}name")).lower()
        level = _value(element.find(f"{ANY}pPr/{ANY}outlineLvl"))
        if title.startswith(("heading", "title")) or (level.isdecimal() and int(level) < BODY_TEXT):
            styles.add(_attribute(element, "styleId"))
    return styles


def _word_paragraphs(parts: zipfile.ZipFile, part: str) -> Iterator[tuple[str, str]]:
    """The style id and the text of each paragraph, also of those in tables and text boxes."""
    for paragraph in _elements(parts, part, "p"):
        yield _value(paragraph.find(f"{ANY}pPr/{ANY}pStyle")), "".join(_word_text(paragraph))


def _word_text(paragraph: ElementTree.Element) -> Iterator[str]:
    for element in paragraph.iter():
        match _name(element):
            case "t":
                yield element.text or ""
            case "tab" | "br" | "cr":
                yield " "
            case "noBreakHyphen":
                yield "-"


def pptx_places(content: IO[bytes]) -> Iterator[Place]:
    """Slides in the order of the presentation, each with its speaker notes.

    Raises:
        UnreadableOffice: the text is damaged or too large.
    """
    try:
        with zipfile.ZipFile(content) as parts:
            for number, slide in enumerate(_slides(parts), start=1):
                lines = [*_drawing_paragraphs(parts, slide)]
                for notes in set(_related(parts, slide, "notesSlide").values()):
                    lines += _drawing_paragraphs(parts, notes)
                yield Place(kind="slide", number=number, name=_first_line(lines), text="\n".join(lines))
    except DAMAGED as exc:
        raise UnreadableOffice(str(exc)) from exc


def _slides(parts: zipfile.ZipFile) -> Iterator[str]:
    """The names of the slides' parts. Their numbers say nothing: the presentation lists the order."""
    main = "ppt/presentation.xml"
    slides, left = _related(parts, main, "slide"), set(parts.namelist())
    for element in _elements(parts, main, "sldId"):
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
        for element in _elements(parts, relations, "Relationship")
        if (element.get("Type") or "").endswith(f"/{kind}")
    }


def _drawing_paragraphs(parts: zipfile.ZipFile, part: str) -> Iterator[str]:
    for paragraph in _elements(parts, part, "p"):
        yield "".join(element.text or "" for element in paragraph.iter() if _name(element) == "t")


def _first_line(lines: list[str]) -> str:
    return next((" ".join(line.split())[:NAME_MAX_CHARS] for line in lines if line.strip()), "")


def _name(element: ElementTree.Element) -> str:
    """The name of an element without its namespace; "" for a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _attribute(element: ElementTree.Element | None, name: str) -> str:
    """An attribute without its namespace; "" if there is none."""
    items = element.items() if element is not None else ()
    return next((value for key, value in items if key.rpartition("}")[2] == name), "")


def _value(element: ElementTree.Element | None) -> str:
    return _attribute(element, "val")


def _elements(parts: zipfile.ZipFile, part: str, name: str) -> Iterator[ElementTree.Element]:
    """The outermost elements with this name, one at a time.

    Raises:
        ValueError: the part is too large, or declares entities.
    """
    depth = 0
    with parts.open(part) as source:
        # Expat resolves no external entities and limits the growth of others: https://libexpat.github.io/doc/api/
        for event, element in ElementTree.iterparse(_Checked(source), events=("start", "end")):  # noqa: S314
            if _name(element) != name:
                continue
            depth += 1 if event == "start" else -1
            if event == "end" and not depth:
                yield element
                element.clear()  # what was read takes no memory


class _Checked:
    """Reads a part up to the limit. A DOCTYPE is refused: it can declare entities, and Office writes none.

    UTF-16, in which the word could hide, is refused, too: Office writes UTF-8.
    """

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._left_bytes = PART_MAX_BYTES
        self._end = b""  # of the block before: the word may lie on the border

    def read(self, size: int = -1) -> bytes:
        block = self._source.read(size)
        self._left_bytes -= len(block)
        if self._left_bytes < 0 or b"<!DOCTYPE" in self._end + block or b"\0" in block:
            raise ValueError("The part is too large, has a DOCTYPE, or is not UTF-8.")
        self._end = block[-8:]
        return block
