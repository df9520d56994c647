"""DOC."""

from __future__ import annotations

import codecs
import re
from typing import IO

from shared.formats.base import BLOCK_BYTES, HEAD_BYTES, failed, unsupported
from shared.formats.filetypes import DATA, TEXT
from shared.formats.signatures import ARTICLE
from shared.models.documents import Reason

READ_AS_TEXT = frozenset(
    "log yaml yml xml ini toml cfg conf rst adoc org sql go rs kt swift scala lua pl r jl ps1 bat "  # noqa: SIM905
    "htm xhtml markdown mdx text srt vtt eml ics vcf jsonl ndjson ipynb properties proto diff patch".split()
)


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
        raise failed("encoding", "The text is in UTF-32, which is not read. Save it as UTF-8.")
    if encoding != "utf-16" and _has_nul(content):
        raise unsupported("The content is neither text nor a type that is read.", "binary_content")
    if encoding is None and len(re.findall(rb"[\x01-\x08\x0e-\x1a\x7f]", head)) > len(head) / 50:
        raise unsupported("The content is neither text nor a type that is read.", "binary_content")
    if not head.decode(encoding or "latin-1", "replace").strip() and len(head) < HEAD_BYTES:
        raise failed("empty_file", "The file has no text.")
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
    raise unsupported(f"{name} not read. Convert it to one of: {known}.")
