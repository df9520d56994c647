"""What the name and the size of a document decide: whether it is indexed, as text or data, and its service name.

Source: https://learn.microsoft.com/azure/ai-foundry/openai/how-to/file-search#supported-file-types
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from shared.formats.base import UnusableFile, failed, unsupported
from shared.formats.signatures import PICTURE
from shared.models.documents import Kind

TEXT = frozenset(
    "c cs cpp doc docx html java json md pdf php pptx py rb tex txt css js sh ts".split()  # noqa: SIM905
)
# Turned into Markdown by the app, since services do not read them.
CONVERTED = frozenset({"eml", "epub", "ipynb", "msg", "odp", "odt", "rtf", "srt", "vtt"})
DATA = frozenset({"csv", "tsv", "xlsx", "parquet", "xls", "ods"})
PICTURES = frozenset({"png", "jpg", "jpeg", "gif", "bmp", "tif", "tiff", "webp", "heic", "svg"})
# Rejected by extension before the download: mostly large files, and never of a type that is read.
NEVER_READ = frozenset(
    "zip 7z rar gz tgz tar bz2 xz iso dmg exe dll msi mp3 wav flac ogg m4a mp4 mkv avi mov webm".split()  # noqa: SIM905
)
DESCRIPTIONS = {
    "pdf": "a PDF",
    "docx": "a Word document",
    "doc": "an old Word document",
    "pptx": "a PowerPoint presentation",
    "xlsx": "an Excel workbook",
    "parquet": "a Parquet table",
    "html": "HTML",
    "txt": "plain text",
    "csv": "a text table",
    "eml": "a mail",
    "epub": "an EPUB book",
    "ipynb": "a notebook",
    "msg": "an Outlook message",
    "odp": "an OpenDocument presentation",
    "ods": "an OpenDocument spreadsheet",
    "odt": "an OpenDocument text",
    "rtf": "rich text (RTF)",
    "srt": "subtitles",
    "vtt": "subtitles",
    "xls": "an old Excel workbook",
}
TEXT_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
# Source: https://learn.microsoft.com/azure/ai-foundry/openai/how-to/code-interpreter#supported-file-types
CLEAN_COPIES_MAX = 8  # of one document: one for each of its tables
TABLE_NAME_MAX_CHARS = 40  # in the name of a clean copy
SENT_AS = {"parquet": "csv", "tsv": "txt", "xls": "xlsx", "ods": "xlsx", **dict.fromkeys(CONVERTED, "md")}


def classify(path: str, size_bytes: int, *, max_bytes: int) -> Kind | UnusableFile:
    """Check a document by name and size only, before its content is downloaded.

    Returns:
        `text`: the document goes to file search. `data`: the document goes to code interpreter, its data card to
        file search. An unknown extension counts as `text`; `look_inside` decides later. An UnusableFile is
        returned and not raised, because the caller stores it in the document's record.
    """
    if message := bad_path(path):
        return unsupported(message, "bad_name")
    ending = ending_of(path)
    if ending in PICTURES:
        return unsupported(PICTURE)
    if ending in NEVER_READ:
        return not_read(ending)
    if size_bytes == 0:
        return failed("empty_file", "The file has no content.")
    if size_bytes > max_bytes:
        limit = f"at most {max_bytes:,} are taken. Split it."
        return failed("file_too_large", f"The file has {size_bytes:,} bytes; {limit}")
    return "data" if ending in DATA else "text"


def not_read(ending: str) -> UnusableFile:
    """The error for an extension that is not read."""
    usual = "PDF, DOCX, PPTX, XLSX, CSV, HTML, Markdown or plain text"
    return unsupported(f"Files ending in .{ending} are not read. Convert it to {usual}.")


def bad_path(path: str) -> str | None:
    """Why a blob's name is rejected; None when it is allowed."""
    if not path or len(path) > 1024:
        return "A document's name has 1 to 1,024 characters."
    if any(segment in ("", ".", "..") for segment in path.split("/")):
        return "A document's name has no empty parts and no parts '.' or '..'."
    if re.search("%2f", path, re.IGNORECASE):
        # In the URL /api/documents/{path} it could not be told from a slash: see http/paths.py.
        return "A document's name has no '%2F': in a URL it could not be told from a slash. Write the slash."
    plain = path.isascii() and path.isprintable()  # most are: the characters need no look each
    if "\\" in path or (not plain and any(map(_is_unseen, path))):
        return "A document's name has no control characters, no marks of text direction and no backslashes."
    return None


