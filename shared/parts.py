"""A long document in parts that each stay under the service's token limit. Pure; a part is a temporary file."""

from __future__ import annotations

import codecs
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import SEEK_END
from typing import IO

from shared.contents import BLOCK_BYTES, PDFIUM, Unreadable, encoding_of, page_text
from shared.models import Reason

PARTS_MAX = 500
# Conservative without a tokenizer: English has about 4 bytes to a token, code and Chinese 3, dense numbers 2.
BYTES_PER_TOKEN = 2
SPOOL_BYTES = 256 * 1024  # of a part that are held in memory
PART_BYTES = 32 * 1024 * 1024  # about as much of a long PDF is copied at once: PDFium holds a new document in memory
WHOLE = frozenset({"doc", "docx", "pptx"})


@dataclass(frozen=True, kw_only=True)
class Part:
    """Pages are the original's, counted from 1 and both included; None where the format has none."""

    content: IO[bytes]
    first_page: int | None = None
    last_page: int | None = None


def parts_of(ending: str, content: IO[bytes], *, max_tokens: int) -> Iterator[Part]:
    """The document itself when it is under the limit, else temporary files that the consumer closes.

    Raises:
        Unreadable: it would be more than `PARTS_MAX` parts.
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
            raise _too_long()
        part.content.seek(0)
        yield part


def _too_long() -> Unreadable:
    message = f"The document is too long: it would be more than {PARTS_MAX} parts. Split it."
    return Unreadable(Reason(code="too_long", message=message), unsupported=False)


# ---- PDF ---------------------------------------------------------------------------------------------------------


def _pages(content: IO[bytes], max_tokens: int) -> Iterator[Part]:
    import pypdfium2

    size_bytes = content.seek(0, SEEK_END)
    content.seek(0)
    with PDFIUM:
        document = pypdfium2.PdfDocument(content)
    try:
        tokens = []
        for number in range(len(document)):
            with PDFIUM:  # page by page, so that another document gets its turn
                tokens.append(len(page_text(document, number).encode("utf-8", "replace")) // BYTES_PER_TOKEN)
        if sum(tokens) <= max_tokens:
            yield Part(content=content)
            return
        ranges = _ranges(tokens, max_tokens=max_tokens, max_pages=max(1, PART_BYTES * len(tokens) // size_bytes))
        if len(ranges) > PARTS_MAX:
            raise _too_long()
        for pages in ranges:
            yield Part(content=_copy(document, pages), first_page=pages[0] + 1, last_page=pages[-1] + 1)
    finally:
        with PDFIUM:
            document.close()


def _ranges(tokens: Sequence[int], *, max_tokens: int, max_pages: int) -> list[range]:
    """Runs of pages under the limit. A page that is over it alone stays whole: the service has the last word."""
    ranges = []
    first = total = 0
    for number, count in enumerate(tokens):
        if number > first and (total + count > max_tokens or number - first >= max_pages):
            ranges.append(range(first, number))
            first, total = number, 0
        total += count
    return [*ranges, range(first, len(tokens))]


def _copy(document: object, pages: range) -> IO[bytes]:
    import pypdfium2

    assert isinstance(document, pypdfium2.PdfDocument)
    file = _file()
    try:
        with PDFIUM:
            copy = pypdfium2.PdfDocument.new()
            try:
                copy.import_pages(document, list(pages))
                copy.save(file)
            finally:
                copy.close()
    except pypdfium2.PdfiumError as exc:
        file.close()
        message = f"The PDF is damaged: its pages {pages[0] + 1} to {pages[-1] + 1} cannot be read."
        raise Unreadable(Reason(code="damaged", message=message), unsupported=False) from exc
    except BaseException:
        file.close()
        raise
    return file


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


def _file() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)
