"""Rich text (RTF), read with striprtf.

Source: the Rich Text Format specification, version 1.9.1
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from shared.formats.markdown.base import Converted, escaped, sections, tidy

# Text beside the text, which striprtf leaves out: it is read where it stands.
BESIDE = re.compile(r"(?:\\\*\s*)?\\(?:footnote|header[lrf]?|footer[lrf]?|annotation|object|result)(?![a-z])[ ]?")
SHAPE = re.compile(r"\{\s*(?:\\\*\s*)?\\(?:shp|shpgrp|do)(?![a-z])")
# The text of a shape; older programs read the second form, which newer ones write, too.
BOX, OLD_BOX = (re.compile(rf"\{{\s*(?:\\\*\s*)?\\{name}(?![a-z])[ ]?") for name in ("shptxt", "dptxbxtext"))
WORD_ART = re.compile(r"\\sn gtextUNICODE\}\s*\{\s*\\sv ([^{}]*)\}")
BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
OBJECT = re.compile(r"\\obj(?:emb|link|autlink|ocx)(?![a-z])")
PICTURE = re.compile(r"\\pict(?![a-z])")


def rtf(content: IO[bytes]) -> Converted:
    from striprtf.striprtf import rtf_to_text

    content.seek(0)
    source = content.read().decode("cp1252", "replace")
    shown = BESIDE.sub(r"\\par ", "".join(_with_boxes(source)))
    text = rtf_to_text(shown, errors="replace")  # type: ignore[no-untyped-call]
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # `\u` gives halves of characters
    lost = [
        f"Its {what} were not read."
        for what, found in (("pictures", PICTURE), ("embedded objects", OBJECT))
        if found.search(source)
    ]
    return sections(tidy(escaped(whole.replace("\0", ""))), lost=lost)


def _with_boxes(source: str) -> Iterator[str]:
    """The source with the texts of each shape in its place, as paragraphs."""
    at = 0
    while shape := SHAPE.search(source, at):
        yield source[at : shape.start()]
        at = _group_end(source, shape.start())
        inner = source[shape.start() : at]
        texts = [*_groups(inner, BOX)] or [*_groups(inner, OLD_BOX)]
        yield from (f"{{\\par {text}\\par }}" for text in (*texts, *WORD_ART.findall(inner)))
    yield source[at:]


def _groups(source: str, start: re.Pattern[str]) -> Iterator[str]:
    """The content of the groups that begin so."""
    for found in start.finditer(source):
        yield source[found.end() : _group_end(source, found.start()) - 1]


def _group_end(source: str, start: int) -> int:
    """Behind the brace that closes the group at `start`; the end of the source when there is none."""
    depth = 0
    for brace in BRACE.finditer(source, start):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if not depth and brace[0] == "}":
            return brace.end()
    return len(source)
