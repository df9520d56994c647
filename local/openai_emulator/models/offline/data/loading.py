"""Read a data file as typed columns. These functions run in the sandbox: their source is put into each program.

Every cell is read as text first, so that codes keep their zeros, and a column gets a type only when nearly all of its
cells have it. What can be read in two ways (1/2/2025, or 1,234 between semicolons) stays text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.openai_emulator.models.offline.data.rows import entries_of

if TYPE_CHECKING:
    import pandas as pd


def read_sheets(path: str) -> dict[str, pd.DataFrame]:
    """The cells of a file by sheet, as text; a file without sheets has one, named "".

    Raises:
        ValueError: the file holds no table.
    """
    import pandas as pd

    ending = path.lower().rpartition(".")[2]
    if ending in ("xlsx", "xlsm"):
        sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object)
        full = {str(name): cells for name, cells in sheets.items() if cells.notna().any(axis=None)}
        return {name if len(full) > 1 else "": cells.map(cell_text) for name, cells in full.items()}
    if ending in ("csv", "tsv", "txt"):
        return {"": read_delimited(path)}
    if ending == "parquet":
        table = pd.read_parquet(path)
    else:
        lines = ending != "json"
        records = pd.read_json(path, lines=lines, dtype=False, convert_dates=False)
        table = pd.json_normalize([{str(k): v for k, v in row.items()} for row in records.to_dict(orient="records")])
    head = pd.DataFrame([list(map(str, table.columns))])
    return {"": pd.concat([head, table.map(cell_text).set_axis(head.columns, axis=1)], ignore_index=True)}


def read_delimited(path: str) -> pd.DataFrame:
    """The cells of a CSV file. The separator is the one that divides most of the first lines alike."""
    import csv
    from collections import Counter
    from pathlib import Path

    import pandas as pd

    with Path(path).open("rb") as file:
        start = file.read(65536)
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        with Path(path).open(encoding=encoding, newline="") as text:
            for _ in text:
                pass
    except UnicodeError:
        encoding = "cp1252" if encoding == "utf-8-sig" else "utf-16-le"
    with Path(path).open(encoding=encoding, newline="", errors="replace") as text:
        lines = [line for _, line in zip(range(400), text, strict=False) if line.strip()]
    best, separator, width = (0, 0), ",", 1
    for candidate in (",", ";", "\t", "|"):
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=candidate))
        usual, times = max(widths.items(), key=lambda item: (item[1] if item[0] > 1 else 0, item[0]))
        if usual > 1 and (times, usual) > best:
            best, separator, width = (times, usual), candidate, max(widths)
    return pd.read_csv(
        path,
        sep=separator,
        header=None,
        names=list(range(width)),
        dtype=str,
        keep_default_na=False,
        encoding=encoding,
        encoding_errors="replace",
    ).fillna("")


def cell_text(value: Any) -> str:
    """A cell as text: an ISO date, a number without needless zeros, empty for nothing."""
    import datetime

    if value is None or value != value:
        return ""
    if isinstance(value, datetime.datetime):
        return str(value.date()) if value.time() == datetime.time() else value.isoformat(sep=" ")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def tables_of(path: str) -> dict[str, tuple[pd.DataFrame, list[dict[str, Any]]]]:
    """The typed tables of a file by sheet, each with the facts of its columns.

    Raises:
        ValueError: a sheet has no row of column names.
    """
    found = {}
    for sheet, cells in read_sheets(path).items():
        cells = cells[(cells != "").any(axis=1)].reset_index(drop=True)
        cells = cells.loc[:, (cells != "").any(axis=0)]
        width, at = cells.shape[1], 0
        while at < min(30, len(cells) - 1) and 2 * int((cells.iloc[at] != "").sum()) <= width and width > 1:
            at += 1
        names = [str(name).strip() for name in cells.iloc[at]] if len(cells) else []
        empty = sum(not name for name in names)
        if not names or empty > max(1, width // 3) or all(name.replace(".", "").isdigit() for name in names):
            raise ValueError("its first row is not a row of column names")
        names = [name or f"column {number}" for number, name in enumerate(names, 1)]
        names = [
            name if name not in names[:n] else f"{name} ({names[:n].count(name) + 1})" for n, name in enumerate(names)
        ]
        body = cells.iloc[at + 1 :].set_axis(names, axis=1).reset_index(drop=True)
        # In a clean copy, also a row "Total" and a cell "NA" are data, and only a blank cell is missing.
        is_clean = path.endswith(".clean.csv")
        body, notes = (body, {}) if is_clean else without_extra_rows(body)
        columns = {name: typed(body[name], name, is_clean=is_clean) for name in names}
        facts = [{"name": name, **fact, **notes.get(name, {})} for name, (_, fact) in columns.items()]
        import pandas as pd

        found[sheet] = (pd.DataFrame({name: values for name, (values, _) in columns.items()}), facts)
    return found


def without_extra_rows(body: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """The rows without those of totals and of units, and what these say about the columns."""
    import pandas as pd

    notes: dict[str, dict[str, Any]] = {}
    first = body.iloc[:, 0].astype(str).str.strip().str.lower().str.rstrip(":")
    totals = first.str.fullmatch(r"(?:grand |sub-?)?totals?|sum|gesamt|summe|.+ (?:sub)?totals?")
    if 0 < totals.sum() < len(body) / 2 and len(body) > 2:
        body = body[~totals].reset_index(drop=True)
        notes[str(body.columns[0])] = {"totals": int(totals.sum())}
    if len(body) > 2:
        numbers = pd.DataFrame({name: pd.to_numeric(body[name], errors="coerce").notna() for name in body.columns})
        rest = numbers.iloc[1:].all(axis=0)
        if rest.sum() > 1 and not numbers.iloc[0].any() and bool(body.iloc[0].ne("").all()) and rest.all():
            for name in body.columns:
                notes.setdefault(str(name), {})["unit"] = str(body[name].iloc[0])
            body = body.iloc[1:].reset_index(drop=True)
    return body, notes


def typed(cells: pd.Series[Any], name: str, *, is_clean: bool = False) -> tuple[pd.Series[Any], dict[str, Any]]:
    """A column with its type: numbers, dates, or text; and the facts `kind`, `unit`, `odd` (cells of another type)."""
    import pandas as pd

    text = cells.astype(str).str.strip()
    none = ["", "n/a", "na", "nan", "null", "-", "--", "?", "#n/a", "n.a.", "<na>", "nat"]
    text = text.mask(text.str.lower().isin(none[:1] if is_clean else none))
    words = text
    text = text if is_clean else text.mask(text.str.lower().isin(["none", "nil"]))
    full = text.dropna()
    if full.empty:
        return text, {"kind": "text"}
    if full.str.match(r"0\d").any() and full.str.fullmatch(r"\d+").all():
        return text, {"kind": "text", "code": True}
    packed = full.str.extract(r"^((?:19|20)\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?:T\d{6})?$")
    if packed[0].notna().all() and any(w in name.lower() for w in ("date", "day", "begin", "start", "end")):
        full = packed[0] + "-" + packed[1] + "-" + packed[2]  # 20240131
    holders = [
        "not given",
        "not available",
        "not applicable",
        "unknown",
        "not rated",
        "unrated",
        "tba",
        "no data",
        "missing",
    ]
    held = full.str.lower().isin(holders)
    if held.any() and not held.all() and as_numbers(full[~held])[0].notna().all():
        text = text.mask(text.str.lower().isin(holders))  # "Not given" beside 3, 4 and 5
        full = text.dropna()
    numbers, unit = as_numbers(full)
    if bool((odd := full[numbers.isna()]).str.fullmatch(r"\d+[a-jl-zA-JL-Z]|[A-Za-z]\d+").all()) and len(odd):
        return text, {"kind": "text", "code": True}  # "207a" beside 207
    if (numbers.notna().mean() > 0.8 and len(numbers.dropna()) > 1) or numbers.notna().all():
        return numbers.reindex(text.index), {"kind": "number", "unit": unit, "odd": int(numbers.isna().sum())}
    if full.str.fullmatch(r"\d+:\d\d:\d\d").all() and any(
        w in name.lower() for w in ("dura", "elapsed", "length", "took")
    ):
        return pd.to_timedelta(full).dt.total_seconds().reindex(text.index), {"kind": "number", "unit": "h:mm:ss"}
    dates = as_dates(full)
    if dates.notna().mean() > 0.95:
        return dates.reindex(text.index), {"kind": "date", "odd": int(dates.isna().sum())}
    return words if full.nunique() <= 20 else text, {"kind": "text"}  # of a few categories, "None" is one


def as_numbers(full: pd.Series[Any]) -> tuple[pd.Series[Any], str]:
    """Numbers, and their one unit; what is no number is missing. `1.234,50` and `1,234.50` are read alike."""
    import pandas as pd

    plain = pd.to_numeric(full, errors="coerce")
    if plain.notna().all():
        return plain, ""
    codes = "USD|EUR|GBP|JPY|CNY|RMB|INR|PKR|AED|SAR|CHF|CAD|AUD|NZD|SEK|NOK|DKK|PLN|BRL|MXN|ZAR|SGD|HKD|KRW|TRY"
    money = rf"(?:(?:{codes}|US)? ?[$€£¥₹]|{codes}|Rs\.?)?"
    parts = full.str.replace(r"\s+", " ", regex=True).str.extract(
        rf"^({money}) ?(-?)({money}) ?(\d[\d.,]*) ?([^\d\s.,].{{0,14}})?$"
    )
    parts = parts.fillna("")
    digits = parts[3]
    parts[4] = parts[4].where(~parts[4].isin(["USD", "EUR", "GBP"]) | (parts[0] + parts[2]).eq(""), "")
    said_units = (parts[0] + parts[2] + parts[4]).replace({"USD": "$", "US$": "$", "EUR": "€", "GBP": "£"})
    units = said_units[digits != ""].unique()
    money_units = [unit for unit in units if unit in ("$", "€", "£")]
    if len(money_units) == 1 and set(units) == {"", *money_units}:  # 1200 beside $1,200 and 1200 USD
        units = said_units[said_units == money_units[0]].unique()
    comma = digits[digits.str.contains(",", regex=False)]
    both = comma[comma.str.contains(".", regex=False)]
    if not comma.empty:
        last = bool(both.str.rfind(",").gt(both.str.rfind(".")).any())
        grouped = comma.str.fullmatch(r"\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d*)?")  # also 1,23,456
        if not last and 0.9 < grouped.mean() < 1:
            digits = digits.where(~digits.isin(comma[~grouped]), "").str.replace(",", "", regex=False)
        elif last or not grouped.all():  # a decimal comma
            digits = digits.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
        else:
            digits = digits.str.replace(",", "", regex=False)
    elif digits.str.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}").any():
        digits = digits.str.replace(".", "", regex=False)
    scales = {"k": 1e3, "m": 1e6, "b": 1e9, "bn": 1e9}
    said = set(parts[4].str.lower()) - {""}
    if "k" in said and said <= set(scales) and len((parts[0] + parts[2])[digits != ""].unique()) == 1:  # 5.3k, 1.2m
        scaled = pd.to_numeric(parts[1] + digits, errors="coerce") * parts[4].str.lower().map(scales).fillna(1.0)
        return scaled.round(6), str((parts[0] + parts[2]).iloc[0]).strip()
    if len(units) > 1:
        return plain, ""
    numbers = pd.to_numeric(parts[1] + digits, errors="coerce")
    return numbers, str(units[0]).strip() if len(units) else ""


def as_dates(full: pd.Series[Any]) -> pd.Series[Any]:
    """Dates; what is no date, or a date that can be read in two ways, is missing."""
    import pandas as pd

    full = full.str.replace(  # 2012/1/31, but not 2012/13: that is a season
        r"^(\d{4})([/.])(\d{1,2})\2(\d{1,2})(?!\d)",
        lambda match: f"{match[1]}-{int(match[3]):02}-{int(match[4]):02}",
        regex=True,
    )
    iso = full.str.match(r"\d{4}-\d\d(?:-\d\d(?:[T ]\d\d:\d\d.*)?)?$")
    if iso.mean() > 0.9:
        dates = pd.to_datetime(full.where(iso), errors="coerce", format="ISO8601", utc=True)
        return dates.dt.tz_localize(None)
    parts = full.str.extract(r"^(\d{1,2})([./-])(\d{1,2})[./-](?:\d{4}|\d\d)(?:[ T].*)?$")
    if parts[0].notna().mean() > 0.9:
        first, second = pd.to_numeric(parts[0]), pd.to_numeric(parts[2])
        day_first = bool((first > 12).any() or (parts[1] == ".").any())
        if day_first == bool((second > 12).any()):
            return full.map(lambda _: pd.NaT)
        short = full.str.fullmatch(r"\d+[./-]\d+[./-]\d\d")
        dates = pd.to_datetime(full.where(~short), errors="coerce", format="mixed", dayfirst=day_first)
        if short.any():
            way = "%d/%m/%y" if day_first else "%m/%d/%y"
            own = pd.to_datetime(full.where(short).str.replace(r"[.-]", "/", regex=True), errors="coerce", format=way)
            own = own.where(own.dt.year <= 2040, own - pd.DateOffset(years=100))
            if (own.max() - own.min()).days > 50 * 365:  # 9/24/06 beside 2/12/50 can be of 1906
                return full.map(lambda _: pd.NaT)
            dates = dates.fillna(own)
        return dates
    named = full.str.contains(r"(?i)(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)") & full.str.contains(r"\d")
    if named.mean() > 0.9:
        return pd.to_datetime(full.str.replace("A.D. ", "", regex=False), errors="coerce", format="mixed")
    return full.map(lambda _: pd.NaT)


def listed(cells: pd.Series[Any]) -> list[str]:
    """The different entries of a column whose cells are lists, such as `Action, Drama`; empty if they are none.

    A column of lists has short entries; some of them come again, and not always at the same place. So `Austin, TX` and
    sentences are no lists.
    """
    import re
    from collections import Counter, defaultdict

    parts = entries_of(cells)
    lengths = [len(entries) for entries in parts]
    alone = {entries[0] for entries in parts if len(entries) == 1}
    several = {entry for entries in parts if len(entries) > 1 for entry in entries}
    pairs = max(lengths, default=0) < 3  # `Fog, Rain` beside `Fog` and `Rain`, but not `Scott, Ridley`
    if sum(length > 1 for length in lengths) < 0.05 * len(lengths) or (pairs and not several <= alone):
        return []
    if not pairs and sum(length > 1 for length in lengths) < 0.2 * len(lengths):
        return []
    found: Counter[str] = Counter()
    places = defaultdict(set)
    for entries in parts:
        found.update(entries)
        for place, entry in enumerate(entries):
            places[entry].add(place)
    often = [entry for entry, times in found.items() if times > 1]
    moved = [entry for entry in often if len(places[entry]) > 1]
    short = sum(len(entry.split()) <= 4 and bool(re.match(r"[^\W\d_a-z]", entry)) for entry in found)
    return list(found) if short >= 0.97 * len(found) and often and len(moved) >= 0.3 * len(often) else []


def look_at(path: str, words: list[str]) -> list[dict[str, Any]]:
    """The profiles of a file's tables. Of many distinct values only those with one of `words` are listed."""
    import re

    found = []
    for sheet, (table, facts) in tables_of(path).items():
        for fact in facts:
            values = table[fact["name"]]
            full = values.dropna()
            fact |= {"missing": int(values.isna().sum()), "unique": int(full.nunique())}
            if fact["kind"] in ("number", "date") and len(full):
                fact |= {"min": str(full.min()), "max": str(full.max())}
            if fact["kind"] == "number":
                fact["whole"] = bool((full == full.round()).all())
                fact["usual"] = [float(full.quantile(0.02)), float(full.quantile(0.98))] if len(full) else [0.0, -1.0]
            distinct = [str(value) for value in full.unique()] if fact["kind"] != "date" else []
            entries = listed(full) if fact["kind"] == "text" else []
            if entries:
                fact["entries"] = len(entries)
                distinct = entries
            if len(distinct) > 40:
                fact["some"] = [value[:30] for value in distinct[:8]] if fact["kind"] == "text" else []
                wanted = set(words)
                roots = {value: value.lower().rstrip("aeiouy") for value in distinct}  # "Japanese" could mean Japan
                rooted = {v for v, root in roots.items() if len(root) > 3 and any(w.startswith(root) for w in words)}
                distinct = (
                    [
                        value
                        for value in distinct
                        if value in rooted
                        or (len(value) == 3 and value.isupper() and any(w.startswith(value.lower()) for w in words))
                        or wanted & {*re.findall(r"[^\W_]+", value.lower()), value.lower().replace(".", "")}
                    ]
                    if fact["kind"] == "text"
                    else []
                )
            fact["values"] = sorted(value[:80] for value in distinct[:400])
            if fact["kind"] == "text":
                twice = set(full[full.duplicated()])
                fact["repeated"] = [value for value in fact["values"] if value in twice]
        texts = [fact["name"] for fact in facts if fact["kind"] == "text"]
        repeats = bool(texts) and bool(table.duplicated(subset=texts).any())
        found.append({"sheet": sheet, "rows": len(table), "columns": facts[:120], "repeats": repeats})
    return found


def load(path: str, sheet: str) -> pd.DataFrame:
    """One typed table of a file."""
    return tables_of(path)[sheet][0]
