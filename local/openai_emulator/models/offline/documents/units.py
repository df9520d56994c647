"""Split a passage into units: sentences, list items and table rows. An answer consists of units."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_CELLS = re.compile(r"(?<!\s)\s*+\|\s*|\t+| {3,}")
_PAGE = re.compile(r"\s\d{1,3}$")
_NUMBERED_ENTRY = re.compile(r"\d+(?:\.\d+)*\.?\s+\S")
_ITEM = re.compile(r"^\s*(?:[-*•◦▪–‣]|\(?\d{1,2}[.)])\s+(?=\S)")
_HEADING = re.compile(r"^#{1,6}\s+")
_NUMBERED = re.compile(r"^\d{1,2}(?:\.\d{1,2})*\.?\s+[A-Z][^.!?]{2,70}$")
_CAPTION = re.compile(r"^Table\s+\d+[.:]?\s*", re.IGNORECASE)
_RULE = re.compile(r"^[\s|:\-=_+]*$")
_SENTENCE_END = re.compile(  # "[12]": a footnote
    r"(?<=[.!?…؟۔।])(?:[\"')\]”’»]|(?:\[\d++\])+)?\s+(?=[^\W_a-z]|[\"'(*•“«„¿¡])|(?<=[。！？])(?![」』”’）])|(?<=[。！？][」』”’）])"
)
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|approx|vs|Dr|Mr|Mrs|Ms|No|Inc|St)\.$")
_VALUE = re.compile(
    r"\b(?:once|twice) (?:a|per) \w+|\bimmediately\b|\bnone(?: allowed)?\b|(?:(?:below|above|under|"
    r"over|up to|at least|at most|about|none|every|within|less than|more than)\s+)?"
    r"[$€£]?\d[\d,.:]*(?:\s?(?:%|°C)|\s(?:points?\s)?(?:per|or)\s[a-z]+|\sto\s\d[\d:]*|"
    r"\s?[A-Za-zµ]{1,8}\b)?(?:\s(?:late|per \w+))?"
)
_SHORT_SHARE = 0.6  # of the longest line: a line of less ends its paragraph
_LONG_SHARE = 0.8  # of the longest line: the words that follow go to the next line
_SHORTEST_CAPITAL = 4  # letters; in a heading such words have capitals


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One sentence, list item or table row.

    A table row has `cells`, and the column names in `header` if they are known. `context` is the text above the unit:
    the headings of the section, and the caption and header of the table.
    """

    text: str
    context: str
    kind: str  # "sentence", "item" or "row"
    passage: int  # index of its passage
    block: int  # the same number for the sentences of a paragraph, the items of a list, the rows of a table
    cells: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    title: str = ""  # the table's caption, else the nearest heading


def units_of(text: str, *, passage: int) -> list[Unit]:
    """The units of one passage, in reading order."""
    return list(_Reader(passage=passage).read(_without_page_headers(text.replace("\r\n", "\n").split("\n"))))


def _without_page_headers(lines: Sequence[str]) -> list[str]:
    """The lines without page headers, page numbers and tables of contents."""
    # A heading that stands twice in a row is a chapter's and its first section's, no page header.
    lines = [line for at, line in enumerate(lines) if not at or line.strip() != lines[at - 1].strip() or "|" in line]
    times = Counter(line.strip() for line in lines if len(line.strip()) > 12)
    contents = [_is_contents_entry(line.strip()) for line in lines]
    return [
        line
        for at, line in enumerate(lines)
        if not re.search(r"(?:^|\s)Page \d+(?: of \d+)?$|^\s*\d{1,3}\s*$", line.strip(), re.IGNORECASE)
        and (times[line.strip()] < 2 or "|" in line or (at and _CAPTION.match(lines[at - 1].strip())))
        and not (contents[at] and any(contents[max(0, at - 2) : at] + contents[at + 1 : at + 3]))
    ]


def _is_contents_entry(line: str) -> bool:
    """Whether a line is that of a table of contents: `2.1 Alerts 7` or `Alerts ..... 7`."""
    page = _PAGE.search(line[-5:])
    entry = line[: len(line) - len(page[0])] if page else ""
    return bool(_NUMBERED_ENTRY.match(entry)) or "..." in entry[1:]


