"""Office documents: detects the type of a zip file (Office 2007 and later) or of an OLE file (before 2007).

Only the zip's directory, `[Content_Types].xml` and `mimetype` are read; no other part is unpacked.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from io import SEEK_END
from typing import IO

from shared.formats.base import BLOCK_BYTES, UnusableFile, failed, unsupported
from shared.formats.signatures import ARCHIVE, BINARY

DIRECTORY_MAX_BYTES = 4 * 1024 * 1024  # `zipfile` reads the whole directory into memory
ENTRIES_MAX = 20_000
UNPACKED_MAX_BYTES = 1024 * 1024 * 1024
RATIO_MAX = 200  # unpacked size to packed size, checked above RATIO_FREE_BYTES; spreadsheets reach 50
RATIO_FREE_BYTES = 64 * 1024 * 1024

# The content type of the main part in `[Content_Types].xml`; embedded files lack the `.main`.
MAIN_TYPES = {
    rb"wordprocessingml\.(document|template)\.main\+xml": "docx",
    rb"presentationml\.(presentation|slideshow|template)\.main\+xml": "pptx",
    rb"spreadsheetml\.(sheet|template)\.main\+xml": "xlsx",
}
MAIN_PARTS = {"word/document.xml": "docx", "ppt/presentation.xml": "pptx", "xl/workbook.xml": "xlsx"}
OPEN_DOCUMENT = {b"text": "odt", b"spreadsheet": "ods", b"presentation": "odp"}
OUTLOOK = "__properties_version1.0"  # [MS-OXMSG] 2.4
MANIFEST = "META-INF/manifest.xml"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


# ---- zip ---------------------------------------------------------------------------------------------------------


def zip_ending(content: IO[bytes]) -> str:
    """The extension of an Office document (docx, pptx, xlsx), an OpenDocument file (odt, odp, ods), or an EPUB.

    Raises:
        UnusableFile: it is another kind of zip, damaged, or a zip bomb by the sizes that its directory declares.
    """
    _check_directory(content)
    content.seek(0)
    try:
        with zipfile.ZipFile(content) as parts:
            entries = parts.infolist()
            types = _start_of(parts, "[Content_Types].xml", BLOCK_BYTES)
            mimetype = _start_of(parts, "mimetype", 100)
            manifest = _start_of(parts, MANIFEST, BLOCK_BYTES) if b"opendocument" in mimetype else b""
            packed_bytes = content.seek(0, SEEK_END)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as exc:
        raise failed(
            "damaged", "The file is damaged: it begins like an Office document or a zip, but ends early."
        ) from exc
    except ValueError as exc:
        raise failed("damaged", "The file is damaged: its list of parts cannot be read.") from exc
    if b"encryption-data" in manifest:
        raise failed("encrypted", "The document is protected by a password. Remove it and drop the file.")
    ending = _ending(types, {entry.filename for entry in entries}, mimetype)
    unpacked_bytes = sum(entry.file_size for entry in entries)
    is_bomb = unpacked_bytes > RATIO_FREE_BYTES and unpacked_bytes > RATIO_MAX * packed_bytes
    if is_bomb or unpacked_bytes > UNPACKED_MAX_BYTES or len(entries) > ENTRIES_MAX:
        raise _too_large(f"It has {unpacked_bytes:,} bytes in {len(entries):,} parts when unpacked")
    return ending


def _too_large(message: str) -> UnusableFile:
    return failed("too_large_unpacked", f"{message}, which is more than is read. Split it.")


def _check_directory(content: IO[bytes]) -> None:
    """Reject a large directory before `zipfile` reads it. The end of the file states the directory's size.

    Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.14 to 4.3.16
    """
    size_bytes = content.seek(0, SEEK_END)
    content.seek(max(0, size_bytes - 65_557 - 76))
    tail = content.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0:
        return
    directory_bytes = int.from_bytes(tail[end + 12 : end + 16], "little")
    zip64_end = tail.rfind(b"PK\6\6", 0, end)
    if zip64_end >= 0:
        directory_bytes = int.from_bytes(tail[zip64_end + 40 : zip64_end + 48], "little")
    if directory_bytes > DIRECTORY_MAX_BYTES:
        raise _too_large(f"Its list of parts has {directory_bytes:,} bytes")


def _start_of(parts: zipfile.ZipFile, name: str, max_bytes: int) -> bytes:
    try:
        with parts.open(name) as part:
            return part.read(max_bytes)
    except KeyError:
        return b""
    except zlib.error as exc:
        raise zipfile.BadZipFile(str(exc)) from exc


def _ending(types: bytes, names: set[str], mimetype: bytes) -> str:
    """Decide by the start of `[Content_Types].xml`, else by the names of the parts, else by `mimetype`."""
    if b"macroEnabled" in types and b"macroEnabled.main+xml" in types:
        plain = ".docx" if b"ms-word" in types else ".pptx" if b"ms-powerpoint" in types else ".xlsx"
        raise unsupported(f"Office files with macros are not read. Save it without macros as {plain}.")
    if b"ms-excel.sheet.binary" in types:
        raise unsupported("A binary workbook is not read. Save it as .xlsx.")
    for pattern, ending in MAIN_TYPES.items():
        if re.search(pattern, types):
            return ending
    for name, ending in MAIN_PARTS.items():
        if name in names:
            return ending
    if mimetype.startswith(b"application/epub"):
        return "epub"
    if found := re.match(rb"application/vnd\.oasis\.opendocument\.(text|spreadsheet|presentation)", mimetype):
        return OPEN_DOCUMENT[found[1]]
    raise unsupported(ARCHIVE)


# ---- OLE ---------------------------------------------------------------------------------------------------------


def ole_ending(named: str, head: bytes, content: IO[bytes]) -> str:
    """`doc`, `xls` or `msg`, detected by the names of the streams in the OLE container.

    Raises:
        UnusableFile: it is another old Office type, or protected by a password. Office 2007 and later also write
            an OLE container when a document has a password.
    """
    streams = {
        name
        for name in ("EncryptedPackage", "WordDocument", "PowerPoint Document", "Workbook", "Book", OUTLOOK)
        if _contains(content, name.encode("utf-16-le") + b"\0\0")
    }
    if OUTLOOK in streams and named not in ("doc", "xls"):  # its attachments may be Office files
        return "msg"
    # In the first sector of a Word file, bit 8 of the flags means encrypted: [MS-DOC] 2.5.2, FibBase.
    word_is_encrypted = head[512:514] == b"\xec\xa5" and len(head) > 523 and head[523] & 1
    if "EncryptedPackage" in streams or ("WordDocument" in streams and word_is_encrypted):
        raise failed("encrypted", "The document is protected by a password. Remove it and drop the file.")
    if named == "xls" and streams & {"Workbook", "Book"}:
        return "xls"  # also with a Word document in it
    if "WordDocument" in streams:
        return "doc"
    if "PowerPoint Document" in streams:
        raise unsupported("Old PowerPoint files are not read. Save it as .pptx.")
    if streams:
        return "xls"
    raise unsupported(BINARY, "binary_content")


def _contains(content: IO[bytes], wanted: bytes) -> bool:
    content.seek(0)
    before = b""
    while block := content.read(BLOCK_BYTES):
        if wanted in before + block:
            return True
        before = block[-len(wanted) :]
    return False
