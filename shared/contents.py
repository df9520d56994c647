"""What is inside a document, whatever its name says. Pure: the type is told by signatures and by a zip's directory.

Nothing is unpacked and no XML is parsed here: a bomb is refused by what its directory declares.
"""

from __future__ import annotations

import codecs
import re
import threading
import zipfile
import zlib
from dataclasses import dataclass
from io import SEEK_END
from typing import IO

from shared.filetypes import DATA, TEXT, ending_of
from shared.models import Kind, Reason
from shared.tables import NotATable, tables_of

HEAD_BYTES = 65_536
BLOCK_BYTES = 256 * 1024
PDF_JUNK_BYTES = 1024  # readers take a PDF whose first line stands this far down
PDF_PAGES_TRIED = 200  # spread over the document; a scan of more pages is told by these
DIRECTORY_MAX_BYTES = 4 * 1024 * 1024  # of a zip, which Python reads whole
ENTRIES_MAX = 20_000
UNPACKED_MAX_BYTES = 1024 * 1024 * 1024
RATIO_MAX = 200  # for what unpacks to more than RATIO_FREE_BYTES; spreadsheets reach 50
RATIO_FREE_BYTES = 64 * 1024 * 1024

# PDFium is not thread-safe: whoever calls into it holds this.
PDFIUM = threading.Lock()

READ_AS_TEXT = frozenset(
    "log yaml yml xml ini toml cfg conf rst adoc org sql go rs kt swift scala lua pl r jl ps1 bat "  # noqa: SIM905
    "htm xhtml markdown mdx text srt vtt eml ics vcf jsonl ndjson ipynb properties proto diff patch".split()
)
ARTICLE = {
    "pdf": "a PDF",
    "docx": "a Word document",
    "doc": "an old Word document",
    "pptx": "a PowerPoint presentation",
    "xlsx": "an Excel workbook",
    "parquet": "a Parquet table",
    "html": "HTML",
    "txt": "plain text",
    "csv": "a text table",
}
OFFICE = {  # how `[Content_Types].xml` names the main part; embedded files lack the `.main`
    rb"wordprocessingml\.(document|template)\.main\+xml": "docx",
    rb"presentationml\.(presentation|slideshow|template)\.main\+xml": "pptx",
    rb"spreadsheetml\.(sheet|template)\.main\+xml": "xlsx",
}
OPEN_DOCUMENT = {b"text": ".docx or PDF", b"spreadsheet": ".xlsx or CSV", b"presentation": ".pptx or PDF"}
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PICTURE = "A picture has no text to search. Run OCR first and drop the text, or a searchable PDF."
ARCHIVE = "An archive is not read. Unpack it and drop the files."
MEDIA = "Sound and video are not read. Drop a transcript."
SIGNATURES = (  # offset, bytes, what to do
    (0, b"\x89PNG\r\n", PICTURE),
    (0, b"\xff\xd8\xff", PICTURE),
    (0, b"GIF8", PICTURE),
    (0, b"II*\0", PICTURE),
    (0, b"MM\0*", PICTURE),
    (8, b"WEBP", PICTURE),
    (4, b"ftyphei", PICTURE),
    (4, b"ftypmif1", PICTURE),
    (4, b"ftypavif", PICTURE),
    (0, b"7z\xbc\xaf\x27\x1c", ARCHIVE),
    (0, b"Rar!\x1a\x07", ARCHIVE),
    (0, b"\x1f\x8b", ARCHIVE),
    (0, b"\xfd7zXZ\0", ARCHIVE),
    (0, b"\x28\xb5\x2f\xfd", ARCHIVE),
    (0, b"BZh", ARCHIVE),
    (257, b"ustar", ARCHIVE),
    (4, b"ftyp", MEDIA),
    (0, b"ID3", MEDIA),
    (0, b"OggS", MEDIA),
    (0, b"fLaC", MEDIA),
    (8, b"WAVE", MEDIA),
    (8, b"AVI ", MEDIA),
    (0, b"\x1a\x45\xdf\xa3", MEDIA),
    (0, b"SQLite format 3\0", "A database is not read. Export its tables as CSV."),
    (0, b"\x7fELF", "A program is not read."),
    (0, b"MZ\x90\0", "A program is not read."),
)


class Unreadable(Exception):
    """It cannot be indexed: `unsupported` when its type is not read, else it is damaged, locked or too much."""

    def __init__(self, reason: Reason, *, unsupported: bool) -> None:
        super().__init__(reason.message)
        self.reason = reason
        self.unsupported = unsupported