class _Reader:
    """Reads lines in order and keeps the current headings, table caption and list introduction."""

    def __init__(self, *, passage: int) -> None:
        self.passage = passage
        self.block = 0
        self.headings: list[tuple[int, str]] = []
        self.caption = ""
        self.intro = ""  # the line that introduces a list

    def read(self, lines: Sequence[str]) -> Iterator[Unit]:
        at = 0
        while at < len(lines):
            line = lines[at].strip()
            table = _table_length(lines, at)
            if not line or (_RULE.match(line) and not line.isdigit()):
                at += 1
            elif table:
                yield from self._table(lines[at : at + table])
                at += table
            elif _CAPTION.match(line):
                self.caption = _CAPTION.sub("", line)
                at += 1
                rows = _plain_table_length(lines, at)
                if rows:
                    yield from self._plain_table(lines[at : at + rows])
                    at += rows
            elif _is_heading(lines, at):
                length = _heading_length(lines, at)
                self._enter(" ".join(map(str.strip, lines[at : at + length])))
                at += length
            else:
                length = _paragraph_length(lines, at)
                yield from self._paragraph(lines[at : at + length])
                at += length

    def _enter(self, line: str) -> None:
        marks = _HEADING.match(line)
        level = len(marks.group().strip()) if marks else 1 if _NUMBERED.match(line) else 3
        self.headings = [*(h for h in self.headings if h[0] < level), (level, line[marks.end() :] if marks else line)]
        self.caption = self.intro = ""

    def _unit(self, text: str, kind: str, *, extra: str = "", **fields: tuple[str, ...]) -> Unit:
        context = " / ".join(part for part in (*(h[1] for h in self.headings), extra) if part)
        title = (self.caption if kind == "row" else "") or (self.headings[-1][1] if self.headings else "")
        return Unit(
            text=text, context=context, kind=kind, passage=self.passage, block=self.block, title=title, **fields
        )

    def _paragraph(self, lines: Sequence[str]) -> Iterator[Unit]:
        self.block += 1
        is_item = bool(_ITEM.match(lines[0]))
        text = (
            _ITEM.sub("", " ".join(line.strip() for line in lines), count=1)
            if is_item
            else " ".join(map(str.strip, lines))
        )
        if is_item:
            self.block -= 1
            yield self._unit(_plain(text), "item", extra=self.intro)
            return
        self.intro = text[-120:] if text.rstrip().endswith(":") else ""
        for sentence in sentences(_plain(text)):
            yield self._unit(sentence, "sentence")

    def _table(self, lines: Sequence[str]) -> Iterator[Unit]:
        self.block += 1
        rows = [_split_cells(line) for line in lines if line.strip() and not _RULE.match(line)]
        header = rows[0] if len(rows) > 1 and _is_header(rows[0], rows[1:]) else ()
        yield from self._rows(rows[1:] if header else rows, header)
        self.caption = ""

    def _plain_table(self, lines: Sequence[str]) -> Iterator[Unit]:
        self.block += 1
        rows = [_cells_by_values(line) for line in lines[1:]]
        header = tuple(re.findall(r"[A-Z][^A-Z]*(?:\([^)]*\)\s*)?", lines[0]))
        header = tuple(name.strip() for name in header)
        yield from self._rows(rows, header, loose=lines[0])
        self.caption = ""

    def _rows(self, rows: Sequence[tuple[str, ...]], header: tuple[str, ...], *, loose: str = "") -> Iterator[Unit]:
        extra = " ".join((self.caption, loose or " ".join(header)))
        for cells in rows:
            names = header if len(header) == len(cells) else ()
            text = row_text(cells, names) if names or not loose else f"{' '.join(cells)} ({loose.strip()})"
            yield self._unit(text, "row", extra=extra, cells=cells, header=names)


