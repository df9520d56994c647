"""Profiles of data files: the program that makes them in the sandbox, and the parsed result."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from local.openai_emulator.models.offline.data import loading
from local.openai_emulator.models.offline.data.regions import other_names
from local.openai_emulator.models.offline.data.rows import entries_of

READABLE = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".json", ".jsonl", ".ndjson", ".parquet")
MOST_FILES = 8
_CLEAN = re.compile(r"\.clean(?:-\d+)?\.csv$")
_SHEET_OF = re.compile(rf"(.+(?:{'|'.join(map(re.escape, READABLE))}))\.(.+)", re.IGNORECASE)
_CASES = re.compile(r"freq(?:uency|uencies)?\.?|counts?|n", re.IGNORECASE)
LOADING = (
    loading.read_sheets,
    loading.read_delimited,
    loading.cell_text,
    loading.tables_of,
    loading.without_extra_rows,
    loading.typed,
    loading.as_numbers,
    loading.as_dates,
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """The profile of a column. `kind` is number, date or text; `low` and `high` are the range, as text."""

    name: str
    kind: str
    unique: int
    missing: int = 0
    whole: bool = False  # only whole numbers
    unit: str = ""  # that the cells state
    odd: int = 0  # cells of another type, which are left out
    places: int = 2  # decimal places of figures in an answer
    low: str = ""
    high: str = ""
    some: tuple[str, ...] = ()  # a few values, if there are more than 40
    values: tuple[str, ...] = ()  # the distinct values if there are at most 40, else those that the question could name
    usual: tuple[float, float] = (0.0, 0.0)  # the range of nearly all numbers
    repeated: tuple[str, ...] = ()  # of `values` of a column of text those that stand in more than one row
    entries: int = 0  # different entries of a column whose cells are lists, `Action, Drama`; its `values` are these


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A column that is computed from others; see `derived.derive`."""

    name: str
    how: str
    of: tuple[str, ...]
    filled: str = ""  # mean, median, mode or zero


@dataclass(frozen=True, kw_only=True)
class Table:
    """The profile of a table. `error` is the reason if it could not be read."""

    filename: str
    sheet: str = ""
    rows: int = 0
    columns: tuple[Column, ...] = ()
    left_out: int = 0  # rows of totals
    repeats: bool = False  # two rows have the same values in all columns of text
    error: str = ""
    joined: Table | None = None  # the other table of a join
    key: str = ""  # the column that both have
    derived: tuple[Derived, ...] = ()  # columns that the question defines

    @property
    def shown(self) -> str:
        """The name for an answer: that of the file, not of its clean copy."""
        name, sheet = self.filename, self.sheet
        if stem := _copied(name):
            of_sheet = _SHEET_OF.fullmatch(stem)
            name, sheet = of_sheet.groups() if of_sheet else (stem if "." in stem else f"{stem}.csv", "")
        name = f"{name} ({sheet})" if sheet else name
        return f"{name} with {self.joined.shown} by {self.key}" if self.joined else name

    @property
    def weight(self) -> Column | None:
        """The column of a frequency table that says for how many cases each row stands, such as `Freq`.

        Its other columns are categories, and each combination of them has at most one row.
        """
        counts = [c for c in self.of_kind("number") if _CASES.fullmatch(c.name) and c.whole and c.low[:1] != "-"]
        others = [c for c in self.columns if c not in counts and not c.name.startswith("column ")]
        are_categories = all(c.kind == "text" and 2 * c.unique <= self.rows for c in others)
        is_one_each = len(others) > 1 and not self.repeats and self.rows <= math.prod(c.unique for c in others)
        return counts[0] if len(counts) == 1 and are_categories and is_one_each else None

    def of_kind(self, *kinds: str) -> list[Column]:
        return [column for column in self.columns if column.kind in kinds]

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


