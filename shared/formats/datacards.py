"""Data cards: a short Markdown profile of a table file, which file search indexes in place of its rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import IO

from shared.formats.tables.reader import COPIES_MAX_BYTES, Table, Tables, read_tables
from shared.formats.words import singular
from shared.models.documents import Reason

CARD_MAX_BYTES = 60_000
NOTICE_MAX_CHARS = 900
NOTE_MAX_CHARS = 400


@dataclass(frozen=True, kw_only=True)
class Card:
    """`terms`: words from the file name, the columns and their values, compared with the words of a question.

    `notice`: how a file was read that is not plain; None for a plain one.
    """

    markdown: str
    terms: tuple[str, ...]
    notice: Reason | None = None


def card_of(filename: str, content: IO[bytes], *, ending: str | None = None) -> Card:
    """The data card of a table file: CSV, TSV, XLSX, JSON, JSON lines, or the CSV copy of a Parquet file.

    Args:
        filename: The title of the card.
        ending: The extension that fits the content; by default that of `filename`.

    Raises:
        UnusableFile: `not_a_table`: the file is damaged, empty or, for JSON, not a list of records.
    """
    tables, card = read_data(filename, ending or filename.rsplit(".", 1)[-1].lower(), content)
    with tables:
        return card


def read_data(
    filename: str, ending: str, content: IO[bytes], *, copies_max_bytes: int = COPIES_MAX_BYTES
) -> tuple[Tables, Card]:
    """The tables of a file, whose clean copies the caller closes, and their data card; else as `card_of`."""
    tables = read_tables(ending, content, copies_max_bytes=copies_max_bytes)
    return tables, _card(filename, tables)


def _card(filename: str, tables: Tables) -> Card:
    lines = [
        f"# {filename}",
        "",
        "A data file. Its rows are not in this index: analyse it with Python in code interpreter.",
    ]
    if not tables.is_plain:
        lines.append("Analyse the clean copies of its tables: UTF-8 CSV, header in row 1, ISO dates, decimal points.")
    for table in tables.tables:
        lines += ["", *_described(table)]
    names = re.split(r"[\W_]+", filename.rsplit(".", 1)[0])
    words = chain(names, *(table.profile.words() for table in tables.tables))
    terms = tuple(dict.fromkeys(singular(w) for w in words if len(w) > 1))
    return Card(markdown=_cut(lines), terms=terms, notice=_notice(tables))


def with_notice(first: Reason | None, second: Reason | None) -> Reason | None:
    """One notice of two: the code is that of the first."""
    if first is None or second is None:
        return first or second
    return Reason(code=first.code, message=f"{first.message} {second.message}")


def _described(table: Table) -> Iterator[str]:
    profile = table.profile
    title = f"Sheet {profile.name}: " if profile.name else ""
    yield f"{title}{profile.rows:,} rows, {profile.width:,} columns."
    if table.notes:
        yield f"How it was read: {_sentence(table.notes)}"
    yield ""
    yield from profile.markdown()


def _sentence(notes: Sequence[str]) -> str:
    text = "; ".join(note if len(note) <= NOTE_MAX_CHARS else note[: NOTE_MAX_CHARS - 1] + "…" for note in notes)
    return text[:1].upper() + text[1:] + "."


def _notice(tables: Tables) -> Reason | None:
    notes = []
    for table in tables.tables:
        if table.notes and (table.copy is not None or table.doubts):
            start = f"{table.profile.name}: " if table.profile.name and len(tables.tables) > 1 else ""
            notes.append(start + _sentence(table.notes))
    if not notes:
        return None
    message = " ".join(notes)
    if len(message) > NOTICE_MAX_CHARS:
        message = message[: NOTICE_MAX_CHARS - 1] + "…"
    return Reason(code="table_notes", message=message)


def _cut(lines: Sequence[str]) -> str:
    """Join the lines; those beyond `CARD_MAX_BYTES` are left out."""
    left_bytes = CARD_MAX_BYTES
    for number, line in enumerate(lines):
        left_bytes -= len(line.encode("utf-8", "replace")) + 1
        if left_bytes < 0:
            return "\n".join([*lines[:number], "", "The card ends here; the file has more columns or sheets."]) + "\n"
    return "\n".join(lines) + "\n"
