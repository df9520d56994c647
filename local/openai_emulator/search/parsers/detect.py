"""Detect a document's format from its first bytes; the extension counts only where these are ambiguous."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath
from typing import Literal

from local.openai_emulator.search.parsers.base import invalid, unsupported

DocumentFormat = Literal["pdf", "docx", "pptx", "html", "markdown", "json", "text"]

# https://platform.openai.com/docs/assistants/tools/file-search#supported-files
CODE = {".c", ".cpp", ".cs", ".css", ".go", ".java", ".js", ".php", ".py", ".rb", ".sh", ".tex", ".ts"}
TEXT_FORMATS: dict[str, DocumentFormat] = {
    ".txt": "text",
    ".md": "markdown",
    ".html": "html",
    ".htm": "html",
    ".json": "json",
    **dict.fromkeys(sorted(CODE), "text"),
}
_OFFICE = {".pdf": "a PDF", ".docx": "a Word document", ".pptx": "a PowerPoint presentation"}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BINARY: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"BM", "an image"),
    (b"II*\x00", "an image"),
    (b"MM\x00*", "an image"),
    (b"RIFF", "an image, a sound or a film"),
    (b"\x1f\x8b", "a compressed file"),
    (b"BZh", "a compressed file"),
    (b"\xfd7zXZ", "a compressed file"),
    (b"7z\xbc\xaf", "an archive"),
    (b"Rar!", "an archive"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "a database"),
    (b"\x7fELF", "a program"),
    (b"{\\rtf", "an RTF document"),
)


def format_of(path: Path, filename: str) -> DocumentFormat:
    """The format of a file.

    Raises:
        ParseError: the file is empty, damaged, or of a format that file search does not support.
    """
    ending = PurePosixPath(filename).suffix.lower()
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise invalid("This file is empty.")
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return _inside_zip(path, ending)
    if head.startswith(_OLE):
        raise _ole_error(path)
    for magic, what in _BINARY:
        # A text can start with a short magic such as "BM"; a bitmap also has zero bytes after it.
        if head.startswith(magic) and (len(magic) > 3 or b"\x00" in head or magic[0] > 0x7E or magic[0] < 0x20):
            raise unsupported(f"File search cannot read {what}.")
    if ending in _OFFICE:
        raise invalid(f"This file is named {ending} but is not {_OFFICE[ending]}, or it is damaged.")
    if ending not in TEXT_FORMATS:
        raise unsupported(f"File search cannot read files of type '{ending or filename}'.")
    return TEXT_FORMATS[ending]


def _inside_zip(path: Path, ending: str) -> DocumentFormat:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as exc:
        if ending in _OFFICE:
            raise invalid(f"This {ending} file is damaged or incomplete and cannot be opened.") from exc
        raise unsupported("File search cannot read archives.") from exc
    if any(name.startswith("word/") for name in names):
        return "docx"
    if any(name.startswith("ppt/") for name in names):
        return "pptx"
    if any(name.startswith("xl/") for name in names):
        raise unsupported("File search cannot read spreadsheets.")
    if ending in _OFFICE:
        raise invalid(f"This {ending} file is not {_OFFICE[ending]}.")
    raise unsupported("File search cannot read archives.")


def _ole_error(path: Path) -> Exception:
    with path.open("rb") as file:
        content = file.read(16 * 1024 * 1024)
    if "EncryptedPackage".encode("utf-16-le") in content:
        return invalid("This document is protected with a password; remove the password and upload it again.")
    return unsupported("File search cannot read old Office files; save this one as .docx, .pptx or PDF.")