def row_text(cells: Sequence[str], header: Sequence[str]) -> str:
    """`Response time: Warning 500 ms, Critical 1,000 ms`."""
    if not header:
        return " ".join(cells) if len(cells) < 3 else f"{cells[0]}: {', '.join(cells[1:])}"
    rest = ", ".join(
        f"{name} {cell}" if name else cell for name, cell in zip(header[1:], cells[1:], strict=True) if cell
    )
    return f"{cells[0]}: {rest}"


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph; a full stop after an abbreviation does not end a sentence."""
    found: list[str] = []
    for part in _SENTENCE_END.split(text):
        if found and (_ABBREVIATION.search(found[-1]) or part[:1].islower()):
            found[-1] += " " + part
        elif part.strip():
            found.append(part.strip())
    return found


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\*\*|__|`", "", text)).strip()


def _split_cells(line: str) -> tuple[str, ...]:
    return tuple(_plain(cell) for cell in _CELLS.split(line.strip().strip("|").strip()))


def _table_length(lines: Sequence[str], at: int) -> int:
    """The number of table rows with delimited cells from this line on; 0 if there is no table."""
    end = at
    while end < len(lines) and lines[end].strip():
        line = lines[end].strip()
        if not (line.startswith("|") or len(_split_cells(line)) > 1 or (end > at and "|" in line)):
            break
        end += 1
    return end - at if end - at >= 2 else 0


def _plain_table_length(lines: Sequence[str], at: int) -> int:
    """The number of lines of a table without delimiters: a header without digits, then rows with digits; 0 if none."""
    if at >= len(lines) or not lines[at].strip() or re.search(r"\d|[.:;]$", lines[at].strip()):
        return 0
    end = at + 1
    while end < len(lines) and (line := lines[end].strip()) and not _CAPTION.match(line):
        if len(line) > 90 or line.endswith((".", ":")) or not re.search(r"\d", line):
            break
        end += 1
    return end - at if end - at >= 2 else 0


def _cells_by_values(line: str) -> tuple[str, ...]:
    """`CPU utilization 75 % 90 % 10 minutes` -> the label and the values."""
    line = line.strip()
    values = [match for match in _VALUE.finditer(line) if match.start() > 0]
    while values and line[values[-1].end() :].strip():  # words follow the last value: it is not a cell
        values = values[:-1]
    start = len(line)
    cells: list[str] = []
    for match in reversed(values):
        if line[match.end() : start].strip():
            break
        cells.insert(0, match.group().strip())
        start = match.start()
    return (line[:start].strip(), *cells) if cells else (line,)


def _is_header(first: tuple[str, ...], rest: Sequence[tuple[str, ...]]) -> bool:
    return not any(re.search(r"\d", cell) for cell in first) and all(len(cell) < 40 for cell in first) and bool(rest)


def _is_heading(lines: Sequence[str], at: int) -> bool:
    line = lines[at].strip()
    if _HEADING.match(line):
        return True
    if _ITEM.match(line) and not _NUMBERED.match(line):
        return False
    if (
        len(line) > 80
        or line[-1] in ".,;:!"
        or len(line.split()) > 10
        or (not line[0].isupper() and not line[0].isdigit())
    ):
        return False
    if _NUMBERED.match(line):
        return True
    before = lines[at - 1].strip() if at else ""
    after = lines[at + 1].strip() if at + 1 < len(lines) else ""
    starts_new = not before or before[-1] in ".:!?" or len(before) < 60
    if line[-1] == "?" and before and before[-1] not in ".:!?":
        return False  # the end of a question in the text
    return starts_new and not re.search(r"\d", line) and (not after or after[0].isupper() or after[0] in "-•*")


def _heading_length(lines: Sequence[str], at: int) -> int:
    """2 if the line after a long heading is the rest of it, else 1."""
    if at + 2 >= len(lines) or len(lines[at].strip()) < _LONG_SHARE * max(map(len, lines)):
        return 1
    rest, after = lines[at + 1].strip(), lines[at + 2].strip()
    words = [word for word in rest.split() if len(word) >= _SHORTEST_CAPITAL]
    is_rest = words and rest[-1] not in ".,;:!?" and all(word[0].isupper() for word in words) and after[:1].isupper()
    return 2 if is_rest and len(rest) < _SHORT_SHARE * len(lines[at]) else 1


def _paragraph_length(lines: Sequence[str], at: int) -> int:
    end = at + 1
    while end < len(lines):
        line = lines[end].strip()
        if not line or _ITEM.match(line) or _CAPTION.match(line) or _HEADING.match(line) or _table_length(lines, end):
            break
        if lines[end - 1].strip()[-1:] in ".!?:" and _is_heading(lines, end):
            break
        if line[0].isupper() and len(lines[end - 1].strip()) < _SHORT_SHARE * max(map(len, lines)):
            break  # the words that follow would have fitted into the line before
        end += 1
    return end - at
