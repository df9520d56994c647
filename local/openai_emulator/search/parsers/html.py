"""HTML: the visible text, one section per heading, each table row on one line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from local.openai_emulator.search.parsers.base import Section
from local.openai_emulator.search.parsers.plain import decode

_HIDDEN = {"script", "style", "noscript", "template", "svg", "head", "iframe", "object", "-comment"}
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_INLINE = {
    *("a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd", "label"),
    *("mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "u", "var", "wbr", "-text", "tt"),
}
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset=["']?([\w-]{1,40})""", re.IGNORECASE)


def parse_html(content: bytes) -> list[Section]:
    tree = LexborHTMLParser(_decode(content))
    title = tree.css_first("title")
    sections = list(_sections(tree.body)) if tree.body else []
    if title and (text := " ".join(title.text().split())) and all(section.heading != text for section in sections):
        sections.insert(0, Section(text="", heading=text))
    return sections


def _decode(content: bytes) -> str:
    declared = _CHARSET.search(content[:2048])
    if declared and not content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode(declared[1].decode("ascii"))
        except (LookupError, UnicodeDecodeError):
            pass  # the declared charset is wrong: detect it from the bytes
    return decode(content)


def _sections(body: LexborNode) -> Iterator[Section]:
    heading: str | None = None
    title: list[str] | None = None  # the text so far of a heading whose end tag has not come
    pieces: list[str] = []
    for node, entering in _walk(body):
        tag = node.tag or ""
        if tag in _HEADINGS and entering:
            if heading or "".join(pieces).strip():
                yield Section(text=_tidy(pieces), heading=heading)
            title, pieces, heading = [], [], None
        elif tag in _HEADINGS and title is not None:
            heading, title = " ".join("".join(title).split()) or None, None
        elif tag == "-text" and entering:
            (pieces if title is None else title).append(_inline(node))
        elif tag in ("td", "th") and not entering:
            pieces.append(" | ")
        elif tag not in _INLINE and tag not in ("td", "th"):
            (pieces if title is None else title).append("\n")
    if heading or title or "".join(pieces).strip():
        yield Section(text=_tidy(pieces), heading=heading or "".join(title or ()).strip() or None)


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """(node, True) on entering and (node, False) on leaving each visible node.

    A loop, not a recursion: malicious pages nest thousands of levels deep.
    """
    node = root
    while True:
        yield node, True
        child = None if node.tag in _HIDDEN else node.child
        if child is not None:
            node = child
            continue
        while True:
            yield node, False
            if node.mem_id == root.mem_id:
                return
            if node.next is not None:
                node = node.next
                break
            if node.parent is None:
                return
            node = node.parent


def _inline(node: LexborNode) -> str:
    text = node.text_content or ""
    if node.parent is not None and node.parent.tag == "pre":
        return text
    return re.sub(r"\s+", " ", text)


def _tidy(pieces: list[str]) -> str:
    lines = (line.strip(" \t|") if " | " in line else line.rstrip() for line in "".join(pieces).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
