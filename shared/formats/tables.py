"""Picks the reader for a table file: CSV, TSV, XLSX or JSON. A Parquet file is read from its CSV copy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from shared.formats.base import Table
from shared.formats.delimited import delimited_table
from shared.formats.json_records import json_table
from shared.formats.xlsx import xlsx_tables


def tables_of(ending: str, content: IO[bytes]) -> Iterable[Table]:
    """The tables of a file, read row by row in bounded memory.

    Args:
        ending: csv, tsv, xlsx or json.

    Raises:
        UnusableFile: `not_a_table`, here or while the tables and their rows are read.
    """
    if ending in ("csv", "tsv"):
        return [delimited_table(content)]
    if ending == "xlsx":
        return xlsx_tables(content)
    return [json_table(content)]
