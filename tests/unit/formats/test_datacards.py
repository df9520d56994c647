"""Data cards of CSV and TSV files: types, ranges, sizes and errors."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.paths import ROOT
from shared.formats.base import UnusableFile
from shared.formats.datacards import CARD_MAX_BYTES, card_of
from shared.formats.tables import profile
from shared.formats.words import singular
from tests.unit.formats.cards import card, card_and_peak_bytes, column_of, size_of

# ---- CSV ---------------------------------------------------------------------------------------------------------

ROWS = [
    ["month", "visits", "rate", "note"],
    ["jan", "1", "0.5", "a, b"],
    ["feb", "20", "-3.25", 'say "hi"'],
    ["mar", "", "1e3", ""],
]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_dialects_and_encodings(delimiter: str, encoding: str, line_end: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=line_end).writerows([*ROWS, ["märz", "5", "2", "ß"]])
    markdown = card("visits.csv", text.getvalue().encode(encoding))
    assert size_of(markdown) == (4, 4)
    assert column_of(markdown, "month") == ("text", "jan, feb, mar, märz", "0")
    assert column_of(markdown, "visits") == ("integer", "1 to 20", "1")
    assert column_of(markdown, "rate") == ("number", "-3.25 to 1000", "0")
    assert column_of(markdown, "note")[2] == "1"


def test_the_whole_card() -> None:
    assert card("a.csv", b"month,visits\njan,1\nfeb,2\n") == (
        "# a.csv\n\n"
        "A data file. Its rows are not in this index: analyse it with Python in code interpreter.\n\n"
        "2 rows, 2 columns.\n\n"
        "| column | type | values | empty |\n|---|---|---|---|\n"
        "| month | text | jan, feb | 0 |\n| visits | integer | 1 to 2 | 0 |\n\n"
        "First rows:\n\n| month | visits |\n|---|---|\n| jan | 1 |\n| feb | 2 |\n"
    )


@pytest.mark.parametrize(
    ("content", "rows", "empty"),
    [
        (b"a,b\n1,2\n\n\n", 1, "0"),
        (b"\n\na,b\n1,2\n", 1, "0"),
        (b"a,b\n1,2\n\n3,4\n", 2, "0"),
        (b"a,b\n1\n3,4\n", 2, "1"),
        (b"a,b\n1,2", 1, "0"),
        (b"a,b\n", 0, "0"),
    ],
    ids=["blank lines at the end", "at the start", "in between", "a short row", "no line end", "a header only"],
)
def test_rows_are_counted_as_pandas_counts_them(content: bytes, rows: int, empty: str) -> None:
    frame = pd.read_csv(io.BytesIO(content))
    assert (len(frame), str(int(frame["b"].isna().sum()))) == (rows, empty)
    markdown = card("a.csv", content)
    assert size_of(markdown) == (rows, 2)
    assert column_of(markdown, "b")[2] == empty


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "2"], "integer", "1 to 2"),
        (["1234567", "86400000"], "integer", "1234567 to 86400000"),
        (["999999999999999999", "1"], "integer", "1 to 999999999999999999"),
        (["1", "2.5"], "number", "1 to 2.5"),
        (["0.1", "1234567.25"], "number", "0.1 to 1234567.25"),
        (["-1", "+3"], "integer", "-1 to 3"),
        ([".5", "1e3"], "number", "0.5 to 1000"),
        (["2026-02-01", "2026-02-28"], "time", "2026-02-01 00:00:00 to 2026-02-28 00:00:00"),
        (["2026-02-01T10:30:00Z", "2026-02-01 09:00"], "time", "2026-02-01 09:00:00 to 2026-02-01 10:30:00"),
        (["2026-02-31", "2026-02-32"], "text", "2026-02-31, 2026-02-32"),
        (["x", "1"], "mixed", "x, 1"),
        (["", " "], "empty", ""),
        (["1,5", "2,5"], "number", "1.5 to 2.5"),
        ([str(n) + "x" for n in range(13)], "text", "many values"),
        (["a|b", "c\nd"], "text", "a b, c d"),
        (["x" * 100, "y"], "text", "x" * 59 + "…, y"),
    ],
)
def test_types_and_ranges(cells: list[str], kind: str, values: str) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["id", "v"], *([n, cell] for n, cell in enumerate(cells))])
    assert column_of(card("a.csv", text.getvalue().encode()), "v")[:2] == (kind, values)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"\n \n\n"),
        ("a.csv", b"\xef\xbb\xbf"),
        ("a.csv", b"PK\x03\x04\0\0\0\0"),
        ("a.csv", b'a,b\n"' + b"x" * 200_000),
        ("a.tsv", b"a\tb\n1\0\t2\n"),
        ("a.xlsx", b""),
        ("a.xlsx", b"no workbook"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600),
        ("a.json", b""),
        ("a.json", b"{"),
        ("a.json", b"\xff\xfe\xfa"),
        ("a.json", b"[" * 100_000),
        ("a.json", b"[]"),
        ("a.json", b"[1, 2]"),
        ("a.json", b'[{"a": 1}, 2]'),
        ("a.json", b"[{}]"),
        ("a.json", b'{"a": 1}'),
        ("a.json", b'"text"'),
        ("a.json", b"null"),
        ("a.json", b'[{"a": 1' + b"0" * 5000 + b"}]"),
        ("a.json", b'[{"a": NaN}]'),
        ("a.json", b'[{"a": 1}] and more'),
        ("a.json", b'[{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]"),
        ("a.json", b'[{"a": "' + b"x" * 5_000_000 + b'"}]'),
        ("a.json", b'{"a": "' + b"x" * 5_000_000 + b'", "rows": [{"x": 1}]}'),
        ("a.json", b'{"a.b": [{"x": 1}]}'),
    ],
)
def test_files_without_a_table_have_a_message(name: str, content: bytes) -> None:
    with pytest.raises(UnusableFile, match=r"\w+ \w+"):
        card_of(name, io.BytesIO(content))


CELLS = st.text(alphabet=st.sampled_from("ab1.,;'\"| \n-é"), max_size=6)


@pytest.mark.parametrize(
    "rows",
    [
        [["", "1"], ["", "."]],
        [["", ";", ";", ";"], ["", "", "", ""], ["", "", "", "1"]],
        [["", "", "", ";"], ["", "", "", ""], ["", "", "", "1"]],
        [["", "", "", ";"], ["", ";", "", ""], ["", "", "", ""], ["", "1", "", ""]],
        [["", ";", ";", ";"], ["", ";", "", ""], ["", "", "", ""], ["", "1", "", ""]],
    ],
)
def test_a_sparse_table_is_read_completely(rows: list[list[str]]) -> None:
    assert_read_completely(rows)


@settings(max_examples=150, deadline=None)
@given(st.integers(2, 4).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=6)))
def test_a_written_table_is_read_completely(rows: list[list[str]]) -> None:
    assert_read_completely(rows)


def assert_read_completely(rows: list[list[str]]) -> None:
    header = [f"column_{n}" for n in range(len(rows[0]))]
    rows = [[f"r{row[0]}", *row[1:]] for row in rows]  # rows without any cell are left out
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    markdown = card("a.csv", text.getvalue().encode())
    assert size_of(markdown) == (len(rows), len(header))
    for n, name in enumerate(header):
        unit = re.search(rf"^\| {name}( \(.{{1,9}}\)) \|", markdown, re.MULTILINE)  # of cells such as `1 a`
        found = re.search(rf"no value in (\d+) cells? of column '{name}", markdown, re.IGNORECASE)
        missing = int(found[1]) if found else 0  # words such as `-` and `.`, which the card names
        shown = column_of(markdown, name + (unit[1] if unit else ""))
        assert shown[2] == str(sum(not row[n].strip() for row in rows) + missing)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.tsv", "a.xlsx", "a.json"]))
def test_any_bytes_are_a_table_or_raise_unusable_file(content: bytes, name: str) -> None:
    try:
        made = card_of(name, io.BytesIO(content))
    except UnusableFile:
        return
    assert made.markdown.startswith(f"# {name}\n")


@pytest.mark.parametrize("piece", [b'"a', b"'a,", b'",', b'"\n', b" '", b'a"b,', b'"a"\n'])
def test_a_file_of_quotes_is_read_in_seconds(piece: bytes) -> None:
    """`csv.Sniffer` takes minutes for such files."""
    code = (
        "import io, sys\nfrom shared.formats.base import UnusableFile\nfrom shared.formats.datacards import card_of\n"
        f"try: card_of('a.csv', io.BytesIO(b'x,y' + bytes([10]) + {piece!r} * (70_000 // {len(piece)})))\n"
        "except UnusableFile: pass"
    )
    # In a process of its own, because a regular expression that hangs cannot be stopped from inside.
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=180, check=True)


# ---- figures equal pandas ----------------------------------------------------------------------------------------


def test_figures_equal_pandas() -> None:
    lines = ["at,server,load,errors"]
    for n in range(2000):
        load = "" if n % 97 == 0 else f"{(n * 7919) % 1000 / 7:.4f}"
        lines.append(f"2026-02-{n % 28 + 1:02}T{n % 24:02}:00:00,web-0{n % 4},{load},{(n * 31) % 1_234_567}")
    content = "\n".join(lines).encode()
    frame = pd.read_csv(io.BytesIO(content))
    markdown = card("a.csv", content)
    assert size_of(markdown) == frame.shape
    for name in ("load", "errors"):
        _, values, empty = column_of(markdown, name)
        low, high = (float(part) for part in values.split(" to "))
        assert (low, high, int(empty)) == (frame[name].min(), frame[name].max(), frame[name].isna().sum())
    assert column_of(markdown, "server")[1] == ", ".join(frame["server"].unique())
    start, end = pd.to_datetime(frame["at"]).agg(["min", "max"])
    assert column_of(markdown, "at")[1] == f"{start} to {end}"


class Rows(io.RawIOBase):
    """A CSV file that is generated while it is read."""

    def __init__(self, count: int) -> None:
        self._lines = self._make(count)
        self._left = b""

    def _make(self, count: int) -> Iterator[bytes]:
        yield b"id,group,value\n"
        for n in range(count):
            yield f"{n},group {n % 5},{n / 8}\n".encode()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while len(self._left) < len(buffer) and (line := next(self._lines, b"")):
            self._left += line
        taken, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


@pytest.mark.long
def test_a_large_file_takes_little_memory() -> None:
    with tempfile.TemporaryFile() as content:
        content.writelines(Rows(100_000))
        markdown, peak_bytes = card_and_peak_bytes("a.csv", content)
    assert size_of(markdown) == (100_000, 3)
    assert column_of(markdown, "value") == ("number", "0 to 12499.875", "0")
    assert peak_bytes < 4 * 1024 * 1024


def test_the_card_of_a_wide_table_is_shortened() -> None:
    markdown = card("a.csv", ",".join(f"c{n}" for n in range(1000)).encode() + b"\n" + b"1," * 999 + b"1\n")
    assert "800 more columns" in markdown
    assert len(markdown) < 50_000


def test_the_file_stays_open() -> None:
    content: IO[bytes] = io.BytesIO(b"a,b\n1,2\n")
    card_of("a.csv", content)
    content.seek(0)
    assert content.read() == b"a,b\n1,2\n"


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b'a,b\n"' + b"x" * 200_000, b"\0"])
def test_the_file_stays_open_after_an_error(content: bytes) -> None:
    held = io.BytesIO(content)
    with suppress(UnusableFile):
        card_of("a.csv", held)
    held.seek(0)


@pytest.mark.parametrize(
    ("word", "stemmed"),
    [("Metrics", "metric"), ("metric", "metric"), ("class", "class"), ("gas", "gas"), ("STRASSE", "strasse")],
)
def test_stems(word: str, stemmed: str) -> None:
    assert singular(word) == stemmed


# ---- encodings, size ---------------------------------------------------------------------------------------------


def test_the_card_names_the_assumed_encoding() -> None:
    assert "Windows-1252" in card("a.csv", "größe,n\nü,1\n".encode("cp1252"))
    assert "Windows-1252" not in card("a.csv", "größe,n\nü,1\n".encode())


@pytest.mark.long
def test_a_card_stays_small() -> None:
    wide = ",".join(f"{n}" + "ü" * 200 for n in range(100_000))
    rows = "\n".join(",".join(f"{row}" + "ö" * 90 for _ in range(300)) for row in range(10))
    markdown = card("a.csv", f"{wide}\n{rows}\n".encode())
    assert size_of(markdown) == (10, 100_000)
    assert len(markdown.encode()) < CARD_MAX_BYTES + 200


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["", " ", "1", "-2", "1.5", "1e3", "a", "b c", "1\n2", "2024-01-02", "9" * 20, "x1", "é", "1_0"]
        ),
        min_size=1,
        max_size=30,
    )
)
def test_add_texts_gives_the_same_profile_as_add(cells: list[str]) -> None:
    together, single = profile.Column("a"), profile.Column("a")
    together.add_texts(cells)
    for cell in cells:
        single.add(cell)
    assert (together.kind, together.empty, together.describe()) == (single.kind, single.empty, single.describe())
