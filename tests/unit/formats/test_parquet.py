"""Data cards and CSV copies of Parquet files."""

from __future__ import annotations

import io
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.formats.base import UnusableFile
from shared.formats.parquet import csv_of
from tests.unit.formats.cards import card, column_of, size_of


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


@pytest.mark.long
@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1_000_000), st.integers(0, 255), st.integers(0, 1_000_000))
def test_damaged_parquet_is_a_table_or_raises_unusable_file(at: int, value: int, length: int) -> None:
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
def test_damaged_parquet_has_a_message(content: bytes) -> None:
    with pytest.raises(UnusableFile, match="damaged"):
        card("a.parquet", content)


def test_parquet_that_is_too_much_as_csv() -> None:
    with pytest.raises(UnusableFile, match="Split it"):
        csv_of(io.BytesIO(parquet(SALES)), max_bytes=10)


def test_nested_parquet_is_refused() -> None:
    import arro3.io

    file = io.BytesIO()
    records = io.BytesIO(b'{"tags": [1]}\n')
    schema = arro3.io.infer_json_schema(records)
    records.seek(0)
    arro3.io.write_parquet(arro3.io.read_json(records, schema), file)
    with pytest.raises(UnusableFile, match="'tags' holds nested"):
        csv_of(file)
