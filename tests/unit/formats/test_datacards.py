"""Data cards: what stands on them is what stands in the file, whatever the file looks like."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import tempfile
import tracemalloc
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import openpyxl  # type: ignore[import-untyped]
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.paths import ROOT
from shared.formats import datacards, xlsx
from shared.formats import parquet as parquet_reader
from shared.formats.base import UnusableFile
from shared.formats.datacards import CARD_MAX_BYTES, card_of, singular
from shared.formats.parquet import csv_of
from shared.runs.data_files import CHOSEN_MAX, choose


def card(name: str, content: bytes) -> str:
    if name.endswith(".parquet"):
        with csv_of(io.BytesIO(content)) as copy:
            return card_of(name, copy, ending="csv").markdown
    return card_of(name, io.BytesIO(content)).markdown


def column_of(markdown: str, name: str) -> tuple[str, str, str]:
    """Type, values and empty cells, as the card says them."""
    for line in markdown.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0] == name:
            return cells[1], cells[2], cells[3]
    raise AssertionError(f"no column {name!r} in:\n{markdown}")


def size_of(markdown: str) -> tuple[int, int]:
    found = re.search(r"([\d,]+) rows, ([\d,]+) columns\.", markdown)
    assert found
    return int(found[1].replace(",", "")), int(found[2].replace(",", ""))


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
        (["1,5", "2,5"], "text", "1,5, 2,5"),
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
        ("a.json", b'{"a": [{"x": 1}], "b": [{"y": 1}]}'),
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
def test_what_is_no_table_is_said_in_words(name: str, content: bytes) -> None:
    with pytest.raises(UnusableFile, match=r"\w+ \w+"):
        card_of(name, io.BytesIO(content))


CELLS = st.text(alphabet=st.sampled_from("ab1.,;'\"| \n-é"), max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.integers(2, 4).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=6)))
def test_every_table_that_was_written_is_read(rows: list[list[str]]) -> None:
    header = [f"column_{n}" for n in range(len(rows[0]))]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    markdown = card("a.csv", text.getvalue().encode())
    assert size_of(markdown) == (len(rows), len(header))
    for n, name in enumerate(header):
        assert column_of(markdown, name)[2] == str(sum(not row[n].strip() for row in rows))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.tsv", "a.xlsx", "a.json"]))
def test_arbitrary_bytes_are_a_table_or_not(content: bytes, name: str) -> None:
    try:
        made = card_of(name, io.BytesIO(content))
    except UnusableFile:
        return
    assert made.markdown.startswith(f"# {name}\n")


@pytest.mark.parametrize("piece", [b'"a', b"'a,", b'",', b'"\n', b" '", b'a"b,', b'"a"\n'])
def test_a_file_of_quotes_is_read_in_the_end(piece: bytes) -> None:
    """The standard library's sniffer looks for quotes with expressions that take minutes on these."""
    code = (
        "import io, sys\nfrom shared.formats.base import UnusableFile\nfrom shared.formats.datacards import card_of\n"
        f"try: card_of('a.csv', io.BytesIO(b'x,y' + bytes([10]) + {piece!r} * (70_000 // {len(piece)})))\n"
        "except UnusableFile: pass"
    )
    # In a process of its own: a search that holds the interpreter cannot be ended from inside.
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=20, check=True)


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
    """A CSV of 100,000 rows that never stands in memory."""

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


def test_a_large_file_takes_little_memory() -> None:
    with tempfile.TemporaryFile() as content:
        content.writelines(Rows(100_000))
        tracemalloc.start()
        try:
            markdown = card_of("a.csv", content).markdown
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert size_of(markdown) == (100_000, 3)
    assert column_of(markdown, "value") == ("number", "0 to 12499.875", "0")
    assert peak_bytes < 4 * 1024 * 1024


# ---- Excel -------------------------------------------------------------------------------------------------------


