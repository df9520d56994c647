"""Documents into text: `parse` here, or the same in a limited child process with `pool.ParserPool`."""

from __future__ import annotations

from pathlib import Path

from local.openai_emulator.search.parsers import detect
from local.openai_emulator.search.parsers.base import ErrorCode, ParseError, Section, invalid

__all__ = ["ErrorCode", "ParseError", "Section", "parse"]

MAX_TEXT_CHARS = 64 * 1024 * 1024


def parse(path: Path, filename: str) -> list[Section]:
    """Read a document's text, in order; CPU bound, and safe only with the limits of a child process (`pool`).

    Args:
        path: Where the bytes are.
        filename: The name the user gave it; its ending decides only where the content leaves a choice.

    Raises:
        ParseError: nothing here that could be searched.
    """
    kind = detect.kind_of(path, filename)
    sections = _sections(kind, path)
    if not any(section.text.strip() or section.heading for section in sections):
        raise invalid(
            "This PDF has no text; scanned pages need OCR first." if kind == "pdf" else "This file contains no text."
        )
    if sum(len(section.text) for section in sections) > MAX_TEXT_CHARS:
        raise invalid("This file holds more than 64 million characters of text; split it into smaller files.")
    return sections


def _sections(kind: detect.Kind, path: Path) -> list[Section]:
    # Imported here so that a process that only meets text files loads no PDF library.
    match kind:
        case "pdf":
            from local.openai_emulator.search.parsers.pdf import parse_pdf

            return parse_pdf(path)
        case "docx":
            from local.openai_emulator.search.parsers.docx import parse_docx

            return parse_docx(path)
        case "pptx":
            from local.openai_emulator.search.parsers.pptx import parse_pptx

            return parse_pptx(path)
        case "html":
            from local.openai_emulator.search.parsers.html import parse_html

            return parse_html(path.read_bytes())
        case "markdown" | "json" | "text":
            from local.openai_emulator.search.parsers.plain import parse_plain

            return parse_plain(path.read_bytes(), kind)
