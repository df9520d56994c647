"""Read Office Open XML packages (zip files of XML) with limits on size and compression ratio, and without DTDs.

python-docx and python-pptx are not used: they need 1 GB of memory for a 400 kB zip bomb and fail on "Strict" documents.
Elements are found by local name, because Strict and Transitional documents differ in their namespaces.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lxml import etree  # type: ignore[import-untyped]

from local.openai_emulator.search.parsers.base import invalid

MAX_PART_BYTES = 128 * 1024 * 1024
MAX_RATIO = 100  # uncompressed to compressed; Word's own XML stays below 30
SMALL_PART_BYTES = 4 * 1024 * 1024  # the ratio of smaller parts is not checked


class Package:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._left_bytes = MAX_PART_BYTES

    def xml(self, name: str) -> etree._Element:
        """The root element of a part.

        Raises:
            KeyError: the package has no such part.
            ParseError: the part is too large, too highly compressed, or declares a DTD.
            etree.XMLSyntaxError: the part is not well-formed XML.
        """
        info = self._archive.getinfo(name)
        ratio = info.file_size / max(info.compress_size, 1)
        if info.file_size > self._left_bytes or (info.file_size > SMALL_PART_BYTES and ratio > MAX_RATIO):
            raise invalid("This document was not opened: it unpacks to far more data than an Office document.")
        self._left_bytes -= info.file_size
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
        root: etree._Element = etree.fromstring(self._archive.read(info), parser)
        if root.getroottree().docinfo.doctype:
            raise invalid("This document declares XML entities, which Office never does, and was not opened.")
        return root

    def relations(self, part: str) -> dict[str, str]:
        """Relationship id -> part name, without external targets."""
        folder, base = posixpath.split(part)
        try:
            root = self.xml(f"{folder}/_rels/{base}.rels")
        except KeyError:
            return {}
        return {
            str(item.get("Id")): posixpath.normpath(posixpath.join("/", folder, str(item.get("Target")))).lstrip("/")
            for item in root
            if item.get("TargetMode") != "External"
        }


@contextmanager
def opened(path: Path) -> Iterator[Package]:
    """Open an Office file. Every error of zip and XML in the `with` block becomes a ParseError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield Package(archive)
    except (zipfile.BadZipFile, zlib.error, KeyError, etree.XMLSyntaxError, EOFError) as exc:
        raise invalid("This document is damaged or incomplete and cannot be opened.") from exc
    except (RuntimeError, NotImplementedError) as exc:  # an encrypted zip file, or an unknown compression method
        raise invalid(
            "This document cannot be opened: its zip file is encrypted or uses an unknown compression."
        ) from exc


def local(element: etree._Element) -> str:
    """The tag without its namespace; empty for comments and processing instructions."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: etree._Element, name: str) -> str | None:
    """The value of an attribute, by local name; None when it is missing."""
    for key, value in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return None
