"""How the lines of a text table are cut into cells: `sep=` line, comment lines, delimiter. Pure."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice, takewhile

DELIMITERS = ",;\t|"
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
ROWS_MAX = 500  # that are looked at
_NUMBER_WITH_COMMA = re.compile(r"(?<![\d.,])[-+]?\d{1,3}(?:\.?\d{3})*,\d+(?![\d.,])")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """`agreement`: the share of rows that have as many cells as most rows, from 0 to 1. Lines are counted from 1."""

    delimiter: str
    skipped: int = 0  # lines at the start: the line `sep=;`
    comment: str = ""  # the prefix of comment lines
    comments_end: int = 0  # the last of those above the table
    names_line: int = 0  # a comment line that names the columns
    agreement: float = 1.0
    width: int = 1  # cells in most rows

    def leaves_out(self, number: int, line: str) -> bool:
        """Whether a line is no row: the line `sep=`, or a comment. A line between rows, and as full, is one of them."""
        if number <= self.skipped:
            return True
        if number == self.names_line or not self.comment or not is_comment(line, self.comment):
            return False
        return number <= self.comments_end or line.count(self.delimiter) < self.width - 1 or self.width < 2


def dialect_of(text: str, *, default: str = ",") -> Dialect:
    """Decide by the start of a file. `csv.Sniffer` is wrong for small files, and takes minutes for some.

    Args:
        text: The start of the file; its last line may be cut.
        default: The delimiter of a file in which no delimiter separates anything.
    """
    found = re.match(r"\s*\"?sep=(.)\"?[ \t]*(?:\r\n|\r|\n)", text, re.IGNORECASE)
    skipped = 1 if found else 0
    start = enumerate(islice(text.splitlines(), ROWS_MAX + 50), 1)
    numbered = [(number, line) for number, line in start if number > skipped and line.strip()]
    comment = _comment([line for _, line in numbered])
    above = list(takewhile(lambda item: is_comment(item[1], comment), numbered))
    lines = [line for _, line in numbered if not is_comment(line, comment)]
    delimiter, width, agreement = (found[1], *_fit(lines, found[1])) if found else _best(lines, default)
    names = above[-1][1].lstrip(comment + " ") if above else ""
    return Dialect(
        delimiter=delimiter,
        skipped=skipped,
        comment=comment,
        comments_end=above[-1][0] if above else 0,
        names_line=above[-1][0] if _names_columns(names, lines, delimiter) else 0,
        agreement=agreement,
        width=width,
    )


def _best(lines: list[str], default: str) -> tuple[str, int, float]:
    """The delimiter that fits best, the number of cells of most rows, and the share of rows that have it."""
    candidates = {delimiter: _fit(lines, delimiter) for delimiter in DELIMITERS}
    if _commas_are_decimal(lines):
        del candidates[","]
    scores = {delimiter: _score(width, agreement) for delimiter, (width, agreement) in candidates.items()}
    best = max(scores, key=lambda delimiter: scores[delimiter])
    return (best, *candidates[best]) if scores[best] else (default, 1, 1.0)


def is_comment(line: str, prefix: str) -> bool:
    """Whether a line begins as a comment does. `#5` is a number of something."""
    return bool(prefix) and line.startswith(prefix) and not line[len(prefix) : len(prefix) + 1].isdigit()


def _comment(lines: list[str]) -> str:
    """The prefix of comment lines: `#`, `%` or `//` at the first line, or at several lines without being a column.

    A header such as `#,name` or `# id;name` begins like a comment: it has the delimiters of the lines below, and these
    have no header of their own.
    """
    for prefix in ("#", "%", "//", "!"):
        marked = [line for line in lines if is_comment(line, prefix)]
        others = [line for line in lines if not is_comment(line, prefix)]
        if not marked or len(others) < 2 or not is_comment(lines[0], prefix):
            continue
        if len(marked) > 1 or not any(_is_row_like(marked[0], others, d) for d in DELIMITERS):
            return prefix
    return ""


def _is_row_like(line: str, others: list[str], delimiter: str) -> bool:
    same = 0 < line.count(delimiter) == others[0].count(delimiter) == others[1].count(delimiter)
    have_header = not _has_number(others[0]) and any(map(_has_number, others[1:10]))
    return same and not have_header


def _has_number(line: str) -> bool:
    return any(cell.strip().lstrip("+-").replace(".", "").isdecimal() for cell in re.split(r"[,;\t|]", line))


def _names_columns(names: str, lines: list[str], delimiter: str) -> bool:
    """Whether the last of the comment lines is the header of the rows below, which have none of their own."""
    is_full = all(names.count(delimiter) == line.count(delimiter) > 0 for line in lines[:2])
    return is_full and bool(lines) and not names.startswith(delimiter) and _has_number(lines[0]) > _has_number(names)


def _fit(lines: list[str], delimiter: str) -> tuple[int, float]:
    """The number of cells of most rows, and the share of rows that have it."""
    widths: Counter[int] = Counter()
    try:
        for row in islice(csv.reader((line + "\n" for line in lines[:ROWS_MAX]), delimiter=delimiter), ROWS_MAX):
            if any(cell.strip() for cell in row):
                widths[len(row)] += 1
    except csv.Error:
        return 1, 0.0
    if not widths:
        return 1, 0.0
    # Of two equally frequent widths the larger: the lines above the header are short.
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
    if width == 1 and len(widths) > 1:
        wider, many = max(((w, n) for w, n in widths.items() if w > 1), key=lambda item: (item[1], item[0]))
        if many >= 0.3 * widths.total():
            width, count = wider, many
    return width, count / widths.total()


def _score(width: int, agreement: float) -> float:
    """Agreement counts twice: three delimiters in every line are better evidence than five in every second one."""
    return 0.0 if width < 2 else agreement**2 * (1 + min(width, 20) / 20)


def _commas_are_decimal(lines: list[str]) -> bool:
    """Whether every comma stands inside a number, and the first line, which names the columns, has none."""
    text = "\n".join(lines[1:ROWS_MAX])
    if not lines or "," in lines[0] or "," not in text or '"' in text:
        return False
    return "," not in _NUMBER_WITH_COMMA.sub("", text)
