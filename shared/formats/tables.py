"""The tables in a file: CSV, TSV, XLSX or JSON, row by row; Parquet by way of CSV. Pure, bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from shared.formats.base import Table
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
