"""Office files are zip files of XML: open them with limits on size, ratio and DTDs.

Read directly, by local names, because the usual libraries take 1 GB for a 400 kB zip bomb and stumble over
"Strict" documents.
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
SMALL_PART_BYTES = 4 * 1024 * 1024  # no ratio is held against a part this small


class Package:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._left_bytes = MAX_PART_BYTES

    def xml(self, name: str) -> etree._Element:
        """The root of a part. Raises KeyError when it is not there, ParseError when it is hostile or broken."""
        info = self._archive.getinfo(name)
        ratio = info.file_size / max(info.compress_size, 1)
        if info.file_size > self._left_bytes or (info.file_size > SMALL_PART_BYTES and ratio > MAX_RATIO):
            raise invalid("This document unpacks to far more data than it should and was not opened.")
        self._left_bytes -= info.file_size
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
        root: etree._Element = etree.fromstring(self._archive.read(info), parser)
        if root.getroottree().docinfo.doctype:
            raise invalid("This document declares XML entities, which Office never does, and was not opened.")
        return root

    def relations(self, part: str) -> dict[str, str]:
        """Relation id -> part name, for the parts inside the package."""
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
    """Open an Office file; whatever is wrong inside comes out as ParseError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield Package(archive)
    except (zipfile.BadZipFile, zlib.error, KeyError, etree.XMLSyntaxError, EOFError) as exc:
        raise invalid("This document is damaged or incomplete and cannot be opened.") from exc
    except (RuntimeError, NotImplementedError) as exc:  # a password on the zip itself, an unknown compression
        raise invalid("This document is packed in a way that cannot be opened, perhaps with a password.") from exc


def local(element: etree._Element) -> str:
    """Tag without its namespace; empty for comments and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: etree._Element, name: str) -> str | None:
    """Attribute by local name: Strict and Transitional documents differ in namespace only."""
    for key, value in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return None
