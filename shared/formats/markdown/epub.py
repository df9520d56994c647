"""Books (EPUB): the chapters in reading order.

Source: https://www.w3.org/TR/epub-33/
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from typing import IO
from urllib.parse import unquote
from xml.etree import ElementTree

from shared.formats.base import failed
from shared.formats.markdown.base import Converted, sections, tidy
from shared.formats.markdown.html import declared_codec, html_markdown
from shared.formats.packages import attribute, part_bytes, tree_of, within

CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"
PAGES = frozenset({"application/xhtml+xml", "text/html", "text/x-oeb1-document"})
TEXT_MAX_BYTES = 128 * 1024 * 1024  # of all chapters, unpacked


def epub(content: IO[bytes]) -> Converted:
    """A book as Markdown.

    Raises:
        UnusableFile: it is protected.
    """
    with zipfile.ZipFile(content) as parts:
        locked = _locked(parts)
        main = next(attribute(each, "full-path") for each in within(tree_of(parts, CONTAINER), "rootfile"))
        package = tree_of(parts, main)
        chapters, missing, left = [], 0, TEXT_MAX_BYTES
        names = set(parts.namelist())
        for name in dict.fromkeys(_chapters(package, posixpath.dirname(main))):
            if name in locked:
                raise failed("encrypted", "The book is protected (DRM). Drop a copy without protection.")
            if name not in names:
                missing += 1
                continue
            page = part_bytes(parts, name)
            left -= len(page)
            if left < 0:
                raise ValueError("The chapters are too large.")
            chapters.append(html_markdown(_decoded(page))[0])
    title = " ".join(next((e.text or "" for e in within(package, "title")), "").split())
    who = [" ".join((e.text or "").split()) for e in within(package, "creator")]
    head = [f"# {title}" if title else "", f"By {', '.join(filter(None, who))}" if any(who) else ""]
    lost = [f"{missing:,} of its chapters are missing in the file."] if missing else []
    return sections(tidy("\n\n".join(filter(None, [*head, *chapters]))), lost=lost)


def _chapters(package: ElementTree.Element, folder: str) -> Iterator[str]:
    """The names of the parts that the spine lists."""
    items = {attribute(item, "id"): item for item in within(package, "item")}
    for itemref in within(package, "itemref"):
        item = items.get(attribute(itemref, "idref"))
        if item is not None and attribute(item, "media-type") in PAGES:
            yield posixpath.normpath(posixpath.join(folder, unquote(attribute(item, "href")).partition("#")[0]))


def _locked(parts: zipfile.ZipFile) -> set[str]:
    if ENCRYPTION not in parts.namelist():
        return set()
    return {unquote(attribute(element, "URI")) for element in within(tree_of(parts, ENCRYPTION), "CipherReference")}


def _decoded(page: bytes) -> str:
    if page.startswith((b"\xff\xfe", b"\xfe\xff")):
        return page.decode("utf-16", "replace")
    try:
        return page.decode("utf-8-sig")
    except UnicodeDecodeError:
        return page.decode(declared_codec(page[:4096]) or "cp1252", "replace")
