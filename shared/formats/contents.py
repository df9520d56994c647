"""Detects the type of a document from its content; the file name is only a hint.

Nothing is unpacked and no XML is parsed here: a zip bomb is rejected by the sizes that its directory declares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

from shared.formats.base import HEAD_BYTES, UnusableFile, unsupported
from shared.formats.filetypes import DATA, DESCRIPTIONS, ending_of
from shared.formats.markdown.mail import is_mail
from shared.formats.markdown.notebook import is_notebook
from shared.formats.markdown.subtitles import is_subtitles
from shared.formats.office import OLE, ole_ending, zip_ending
from shared.formats.pdf import check_pdf
from shared.formats.signatures import PICTURE, SIGNATURES
from shared.formats.tables.encoding import utf16_without_bom
from shared.formats.tables.reader import grids_of, is_table
from shared.formats.text import READ_AS_TEXT, check_text, is_utf8, text_ending
from shared.models.documents import Kind, Reason

JSON = frozenset({"json", "jsonl", "ndjson"})
MAY_BE_TABLE = frozenset({"txt", "text", "tab", "dat", "psv", "asc", "out", "data", ""})
SAME = frozenset({("mht", "eml"), ("mhtml", "eml")})
MAILS = frozenset({"eml", "mht", "mhtml"})
PDF_JUNK_BYTES = 1024  # PDF readers accept this much before the line `%PDF-`


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The detected type. `ending` is the file extension that fits the content, without a dot.

    `notice` is a warning for the user, such as a file name that does not fit the content.
    """

    ending: str
    kind: Kind
    notice: Reason | None = None


def look_inside(path: str, content: IO[bytes]) -> Contents:
    """Detect the type of a document: by its content first, by its name second.

    Args:
        path: The blob's name; only its extension is used.
        content: Seekable. Is read in blocks; its position afterwards is undefined.

    Raises:
        UnusableFile: the type is not read, or the file is damaged, protected by a password or a zip bomb.
    """
    named = ending_of(path)
    content.seek(0)
    head = content.read(HEAD_BYTES)
    binary = _binary_ending(named, head, content)
    if not binary and (ending := _table_ending(named, head, content)):
        notice = _other_type(named, ending) if ending != named else None
        return Contents(ending=ending, kind="data", notice=notice)
    notice = None if binary else check_text(head, content)
    ending = binary or text_ending(named, head)
    if ending == "json":
        return Contents(ending=ending, kind="text", notice=notice)
    if ending != named and (named, ending) not in SAME:
        notice = _other_type(named, ending)
    return Contents(ending=ending, kind="data" if ending in DATA else "text", notice=notice)


def _other_type(named: str, ending: str) -> Reason:
    """The notice for a file whose name does not fit its content."""
    name = f"ends in .{named}" if named else "has no ending"
    if ending == "txt" and (not named or named in READ_AS_TEXT):
        return Reason(code="read_as_text", message=f"The name {name}; it is read as plain text.")
    actual = DESCRIPTIONS[ending]
    message = f"The name {name}, but the content is {actual}; it is indexed as {actual}."
    return Reason(code="type_mismatch", message=message)


def _table_ending(named: str, head: bytes, content: IO[bytes]) -> str | None:
    """The extension of a text file that holds a table whatever its name says; None for any other text."""
    if named in JSON:
        try:
            return named if any(grid.names or not grid.is_plain for grid in grids_of(named, content)) else None
        except UnusableFile:
            return None
    if named in MAY_BE_TABLE and is_table(content):
        return "csv"
    if named in ("csv", "tsv"):
        if not utf16_without_bom(head):
            check_text(head, content)  # binary content is refused, whatever it is named
        return named
    return None


def _binary_ending(named: str, head: bytes, content: IO[bytes]) -> str | None:
    """The extension of a supported binary type. None: the content may be text, even if a signature matches.

    Raises:
        UnusableFile: the content is of a binary type that is not read.
    """
    is_text = is_utf8(head)
    if head.startswith(b"%PDF-") or (b"%PDF-" in head[:PDF_JUNK_BYTES] and (named == "pdf" or not is_text)):
        check_pdf(content)
        return "pdf"
    if head.startswith((b"PK\3\4", b"PK\5\6", b"PK\7\x08")):
        return zip_ending(content)
    if head.startswith(OLE):
        return ole_ending(named, head, content)
    if head.startswith(b"{\\rtf"):
        return "rtf"
    if (ending := _converted_ending(named, head)) or is_text:
        return ending
    if head.startswith(b"PAR1"):
        return "parquet"
    for offset, signature, message in SIGNATURES:
        if head.startswith(signature, offset):
            raise unsupported(message)
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        raise unsupported(PICTURE)
    return None


def _converted_ending(named: str, head: bytes) -> str | None:
    """The extension of a text format that the app turns into Markdown, when name and content both say so."""
    if named in MAILS and is_mail(head):
        return "eml"
    if named in ("srt", "vtt") and is_subtitles(head):
        return named
    return "ipynb" if named == "ipynb" and is_notebook(head) else None
