"""PowerPoint: one section per slide, with the slide number as the page; speaker notes follow the slide's text."""

from __future__ import annotations

from pathlib import Path

from lxml import etree  # type: ignore[import-untyped]

from local.openai_emulator.search.parsers.base import Section
from local.openai_emulator.search.parsers.ooxml import Package, attribute, local, opened

_PRESENTATION = "ppt/presentation.xml"


def parse_pptx(path: Path) -> list[Section]:
    with opened(path) as package:
        relations = package.relations(_PRESENTATION)
        shown = [e for e in package.xml(_PRESENTATION).iter() if local(e) == "sldId"]
        parts = [relations.get(_relation_id(slide) or "") for slide in shown]
        return [_slide(package, part, number) for number, part in enumerate(parts, 1) if part]


def _relation_id(slide: etree._Element) -> str | None:
    """The attribute `r:id`, not the slide's `id`."""
    return next((str(value) for key, value in slide.attrib.items() if str(key).endswith("}id")), None)


def _slide(package: Package, part: str, number: int) -> Section:
    title, lines = None, []
    for shape in package.xml(part).iter():
        if local(shape) == "sp":
            text = _paragraphs(shape)
            if title is None and text and _is_title(shape):
                title = " ".join(" ".join(text).split())
            else:
                lines += text
        elif local(shape) == "tbl":
            lines += _rows(shape)
    for name in package.relations(part).values():
        if name.startswith("ppt/notesSlides/"):
            lines += _notes(package, name)
    return Section(text="\n".join(lines), page=number, heading=title)


def _paragraphs(element: etree._Element) -> list[str]:
    paragraphs = []
    for paragraph in element.iter():
        if local(paragraph) == "p":
            runs = (e.text or "" if local(e) == "t" else "\n" for e in paragraph.iter() if local(e) in ("t", "br"))
            paragraphs.append("".join(runs).strip())
    return [text for text in paragraphs if text]


def _rows(table: etree._Element) -> list[str]:
    rows = ([" ".join(_paragraphs(cell)) for cell in row if local(cell) == "tc"] for row in table if local(row) == "tr")
    return [" | ".join(cells) for cells in rows if any(cells)]


def _notes(package: Package, part: str) -> list[str]:
    shapes = (e for e in package.xml(part).iter() if local(e) == "sp")
    return [line for shape in shapes if _placeholder(shape) == "body" for line in _paragraphs(shape)]


def _is_title(shape: etree._Element) -> bool:
    return _placeholder(shape) in ("title", "ctrTitle")


def _placeholder(shape: etree._Element) -> str | None:
    return next((attribute(e, "type") for e in shape.iter() if local(e) == "ph"), None)
