"""Splits a long document into parts that are each under the token limit of the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from shared.formats.base import PARTS_MAX, Part, too_long
from shared.formats.pdf import pdf_parts
from shared.formats.text import text_parts

NEVER_SPLIT = frozenset({"doc", "docx", "pptx"})


def parts_of(ending: str, content: IO[bytes], *, max_tokens: int) -> Iterator[Part]:
    """The document itself when it is under the limit, else its parts: temporary files that the consumer closes.

    Raises:
        UnusableFile: the document would be more than `PARTS_MAX` parts, or pages of a PDF are damaged. Parts may have
            been yielded before.
    """
    if ending in NEVER_SPLIT:
        parts: Iterator[Part] = iter((Part(content=content),))
    elif ending == "pdf":
        parts = pdf_parts(content, max_tokens)
    else:
        parts = text_parts(content, max_tokens)
    for number, part in enumerate(parts):
        if number == PARTS_MAX:
            part.content.close()
            raise too_long()
        part.content.seek(0)
        yield part
