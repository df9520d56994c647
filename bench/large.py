"""Large files, one after the other, through the local stack: `python -m bench.large [--json FILE]`.

Prints how long each takes until it is indexed, and how much memory the host takes meanwhile beyond what it had before.
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

from bench.nasty import watched
from local.client import Client
from local.settings import environ_with_dotenv
from local.stack.stack import Options, Stack

MB = 1024 * 1024
WITHIN_S = 900
AIM_MB = 100
SHEET = "xl/worksheets/sheet1.xml"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    file: str
    size_mb: int
    status: str
    parts: int  # at the service
    seconds: float
    peak_mb: int  # of the host, beyond what it had before


def csv(file: IO[bytes]) -> None:
    file.write(b"id,city,price,day,note\n")
    fill(file, 511, lambda n: f"{n},City {n % 50},{n * 0.37:.2f},2026-{n % 12 + 1:02}-01,some words of row {n}\n")


def text(file: IO[bytes]) -> None:
    fill(file, 32, lambda n: f"Pump {n} stands in hall {n % 97} and was checked.\n\n")


def records(file: IO[bytes]) -> None:
    file.write(b'[{"id": 0}')
    fill(file, 200, lambda n: f',\n{{"id": {n}, "city": "City {n % 50}", "price": {n}.5, "tags": ["a", "b"]}}')
    file.write(b"]")


def workbook(file: IO[bytes]) -> None:
    """An empty one whose sheet is then written by hand, 128 MB of it unpacked."""
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
                fill(
                    sheet, 128, lambda n: row(n + 1, [f'<c r="{c}{n + 1}"><v>{n}.5</v></c>' for c in "ABCDEF"]).decode()
                )
                sheet.write(b"</sheetData></worksheet>")


def row(number: int, cells: list[str]) -> bytes:
    return f'<row r="{number}">{"".join(cells)}</row>'.encode()


def fill(file: IO[bytes], megabytes: int, line: Callable[[int], str]) -> None:
    written = 0
    for chunk in chunks(line):
        if written + len(chunk) > megabytes * MB:
            return
        written += file.write(chunk)


def chunks(line: Callable[[int], str]) -> Iterator[bytes]:
    n = 1
    while True:
        yield "".join(map(line, range(n, n + 2000))).encode()
        n += 2000


FILES = {"table.csv": csv, "text.txt": text, "records.json": records, "workbook.xlsx": workbook}


def measure(console: Console) -> Iterator[Outcome]:
    with tempfile.TemporaryDirectory() as folder:
        options = Options(data=Path(folder) / "data", logs=Path(folder) / "logs")
        with (
            Stack(options, environ=environ_with_dotenv()) as stack,
            Client(stack.app_url, storage=stack.azurite.connection_string) as client,
        ):
            client.wait_indexed({"warm/up.md": client.drop_bytes(b"Words.", "warm/up.md")}, on_final=lambda _: None)
            for name, write in FILES.items():
                path = Path(folder) / name
                with path.open("wb") as file:
                    write(file)
                size_mb = path.stat().st_size // MB
                console.print(f"{name}, {size_mb} MB")
                with watched(stack.host.pid) as peak:
                    start_s = time.monotonic()
                    etag = client.drop(path, f"large/{name}")
                    final = client.wait_indexed({f"large/{name}": etag}, on_final=lambda _: None, within_s=WITHIN_S)
                    seconds = time.monotonic() - start_s
                found = final[f"large/{name}"]
                yield Outcome(
                    file=name,
                    size_mb=size_mb,
                    status=str(found["status"]),
                    parts=int(found["parts"]),
                    seconds=round(seconds, 1),
                    peak_mb=round(peak.mb - peak.start_mb),
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    console = Console()
    outcomes = list(measure(console))
    table = Table("file", "MB", "status", "parts", "s", f"host memory (aim {AIM_MB} MB)")
    for o in outcomes:
        memory = f"+{o.peak_mb} MB" + (": missed" if o.peak_mb > AIM_MB else "")
        table.add_row(o.file, str(o.size_mb), o.status, str(o.parts), str(o.seconds), memory)
    console.print(table)
    if options.json:
        options.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))


if __name__ == "__main__":
    main()
