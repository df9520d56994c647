"""Turn a question about data into a plan: a table, and asks with their columns, groups and rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from local.openai_emulator.models.offline.data import columns as cols
from local.openai_emulator.models.offline.data.ask import Ask, Plan
from local.openai_emulator.models.offline.data.filters import filters_in
from local.openai_emulator.models.offline.data.kinds.registry import kind_named, kind_of
from local.openai_emulator.models.offline.data.phrases import (
    BY,
    CHART,
    METHOD,
    PERIODS,
    PIECES,
    WHICH,
    average_or_total,
    count_in,
    is_low,
)
from local.openai_emulator.models.offline.data.profile import Column, Table
from local.openai_emulator.models.offline.words import all_stems

_REFERS_BACK = re.compile(r"\b(?:it|its|that (?:one|\w+)|the same (?:one|\w+))\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class _Clause:
    kind: str
    text: str


def plan(question: str, tables: Sequence[Table], *, earlier: Sequence[str] = ()) -> Plan | None:
    """The plan for a question; None if no table is readable.

    Args:
        question: The current question.
        tables: The profiles of the data files.
        earlier: Earlier questions of the thread, the newest last. A follow-up inherits measures and rows from them.
    """
    table = _table_for([question, *reversed(earlier)], tables)
    if table is None:
        return None
    inherited = _inherited(earlier, table)
    if inherited and _SAME.search(question):
        same = _same_for(question, inherited, table)
        if same:
            return Plan(table=table, asks=same)
    asks = _asks(question, table, inherited)
    return Plan(table=table, asks=tuple(asks))


_SAME = re.compile(
    r"\bthe same\b|\blikewise\b|\b(?:what|how) about\b|^and\b(?!.*\b(?:which|when|where|what|how)\b)|\bonly\b",
    re.IGNORECASE,
)


def _inherited(earlier: Sequence[str], table: Table) -> tuple[Ask, ...]:
    """The asks of the last question about data in `earlier`, each question planned with those before it."""
    asks: tuple[Ask, ...] = ()
    for question in earlier:
        same = _same_for(question, asks, table) if asks and _SAME.search(question) else ()
        asks = same or (tuple(_asks(question, table, asks)) if kind_of(question) else asks)
    return asks


def _same_for(question: str, asks: Sequence[Ask], table: Table) -> tuple[Ask, ...]:
    """The earlier asks with the measures and filters of this question; empty if it names neither."""
    measures = _measures(question, table)
    filters = filters_in(question, table, measures=measures)
    wants_chart = bool(CHART.search(question) or re.search(r"\bshow\b", question, re.IGNORECASE))
    if not measures and not filters:
        return ()
    kept = [ask for ask in asks if ask.kind != "describe"]
    if measures and len(kept) > 1:  # "show the same" means the asks with a chart
        kept = [ask for ask in kept if wants_chart and ask.chart] or kept
    return tuple(
        replace(
            ask,
            measures=tuple(c.name for c in measures) or ask.measures,
            filters=filters or ask.filters,
            by="" if any(f.column == ask.by and len(f.values) == 1 for f in filters) else ask.by,
        )
        for ask in kept
    )


def _table_for(texts: Sequence[str], tables: Sequence[Table]) -> Table | None:
    """The table whose file name, columns and values match the texts best; the first text has the highest weight."""
    readable = [table for table in tables if table.columns and not table.error]
    if not readable:
        return None

    def fit(table: Table) -> float:
        value = 0.0
        for weight, text in zip((1.0, 0.5, 0.25), texts, strict=False):
            said = set(all_stems(text))
            value += weight * 1.5 * len(said & set(cols.name_stems(table.filename.rpartition(".")[0])))
            value += weight * 3.0 * (table.filename.lower() in text.lower())
            value += weight * len(cols.matching(text, table.columns))
            value += weight * 2.0 * sum(bool(condition.values) for condition in filters_in(text, table))
            value += weight * 1.5 * bool(_by(text, table)[0])
            value += weight * (kind_of(text) == "peak" and cols.has_hours(table))
        return value

    return max(readable, key=lambda table: (fit(table), table.rows))


def _asks(question: str, table: Table, inherited: Sequence[Ask]) -> list[Ask]:
    lead, clauses = _clauses(question, table)
    asks: list[Ask] = []
    if not clauses and _measures(question, table):  # the question names measures but no computation
        clauses = [_Clause(kind="aggregate", text=question)]
    for clause in clauses:
        asks.append(_ask(clause, lead, table, before=asks, inherited=inherited))
    if len(asks) > 1:
        asks = [ask for ask in asks if ask.kind != "describe"] or asks[:1]
    if CHART.search(question) and asks and not any(ask.chart for ask in asks):
        asks[-1] = replace(asks[-1], chart=True)
    return list(dict.fromkeys(asks)) or [Ask(kind="describe")]


def _clauses(question: str, table: Table) -> tuple[str, list[_Clause]]:
    """The text before the first clause, and the clauses of a question, one per ask."""
    lead, clauses = "", list[_Clause]()
    for piece in filter(None, (part.strip() for part in PIECES.split(_with_protected_ands(question, table)))):
        kind = kind_of(piece)
        if kind and clauses and METHOD.match(piece):
            kind = ""
        if not kind and not clauses:
            lead = f"{lead} {piece}"
        elif not kind:
            clauses[-1] = replace(clauses[-1], text=f"{clauses[-1].text} and {piece}")
        elif clauses and _continues(clauses[-1], piece, kind, table):
            merged = f"{clauses[-1].text} and {piece}"
            clauses[-1] = _Clause(
                kind=kind if clauses[-1].kind in ("extreme", "describe") else clauses[-1].kind, text=merged
            )
        else:
            clauses.append(_Clause(kind=kind, text=piece))
    return lead, [replace(clause, text=clause.text.replace("\x00", "and")) for clause in clauses]


def _with_protected_ands(question: str, table: Table) -> str:
    """The question with "and" replaced by \\x00 where it does not separate clauses.

    That is in `between 9:00 and 17:00`, and in the name of a column such as `price and tax`.
    """
    question = re.sub(r"\b(between\s+[\w\"'.:-]+(?:\s+\w+){0,3}?)\s+and\s+", "\\1 \x00 ", question, flags=re.IGNORECASE)
    for column in table.columns:
        if " and " in column.name:
            question = question.replace(column.name, column.name.replace("and", "\x00"))
    return question


def _continues(before: _Clause, piece: str, kind: str, table: Table) -> bool:
    """Whether a piece continues the previous clause: `the mean` + `standard deviation of the wage`."""
    if re.match(
        r"(?:what|which|when|where|how|who|find|create|make|draw|plot|show|then|calculate|is|are)\b",
        piece,
        re.IGNORECASE,
    ):
        bare = not _measures(before.text, table) and kind == before.kind == "aggregate"
        return (before.kind == "compare" and kind == "aggregate" and not _measures(before.text, table)) or bare
    if kind == before.kind and kind_named(kind).joins_itself:
        return True
    if not (kind_named(kind).joins_figures and kind_named(before.kind).joins_figures):
        return False
    return not _measures(before.text, table) or not _measures(piece, table)


def _ask(clause: _Clause, lead: str, table: Table, *, before: Sequence[Ask], inherited: Sequence[Ask]) -> Ask:
    text, kind = clause.text, clause.kind
    measures = _measures(text, table)
    by, period = _by(text, table)
    filters = filters_in(f"{lead}. {text}", table, measures=measures)
    refers = bool(_REFERS_BACK.search(text))
    only_best_group = refers and bool(before) and before[-1].kind == "extreme" and bool(before[-1].by)
    named = bool(measures)
    if not measures and kind_named(kind).needs_measure:
        names = next((ask.measures for ask in (*reversed(before), *reversed(inherited)) if ask.measures), ())
        measures = [column for name in names if (column := table.column(name))]
    if not filters and (refers or not named) and not only_best_group:
        filters = next((ask.filters for ask in (*reversed(before), *reversed(inherited)) if ask.filters), ())
    ask = Ask(
        kind=kind,
        measures=tuple(column.name for column in measures),
        by=by,
        period=period,
        how=(average_or_total(text) or "mean",),
        count=count_in(text),
        lowest=is_low(text, measures),
        filters=filters,
        chart=bool(CHART.search(text)),
        only_best_group=only_best_group,
    )
    return kind_named(kind).complete(ask, text, table)


def _measures(text: str, table: Table) -> list[Column]:
    numbers = table.of_kind("number", "bool")
    found = cols.matching(text, numbers)
    groups = {column for column in found if _by_column(text, table) is column}
    return [column for column in found if column not in groups] or ([] if groups else found)


def _by_column(text: str, table: Table) -> Column | None:
    choices = cols.categories(table)
    for match in BY.finditer(text):
        what = re.split(r"\b(?:in|for|on|of|and|over|with|using|from|at|is|are|was|were|showing)\b", match["what"])[0]
        if found := cols.matching(what, choices):
            return found[0]
    return None


def _by(text: str, table: Table) -> tuple[str, str]:
    """The category column and the period that a clause groups by; each may be empty."""
    column = _by_column(text, table)
    period = ""
    if table.of_kind("date"):
        period = next((name for name, pattern in PERIODS if re.search(pattern, text, re.IGNORECASE)), "")
    if column is None:
        choices = [c for c in table.columns if c.kind in ("text", "bool") and c.unique > 1]
        for match in WHICH.finditer(text):
            what = re.split(r"\b(?:has|have|had|is|are|was|were|did|does|do|with|in|on|of)\b", match["what"])[0]
            if found := cols.matching(what, choices):
                column = found[0]
                break
    return (column.name if column else ""), period
