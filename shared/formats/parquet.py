"""Parquet into CSV, in a process of its own: a damaged file can make the reader abort, which no `except` catches.

`python -m shared.formats.parquet MOST_BYTES` reads a file as standard input and writes the CSV to standard output. It
ends with 0, or with `REFUSED` and a sentence for the one who dropped the file.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any

from shared.formats.base import UnusableFile, not_a_table

CSV_MAX_BYTES = 512 * 1024 * 1024  # what the service takes as one file
MEMORY_MAX_BYTES = 2 * 1024 * 1024 * 1024  # of addresses, most of which are never used
WITHIN_S = 240
REFUSED = 3
DAMAGED = "The Parquet file cannot be read: it is damaged or of a kind that is not known."


def csv_of(content: IO[bytes]) -> IO[bytes]:
    """A Parquet file as CSV, in a temporary file that the caller closes.

    Raises:
        UnusableFile: it is damaged, has nested columns, or more than `CSV_MAX_BYTES` as CSV.
    """
    content.seek(0)
    made = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        with tempfile.TemporaryFile() as source:
            shutil.copyfileobj(content, source)
            source.seek(0)
            _convert(source, made)
        made.seek(0)
    except BaseException:
        made.close()
        raise
    return made


def _convert(source: IO[bytes], made: IO[bytes]) -> None:
    command = [sys.executable, "-m", "shared.formats.parquet", str(CSV_MAX_BYTES)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # the packages of this app
    try:
        done = subprocess.run(  # noqa: S603 - nothing of it comes from outside
            command,
            stdin=source,
            stdout=made,
            stderr=subprocess.PIPE,
            env=environ,
            timeout=WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise not_a_table(f"The Parquet file takes more than {WITHIN_S} s to read. Split it.") from exc
    if done.returncode == REFUSED:
        raise not_a_table(done.stderr.decode(errors="replace"))
    if done.returncode:
        raise not_a_table(DAMAGED)


# ---- the process -------------------------------------------------------------------------------------------------


def main() -> None:
    with suppress(ImportError):  # on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
    try:
        _write(sys.stdin.buffer, sys.stdout.buffer, most_bytes=int(sys.argv[1]))
    except UnusableFile as exc:
        sys.stderr.write(str(exc))
        sys.exit(REFUSED)


def _write(source: IO[bytes], target: IO[bytes], *, most_bytes: int) -> None:
    """Batch by batch."""
    import arro3.io

    limited = _Limited(target, most_bytes)
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
            limit = f"{most_bytes:,} bytes as CSV, which is the most that is taken"
            raise not_a_table(f"The Parquet file has more than {limit}. Split it.") from exc
        raise not_a_table(DAMAGED) from exc


def _is_nested(kind: Any) -> bool:
    from arro3.core import DataType

    return DataType.is_nested(kind) and not DataType.is_dictionary(kind)


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


class _Limited(io.RawIOBase):
    """Hands bytes on until they are too many."""

    def __init__(self, file: IO[bytes], most_bytes: int) -> None:
        self._file = file
        self.is_full = False
        self._left_bytes = most_bytes

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            self.is_full = True
            raise OSError("full")
        return self._file.write(data)


if __name__ == "__main__":
    main()
