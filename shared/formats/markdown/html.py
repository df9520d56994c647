"""HTML as Markdown: the text that a browser shows, with headings, lists and tables. Pure."""

from __future__ import annotations

import re

from shared.formats.markdown.base import escaped, table, tidy
from shared.formats.visible import BLOCKS, HEADINGS, Visible

BLANK_AROUND = HEADINGS | {"p", "div", "ul", "ol", "dl", "table", "pre", "blockquote", "section", "article", "hr"}
LONG_CELL_CHARS = 400  # of a cell that lays out a page rather than a table
DECLARED = re.compile(rb"""(?i)<meta[^<>]{0,200}?charset\s{0,9}=\s{0,9}["']?\s{0,9}([\w:.-]{2,40})""")


def html_markdown(text: str) -> tuple[str, bool]:
    """The Markdown of a page, and whether text of it is hidden and was left out.

    The time can grow with the square of the size: see process.py.
    """
    writer = _Writer()
    writer.feed(text)
    writer.close()
    return writer.ended(), writer.has_hidden


def declared_codec(head: bytes) -> str | None:
    """The encoding that a page declares, if Python knows it."""
    found = DECLARED.search(head)
    try:
        if found:
            b"a".decode(found[1].decode())
            return found[1].decode()
    except (LookupError, ValueError):
        pass
    return None


class _Writer(Visible):
    def __init__(self) -> None:
        super().__init__()
        self._texts: list[list[str]] = [[]]  # of the page, and of each open cell within
        self._tables: list[list[list[str]]] = []  # the rows of each open table
        self._in_cell: list[bool] = []  # of each open table
        self._pre = 0

    def started(self, tag: str, attributes: dict[str, str | None]) -> None:
        match tag:
            case "table":
                self._tables.append([])
                self._in_cell.append(False)
            case "tr" if self._tables:
                self._end_cell()
                self._tables[-1].append([])
            case "td" | "th" if self._tables:
                self._end_cell()
                self._texts.append([])
                self._in_cell[-1] = True
            case "li":
                self._write("\n- ")
            case "img" if attributes.get("alt"):
                self.shown(f" {attributes['alt']} ")
            case "pre":
                self._pre += 1
                self._write("\n\n")
            case _ if tag in HEADINGS:
                self._write(f"\n\n{'#' * int(tag[1])} ")
            case _:
                self._write(_break(tag))

    def ended_tag(self, tag: str) -> None:
        if tag == "table" and self._tables:
            self._end_table()
        elif tag in ("td", "th", "tr") and self._tables:
            self._end_cell()
        elif tag == "pre":
            self._pre = max(self._pre - 1, 0)
            self._write("\n\n")
        elif tag != "li":
            self._write(_break(tag))

    def shown(self, text: str) -> None:
        if not self._pre:
            text = re.sub(r"\s+", " ", text)
        pieces = self._texts[-1]
        if not pieces or pieces[-1].endswith("\n"):
            text = escaped(text if self._pre else text.lstrip())
        self._write(text)

    def ended(self) -> str:
        while self._tables:
            self._end_table()
        return tidy("".join(self._texts[0]))

    def _write(self, text: str) -> None:
        if text:
            self._texts[-1].append(text)

    def _end_cell(self) -> None:
        if self._in_cell[-1]:
            text = tidy("".join(self._texts.pop()))
            self._in_cell[-1] = False
            if not self._tables[-1]:
                self._tables[-1].append([])
            self._tables[-1][-1].append(text)

    def _end_table(self) -> None:
        self._end_cell()
        rows = self._tables.pop()
        self._in_cell.pop()
        cells = [cell for row in rows for cell in row if cell.strip()]
        lays_out = any(len(cell) > LONG_CELL_CHARS or re.search(r"^(#+ |\|)|\n\n", cell) for cell in cells)
        is_column = max(map(len, rows), default=0) < 2
        self._write("\n\n" + ("\n\n".join(cells) if lays_out or is_column else table(rows)) + "\n\n")


def _break(tag: str) -> str:
    return "\n\n" if tag in BLANK_AROUND else "\n" if tag in BLOCKS else ""
