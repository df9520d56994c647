"""Profiles of data files: the code that computes them in the sandbox, and the parsed result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

READABLE = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".json", ".jsonl", ".ndjson", ".parquet")
MOST_FILES = 8

_CODE = '''\
import json
import warnings
from pathlib import Path

import pandas as pd

warnings.filterwarnings("ignore")


def read(path):
    """A data file as a table, and the options to open it."""
    ending = path.suffix.lower()
    if ending in (".xlsx", ".xlsm"):
        return pd.read_excel(path), {}
    if ending in (".json", ".jsonl", ".ndjson"):
        return pd.read_json(path, lines=ending != ".json"), {}
    if ending == ".parquet":
        return pd.read_parquet(path), {}
    try:
        with path.open(encoding="utf-8-sig") as file:
            file.read()
        encoding = "utf-8-sig"
    except UnicodeDecodeError:
        encoding = "latin-1"
    with path.open(encoding=encoding) as file:
        first = file.readline()
    separator = max(",;\\t|", key=first.count)
    how = {"separator": separator, "encoding": encoding}
    return pd.read_csv(path, sep=separator, encoding=encoding), how


def look_at(values):
    """The profile of one column."""
    found = {"kind": "text", "missing": int(values.isna().sum())}
    full = values.dropna()
    if pd.api.types.is_bool_dtype(full):
        found["kind"] = "bool"
    elif pd.api.types.is_numeric_dtype(full):
        found.update(kind="number", whole=bool((full == full.round()).all()))
    elif len(full):
        text = full.astype(str).str.strip()
        sample = text.head(200)
        numbers = pd.to_numeric(text.str.replace(r"[$€£,%\\s]", "", regex=True), errors="coerce")
        dates = pd.to_datetime(sample, errors="coerce", format="mixed")
        if numbers.notna().mean() > 0.9:
            found.update(kind="number", as_text=True, whole=bool((numbers.dropna() == numbers.dropna().round()).all()))
            full = numbers.dropna()
        elif dates.notna().mean() > 0.95 and sample.str.contains(r"\\d").all():
            found["kind"] = "date"
            full = pd.to_datetime(text, errors="coerce", format="mixed").dropna()
    if found["kind"] in ("number", "date") and len(full):
        found.update(min=str(full.min()), max=str(full.max()))
    found["unique"] = int(full.astype(str).nunique())
    if found["kind"] in ("text", "bool", "number") and found["unique"] <= 40:
        found["values"] = [str(value)[:60] for value in sorted(full.unique(), key=str)]
    return found


profile = {}
for name in FILES:
    try:
        table, how = read(Path("/mnt/data") / name)
    except Exception as error:
        profile[name] = {"error": f"{type(error).__name__}: {error}"[:300]}
        continue
    columns = [{"name": str(column), **look_at(table[column])} for column in table.columns[:80]]
    profile[name] = {"rows": len(table), **how, "columns": columns}
    print(f"{name}: {len(table):,} rows, {len(table.columns)} columns")
print(json.dumps({"profile": profile}, separators=(",", ":"), ensure_ascii=False))
'''


@dataclass(frozen=True, kw_only=True)
class Column:
    """The profile of a column. `kind` is number, date, text or bool; `low` and `high` are the range, as text."""

    name: str
    kind: str
    unique: int
    missing: int = 0
    whole: bool = False  # only whole numbers
    as_text: bool = False  # numbers that the file contains as text, such as "$1,200"
    low: str = ""
    high: str = ""
    values: tuple[str, ...] = ()  # all distinct values if there are at most 40


@dataclass(frozen=True, kw_only=True)
class Table:
    """The profile of a data file. `error` is the reason if it could not be read."""

    filename: str
    rows: int = 0
    columns: tuple[Column, ...] = ()
    separator: str = ","
    encoding: str = "utf-8-sig"
    error: str = ""

    def of_kind(self, *kinds: str) -> list[Column]:
        return [column for column in self.columns if column.kind in kinds]

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


def is_data(filename: str) -> bool:
    return filename.lower().endswith(READABLE)


def profile_code(filenames: Sequence[str]) -> str:
    """Python code that prints a summary line per file, and the profiles as JSON in the last line."""
    return _CODE.replace("FILES", repr(list(filenames[:MOST_FILES])), 1)


def read_profile(logs: str) -> list[Table]:
    """The tables from the output of `profile_code`; empty if it contains no profile."""
    found = last_json(logs, "profile")
    if not isinstance(found, dict):
        return []
    return [_table(str(name), entry) for name, entry in found.items() if isinstance(entry, dict)]


def last_json(logs: str, key: str) -> Any:
    """The value of `key` in the last line of JSON that starts with this key; None if there is none."""
    for line in reversed(logs.splitlines()):
        if line.startswith(f'{{"{key}"'):
            try:
                return json.loads(line)[key]
            except (ValueError, KeyError):
                return None
    return None


def _table(filename: str, entry: dict[str, Any]) -> Table:
    if "error" in entry:
        return Table(filename=filename, error=str(entry["error"]))
    columns = tuple(
        Column(
            name=column["name"],
            kind=column["kind"],
            unique=column["unique"],
            missing=column["missing"],
            whole=column.get("whole", False),
            as_text=column.get("as_text", False),
            low=column.get("min", ""),
            high=column.get("max", ""),
            values=tuple(column.get("values", ())),
        )
        for column in entry["columns"]
    )
    how = {key: str(entry[key]) for key in ("separator", "encoding") if key in entry}
    return Table(filename=filename, rows=entry["rows"], columns=columns, **how)