def joins(tables: Sequence[Table]) -> list[Table]:
    """Pairs of tables as one: each row of the first with the one row of the second that has the same key."""
    found = []
    for one in tables:
        for other in tables:
            mine = {column.name: column for column in one.columns}
            keys = [
                c for c in other.columns if c.unique == other.rows and c.name in mine and c.kind == mine[c.name].kind
            ]
            shared = [c for c in other.columns if c.name in mine]
            if one is not other and len(keys) == len(shared) == 1:
                added = tuple(c for c in other.columns if c.name not in mine)
                found.append(replace(one, columns=(*one.columns, *added), joined=other, key=keys[0].name))
    return found


def is_data(filename: str) -> bool:
    return filename.lower().endswith(READABLE)


def to_read(filenames: Sequence[str]) -> list[str]:
    """The data files to read: of a file with clean copies (`x.csv.clean.csv`, `x.xlsx.Sheet2.clean.csv`) only these."""
    copied = {stem for name in filenames if (stem := _copied(name))}
    copied |= {of_sheet[1] for stem in copied if (of_sheet := _SHEET_OF.fullmatch(stem))}
    return [
        name for name in filenames if is_data(name) and (_copied(name) or not copied & {name, name.rpartition(".")[0]})
    ]


def _copied(filename: str) -> str:
    """The name of what a clean copy was made of; "" for another file."""
    stem = _CLEAN.sub("", filename)
    return stem if stem != filename else ""


def source(functions: Sequence[Any]) -> str:
    """The source of functions, for a program that runs in the sandbox."""
    return "\n\n\n".join(inspect.getsource(function).rstrip() for function in dict.fromkeys(functions))


def profile_code(filenames: Sequence[str], question: str) -> str:
    """A program that prints a summary line per file, and the profiles as JSON in the last line."""
    words = sorted(set(re.findall(r"\w+", question.lower())))[:200]
    words += [word[:-1] for word in words if word.endswith("s")] + other_names(question)
    words += [f"{word[:-3]}y" for word in words if word.endswith("ies")]
    return f"""\
from __future__ import annotations

import json
import warnings

warnings.filterwarnings("ignore")


{source((*LOADING, entries_of, loading.listed, loading.look_at))}


profile = {{}}
for name in {list(filenames[:MOST_FILES])!r}:
    try:
        profile[name] = look_at(f"/mnt/data/{{name}}", {words!r})
        for table in profile[name]:
            print(f"{{name}}: {{table['rows']:,}} rows, {{len(table['columns'])}} columns")
    except Exception as error:
        profile[name] = [{{"error": f"{{type(error).__name__}}: {{error}}"[:300]}}]
print(json.dumps({{"profile": profile}}, separators=(",", ":"), ensure_ascii=False))
"""


def read_profile(logs: str) -> list[Table]:
    """The tables from the output of `profile_code`; empty if it contains no profile."""
    found = last_json(logs, "profile")
    if not isinstance(found, dict):
        return []
    return [_table(str(name), entry) for name, entries in found.items() for entry in entries]


def last_json(logs: str, key: str) -> Any:
    """The value of `key` in the last line of JSON that starts with this key; None if there is none."""
    for line in reversed(logs.split("\n")):  # a cell can hold another separator of lines
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
            unit=column.get("unit", ""),
            odd=column.get("odd", 0),
            low=column.get("min", ""),
            high=column.get("max", ""),
            some=tuple(column.get("some", ())),
            values=tuple(column.get("values", ())),
            usual=tuple(column.get("usual", (0.0, 0.0))),
            repeated=tuple(column.get("repeated", ())),
            entries=column.get("entries", 0),
        )
        for column in entry["columns"]
    )
    left_out = sum(column.get("totals", 0) for column in entry["columns"])
    return Table(
        filename=filename,
        sheet=entry["sheet"],
        rows=entry["rows"],
        columns=columns,
        left_out=left_out,
        repeats=entry.get("repeats", False),
    )