def _is_unseen(char: str) -> bool:
    """Whether a name must not have this character.

    XML, in which storage lists blobs, has no characters for controls, lone surrogates and noncharacters. Controls, ends
    of lines and marks of text direction make a name look like another one, in a terminal or in a log.
    Source: https://www.w3.org/TR/xml/#charsets
    """
    code = ord(char)
    is_noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return is_noncharacter or char in TEXT_DIRECTION or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")


def ending_of(path: str) -> str:
    """The file extension in lower case, without a dot; "" when there is none, as in `Makefile` or `1. Notes`."""
    name = path.rsplit("/", 1)[-1]
    ending = name.rsplit(".", 1)[-1].lower() if "." in name else ""
    return "" if any(map(str.isspace, ending)) else ending


def service_name(path: str, kind: Kind, ending: str | None = None) -> str:
    """The file name at the service.

    The name of a data file contains its folders, because code interpreter puts all files into one folder.

    Args:
        ending: The extension that fits the content. The service decides by it, so it is appended when the path has
            another one. Parquet is uploaded as `<name>.csv`, its CSV copy; XLS and ODS as `<name>.xlsx`; TSV as
            `<name>.txt`, because code interpreter does not list .tsv; what the app turns into Markdown as `<name>.md`.
    """
    sent_as = SENT_AS.get(ending, ending) if ending else None
    suffix = f".{sent_as}" if sent_as and sent_as != ending_of(path) else ""
    if kind == "text":
        return path.rsplit("/", 1)[-1] + suffix
    if "__" in path:  # `a/b` and `a__b` must not get the same name
        name, dot, last = path.replace("/", "__").rpartition(".")
        digest = hashlib.sha256(path.encode()).hexdigest()[:8]
        return f"{name}-{digest}.{last}{suffix}" if dot else f"{last}-{digest}{suffix}"
    return path.replace("/", "__") + suffix


def clean_names(name: str, tables: Sequence[str]) -> list[str]:
    """The names of a data file's clean copies at the service: `a.csv.clean.csv`, `book.xlsx.Sheet2.clean.csv`.

    Args:
        name: The `service_name` of the document.
        tables: The names of its tables; "" for the only one.
    """
    names: list[str] = []
    for number, table in enumerate(tables, start=1):
        words = re.sub(r"[^\w-]+", "_", table).strip("_")[:TABLE_NAME_MAX_CHARS]
        wanted = f"{name}.{words}.clean.csv" if words else f"{name}.clean.csv"
        names.append(wanted if wanted not in names else f"{name}.{words or 'table'}-{number}.clean.csv")
    return names


def own_name(text: str, path: str) -> tuple[tuple[int, int, str], ...]:
    """Where a text names a file of a data document at the service, and the document's path to be put there."""
    known = {service_name(path, "data"), service_name(path, "data", "csv"), service_name(path, "data", ending_of(path))}
    names = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    found = re.finditer(rf"(?:{names})(?:\.[\w-]{{1,60}})?\.clean\.csv|(?<![\w/.-])(?:{names})(?![\w-]|\.\w)", text)
    return tuple((*match.span(), path) for match in found if match[0] != path)


def made_name(text: str, path: str) -> tuple[tuple[int, int, str], ...]:
    """Where a text names a Markdown file that the app has made of a document, and the document's path to be put there.

    That is a data card, what the app turns into Markdown, or what a reader at the service may leave out.
    """
    name = path.rsplit("/", 1)[-1]
    known = {service_name(path, "data"), name, service_name(path, "text", ending_of(path))}
    stems = "|".join(re.escape(each.removesuffix(".md")) for each in sorted(known, key=len, reverse=True))
    found = re.finditer(rf"(?<![\w/.-])(?:{stems})(?:\.beside)?\.md(?![\w-]|\.\w)", text)
    return tuple((*match.span(), path) for match in found if match[0] not in (path, name))
