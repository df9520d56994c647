"""Reading tables: `python -m bench.tables [--json FILE] [--large MB]`.

A messy CSV of 10 MB is read and its clean copy written; a plain CSV is read and checked. Seconds of one processor.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.table import Table

from bench.large import write_lines
from shared.formats.tables.reader import read_tables

TARGET_S = {"messy": 3.0}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """`copies`: clean copies that were written."""

    file: str
    size_mb: int
    seconds: float
    mb_per_s: float
    copies: int


def messy(file: IO[bytes], megabytes: int) -> None:
    """Semicolons, decimal commas, thousands, days first, missing words, lines above, and a total below."""
    file.write("Bericht 2025\nErstellt von;Ana\n\nNr;Filiale;Datum;Umsatz;Rabatt;Code\n".encode("cp1252"))
    cities = ["Köln", "Bonn", "Düren", "Aachen"]
    write_lines(
        file,
        megabytes,
        lambda n: (
            f"{n};{cities[n % 4]};{n % 28 + 1:02}.{n % 12 + 1:02}.2025;"
            f"{n % 9 + 1}.{n % 1000:03},{n % 100:02};{'k.A.' if n % 50 == 0 else f'{n % 10},5 %'};{n % 1000:05}\n"
        ),
        encoding="cp1252",
    )


def plain(file: IO[bytes], megabytes: int) -> None:
    file.write(b"id,city,price,day,note\n")
    write_lines(
        file, megabytes, lambda n: f"{n},City {n % 50},{n * 0.37:.2f},2026-{n % 12 + 1:02}-01,some words of row {n}\n"
    )


def measure(name: str, write: Callable[[IO[bytes], int], None], megabytes: int) -> Measured:
    with tempfile.TemporaryFile() as file:
        write(file, megabytes)
        start_s = time.process_time()
        with read_tables("csv", file) as tables:
            seconds = time.process_time() - start_s
            copies = len(tables.copies("file"))
    return Measured(
        file=name,
        size_mb=megabytes,
        seconds=round(seconds, 2),
        mb_per_s=round(megabytes / seconds, 1),
        copies=copies,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--large", type=int, default=100, help="megabytes of the plain file")
    options = parser.parse_args()
    results = [measure("messy", messy, 10), measure("plain", plain, options.large)]
    table = Table("file", "MB", "s of one processor", "MB/s", "clean copies", "target")
    for result in results:
        target = TARGET_S.get(result.file)
        verdict = "" if target is None else f"{target} s" + (": missed" if result.seconds > target else "")
        cells = (result.file, result.size_mb, result.seconds, result.mb_per_s, result.copies, verdict)
        table.add_row(*map(str, cells))
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=2))


if __name__ == "__main__":
    main()
