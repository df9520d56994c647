"""Converts Parquet to CSV in a process of its own: a damaged file can abort the reader, which no `except` catches.

`python -m shared.formats.parquet MAX_BYTES` reads Parquet from standard input and writes CSV to standard output. It
exits with 0, or with `UNUSABLE` and the message for the user on standard error.
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
from typing import IO, Any

from shared.formats.base import UnusableFile, not_a_table

CSV_MAX_BYTES = 512 * 1024 * 1024  # the service's limit for one file
MEMORY_MAX_BYTES = 2 * 1024 * 1024 * 1024  # of address space, most of which is never used
TIMEOUT_S = 240
UNUSABLE = 3
DAMAGED = "The Parquet file cannot be read: it is damaged or of a kind that is not known."


def csv_of(content: IO[bytes], *, max_bytes: int = CSV_MAX_BYTES) -> IO[bytes]:
    """A Parquet file as CSV, in a temporary file that the caller closes.

    Raises:
        UnusableFile: `not_a_table`: it is damaged, has nested columns, or is more than `max_bytes` as CSV.
    """
    content.seek(0)
    target = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        with tempfile.TemporaryFile() as source:
            shutil.copyfileobj(content, source)
            source.seek(0)
            _convert(source, target, max_bytes)
        target.seek(0)
    except BaseException:
        target.close()
        raise
    return target


def _convert(source: IO[bytes], target: IO[bytes], max_bytes: int) -> None:
    command = [sys.executable, "-m", "shared.formats.parquet", str(max_bytes)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # the packages of this app
    try:
        done = subprocess.run(  # noqa: S603 - no part of the command comes from outside
            command,
            stdin=source,
            stdout=target,
            stderr=subprocess.PIPE,
            env=environ,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise not_a_table(f"The Parquet file takes more than {TIMEOUT_S} s to read. Split it.") from exc
    if done.returncode == UNUSABLE:
        raise not_a_table(done.stderr.decode(errors="replace"))
    if done.returncode:
        raise not_a_table(DAMAGED)


# ---- the process -------------------------------------------------------------------------------------------------


def main() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
    try:
        _write_csv(sys.stdin.buffer, sys.stdout.buffer, max_bytes=int(sys.argv[1]))
    except UnusableFile as exc:
        sys.stderr.write(exc.message)
        sys.exit(UNUSABLE)


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
    main()
