"""Plain text: detects the encoding, checks that the content is text, and splits a long text into parts."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from io import SEEK_END
from typing import IO

from shared.formats.base import (
    BLOCK_BYTES,
    BYTES_PER_TOKEN,
    HEAD_BYTES,
    Part,
    failed,
    part_file,
    unsupported,
)
from shared.formats.filetypes import DESCRIPTIONS, TEXT, not_read
from shared.formats.signatures import BINARY
from shared.models.documents import Reason

# Extensions that the service does not list; such a file is uploaded as .txt.
READ_AS_TEXT = frozenset(
    "log yaml yml xml ini toml cfg conf rst adoc org sql go rs kt swift scala lua pl r jl ps1 bat "  # noqa: SIM905
    "htm xhtml markdown mdx text srt vtt eml ics vcf jsonl ndjson ipynb properties proto diff patch".split()
)


def encoding_of(content: IO[bytes]) -> str | None:
    """`utf-8-sig`, `utf-16`, `utf-32`, or None for any other encoding. Reads the whole file, in blocks."""
    content.seek(0)
    head = content.read(4)
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if is_all_utf8(content) else None


def is_all_utf8(content: IO[bytes]) -> bool:
    """Whether the whole file is UTF-8. Reads it in blocks; its position afterwards is its start."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    content.seek(0)
    try:
        while block := content.read(BLOCK_BYTES):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    finally:
        content.seek(0)
    return True


def is_utf8(head: bytes) -> bool:
    """Whether the start of a file is UTF-8 without NUL bytes. The last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def check_text(head: bytes, content: IO[bytes]) -> Reason | None:
    """A notice when the file is in none of the encodings that the service documents.

    Args:
        head: The first `HEAD_BYTES` of `content`.

    Raises:
        UnusableFile: the content is binary, in UTF-32, or has no text.
    """
    encoding = encoding_of(content)
    if encoding == "utf-32":
        raise failed("encoding", "The text is in UTF-32, which is not read. Save it as UTF-8.")
    if encoding != "utf-16" and _has_nul(content):
        raise unsupported(BINARY, "binary_content")
    if encoding is None and len(re.findall(rb"[\x01-\x08\x0e-\x1a\x7f]", head)) > len(head) / 50:
        raise unsupported(BINARY, "binary_content")
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


def text_ending(named: str, head: bytes) -> str:
    """The extension that a text file gets at the service.

    Args:
        named: The extension of its name; "" for a name without one, such as `Makefile`: then the content decides.

    Raises:
        UnusableFile: text files with this extension are not read.
    """
    if named in (TEXT | {"csv", "tsv"}) - DESCRIPTIONS.keys() or named in ("html", "txt", "csv"):
        return named
    is_html = re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html)\b", head[:1024], re.IGNORECASE)
    if is_html and (named in DESCRIPTIONS or named in ("htm", "xhtml", "xls", "")):
        return "html"
    if named in ("xlsx", "parquet"):
        return "csv"
    if not named or named in DESCRIPTIONS or named in READ_AS_TEXT:
        return "txt"
    raise not_read(named)


# ---- parts -------------------------------------------------------------------------------------------------------


def text_parts(content: IO[bytes], max_tokens: int) -> Iterator[Part]:
    """The text itself when it is under the limit, else parts of it in UTF-8. The consumer closes their files."""
    max_bytes = max_tokens * BYTES_PER_TOKEN
    size_bytes = content.seek(0, SEEK_END)
    encoding = encoding_of(content)
    if (size_bytes * 3 // 2 if encoding == "utf-16" else size_bytes) <= max_bytes:
        yield Part(content=content)
        return
    part, written = part_file(), 0
    buffer = bytearray()  # the end of the part, where it may be cut; only this much is held in memory
    for block in _utf8_blocks(content, encoding):
        buffer += block
        while written + len(buffer) > max_bytes:
            cut = _cut(buffer, max_bytes - written, is_utf8=encoding is not None)
            part.write(buffer[:cut])
            del buffer[:cut]
            yield Part(content=part)
            part, written = part_file(), 0
        if written + len(buffer) + BLOCK_BYTES <= max_bytes:
            written += part.write(buffer)
            buffer.clear()
    if written or buffer.strip():
        part.write(buffer)
        yield Part(content=part)
    else:
        part.close()


def _utf8_blocks(content: IO[bytes], encoding: str | None) -> Iterator[bytes]:
    """The text in UTF-8; in an unknown encoding, the bytes unchanged."""
    content.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
    while block := content.read(BLOCK_BYTES):
        yield decoder.decode(block).encode() if decoder else block
    if decoder:
        yield decoder.decode(b"", final=True).encode()


def _cut(buffer: bytearray, max_bytes: int, *, is_utf8: bool) -> int:
    """Where to end a part, at most at `max_bytes`.

    In the second half: after the last blank line, else after the last line, else after the last space. Without any
    of these: at `max_bytes`, but not inside a UTF-8 character.
    """
    for separator in (b"\n\n", b"\n\r\n", b"\n", b" "):
        if (at := buffer.rfind(separator, max_bytes // 2, max_bytes)) >= 0:
            return at + len(separator)
    cut = max_bytes
    while is_utf8 and cut > max_bytes - 4 and buffer[cut] & 0xC0 == 0x80:
        cut -= 1
    return max(cut, 1)