@dataclass(frozen=True, kw_only=True)
class Contents:
    """`ending` is the content's true one, without a dot; `notice` says what the user should know about it."""

    ending: str
    kind: Kind
    notice: Reason | None = None


def look_inside(path: str, content: IO[bytes]) -> Contents:
    """Tell what a document is, by its content first and its name second.

    Args:
        path: The blob's name; only its ending counts.
        content: Seekable; is read in blocks and left anywhere.

    Raises:
        Unreadable: it is of a type that is not read, or damaged, protected or a bomb.
    """
    named = ending_of(path)
    content.seek(0)
    head = content.read(HEAD_BYTES)
    true = _binary(named, head, content)
    notice = None if true else _check_text(head, content)
    ending = true or _text_ending(named, head)
    if ending == "json":
        return Contents(ending=ending, kind=_json_kind(content), notice=notice)
    if ending != named:
        notice = _renamed(named, ending)
    return Contents(ending=ending, kind="data" if ending in DATA else "text", notice=notice)


def _renamed(named: str, ending: str) -> Reason:
    name = f"ends in .{named}" if named else "has no ending"
    if ending == "txt" and named in READ_AS_TEXT:
        return Reason(code="read_as_text", message=f"The name {name}; it is read as plain text.")
    what = ARTICLE[ending]
    return Reason(code="type_mismatch", message=f"The name {name}, but the content is {what}; it is indexed as {what}.")


def _json_kind(content: IO[bytes]) -> Kind:
    try:
        return "data" if any(table.columns for table in tables_of("json", content)) else "text"
    except NotATable:
        return "text"


def _unsupported(message: str, code: str = "unsupported_file") -> Unreadable:
    return Unreadable(Reason(code=code, message=message), unsupported=True)


def _failed(code: str, message: str) -> Unreadable:
    return Unreadable(Reason(code=code, message=message), unsupported=False)


def _binary(named: str, head: bytes, content: IO[bytes]) -> str | None:
    """The ending of a binary type that is read; None for what may be text, though it begin with a signature."""
    is_text = _is_utf8(head)
    if head.startswith(b"%PDF-") or (b"%PDF-" in head[:PDF_JUNK_BYTES] and (named == "pdf" or not is_text)):
        _check_pdf(content)
        return "pdf"
    if head.startswith((b"PK\3\4", b"PK\5\6", b"PK\7\x08")):
        return _zip(content)
    if head.startswith(OLE):
        return _ole(head, content)
    if head.startswith(b"{\\rtf"):
        raise _unsupported("RTF is not read. Save it as .docx or PDF.")
    if is_text:
        return None
    if head.startswith(b"PAR1"):
        return "parquet"
    for offset, signature, message in SIGNATURES:
        if head.startswith(signature, offset):
            raise _unsupported(message)
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        raise _unsupported(PICTURE)
    return None


# ---- text --------------------------------------------------------------------------------------------------------


def encoding_of(content: IO[bytes]) -> str | None:
    """`utf-8-sig`, `utf-16`, `utf-32`, or None when the bytes are in none of them. Reads all of it, in blocks."""
    content.seek(0)
    head = content.read(4)
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    content.seek(0)
    try:
        while block := content.read(BLOCK_BYTES):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    return "utf-8-sig"


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def _check_text(head: bytes, content: IO[bytes]) -> Reason | None:
    """A notice when the encoding is one that the service does not promise to read."""
    encoding = encoding_of(content)
    if encoding == "utf-32":
        raise _failed("encoding", "The text is in UTF-32, which is not read. Save it as UTF-8.")
    if encoding != "utf-16" and _has_nul(content):
        raise _unsupported("The content is neither text nor a type that is read.", "binary_content")
    if encoding is None and len(re.findall(rb"[\x01-\x08\x0e-\x1a\x7f]", head)) > len(head) / 50:
        raise _unsupported("The content is neither text nor a type that is read.", "binary_content")
    if not head.decode(encoding or "latin-1", "replace").strip() and len(head) < HEAD_BYTES:
        raise _failed("empty_file", "The file has no text.")
    if encoding is None:
        return Reason(code="not_utf8", message="The text is not in UTF-8; some letters may be read wrongly.")
    return None


def _has_nul(content: IO[bytes]) -> bool:
    content.seek(0)
    while block := content.read(BLOCK_BYTES):
        if b"\0" in block:
            return True
    return False


