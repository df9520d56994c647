"""Puts the results of a plan into words, as Markdown. Every figure in the text is one that the program printed."""

from __future__ import annotations

from local.openai_emulator.models.offline.data import charts
from local.openai_emulator.models.offline.data.ask import Ask, Plan
from local.openai_emulator.models.offline.data.kinds.base import Result, where_text
from local.openai_emulator.models.offline.data.kinds.registry import kind_named


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
    notes = f" ({'; '.join([*odd, *rows])})" if odd or rows else ""
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