def workbook(sheets: dict[str, list[list[object]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    content = io.BytesIO()
    book.save(content)
    book.close()
    return content.getvalue()


def test_a_workbook_of_several_sheets() -> None:
    content = workbook(
        {
            "Sales 2026": [["month", "revenue"], ["jan", 10.5], ["feb", 20]],
            "Empty": [],
            "Staff": [[None], ["name", "since", "active"], ["Ann", pd.Timestamp("2020-05-01").to_pydatetime(), True]],
        }
    )
    made = card_of("book.xlsx", io.BytesIO(content))
    assert "Sheet Sales 2026: 2 rows, 2 columns." in made.markdown
    assert "Sheet Staff: 1 rows, 3 columns." in made.markdown
    assert "Empty" not in made.markdown
    assert column_of(made.markdown, "revenue") == ("number", "10.5 to 20", "0")
    assert column_of(made.markdown, "since")[:2] == ("time", "2020-05-01 00:00:00 to 2020-05-01 00:00:00")
    assert column_of(made.markdown, "active")[0] == "boolean"
    assert {"sale", "revenue", "month", "ann", "staff"} <= set(made.terms)


def test_a_workbook_without_a_table() -> None:
    with pytest.raises(UnusableFile):
        card_of("book.xlsx", io.BytesIO(workbook({"a": [], "b": []})))


def test_a_damaged_workbook() -> None:
    content = bytearray(workbook({"a": [["x"], [1]]}))
    content[len(content) // 3] ^= 0xFF
    content[len(content) // 2] ^= 0xFF
    try:
        card_of("book.xlsx", io.BytesIO(bytes(content)))
    except UnusableFile as exc:
        assert "damaged" in str(exc)


def test_a_large_workbook_is_read_row_by_row_with_the_same_card(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[list[object]] = [
        [f"name {n}", n, n / 4, pd.Timestamp("2026-01-02 03:04:05").to_pydatetime(), n > 3] for n in range(9)
    ]
    rows[3] = [None, None, None, None, None]
    rows[5][1] = "#DIV/0!"
    content = workbook(
        {"Empty": [], "First": [["text", "whole", "number", "time", "truth"], *rows], "Second": [["x"], [1]]}
    )
    whole = card("book.xlsx", content)
    monkeypatch.setattr(xlsx, "WHOLE_MAX_BYTES", 0)
    by_row = card("book.xlsx", content)
    assert size_of(by_row) == size_of(whole) == (9, 5)
    assert by_row.count("# Sheet") == whole.count("# Sheet")
    for column in ("text", "whole", "number", "time", "truth", "x"):
        assert column_of(by_row, column) == column_of(whole, column)
    monkeypatch.setattr(xlsx, "HELD_MAX_BYTES", 10)
    with pytest.raises(UnusableFile, match="as CSV"):
        card("book.xlsx", content)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_large_workbook_that_is_damaged(data: st.DataObject) -> None:
    parts = {}
    with zipfile.ZipFile(io.BytesIO(workbook({"a": [["x", "y"], [1, "text"]]}))) as book:
        parts = {name: bytearray(book.read(name)) for name in book.namelist()}
    name = data.draw(st.sampled_from(sorted(parts)))
    at = data.draw(st.integers(0, len(parts[name]) - 1))
    parts[name][at : at + data.draw(st.integers(1, 40))] = data.draw(st.binary(max_size=20))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as book:
        for name, part in parts.items():
            book.writestr(name, bytes(part))
    with suppress(UnusableFile), pytest.MonkeyPatch.context() as patch:
        patch.setattr(xlsx, "WHOLE_MAX_BYTES", 0)
        card_of("book.xlsx", content)


def test_a_zip_bomb_is_refused() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as parts:
        part = zipfile.ZipInfo("xl/worksheets/sheet1.xml")
        part.compress_type = zipfile.ZIP_DEFLATED
        with parts.open(part, "w", force_zip64=True) as out:
            for _ in range(300):
                out.write(b" " * 1024 * 1024)
    with pytest.raises(UnusableFile, match="unpacked"):
        card_of("book.xlsx", content)


# ---- JSON --------------------------------------------------------------------------------------------------------


def test_json_records() -> None:
    rows = [{"a": 1, "b": "x"}, {"a": 2.5, "c": None}, {"c": [1, 2], "a": True}]
    markdown = card("a.json", json.dumps(rows).encode())
    assert size_of(markdown) == (3, 3)
    assert column_of(markdown, "b") == ("text", "x", "2")
    assert column_of(markdown, "c") == ("text", "[1, 2]", "2")


def test_json_with_the_list_inside() -> None:
    assert size_of(card("a.json", b'{"count": 2, "items": [{"x": 1}, {"x": 2}]}')) == (2, 1)


def test_json_is_read_record_by_record() -> None:
    record = json.dumps({"name": "x" * 1000, "parts": [{"n": 1.5}]}).encode()
    content = io.BytesIO(
        b'\xef\xbb\xbf{"note": "' + b"y" * 3_000_000 + b'", "rows": [' + b",".join([record] * 8_000) + b"]}"
    )
    tracemalloc.start()
    try:
        markdown = card_of("a.json", content).markdown
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size_of(markdown) == (8_000, 2)
    assert column_of(markdown, "parts") == ("text", '[{"n": 1.5}]', "0")
    assert peak < 12_000_000


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["[", "]", "{", "}", ",", ":", '"a"', '"b"', "1", "-2.5e3", "null", "true", '"\\ud800"', "\n"])
    )
)
def test_whatever_looks_like_json_is_a_table_or_not(tokens: list[str]) -> None:
    text = "".join(tokens)
    try:
        card("a.json", text.encode())
    except UnusableFile:
        return
    assert isinstance(json.loads(text), list | dict)


@pytest.mark.parametrize("number", ["1e999", "1" + "0" * 400, "-0.0", "1e-320"])
def test_odd_numbers_in_json(number: str) -> None:
    assert size_of(card("a.json", f'[{{"a": {number}}}, {{"a": 1}}]'.encode())) == (2, 1)


def test_json_of_many_different_fields_is_refused() -> None:
    rows = [{f"field_{n}": n} for n in range(20_000)]
    with pytest.raises(UnusableFile, match="fields"):
        card("a.json", json.dumps(rows).encode())


def test_a_wide_table_is_cut_on_the_card() -> None:
    markdown = card("a.csv", ",".join(f"c{n}" for n in range(1000)).encode() + b"\n" + b"1," * 999 + b"1\n")
    assert "800 more columns" in markdown
    assert len(markdown) < 50_000


def test_the_caller_keeps_the_file() -> None:
    content: IO[bytes] = io.BytesIO(b"a,b\n1,2\n")
    card_of("a.csv", content)
    content.seek(0)
    assert content.read() == b"a,b\n1,2\n"


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b'a,b\n"' + b"x" * 200_000, b"\0"])
def test_the_caller_keeps_the_file_whatever_comes(content: bytes) -> None:
    held = io.BytesIO(content)
    with suppress(UnusableFile):
        card_of("a.csv", held)
    held.seek(0)


# ---- which files fit a question ----------------------------------------------------------------------------------


def terms(name: str, content: bytes) -> tuple[str, ...]:
    return card_of(name, io.BytesIO(content)).terms


FILES = {
    "sales-2026.csv": terms("sales-2026.csv", b"month,revenue,region\njan,1,north\nfeb,2,south\n"),
    "server-metrics.csv": terms("server-metrics.csv", b"timestamp,server,response_ms\n2026-01-01,web-01,5\n"),
    "staff.csv": terms("staff.csv", b"name,salary,department\nAnn,5,IT\nBob,6,HR\n"),
    "stock.csv": terms("stock.csv", b"item,amount,warehouse\nbolt,5,east side\n"),
    "server-costs.csv": terms("server-costs.csv", b"month,server,euro\njan,web-01,5\n"),
}


@pytest.mark.parametrize(
    ("question", "paths"),
    [
        ("Which month had the highest revenue?", ["sales-2026.csv", "server-costs.csv"]),
        ("What is the average response time by server in the metrics?", ["server-metrics.csv"]),
        ("Average salary by department?", ["staff.csv"]),
        ("How many items are in the warehouses?", ["stock.csv"]),
        ("What does web-01 cost in euro a month?", ["server-costs.csv"]),
        ("How much is stored on the east side?", ["stock.csv"]),
        ("What is our policy on holidays?", []),
        ("", []),
        ("?!", []),
    ],
)
def test_the_files_that_fit(question: str, paths: list[str]) -> None:
    chosen = choose(question, dict(FILES))
    assert chosen[: len(paths)] == paths[: len(chosen)] if paths else chosen == []
    assert set(paths[:1]) <= set(chosen)


def test_few_files_are_all_given() -> None:
    assert choose("Anything?", {"b.csv": ("x",), "a.csv": ("y",), "c.csv": ()}) == ["a.csv", "b.csv", "c.csv"]
    assert choose("Anything?", {}) == []


def test_not_too_many_files_are_given() -> None:
    files: dict[str, Sequence[str]] = {f"sales-{n:03}.csv": ("sale", "month", "revenue") for n in range(50)}
    chosen = choose("Revenue by month?", files)
    assert chosen == sorted(files)[:CHOSEN_MAX]


@pytest.mark.parametrize(
    ("word", "stemmed"),
    [("Metrics", "metric"), ("metric", "metric"), ("class", "class"), ("gas", "gas"), ("STRASSE", "strasse")],
)
def test_stems(word: str, stemmed: str) -> None:
    assert singular(word) == stemmed


# ---- Parquet, encodings, size ------------------------------------------------------------------------------------


def parquet(columns: dict[str, tuple[list[object], str]]) -> bytes:
    import arro3.core as arrow
    import arro3.io

    arrays = {
        name: arrow.Array(values, type=getattr(arrow.DataType, kind)())  # type: ignore[arg-type]
        for name, (values, kind) in columns.items()
    }
    file = io.BytesIO()
    arro3.io.write_parquet(arrow.Table.from_pydict(arrays), file)
    return file.getvalue()


SALES = {"city": (["Ulm", "a, b", None], "string"), "visits": ([1, 20, 300], "int64")}


def test_parquet_has_a_card_and_a_copy() -> None:
    content = parquet(SALES)
    markdown = card("sales.parquet", content)
    assert size_of(markdown) == (3, 2)
    assert column_of(markdown, "visits") == ("integer", "1 to 300", "0")
    assert column_of(markdown, "city") == ("text", "Ulm, a, b", "1")
    with csv_of(io.BytesIO(content)) as copy:
        assert copy.read() == b'city,visits\nUlm,1\n"a, b",20\n,300\n'


def test_parquet_without_rows_has_its_columns() -> None:
    assert size_of(card("a.parquet", parquet({"n": ([], "int64"), "m": ([], "string")}))) == (0, 2)


def test_parquet_from_a_file_on_disk() -> None:
    with tempfile.SpooledTemporaryFile(max_size=1) as file:
        file.write(parquet(SALES))
        with csv_of(file) as copy:
            assert copy.read().startswith(b"city,visits\n")


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1_000_000), st.integers(0, 255), st.integers(0, 1_000_000))
def test_hostile_parquet_is_a_table_or_not(at: int, value: int, length: int) -> None:
    content = bytearray(parquet(SALES))
    content[at % len(content)] = value
    for damaged in (bytes(content), bytes(content[: length % len(content)])):
        with suppress(UnusableFile):
            card("a.parquet", damaged)


