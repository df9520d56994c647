"""The parts of a zip that holds a document (Office, OpenDocument, EPUB), and their XML, within limits."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree

PART_MAX_BYTES = 64 * 1024 * 1024  # of one part, unpacked
ANY = "{*}"  # namespaces differ between the transitional and the strict form, the names of elements do not
DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    ElementTree.ParseError,
    NotImplementedError,
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    lzma.LZMAError,
)


def unpacked_bytes(content: IO[bytes]) -> int:
    """The size of all parts by the file's directory, beyond which no part can be read; 0 when it is damaged."""
    try:
        with zipfile.ZipFile(content) as parts:
            return sum(entry.file_size for entry in parts.infolist() if entry.filename.endswith((".xml", ".rels")))
    except DAMAGED:
        return 0


def tree_of(parts: zipfile.ZipFile, part: str) -> ElementTree.Element:
    """The whole XML of a part.

    Raises:
        ValueError: the part is too large, or declares entities.
    """
    with parts.open(part) as source:
        return ElementTree.parse(Checked(source)).getroot()  # noqa: S314 - as below


def part_bytes(parts: zipfile.ZipFile, part: str) -> bytes:
    """The content of a part.

    Raises:
        ValueError: the part is too large.
    """
    with parts.open(part) as source:
        content = source.read(PART_MAX_BYTES + 1)
    if len(content) > PART_MAX_BYTES:
        raise ValueError("The part is too large.")
    return content


def name_of(element: ElementTree.Element) -> str:
    """The name of an element without its namespace; "" for a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def within(root: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    """The elements with this name in any namespace."""
    return (element for element in root.iter() if name_of(element) == name)


def attribute(element: ElementTree.Element | None, name: str) -> str:
    """An attribute without its namespace; "" if there is none."""
    items = element.items() if element is not None else ()
    return next((value for key, value in items if key.rpartition("}")[2] == name), "")


def value_of(element: ElementTree.Element | None) -> str:
    return attribute(element, "val")


def elements(parts: zipfile.ZipFile, part: str, name: str) -> Iterator[ElementTree.Element]:
    """The outermost elements with this name, one at a time.

    Raises:
        ValueError: the part is too large, or declares entities.
    """
    depth = 0
    with parts.open(part) as source:
        # Expat resolves no external entities and limits the growth of others: https://libexpat.github.io/doc/api/
        for event, element in ElementTree.iterparse(Checked(source), events=("start", "end")):  # noqa: S314
            if name_of(element) != name:
                continue
            depth += 1 if event == "start" else -1
            if event == "end" and not depth:
                yield element
                element.clear()  # what was read takes no memory


class Checked:
    """Reads a part up to the limit. A DOCTYPE is refused: it can declare entities, and Office writes none.

    UTF-16, in which the word could hide, is refused, too: Office writes UTF-8.
    """

    def __init__(self, source: IO[bytes], max_bytes: int = PART_MAX_BYTES) -> None:
        self._source = source
        self._left_bytes = max_bytes
        self._end = b""  # of the block before: the word may lie on the border

    def read(self, size: int = -1) -> bytes:
        block = self._source.read(size)
        self._left_bytes -= len(block)
        if self._left_bytes < 0 or b"<!DOCTYPE" in self._end + block or b"\0" in block:
            raise ValueError("The part is too large, has a DOCTYPE, or is not UTF-8.")
        self._end = block[-8:]
        return block
