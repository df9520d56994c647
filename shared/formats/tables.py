"""The tables in a file: CSV, TSV, XLSX or JSON, row by row; Parquet by way of CSV. Pure, bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from shared.formats import parquet
from shared.formats.base import NotATable, Table
from shared.formats.delimited import _csv
from shared.formats.json_records import _json
from shared.formats.xlsx import _xlsx


def tables_of(ending: str, content: IO[bytes]) -> Iterable[Table]:
    """`ending` is csv, tsv, xlsx or json; of a Parquet file its copy is read."""
    if ending in ("csv", "tsv"):
        return [_csv(content)]
    if ending == "xlsx":
        return _xlsx(content)
    return [_json(content)]


def csv_of(content: IO[bytes]) -> IO[bytes]:
    """A Parquet file as CSV, which the caller closes. Code interpreter gets it, and the card describes just that.

    Raises:
        NotATable: it cannot be read, or is too much.
    """
    try:
        return parquet.csv_of(content)
    except parquet.NotParquet as exc:
        raise NotATable(str(exc)) from exc
