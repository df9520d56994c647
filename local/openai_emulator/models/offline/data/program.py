"""Write the Python program of a plan. It prints its figures as tables, and in the last line as JSON.

Names and values from files and questions are inserted only with `repr`, so that they cannot inject code.
"""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data.ask import Ask, Plan
from local.openai_emulator.models.offline.data.kinds.registry import kind_named
from local.openai_emulator.models.offline.data.profile import Table

_END = '''\
def plain(value):
    """Convert numpy numbers to Python numbers, and dates to text."""
    return value.item() if hasattr(value, "item") else str(value)


print(json.dumps({"results": results}, default=plain))
'''


def analysis_code(plan: Plan, *, careful: bool = False) -> str:
    """The program for a plan.

    Args:
        careful: For the second attempt, after the first program failed: values that cannot be parsed as numbers or
            dates become missing, and an ask that fails does not stop the others.
    """
    parts = [_opening(plan, careful=careful)]
    for number, ask in enumerate(plan.asks, start=1):
        body = "\n".join([*_rows(ask, plan.table), *kind_named(ask.kind).program(ask, plan.table)])
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
    if any(ask.chart or kind_named(ask.kind).always_charts for ask in plan.asks):
        imports += ["import matplotlib.dates as mdates", "import matplotlib.pyplot as plt"]
    imports.append("import pandas as pd")
    if any(kind_named(ask.kind).uses_scipy for ask in plan.asks):
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


def _rows(ask: Ask, table: Table) -> list[str]:
    conditions = [
        f"({f.expression})" if f.expression[0] != "(" or "|" in f.expression else f.expression for f in ask.filters
    ]
    if ask.only_best_group:
        conditions.append("(df[winner_column] == winner)")
    return [f"data = df[{' & '.join(conditions)}]" if conditions else "data = df"]
