"""Puts the results of a plan into words, as Markdown. Every figure in the text is one that the program printed."""

from __future__ import annotations

from local.openai_emulator.models.offline.data import charts
from local.openai_emulator.models.offline.data.ask import Ask, Plan
from local.openai_emulator.models.offline.data.kinds.base import Result, where_text
from local.openai_emulator.models.offline.data.kinds.registry import kind_named

_WAYS = {  # how a derived column is computed
    "fill": "its gaps filled with the {filled}",
    "change": "the change of `{0}` from the row before, in %",
    "centre": "`{0}` minus its mean",
    "z": "`{0}` minus its mean, by its standard deviation",
    "scale": "`{0}` scaled to 0 to 1",
    "log": "the natural logarithm of `{0}`",
    "root": "the square root of `{0}`",
    "ratio": "the ratio of `{0}` to `{1}`",
    "difference": "`{0}` minus `{1}`",
    "sum": "`{0}` plus `{1}`",
    "product": "`{0}` times `{1}`",
}


def readings(plan: Plan) -> str:
    """How the question was read, in one line."""
    text = "; ".join(kind_named(ask.kind).reading(ask) for ask in plan.asks)
    odd = [
        f"{column.odd:,} cells of `{name}` that are no {column.kind} are left out"
        for name in dict.fromkeys(name for ask in plan.asks for name in ask.measures)
        if (column := plan.table.column(name)) and column.odd
    ]
    rows = (
        [f"{plan.table.left_out} row{'s' if plan.table.left_out > 1 else ''} of totals left out"]
        if plan.table.left_out
        else []
    )
    rows += [f"`{d.name}`: {_WAYS[d.how].format(*d.of, filled=d.filled)}" for d in plan.table.derived]
    said = [*odd, *rows, *plan.notes]
    notes = f" ({'; '.join(said)})" if said else ""
    return f"*Read as: {text}{notes}.*"


def paragraph(ask: Ask, result: Result, plan: Plan) -> str:
    """The result of one ask: a sentence, a list or a small table."""
    if not result:
        return "One part of the question could not be computed from the data."
    if result.get("rows") == 0 and ask.kind != "count":
        return f"No rows of {plan.table.shown} match{where_text(ask) or ' the question'}."
    return kind_named(ask.kind).sentence(ask, result, plan.table)


def chart_title(ask: Ask) -> str:
    return charts.title(ask)
