"""Converts Parquet to CSV in a process of its own: a damaged file can abort the reader, which no `except` catches.

`python -m shared.formats.parquet MAX_BYTES` is that process: see process.py.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from typing import IO, Any

from shared.formats.base import FILE_MAX_BYTES, UnusableFile, not_a_table
from shared.formats.process import convert, serve

TIMEOUT_S = 240
DAMAGED = "The Parquet file cannot be read: it is damaged or of a kind that is not known."


def csv_of(content: IO[bytes], *, max_bytes: int = FILE_MAX_BYTES) -> IO[bytes]:
    """A Parquet file as CSV, in a temporary file that the caller closes.

    Raises:
        UnusableFile: `not_a_table`: it is damaged, has nested columns, or is more than `max_bytes` as CSV.
    """
    too_slow = f"The Parquet file takes more than {TIMEOUT_S} s to read. Split it."
    return convert(
        "shared.formats.parquet",
        content,
        max_bytes=max_bytes,
        timeout_s=TIMEOUT_S,
        too_slow=too_slow,
        damaged=DAMAGED,
    )


# ---- the process -------------------------------------------------------------------------------------------------


def _write_csv(source: IO[bytes], target: IO[bytes], *, max_bytes: int) -> None:
    """Convert batch by batch, in bounded memory."""
    import arro3.io

    limited = _Limited(target, max_bytes)
    try:
        batches = arro3.io.read_parquet(source)
        schema = batches.schema
        fields = [schema.field(number) for number in range(len(schema.names))]
        nested = [field.name for field in fields if _is_nested(field.type)]
        if nested:
            raise not_a_table(f"The column {nested[0][:60]!r} holds nested values. Write them as JSON text.")
        limited.write(_line(schema.names).encode())  # arro3 writes no header when there are no rows
        arro3.io.write_csv(batches, limited, header=False)  # type: ignore[arg-type]
        target.flush()
    except UnusableFile:
        raise
    except Exception as exc:
        if limited.is_full:
            limit = f"{max_bytes:,} bytes as CSV, which is the most that is taken"
            raise not_a_table(f"The Parquet file has more than {limit}. Split it.") from exc
        raise not_a_table(DAMAGED) from exc


def _is_nested(column_type: Any) -> bool:
    from arro3.core import DataType

    return DataType.is_nested(column_type) and not DataType.is_dictionary(column_type)


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


class _Limited(io.RawIOBase):
    """Writes to `file`, and raises OSError once it would be more than `max_bytes`."""

    def __init__(self, file: IO[bytes], max_bytes: int) -> None:
        self._file = file
        self.is_full = False
        self._left_bytes = max_bytes

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            self.is_full = True
            raise OSError("full")
        return self._file.write(data)


if __name__ == "__main__":
    serve(lambda source, target: _write_csv(source, target, max_bytes=int(sys.argv[1])))