def test_a_reader_that_aborts_ends_only_its_own_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = parquet(SALES)
    (tmp_path / "arro3").mkdir()
    (tmp_path / "arro3" / "io.py").write_text("import os\nos.abort()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UnusableFile, match="damaged"):
        csv_of(io.BytesIO(content))


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1" + b"x" * 100 + b"PAR1", b"PAR1\xff\xff\xff\x7fPAR1"])
def test_damaged_parquet_is_said_in_words(content: bytes) -> None:
    with pytest.raises(UnusableFile, match="damaged"):
        card("a.parquet", content)


def test_parquet_that_is_too_much_as_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_reader, "CSV_MAX_BYTES", 10)
    with pytest.raises(UnusableFile, match="Split it"):
        csv_of(io.BytesIO(parquet(SALES)))


def test_nested_parquet_is_refused() -> None:
    import arro3.io

    file = io.BytesIO()
    records = io.BytesIO(b'{"tags": [1]}\n')
    schema = arro3.io.infer_json_schema(records)
    records.seek(0)
    arro3.io.write_parquet(arro3.io.read_json(records, schema), file)
    with pytest.raises(UnusableFile, match="'tags' holds nested"):
        csv_of(file)


def test_the_assumed_encoding_stands_on_the_card() -> None:
    assert "Windows-1252" in card("a.csv", "größe,n\nü,1\n".encode("cp1252"))
    assert "Windows-1252" not in card("a.csv", "größe,n\nü,1\n".encode())


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
def test_many_cells_at_once_are_what_they_are_one_by_one(cells: list[str]) -> None:
    together, single = datacards.Column("a"), datacards.Column("a")
    together.add_texts(cells)
    for cell in cells:
        single.add(cell)
    assert (together.kind, together.empty, together.describe()) == (single.kind, single.empty, single.describe())
