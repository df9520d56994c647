"""What is inside a document, whatever its name says. Pure: the type is told by signatures and by a zip's directory.

Nothing is unpacked and no XML is parsed here: a bomb is refused by what its directory declares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

from shared.formats.base import HEAD_BYTES, UnusableFile, unsupported
from shared.formats.filetypes import DATA, ending_of
from shared.formats.office import OLE, _ole, _zip
from shared.formats.pdf import _check_pdf
from shared.formats.signatures import ARTICLE, PICTURE, SIGNATURES
from shared.formats.tables import tables_of
from shared.formats.text import READ_AS_TEXT, _check_text, _is_utf8, _text_ending
from shared.models.documents import Kind, Reason

PDF_JUNK_BYTES = 1024  # readers take a PDF whose first line stands this far down


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
        UnusableFile: it is of a type that is not read, or damaged, protected or a bomb.
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
    except UnusableFile:
        return "text"


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
