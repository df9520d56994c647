"""DOC."""

from __future__ import annotations

import re
import zipfile
import zlib
from io import SEEK_END
from typing import IO

from shared.formats.base import BLOCK_BYTES, UnusableFile, failed, unsupported
from shared.formats.signatures import ARCHIVE

DIRECTORY_MAX_BYTES = 4 * 1024 * 1024  # of a zip, which Python reads whole
ENTRIES_MAX = 20_000
UNPACKED_MAX_BYTES = 1024 * 1024 * 1024
RATIO_MAX = 200  # for what unpacks to more than RATIO_FREE_BYTES; spreadsheets reach 50
RATIO_FREE_BYTES = 64 * 1024 * 1024


OFFICE = {  # how `[Content_Types].xml` names the main part; embedded files lack the `.main`
    rb"wordprocessingml\.(document|template)\.main\+xml": "docx",
    rb"presentationml\.(presentation|slideshow|template)\.main\+xml": "pptx",
    rb"spreadsheetml\.(sheet|template)\.main\+xml": "xlsx",
}


OPEN_DOCUMENT = {b"text": ".docx or PDF", b"spreadsheet": ".xlsx or CSV", b"presentation": ".pptx or PDF"}
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def _zip(content: IO[bytes]) -> str:
    _check_directory(content)
    content.seek(0)
    try:
        with zipfile.ZipFile(content) as parts:
            entries = parts.infolist()
            types = _start(parts, "[Content_Types].xml", BLOCK_BYTES)
            mimetype = _start(parts, "mimetype", 100)
            packed_bytes = content.seek(0, SEEK_END)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as exc:
        raise failed(
            "damaged", "The file is damaged: it begins like an Office document or a zip, but ends early."
        ) from exc
    except ValueError as exc:
        raise failed("damaged", "The file is damaged: its list of parts cannot be read.") from exc
    ending = _office(types, {entry.filename for entry in entries}, mimetype)
    unpacked_bytes = sum(entry.file_size for entry in entries)
    is_bomb = unpacked_bytes > RATIO_FREE_BYTES and unpacked_bytes > RATIO_MAX * packed_bytes
    if is_bomb or unpacked_bytes > UNPACKED_MAX_BYTES or len(entries) > ENTRIES_MAX:
        raise _too_large(f"It has {unpacked_bytes:,} bytes in {len(entries):,} parts when unpacked")
    return ending


def _too_large(message: str) -> UnusableFile:
    return failed("too_large_unpacked", f"{message}, which is more than is read. Split it.")


def _check_directory(content: IO[bytes]) -> None:
    """A zip's directory is held in memory by whoever opens it; its size stands at the end of the file.

    Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.14 to 4.3.16
    """
    size_bytes = content.seek(0, SEEK_END)
    content.seek(max(0, size_bytes - 65_557 - 76))
    tail = content.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0:
        return
    directory_bytes = int.from_bytes(tail[end + 12 : end + 16], "little")
    wide = tail.rfind(b"PK\6\6", 0, end)
    if wide >= 0:
        directory_bytes = int.from_bytes(tail[wide + 40 : wide + 48], "little")
    if directory_bytes > DIRECTORY_MAX_BYTES:
        raise _too_large(f"Its list of parts has {directory_bytes:,} bytes")


def _start(parts: zipfile.ZipFile, name: str, most_bytes: int) -> bytes:
    try:
        with parts.open(name) as part:
            return part.read(most_bytes)
    except KeyError:
        return b""
    except zlib.error as exc:
        raise zipfile.BadZipFile(str(exc)) from exc


def _office(types: bytes, names: set[str], mimetype: bytes) -> str:
    if b"macroEnabled" in types and b"macroEnabled.main+xml" in types:
        plain = ".docx" if b"ms-word" in types else ".pptx" if b"ms-powerpoint" in types else ".xlsx"
        raise unsupported(f"Office files with macros are not read. Save it without macros as {plain}.")
    if b"ms-excel.sheet.binary" in types:
        raise unsupported("A binary workbook is not read. Save it as .xlsx.")
    for pattern, ending in OFFICE.items():
        if re.search(pattern, types):
            return ending
    for main, ending in (("word/document.xml", "docx"), ("ppt/presentation.xml", "pptx"), ("xl/workbook.xml", "xlsx")):
        if main in names:
            return ending
    if mimetype.startswith(b"application/epub"):
        raise unsupported("An EPUB is not read. Convert it to PDF or HTML.")
    if found := re.match(rb"application/vnd\.oasis\.opendocument\.(text|spreadsheet|presentation)", mimetype):
        raise unsupported(f"OpenDocument files are not read. Save it as {OPEN_DOCUMENT[found[1]]}.")
    raise unsupported(ARCHIVE)


def _ole(head: bytes, content: IO[bytes]) -> str:
    """The container of Office before 2007, and of newer files under a password, told by the names of its streams."""
    streams = {
        name
        for name in ("EncryptedPackage", "WordDocument", "PowerPoint Document", "Workbook", "Book")
        if _holds(content, name.encode("utf-16-le") + b"\0\0")
    }
    # In a Word file's first sector, bit 8 of the flags says that it is encrypted: [MS-DOC] 2.5.2, FibBase.
    word_is_locked = head[512:514] == b"\xec\xa5" and len(head) > 523 and head[523] & 1
    if "EncryptedPackage" in streams or ("WordDocument" in streams and word_is_locked):
        raise failed("encrypted", "The document is protected by a password. Remove it and drop the file.")
    if "WordDocument" in streams:
        return "doc"
    if "PowerPoint Document" in streams:
        raise unsupported("Old PowerPoint files are not read. Save it as .pptx.")
    if streams:
        raise unsupported("Old Excel files are not read. Save it as .xlsx.")
    raise unsupported("The content is neither text nor a type that is read.", "binary_content")


def _holds(content: IO[bytes], wanted: bytes) -> bool:
    content.seek(0)
    before = b""
    while block := content.read(BLOCK_BYTES):
        if wanted in before + block:
            return True
        before = block[-len(wanted) :]
    return False
