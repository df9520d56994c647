"""Puts the results of an analysis into words, as Markdown. Every figure in the text is one that the program printed."""

from __future__ import annotations

from local.openai_emulator.models.offline.data.ask import Ask, Plan
from local.openai_emulator.models.offline.data.kinds.base import Result
from local.openai_emulator.models.offline.data.kinds.registry import kind_named
from local.openai_emulator.models.offline.words import joined


def paragraph(ask: Ask, result: Result, plan: Plan) -> str:
    """The result of one ask: a sentence, a list or a small table."""
    if not result:
        return "One part of the question could not be computed from the data."
    if result.get("rows") == 0:
        return f"No rows of {plan.table.filename} match {joined(f.words for f in ask.filters) or 'the question'}."
    return kind_named(ask.kind).sentence(ask, result, plan.table)


def chart_title(ask: Ask, result: Result) -> str:
    """The title of the ask's chart."""
    return kind_named(ask.kind).chart_title(ask, result)
