"""Detects the type of a document from its content; the file name is only a hint.

Nothing is unpacked and no XML is parsed: a zip bomb is rejected by the sizes that its directory declares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

from shared.formats.base import HEAD_BYTES, UnusableFile, unsupported
from shared.formats.filetypes import DATA, DESCRIPTIONS, ending_of
from shared.formats.office import OLE, ole_ending, zip_ending
from shared.formats.pdf import check_pdf
from shared.formats.signatures import PICTURE, SIGNATURES
from shared.formats.tables import tables_of
from shared.formats.text import READ_AS_TEXT, check_text, is_utf8, text_ending
from shared.models.documents import Kind, Reason

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
    notice = None if binary else check_text(head, content)
    ending = binary or text_ending(named, head)
    if ending == "json":
        return Contents(ending=ending, kind=_json_kind(content), notice=notice)
    if ending != named:
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


def _json_kind(content: IO[bytes]) -> Kind:
    try:
        return "data" if any(table.columns for table in tables_of("json", content)) else "text"
    except UnusableFile:
        return "text"


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
        return ole_ending(head, content)
    if head.startswith(b"{\\rtf"):
        raise unsupported("RTF is not read. Save it as .docx or PDF.")
    if is_text:
        return None
    if head.startswith(b"PAR1"):
        return "parquet"
    for offset, signature, message in SIGNATURES:
        if head.startswith(signature, offset):
            raise unsupported(message)
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        raise unsupported(PICTURE)
    return None
