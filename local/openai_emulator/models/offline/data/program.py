"""Writes the Python that carries a plan out. It prints its figures for a reader, and last as one line of JSON.

Names and values out of files and questions get into the code only through `repr`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from local.openai_emulator.models.offline.data import charts
from local.openai_emulator.models.offline.data.ask import Ask, Plan
from local.openai_emulator.models.offline.data.profile import Table

_PERIOD_KEYS = {
    "hour": "{0}.dt.hour",
    "weekday": "{0}.dt.day_name()",
    "weekend": '{0}.dt.day_of_week.ge(5).map({{True: "weekend", False: "weekday"}})',
    "day": '{0}.dt.strftime("%Y-%m-%d")',
    "week": '{0}.dt.to_period("W").dt.start_time.dt.strftime("%Y-%m-%d")',
    "nth week": '"week " + (({0} - df[{1!r}].min().normalize()).dt.days // 7 + 1).astype(str)',
    "month": '{0}.dt.strftime("%Y-%m")',
    "year": "{0}.dt.year",
}
_END = '''\
def plain(value):
    """Numbers of numpy as numbers of Python, dates as text."""
    return value.item() if hasattr(value, "item") else str(value)


print(json.dumps({"results": results}, default=plain))
'''


def analysis_code(plan: Plan, *, careful: bool = False) -> str:
    """The program for a plan.

    Args:
        careful: The second try, after the plain program failed: figures and dates that cannot be read are left out,
            and one ask that fails does not stop the others.
    """
    parts = [_opening(plan, careful=careful)]
    for number, ask in enumerate(plan.asks, start=1):
        body = "\n".join([*_rows(ask, plan.table), *_WRITERS[ask.kind](ask, plan.table)])
        parts.append(f"# {number}. {_title(ask)}\n" + (_guarded(body) if careful else body) + "\n")
    return "\n".join([*parts, _END])


def _title(ask: Ask) -> str:
    words = [ask.kind, "of " + ", ".join(ask.measures) if ask.measures else "", f"by {ask.by}" if ask.by else ""]
    words += [f"by {ask.period}" if ask.period else "", *(f.words for f in ask.filters)]
    return re.sub(r"[^\w ,.:;()%/-]", " ", " ".join(word for word in words if word))[:200]


def _guarded(body: str) -> str:
    inner = "\n".join(f"    {line}" if line else "" for line in body.split("\n"))
    excuse = '    print(f"{type(error).__name__}: {error}")\n    results.append({})'
    return f"try:\n{inner}\nexcept Exception as error:\n{excuse}"


def _opening(plan: Plan, *, careful: bool) -> str:
    imports = ["import json", ""]
    if any(ask.chart or ask.kind == "distribution" for ask in plan.asks):
        imports += ["import matplotlib.dates as mdates", "import matplotlib.pyplot as plt"]
    imports.append("import pandas as pd")
    if any(ask.kind in ("correlate", "normality", "compare") for ask in plan.asks):
        imports.append("from scipy import stats")
    lines = [*imports, "", f"df = {_reading(plan.table)}"]
    used = {name for ask in plan.asks for name in ask.measures}
    for column in plan.table.columns:
        name = repr(column.name)
        if column.kind == "date":
            extra = ', errors="coerce"' if careful or column.missing else ""
            lines.append(f'df[{name}] = pd.to_datetime(df[{name}], format="mixed"{extra})')
        elif column.as_text:
            lines.append(
                f'df[{name}] = pd.to_numeric(df[{name}].astype(str).str.replace(r"[$€£,%\\s]", "", '
                f'regex=True), errors="coerce")'
            )
        elif careful and column.name in used:
            lines.append(f'df[{name}] = pd.to_numeric(df[{name}], errors="coerce")')
    return "\n".join([*lines, "results = []", ""])


def _reading(table: Table) -> str:
    path = repr(f"/mnt/data/{table.filename}")
    ending = table.filename.lower().rpartition(".")[2]
    if ending in ("xlsx", "xlsm"):
        return f"pd.read_excel({path})"
    if ending in ("json", "jsonl", "ndjson"):
        return f"pd.read_json({path}{'' if ending == 'json' else ', lines=True'})"
    if ending == "parquet":
        return f"pd.read_parquet({path})"
    extras = [f"sep={table.separator!r}"] if table.separator != "," else []
    extras += [f"encoding={table.encoding!r}"] if table.encoding != "utf-8-sig" else []
    return f"pd.read_csv({', '.join([path, *extras])})"


def date_column(table: Table) -> str:
    dates = table.of_kind("date")
    return dates[0].name if dates else ""


def key_of(ask: Ask, table: Table) -> str:
    """The pandas expression that groups the rows of `data`; empty when they stay together."""
    if ask.period and date_column(table):
        return _PERIOD_KEYS[ask.period].format(f"data[{date_column(table)!r}]", date_column(table))
    return f"data[{ask.by!r}]" if ask.by else ""


def _rows(ask: Ask, table: Table) -> list[str]:
    conditions = [
        f"({f.expression})" if f.expression[0] != "(" or "|" in f.expression else f.expression for f in ask.filters
    ]
    if ask.of_winner:
        conditions.append("(df[winner_column] == winner)")
    return [f"data = df[{' & '.join(conditions)}]" if conditions else "data = df"]


def _aggregate(ask: Ask, table: Table) -> list[str]:
    names, hows = list(ask.measures), list(ask.how)
    if ask.how == ("mode",):
        return _mode(ask, table)
    if not names:
        return _count(ask, table)
    key = key_of(ask, table)
    if not key:
        return [
            f"table = data[{names!r}].agg({hows!r})",
            "print(table.round(4).to_string())",
            'results.append({"values": table.to_dict(), "rows": len(data)})',
        ]
    keys = f"[{key}, data[{ask.by!r}]]" if ask.period and ask.by else key
    lines = [f"table = data.groupby({keys})[{names!r}].agg({hows!r})", "print(table.round(4).to_string())"]
    if ask.period in ("", "weekend"):
        lines.insert(1, f"table = table.sort_values(({names[0]!r}, {hows[0]!r}), ascending=False)")
    if ask.period and ask.by:
        lines.append('table.index = [" / ".join(map(str, key)) for key in table.index]')
    lines += [
        (
            "groups = {str(key): {f'{column}|{how}': row[(column, how)] for column, how in "
            "table.columns} for key, row in table.iterrows()}"
        ),
        'results.append({"groups": groups, "rows": len(data)})',
    ]
    return lines + (charts.bars(ask, table, f"table[({names[0]!r}, {hows[0]!r})]", how=hows[0]) if ask.chart else [])


def _compare(ask: Ask, table: Table) -> list[str]:
    lines = _aggregate(ask, table)
    key = key_of(ask, table)
    if key and ask.measures:
        lines += [
            f"samples = [part[{ask.measures[0]!r}].dropna() for _, part in data.groupby({key})]",
            "if len(samples) == 2 and min(map(len, samples)) > 1:",
            "    test = stats.ttest_ind(*samples, equal_var=False)",
            '    print(f"Welch t-test: t = {test.statistic:.4f}, p = {test.pvalue:.4f}")',
            '    results[-1]["t_test"] = {"t": test.statistic, "p": test.pvalue}',
        ]
    return lines


def _mode(ask: Ask, table: Table) -> list[str]:
    name = ask.measures[0] if ask.measures else ask.by
    return [
        f"counts = data[{name!r}].value_counts().head(5)",
        "print(counts.to_string())",
        (
            f'results.append({{"counts": {{str(key): int(n) for key, n in counts.items()}}, "column": '
            f'{name!r}, "rows": len(data)}})'
        ),
    ]


def _count(ask: Ask, table: Table) -> list[str]:
    key = key_of(ask, table)
    if ask.measures and not key and not ask.filters:
        return _aggregate(_with_how(ask, ("sum",)), table)
    if not key:
        return [
            'print(f"{len(data):,} of {len(df):,} rows")',
            'results.append({"rows": len(data), "of": len(df)})',
        ]
    column = f', "unique": int({key}.nunique())'
    return [
        f"counts = data.groupby({key}).size().sort_values(ascending=False)",
        "print(counts.head(40).to_string())",
        "counts_by_group = {str(key): int(n) for key, n in counts.head(40).items()}",
        f'results.append({{"rows": len(data), "of": len(df), "counts": counts_by_group{column}}})',
        *(charts.bars(ask, table, "counts.head(20)", how="count") if ask.chart else []),
    ]


def _with_how(ask: Ask, how: tuple[str, ...]) -> Ask:
    return Ask(
        kind="aggregate",
        measures=ask.measures,
        by=ask.by,
        period=ask.period,
        how=how,
        filters=ask.filters,
        chart=ask.chart,
    )


def _peak(ask: Ask, table: Table) -> list[str]:
    measure, how = ask.measures[0], "mean"
    lines = [
        f"by_{ask.period} = data.groupby({key_of(ask, table)})[{measure!r}].{how}()",
        f"print(by_{ask.period}.round(2).to_string())",
        f"ranked = by_{ask.period}.sort_values(ascending=False)",
        "groups = {str(key): value for key, value in ranked.items()}",
        f'results.append({{"ranked": groups, "overall": data[{measure!r}].mean(), "rows": len(data)}})',
    ]
    return lines + (charts.bars(ask, table, f"by_{ask.period}", how=how) if ask.chart else [])


def _trend(ask: Ask, table: Table) -> list[str]:
    date, measure = date_column(table), ask.measures[0]
    how = "sum" if ask.how == ("sum",) else "mean"
    grain = grain_of(ask, table)
    split = f", columns={ask.by!r}" if ask.by else ""
    lines = [f"# {charts.GRAINS[grain]} {how} over time"]
    lines.append(
        f"series = data.pivot_table(index=pd.Grouper(key={date!r}, freq={grain!r}){split}, "
        f"values={measure!r}, aggfunc={how!r})"
    )
    lines += [
        "if series.columns.nlevels > 1:",
        "    series.columns = series.columns.get_level_values(-1)",
        "print(series.round(2).to_string(max_rows=40))",
        "changes = {}",
        "for name in series.columns:",
        "    values = series[name].dropna()",
        "    edge = max(1, min(7, len(values) // 4))",
        "    changes[str(name)] = {",
        '        "start": values.iloc[:edge].mean(),',
        '        "end": values.iloc[-edge:].mean(),',
        '        "highest": values.max(),',
        '        "highest_at": str(values.idxmax()),',
        '        "lowest": values.min(),',
        '        "lowest_at": str(values.idxmin()),',
        '        "edge": edge,',
        "    }",
        f'results.append({{"trend": changes, "grain": {grain!r}, "rows": len(data)}})',
    ]
    return lines + charts.lines(ask, table, grain=grain, how=how)


def grain_of(ask: Ask, table: Table) -> str:
    """The stretch of time that one point of a line stands for: a pandas frequency."""
    column = table.column(date_column(table))
    if column is None:
        return "D"
    asked = {"hour": "h", "day": "D", "week": "W", "month": "MS", "year": "YS"}.get(ask.period)
    days = (datetime.fromisoformat(column.high[:19]) - datetime.fromisoformat(column.low[:19])).days
    if asked and (asked != "h" or days <= 7):
        return asked
    if days <= 4:
        return "h"
    if column.unique > 1 and days / (column.unique - 1) > 27:
        return "MS"
    return "D" if days <= 130 else "W" if days <= 800 else "MS"


def _top(ask: Ask, table: Table) -> list[str]:
    measure, how = ask.measures[0], ask.how[0]
    key = key_of(ask, table)
    if not key:
        return [
            f"rows = data.{'nsmallest' if ask.lowest else 'nlargest'}({ask.count}, {measure!r})",
            "print(rows.to_string())",
            'results.append({"top": json.loads(rows.to_json(orient="records", date_format="iso")), "rows": len(data)})',
        ]
    return [
        f"ranked = data.groupby({key})[{measure!r}].{how}().sort_values(ascending={ask.lowest}).head({ask.count})",
        "print(ranked.round(4).to_string())",
        'results.append({"ranked": {str(key): value for key, value in ranked.items()}, "rows": len(data)})',
        *(charts.bars(ask, table, "ranked", how=how) if ask.chart else []),
    ]


def _extreme(ask: Ask, table: Table) -> list[str]:
    measure, how = ask.measures[0], ask.how[0]
    key = key_of(ask, table)
    by = table.column(ask.by)
    one_row_each = bool(by and by.unique >= table.rows - by.missing)
    if not key or one_row_each:
        return [
            f"extreme = data[{measure!r}].{'min' if ask.lowest else 'max'}()",
            f"rows = data[data[{measure!r}] == extreme].head(5)",
            "print(rows.to_string())",
            'found = json.loads(rows.to_json(orient="records", date_format="iso"))',
            'results.append({"extreme": extreme, "rows_there": found, "rows": len(data)})',
        ]
    lines = [
        f"ranked = data.groupby({key})[{measure!r}].{how}().sort_values(ascending={ask.lowest})",
        "print(ranked.head(20).round(4).to_string())",
        'results.append({"ranked": {str(key): value for key, value in ranked.head(20).items()}, "rows": len(data)})',
    ]
    if ask.by and not ask.period:
        lines += [f"winner_column, winner = {ask.by!r}, ranked.index[0]"]
    return lines + (charts.bars(ask, table, "ranked.head(20)", how=how) if ask.chart else [])


def _correlate(ask: Ask, table: Table) -> list[str]:
    numbers = [c.name for c in table.of_kind("number")]
    names = list(ask.measures) if len(ask.measures) > 1 else numbers
    first = ask.measures[0] if ask.measures else ""
    lines = [f"names = {names!r}", "pairs = []"]
    if len(ask.measures) == 1 or len(ask.measures) > 2:
        lines += [f"for a, b in [({first!r}, name) for name in names if name != {first!r}]:"]
    else:
        lines += ["for a, b in [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]:"]
    lines += [
        "    both = data[[a, b]].dropna()",
        "    if len(both) > 2 and both[a].nunique() > 1 and both[b].nunique() > 1:",
        "        r, p = stats.pearsonr(both[a], both[b])",
        '        pairs.append({"a": a, "b": b, "r": r, "p": p, "n": len(both)})',
        '        print(f"{a} and {b}: r = {r:.4f}, p = {p:.4g}, n = {len(both)}")',
        'pairs.sort(key=lambda pair: -abs(pair["r"]))',
        'results.append({"pairs": pairs[:12], "rows": len(data)})',
    ]
    return lines + (charts.scatter(ask, names) if ask.chart else [])


def _distribution(ask: Ask, table: Table) -> list[str]:
    measure = ask.measures[0]
    return [
        f"values = data[{measure!r}].dropna()",
        "facts = values.describe(percentiles=[0.05, 0.25, 0.5, 0.75, 0.95]).to_dict()",
        'facts |= {"skewness": values.skew(), "kurtosis": values.kurt()}',
        'for name, value in facts.items():\n    print(f"{name}: {value:.4f}")',
        'results.append({"distribution": facts, "rows": len(data)})',
        *charts.histogram(ask),
    ]


def _normality(ask: Ask, table: Table) -> list[str]:
    test = {
        "ks": 'stats.kstest((values - values.mean()) / values.std(), "norm")',
        "dagostino": "stats.normaltest(values)",
        "shapiro": "stats.shapiro(values)",
    }[ask.method]
    return [
        f"values = data[{ask.measures[0]!r}].dropna()",
        f"test = {test}",
        'print(f"statistic = {test.statistic:.4f}, p = {test.pvalue:.4g}, skewness = {values.skew():.4f}")',
        'normal = {"statistic": test.statistic, "p": test.pvalue, "mean": values.mean(), "std": values.std()}',
        (
            'results.append({"normality": {**normal, "skewness": values.skew(), "kurtosis": '
            'values.kurt()}, "rows": len(data)})'
        ),
    ]


def _outliers(ask: Ask, table: Table) -> list[str]:
    measure, limit = ask.measures[0], f"{ask.limit:g}"
    lines = [f"values = data[{measure!r}].dropna()"]
    if ask.method == "z":
        lines += ["scores = (values - values.mean()) / values.std()", f"odd = values[scores.abs() > {limit}]"]
        bounds = f"[values.mean() - {limit} * values.std(), values.mean() + {limit} * values.std()]"
    else:
        lines += [
            "q1, q3 = values.quantile(0.25), values.quantile(0.75)",
            f"low, high = q1 - {limit} * (q3 - q1), q3 + {limit} * (q3 - q1)",
            "odd = values[(values < low) | (values > high)]",
        ]
        bounds = "[low, high]"
    lines += [
        "rest = values.drop(odd.index)",
        f"bounds = {bounds}",
        (
            f"rows = data.loc[odd.index].sort_values({measure!r}, key=lambda v: (v - "
            f"values.median()).abs(), ascending=False)"
        ),
        'print(f"{len(odd)} outliers outside {bounds[0]:.4f} to {bounds[1]:.4f}")',
        "print(rows.head(20).to_string())",
        'outliers = {"count": len(odd), "bounds": bounds, "mean_without": rest.mean(), "std_without": rest.std()}',
        'outliers["first"] = json.loads(rows.head(8).to_json(orient="records", date_format="iso"))',
        'results.append({"outliers": outliers, "rows": len(data)})',
    ]
    return lines


def _missing(ask: Ask, table: Table) -> list[str]:
    columns = f"[{list(ask.measures)!r}]" if ask.measures else ""
    return [
        f"missing = data{columns}.isna().sum().sort_values(ascending=False)",
        "print(missing.to_string())",
        'results.append({"missing": {str(key): int(n) for key, n in missing.items()}, "rows": len(data)})',
    ]


def _describe(ask: Ask, table: Table) -> list[str]:
    names = [c.name for c in table.of_kind("number")][:12]
    return [
        f"table = data[{names!r}].agg(['mean', 'min', 'max'])" if names else "table = data.head(0)",
        "print(table.round(4).to_string())",
        'results.append({"describe": table.to_dict(), "rows": len(data)})',
    ]


_WRITERS: dict[str, Callable[[Ask, Table], Sequence[str]]] = {
    "aggregate": _aggregate,
    "compare": _compare,
    "correlate": _correlate,
    "count": _count,
    "describe": _describe,
    "distribution": _distribution,
    "extreme": _extreme,
    "missing": _missing,
    "normality": _normality,
    "outliers": _outliers,
    "peak": _peak,
    "top": _top,
    "trend": _trend,
}