def _text_ending(named: str, head: bytes) -> str:
    if named in (TEXT | {"csv", "tsv"}) - ARTICLE.keys() or named in ("html", "txt", "csv"):
        return named
    is_html = re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html)\b", head[:1024], re.IGNORECASE)
    if is_html and (named in ARTICLE or named in ("htm", "xhtml", "xls")):
        return "html"
    if named in ("xlsx", "parquet"):
        return "csv"
    if named in ARTICLE or named in READ_AS_TEXT:
        return "txt"
    known = " ".join(sorted(TEXT | DATA))
    name = f"Files ending in .{named} are" if named else "A file without an ending is"
    raise _unsupported(f"{name} not read. Convert it to one of: {known}.")


# ---- PDF ---------------------------------------------------------------------------------------------------------


def _check_pdf(content: IO[bytes]) -> None:
    """Raises Unreadable when the PDF is locked, damaged or a scan."""
    import pypdfium2

    content.seek(0)
    with PDFIUM:
        try:
            document = pypdfium2.PdfDocument(content)
        except pypdfium2.PdfiumError as exc:
            if re.search("password|security", str(exc), re.IGNORECASE):
                raise _failed("encrypted", "The PDF is protected by a password. Remove it and drop the file.") from exc
            raise _failed("damaged", "The PDF is damaged and cannot be opened.") from exc
        try:
            count = len(document)
            if not count:
                raise _failed("damaged", "The PDF has no pages.")
            step = max(1, -(-count // PDF_PAGES_TRIED))
            if not any(page_text(document, number).strip() for number in range(0, count, step)):
                raise _unsupported(
                    "The PDF has no text: its pages are pictures. Run OCR and drop the searchable PDF.", "no_text"
                )
        finally:
            document.close()


def page_text(document: object, number: int) -> str:
    """A page's text, "" for a page that cannot be read. `number` counts from 0; the caller holds `PDFIUM`."""
    import pypdfium2

    assert isinstance(document, pypdfium2.PdfDocument)
    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        return ""
    try:
        text = page.get_textpage()
        try:
            return str(text.get_text_range())
        finally:
            text.close()
    except pypdfium2.PdfiumError:
        return ""
    finally:
        page.close()


# ---- zip and OLE -------------------------------------------------------------------------------------------------


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
        raise _failed(
            "damaged", "The file is damaged: it begins like an Office document or a zip, but ends early."
        ) from exc
    except ValueError as exc:
        raise _failed("damaged", "The file is damaged: its list of parts cannot be read.") from exc
    ending = _office(types, {entry.filename for entry in entries}, mimetype)
    unpacked_bytes = sum(entry.file_size for entry in entries)
    is_bomb = unpacked_bytes > RATIO_FREE_BYTES and unpacked_bytes > RATIO_MAX * packed_bytes
    if is_bomb or unpacked_bytes > UNPACKED_MAX_BYTES or len(entries) > ENTRIES_MAX:
        raise _too_large(f"It has {unpacked_bytes:,} bytes in {len(entries):,} parts when unpacked")
    return ending


def _too_large(message: str) -> Unreadable:
    return _failed("too_large_unpacked", f"{message}, which is more than is read. Split it.")


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
        raise _unsupported(f"Office files with macros are not read. Save it without macros as {plain}.")
    if b"ms-excel.sheet.binary" in types:
        raise _unsupported("A binary workbook is not read. Save it as .xlsx.")
    for pattern, ending in OFFICE.items():
        if re.search(pattern, types):
            return ending
    for main, ending in (("word/document.xml", "docx"), ("ppt/presentation.xml", "pptx"), ("xl/workbook.xml", "xlsx")):
        if main in names:
            return ending
    if mimetype.startswith(b"application/epub"):
        raise _unsupported("An EPUB is not read. Convert it to PDF or HTML.")
    if found := re.match(rb"application/vnd\.oasis\.opendocument\.(text|spreadsheet|presentation)", mimetype):
        raise _unsupported(f"OpenDocument files are not read. Save it as {OPEN_DOCUMENT[found[1]]}.")
    raise _unsupported(ARCHIVE)


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
        raise _failed("encrypted", "The document is protected by a password. Remove it and drop the file.")
    if "WordDocument" in streams:
        return "doc"
    if "PowerPoint Document" in streams:
        raise _unsupported("Old PowerPoint files are not read. Save it as .pptx.")
    if streams:
        raise _unsupported("Old Excel files are not read. Save it as .xlsx.")
    raise _unsupported("The content is neither text nor a type that is read.", "binary_content")


def _holds(content: IO[bytes], wanted: bytes) -> bool:
    content.seek(0)
    before = b""
    while block := content.read(BLOCK_BYTES):
        if wanted in before + block:
            return True
        before = block[-len(wanted) :]
    return False
