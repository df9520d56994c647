"""A long document in parts that each stay under the service's token limit. Pure; a part is a temporary file."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from io import SEEK_END
from typing import IO

from shared.formats.base import BLOCK_BYTES, BYTES_PER_TOKEN, PARTS_MAX, Part, _file, too_long
from shared.formats.pdf import _pages
from shared.formats.text import encoding_of

WHOLE = frozenset({"doc", "docx", "pptx"})


def parts_of(ending: str, content: IO[bytes], *, max_tokens: int) -> Iterator[Part]:
    """The document itself when it is under the limit, else temporary files that the consumer closes.

    Raises:
        UnusableFile: it would be more than `PARTS_MAX` parts.
    """
    if ending in WHOLE:
        parts: Iterator[Part] = iter((Part(content=content),))
    elif ending == "pdf":
        parts = _pages(content, max_tokens)
    else:
        parts = _pieces(content, max_tokens * BYTES_PER_TOKEN)
    for number, part in enumerate(parts):
        if number == PARTS_MAX:
            part.content.close()
            raise too_long()
        part.content.seek(0)
        yield part


# ---- text --------------------------------------------------------------------------------------------------------


def _pieces(content: IO[bytes], max_bytes: int) -> Iterator[Part]:
    size_bytes = content.seek(0, SEEK_END)
    encoding = encoding_of(content)
    if (size_bytes * 3 // 2 if encoding == "utf-16" else size_bytes) <= max_bytes:
        yield Part(content=content)
        return
    part, written = _file(), 0
    buffer = bytearray()  # the end of the part, in which it may be cut: a long part is never held whole
    for block in _encoded(content, encoding):
        buffer += block
        while written + len(buffer) > max_bytes:
            cut = _cut(buffer, max_bytes - written, is_utf8=encoding is not None)
            part.write(buffer[:cut])
            del buffer[:cut]
            yield Part(content=part)
            part, written = _file(), 0
        if written + len(buffer) + BLOCK_BYTES <= max_bytes:
            written += part.write(buffer)
            buffer.clear()
    if written or buffer.strip():
        part.write(buffer)
        yield Part(content=part)
    else:
        part.close()


def _encoded(content: IO[bytes], encoding: str | None) -> Iterator[bytes]:
    """The text as UTF-8, in blocks; bytes in an unknown encoding are left alone."""
    content.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
    while block := content.read(BLOCK_BYTES):
        yield decoder.decode(block).encode() if decoder else block
    if decoder:
        yield decoder.decode(b"", final=True).encode()


def _cut(buffer: bytearray, most: int, *, is_utf8: bool) -> int:
    """Behind the last blank line of the second half, else line, else space, else between two characters."""
    for mark in (b"\n\n", b"\n\r\n", b"\n", b" "):
        if (at := buffer.rfind(mark, most // 2, most)) >= 0:
            return at + len(mark)
    cut = most
    while is_utf8 and cut > most - 4 and buffer[cut] & 0xC0 == 0x80:
        cut -= 1
    return max(cut, 1)
