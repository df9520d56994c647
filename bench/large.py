"""Large files, uploaded one after the other: `python -m bench.large [--json FILE]`.

Measures the time until each is indexed and the increase of the host's memory meanwhile.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import openpyxl
from rich.console import Console
from rich.table import Table

from bench.common.processes import watched_memory
from bench.common.stacks import fresh_stack, upload_and_wait

MB = 1024 * 1024
WITHIN_S = 900
TARGET_MB = 100  # of memory
SHEET = "xl/worksheets/sheet1.xml"


@dataclass(frozen=True, kw_only=True)
class LargeFile:
    """The result for one file. `parts` is the number of files at the service, `peak_mb` the increase of memory."""

    file: str
    size_mb: int
    status: str
    parts: int
    seconds: float
    peak_mb: int


def csv(file: IO[bytes]) -> None:
    file.write(b"id,city,price,day,note\n")
    write_lines(
        file, 511, lambda n: f"{n},City {n % 50},{n * 0.37:.2f},2026-{n % 12 + 1:02}-01,some words of row {n}\n"
    )


def text(file: IO[bytes]) -> None:
    write_lines(file, 32, lambda n: f"Pump {n} is in hall {n % 97} and was checked.\n\n")


def records(file: IO[bytes]) -> None:
    file.write(b'[{"id": 0}')
    write_lines(file, 200, lambda n: f',\n{{"id": {n}, "city": "City {n % 50}", "price": {n}.5, "tags": ["a", "b"]}}')
    file.write(b"]")


def workbook(file: IO[bytes]) -> None:
    """An empty workbook whose sheet is replaced by one of 128 MB (uncompressed): openpyxl would take minutes."""
    book = openpyxl.Workbook()
    with tempfile.TemporaryFile() as empty:
        book.save(empty)
        book.close()
        with zipfile.ZipFile(empty) as parts, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
            for name in parts.namelist():
                if name != SHEET:
                    made.writestr(name, parts.read(name))
            with made.open(SHEET, "w", force_zip64=True) as sheet:
                sheet.write(b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>')
                sheet.write(row(1, [f'<c r="{c}1" t="inlineStr"><is><t>column {c}</t></is></c>' for c in "ABCDEF"]))
                write_lines(
                    sheet, 128, lambda n: row(n + 1, [f'<c r="{c}{n + 1}"><v>{n}.5</v></c>' for c in "ABCDEF"]).decode()
                )
                sheet.write(b"</sheetData></worksheet>")


def row(number: int, cells: list[str]) -> bytes:
    return f'<row r="{number}">{"".join(cells)}</row>'.encode()


def write_lines(file: IO[bytes], megabytes: int, line: Callable[[int], str], *, encoding: str = "utf-8") -> None:
    """Write `line(1)`, `line(2)`, ... until the next chunk would exceed the size."""
    written = 0
    for chunk in chunks(line, encoding):
        if written + len(chunk) > megabytes * MB:
            return
        written += file.write(chunk)


def chunks(line: Callable[[int], str], encoding: str) -> Iterator[bytes]:
    n = 1
    while True:
        yield "".join(map(line, range(n, n + 2000))).encode(encoding)
        n += 2000


WRITERS = {"table.csv": csv, "text.txt": text, "records.json": records, "workbook.xlsx": workbook}


def measure(console: Console) -> Iterator[LargeFile]:
    with fresh_stack() as (stack, client), tempfile.TemporaryDirectory() as folder:
        upload_and_wait(client, "warm/up.md", b"The first document loads the models.")
        for name, write in WRITERS.items():
            path = Path(folder) / name
            with path.open("wb") as file:
                write(file)
            size_mb = path.stat().st_size // MB
            console.print(f"{name}, {size_mb} MB")
            with watched_memory(stack.host.pid) as peak:
                start_s = time.monotonic()
                document = upload_and_wait(client, f"large/{name}", path.read_bytes(), within_s=WITHIN_S)
                seconds = time.monotonic() - start_s
            yield LargeFile(
                file=name,
                size_mb=size_mb,
                status=str(document["status"]),
                parts=int(document["parts"]),
                seconds=round(seconds, 1),
                peak_mb=peak.increase_mb,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    console = Console()
    files = list(measure(console))
    table = Table("file", "MB", "status", "parts", "s", f"host memory (target {TARGET_MB} MB)")
    for file in files:
        memory = f"+{file.peak_mb} MB" + (": missed" if file.peak_mb > TARGET_MB else "")
        table.add_row(file.file, str(file.size_mb), file.status, str(file.parts), str(file.seconds), memory)
    console.print(table)
    if options.json:
        options.json.write_text(json.dumps([asdict(file) for file in files], indent=2))


if __name__ == "__main__":
    main()
