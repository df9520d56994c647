"""Write the Python program of a plan. It prints its results as JSON in the last line.

Names and values from files and questions are inserted only with `repr`, so that they cannot inject code.
"""

from __future__ import annotations

from local.openai_emulator.models.offline.data import charts, derived, loading, rows
from local.openai_emulator.models.offline.data.ask import Plan
from local.openai_emulator.models.offline.data.kinds.registry import kind_named
from local.openai_emulator.models.offline.data.table import LOADING, Table, source


def _loading(plan: Plan) -> str:
    """The lines that load the table, and join another one to it."""

    def load(table: Table) -> str:
        return f"load({f'/mnt/data/{table.filename}'!r}, {table.sheet!r})"

    table = f"table = {load(plan.table)}"
    if plan.table.joined is not None:
        table += f".merge({load(plan.table.joined)}, on={plan.table.key!r}, how='left')"
    if plan.table.derived:
        table += f"\ntable = derive(table, {[(d.name, d.how, d.of, d.filled) for d in plan.table.derived]!r})"
    return table


def analysis_code(plan: Plan, *, careful: bool = False) -> str:
    """The program for a plan.

    Args:
        careful: For the second attempt, after the first program failed: an ask that fails does not stop the others.
    """
    kinds = [kind_named(ask.kind) for ask in plan.asks]
    functions = [*LOADING, loading.load, rows.keep, rows.fits_others, rows.group_keys, rows.key_text, rows.told_rows]
    has_lists = any(ask.lists or any(c.test.startswith("lists") for c in ask.conditions) for ask in plan.asks)
    functions += [rows.entries_of, rows.one_entry_each] if has_lists else []
    functions += [derived.derive] if plan.table.derived else []
    functions += [charts.draw] if any(ask.chart for ask in plan.asks) else []
    functions += [function for kind in kinds for function in (*kind.helpers, kind.program)]
    lines = []
    for ask, kind in zip(plan.asks, kinds, strict=True):
        body = [f"rows = keep(table, {[c.plain for c in ask.conditions if c.plain not in ask.parts]!r})"]
        if ask.of_winner:
            body.append('rows = keep(rows, [(results[-1]["winner_of"], "==", results[-1]["winner"])])')
        told = f"one_entry_each(rows, {ask.lists!r})" if ask.lists else "rows"
        body.append(f"results.append({kind.program.__name__}({told}, {ask.plain()!r}) | {{'rows': len(rows)}})")
        if ask.chart:
            body.append(
                f"results[-1]['chart'] = draw(results[-1].pop('series', None), {charts.request(ask, plan.table)!r})"
            )
        else:
            body.append("results[-1].pop('series', None)")
        if careful:
            body = ["try:", *(f"    {line}" for line in body), "except Exception as error:", "    print(repr(error))"]
            body.append("    results.append({})")
        lines.append("\n".join(body))
    return f"""\
from __future__ import annotations

import json
import warnings

warnings.filterwarnings("ignore")


{source(functions)}


{_loading(plan)}
results = []
{chr(10).join(lines)}
print(json.dumps({{"results": results}}, default=lambda v: v.item() if hasattr(v, "item") else str(v)))
"""
