"""Choose and group rows. These functions run in the sandbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def keep(table: pd.DataFrame, conditions: Sequence[tuple[str, str, Any]]) -> pd.DataFrame:
    """The rows that meet all conditions. A missing value meets none but `missing`.

    A condition is (column, test, value). Tests: ==, !=, <, <=, >, >=, in, not in; contains, starts, ends and has
    word (with a text, in any case); lists, lists all and lists none (some texts, of a cell such as `Action, Drama`);
    spans and ranges (pairs of ISO dates or of numbers, the second excluded); weekdays (0 is Monday); hours (first, end
    excluded); missing; filled; and those of `fits_others`.
    """
    import operator
    import re

    import pandas as pd

    signs = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
    whole = table
    for column, test, value in conditions:
        cells = table[column]
        if test in ("missing", "filled"):
            fits = cells.isna() if test == "missing" else cells.notna()
        elif test in ("spans", "ranges"):
            fits = pd.Series(False, index=cells.index)
            for ends in value:
                low, high = map(pd.Timestamp, ends) if test == "spans" else ends
                fits |= (cells >= low) & (cells < high)
        elif test == "weekdays":
            fits = cells.dt.day_of_week.isin(value)
        elif test == "hours":
            fits = (cells.dt.hour >= value[0]) & (cells.dt.hour < value[1])
        elif test == "has word":
            fits = cells.fillna("").astype(str).str.contains(rf"\b{re.escape(value)}\b", case=False, regex=True)
        elif test in ("contains", "starts", "ends"):
            told, part = cells.fillna("").astype(str).str.lower(), str(value).lower()
            ways = {"starts": told.str.startswith, "ends": told.str.endswith}
            fits = ways[test](part) if test in ways else told.str.contains(part, regex=False)
        elif test in ("lists", "lists all", "lists none"):
            found = [set(value) & set(entries) for entries in entries_of(cells)]
            least = len(value) if test == "lists all" else 1
            fits = pd.Series([len(entries) >= least for entries in found], index=cells.index)
            fits = ~fits & cells.notna() if test == "lists none" else fits
        elif test in signs:
            fits = signs[test](cells, value)
        elif test.endswith((" column", " row", " mean", " median", " of")):
            fits = fits_others(table, whole, column, test, value)
        else:
            wanted = [value] if test in ("==", "!=") else list(value)
            fits = cells.isin(wanted)
            fits = ~fits & cells.notna() if test in ("!=", "not in") else fits
        table = table[fits.fillna(False).astype(bool)]
    return table


def fits_others(table: pd.DataFrame, whole: pd.DataFrame, column: str, test: str, value: Any) -> Any:
    """Which rows meet a condition on other cells.

    Tests: "> column", "= column" and the like, with the name of another column; "any of" and "all of", with columns and
    values; "> row", with the column and the name of one row of the whole table, whose figure is the limit; "> mean",
    "< median", of all rows of the whole table.
    """
    import operator

    signs = {"<": operator.lt, ">": operator.gt, "=": operator.eq, "!=": operator.ne}
    cells, (sign, _, of) = table[column], test.partition(" ")
    if of == "column":
        return signs[sign](cells, table[value]) & cells.notna() & table[value].notna()
    if of == "of":
        found = table[list(value[0])].isin(list(value[1]))
        return found.any(axis=1) if sign == "any" else found.all(axis=1)
    known = (whole.loc[whole[value[0]] == value[1], column] if of == "row" else whole[column]).dropna()
    if of == "row" and len(known) != 1:
        raise ValueError(f"{value[1]} has {len(known)} figures")
    return signs[sign](cells, known.iloc[0] if of == "row" else getattr(known, of)())


def entries_of(cells: pd.Series[Any]) -> pd.Series[Any]:
    """The entries of each cell that is a list: `Action, Drama` as ["Action", "Drama"]; of an empty one, none."""
    parts = cells.fillna("").astype(str).str.split(r"[,;|]", regex=True)
    return parts.map(lambda entries: list(dict.fromkeys(entry.strip() for entry in entries if entry.strip())))


def one_entry_each(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The rows with one row for each entry of the cells of some columns, which are lists."""
    for column in columns:
        rows = rows.assign(**{column: entries_of(rows[column])}).explode(column, ignore_index=True)
    return rows


def group_keys(rows: pd.DataFrame, ask: Mapping[str, Any]) -> list[pd.Series[Any]]:
    """What an ask groups by: its period of the date column, and its columns. Missing values are no group."""
    keys: list[pd.Series[Any]] = []
    if ask["period"] == "decade":
        times = rows[ask["date"]]
        years = times.dt.year if times.dtype.kind == "M" else times
        keys.append((years // 10 * 10).rename("decade"))
    elif ask["period"]:
        date = rows[ask["date"]]
        start = date.min().normalize() if len(date.dropna()) else date.min()
        keys.append(
            {
                "hour": lambda: date.dt.hour,
                "weekday": lambda: date.dt.day_name(),
                "weekend": lambda: date.dt.day_of_week.ge(5).map({True: "weekend", False: "weekday"}),
                "day": lambda: date.dt.strftime("%Y-%m-%d"),
                "week": lambda: date.dt.to_period("W").dt.start_time.dt.strftime("%Y-%m-%d"),
                "nth week": lambda: "week " + ((date - start).dt.days // 7 + 1).astype(str),
                "month": lambda: date.dt.strftime("%Y-%m"),
                "calendar month": lambda: date.dt.month_name(),
                "quarter": lambda: (
                    date.dt.year.astype("Int64").astype(str) + " Q" + date.dt.quarter.astype("Int64").astype(str)
                ),
                "year": lambda: date.dt.year,
            }[ask["period"]]().rename(ask["period"])
        )
    return keys + [rows[name] for name in ask["by"]]


def key_text(key: Any) -> str:
    """A group's key as text: `a / b` for two columns, whole numbers without a point."""
    parts = key if isinstance(key, tuple) else (key,)
    return " / ".join(str(int(p)) if isinstance(p, float) and p.is_integer() else str(p) for p in parts)


def told_rows(rows: pd.DataFrame, count: int) -> list[dict[str, Any]]:
    """The first rows as plain values, with dates as ISO text."""
    import json

    found: list[dict[str, Any]] = json.loads(rows.head(count).to_json(orient="records", date_format="iso"))
    return found
