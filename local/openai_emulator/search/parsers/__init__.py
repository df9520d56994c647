"""Read the text of documents: `parse` in this process, `pool.ParserPool.parse` in a child process with limits."""

from __future__ import annotations

from pathlib import Path

from local.openai_emulator.search.parsers import detect
from local.openai_emulator.search.parsers.base import ErrorCode, ParseError, Section, invalid

__all__ = ["ErrorCode", "ParseError", "Section", "parse"]

MAX_TEXT_CHARS = 64 * 1024 * 1024


def parse(path: Path, filename: str) -> list[Section]:
    """Read a document's text, in reading order.

    The work is CPU bound. Files that users upload need the limits of a child process (`pool`).

    Args:
        path: The file on disk.
        filename: The name that the user gave the file. Its extension counts only where the content is ambiguous.

    Raises:
        ParseError: the file has no searchable text, is damaged, or has an unsupported format.
    """
    file_format = detect.format_of(path, filename)
    sections = _sections(file_format, path)
    if not any(section.text.strip() or section.heading for section in sections):
        if file_format == "pdf":
            raise invalid("This PDF has no text; scanned pages need OCR first.")
        raise invalid("This file contains no text.")
    if sum(len(section.text) for section in sections) > MAX_TEXT_CHARS:
        raise invalid("This file holds more than 64 million characters of text; split it into smaller files.")
    return sections


def _sections(file_format: detect.DocumentFormat, path: Path) -> list[Section]:
    # Imported on use: a process that reads only text files does not load the PDF library.
    match file_format:
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

            return parse_plain(path.read_bytes(), file_format)
