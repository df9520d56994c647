"""Turn a question about data into a plan; or into a refusal when a word of it is not accounted for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from local.openai_emulator.models.offline.data import vocabulary
from local.openai_emulator.models.offline.data.ask import Ask, Plan, Refusal
from local.openai_emulator.models.offline.data.choosing import kind_of_clause
from local.openai_emulator.models.offline.data.clause import FIGURES, Clause, Mention, figures, is_key
from local.openai_emulator.models.offline.data.derived import with_derived
from local.openai_emulator.models.offline.data.how_many_more import counts_more
from local.openai_emulator.models.offline.data.kinds.registry import kind_named, kind_of
from local.openai_emulator.models.offline.data.names import UNIT_STEMS, label, name_stems
from local.openai_emulator.models.offline.data.parts import (
    BACK,
    IS_IT,
    METHOD,
    asks_nothing,
    chart_of,
    check_size,
    counts_nothing,
    has_winner,
    inherit,
    is_chart_of,
    is_within,
    leave_remarks,
    other_ask,
    shares_end,
    tells_more,
    told_more,
)
from local.openai_emulator.models.offline.data.reading import read
from local.openai_emulator.models.offline.data.spelling import spelt
from local.openai_emulator.models.offline.data.stated import with_places
from local.openai_emulator.models.offline.data.table import Table, joins
from local.openai_emulator.models.offline.data.units import is_fraction, is_percentage
from local.openai_emulator.models.offline.data.wording import (
    as_one_word,
    in_order,
    plainly,
    with_both_ends,
    with_codes,
    with_days,
    with_digits,
    with_ends,
    with_names,
    with_nouns,
    with_years,
    without_glosses,
)
from local.openai_emulator.models.offline.words import stem

_START = (
    "find|calculate|compute|create|make|plot|draw|show|determine|identify|analy[sz]e|describe|visuali[sz]e|compare|count|list|"
    "what|which|who|when|where|how|why|is there|are there|give|tell|report|generate|check|then"
    "|(?:is|was|does|did) (?:it|he|she)\\b|(?:are|were|do|did) they"
)
_PIECES = re.compile(
    rf"(?<=[\w)\"'%.])[.?!;:](?=\s)\s*+|\n++|,\s++(?:(?:and|then|also)\s++)*+(?=(?:at )?(?:{_START})\b)"
    rf"|(?<!\s)\s++and\s++(?:(?:then|also)\s++)?(?=(?:at )?(?:{_START})\b)",
    re.IGNORECASE,
)
_TWO_TIMES = re.compile(
    r"\W*(?:in )?[12]\d{3}s? (?:vs\.?|versus|compared (?:to|with)) (?:in )?[12]\d{3}s?\W*", re.IGNORECASE
)
_NUMBERING = re.compile(r"^\s*+(?:\d{1,2}[.)]|[-*{])\s+")
_LEADS = re.compile(r"\W*(?:in|at|for|among|on|during|of|within)\b[^,.?!;]*$", re.IGNORECASE)
_SAME = re.compile(
    r"\bthe same\b|\blikewise\b|\b(?:what|how) about\b|^\W*and\b(?!.*\b(?:which|when|where|what|how|who)\b)|\bonly\b",
    re.IGNORECASE,
)
_HOW_MANY_TWICE = r"\W*how many [^,.?]+,? and how many (?!(?:is|are|was|were) (?:it|that|there)\b|of|in each)[^,.?]+\W*"
_ASKS = r"\W*(?:(?:in|on|at|from|for|to|by) )?(?:what|which|who|whose|whom|when|where|how)\b"
_WHICH_ONES = r"^\W*(?:and )?which (?:ones|of them|are they|are those)(?: are (?:they|those|these))?\W*$"
_OF_ENTRIES = ("count", "figures", "extreme", "top", "having")  # kinds whose groups can be the entries of lists
_SAME_WORDS = r"\bthe same\b|\blikewise\b|\b(?:what|how) about\b|\band\b|\bonly\b|\bnow\b|\bone\b|\bshow\b"


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """A plan or refusal on one table; `fit` tells how well the table suits the question."""

    outcome: Plan | Refusal
    fit: float


def plan(question: str, tables: Sequence[Table], *, earlier: Sequence[str] = ()) -> Plan | Refusal | None:
    """The plan for a question; a refusal when it is not understood completely; None if no table is readable.

    Args:
        question: The current question.
        tables: The profiles of the data files.
        earlier: Earlier questions of the thread, the newest last. A follow-up inherits measures and rows from them.
    """
    readable = [table for table in tables if table.columns and not table.error]
    if not readable:
        return None
    attempts = [_once_more(question, table, earlier) for table in readable]
    for table in joins(readable):
        found = _attempt(question, table, earlier)
        named = re.search(
            rf"\b{re.escape(table.key.removesuffix('_id').removesuffix(' id').lower())}s?\b", question.lower()
        )
        attempts.append(replace(found, fit=found.fit + (0.5 if named else -0.5)))
    attempts.sort(key=lambda attempt: (isinstance(attempt.outcome, Plan), attempt.fit), reverse=True)
    best = attempts[0].outcome
    equal = [a.outcome.table for a in attempts if isinstance(a.outcome, Plan) and a.fit >= attempts[0].fit]
    if isinstance(best, Plan) and len(equal) > 1:
        names = " or ".join(table.shown for table in equal[:4])
        return Refusal(reason=f"It could be about {names}: name one of them.", instead=_instead(best.table, []))
    return best


def _once_more(question: str, table: Table, earlier: Sequence[str]) -> _Attempt:
    """The attempt; if it finds nothing for some words, a second one that looks for them inside of texts."""
    first = _attempt(question, table, earlier)
    if not (isinstance(first.outcome, Refusal) and first.outcome.unknown):
        return first
    second = _attempt(question, table, earlier, unknown=first.outcome.unknown)
    return second if isinstance(second.outcome, Plan) else first


def _attempt(question: str, table: Table, earlier: Sequence[str], *, unknown: Sequence[str] = ()) -> _Attempt:
    before: tuple[Ask, ...] = ()
    for text in earlier:
        found = _on_table(text, table, before)
        before = found.outcome.asks if isinstance(found.outcome, Plan) else before
    found = _on_table(question, table, before, unknown)
    return replace(found, fit=found.fit + sum(0.5 * _on_table(text, table, ()).fit for text in earlier[-2:]))


# ---- one table ---------------------------------------------------------------------------------------------------


def _on_table(question: str, table: Table, before: tuple[Ask, ...], unknown: Sequence[str] = ()) -> _Attempt:
    question = _worded(question, table)
    question, table = with_derived(question, with_places(question, table))
    pieces = _pieces(question)
    clauses = [read(text, table, method=at > 0, unknown=unknown) for at, text in enumerate(pieces)]
    for clause in clauses:
        clause.whole = question
        leave_remarks(clause)
        check_size(clause)
    fit = _fit(question, table, clauses, pieces)
    if before and (same := _same(clauses, before, question)):
        return _Attempt(outcome=same, fit=fit)
    asks, refused = _asks_of(clauses, before)
    refused += _conditions_of_method(clauses, asks) + _percent_of_nothing(question, asks, table)
    if len(asks) == 1 and re.fullmatch(_HOW_MANY_TWICE, question, re.IGNORECASE):
        refused.append(Refusal(reason='It is not clear what one of the two "how many" counts.'))
    _claim_beside_quoted(clauses)
    left = _left(clauses, asks)
    unclear = [reason for clause in clauses for reason in clause.ambiguous]
    if asks and not left and not unclear and not refused:
        notes = tuple(note for clause in clauses for note in clause.notes)
        return _Attempt(outcome=Plan(table=table, asks=tuple(asks[:8]), notes=notes), fit=fit)
    reason = " ".join([*unclear, *(r.reason for r in refused[:1] if r.reason)])
    refusal = Refusal(understood=_understood(clauses), unknown=tuple(dict.fromkeys(left)), reason=reason, table=table)
    return _Attempt(outcome=replace(refusal, instead=_instead(table, clauses)), fit=fit)


def _worded(question: str, table: Table) -> str:
    """The question with one wording for what can be said in several ways."""
    question = re.sub(r"(?m)^[ \t]*+(?:\d{1,2}[.)]|[-*{}])[ \t]+", "", question)
    question = re.sub(r"(?<![ \t])[ \t]*+\n[ \t]*+(?=[a-z])", " ", question)  # a line that begins in lower case goes on
    question = with_codes(with_digits(plainly(spelt(question, table)), table), table)
    for way in (with_days, with_years, with_ends, with_nouns, with_names, with_both_ends):
        question = way(question, table)
    return in_order(without_glosses(as_one_word(question, table), table), table)


def _fit(question: str, table: Table, clauses: list[Clause], pieces: list[str]) -> float:
    """How well a table suits a question: what was found in it, and whether the question names the file."""
    fit = float(sum(len(c.mentions) + 2 * len(c.conditions) - len(c.left()) for c in clauses))
    said = {stem(word) for word in re.findall(r"[a-z]+", question.lower())}
    columns = {m.column.name for clause in clauses for m in clause.mentions}
    fit -= 0.1 * sum(part not in said | UNIT_STEMS for name in columns for part in name_stems(name))
    fit += 2 * sum(table.shown.lower() in text.lower() for text in pieces)
    named = {part for part in re.findall(r"[a-z]+", table.shown.lower().rpartition(".")[0]) if len(part) > 2}
    fit += 1.5 * len({stem(part) for part in named} & {stem(word) for word in re.findall(r"[a-z]+", question.lower())})
    return fit


def _asks_of(clauses: list[Clause], before: tuple[Ask, ...]) -> tuple[list[Ask], list[Refusal]]:
    """The asks of the clauses, each once, and the refusals of those that are not understood."""
    asks: list[Ask] = []
    refused: list[Refusal] = []
    lead: Clause | None = None
    for at, clause in enumerate(clauses):
        if asks and is_chart_of(asks[-1], clause):
            asks[-1] = chart_of(asks[-1], clause)
            continue
        if asks and (other := other_ask(asks[-1], clause)):
            asks.append(other)
            continue
        if asks and tells_more(asks[-1], clause):
            asks[-1] = told_more(asks[-1], clause)
            continue
        if asks and clause.says(IS_IT) and clause.conditions and not kind_of(clause.text):
            refused.append(Refusal(reason="It is not clear of which rows the last part is."))
            continue
        found = _ask(clause, at, asks, before, lead, alone=len(clauses) == 1)
        if isinstance(found, Refusal):
            refused.append(found)
        elif found and found.kind == "describe" and at == 0 and len(clauses) > 1 and not clause.ambiguous:
            lead = clause
        elif found and any(is_within(found, ask) for ask in asks):
            clause.repeats = True
        elif found:
            earlier = shares_end(clauses[at - 1], clause, asks[-1], found) if asks else None
            if isinstance(earlier, Refusal):
                refused.append(earlier)
            elif earlier:
                asks[-1] = earlier
            asks.append(found)
        elif at == 0:
            lead = clause
            named = clause.mentions or clause.conditions
            if len(clauses) > 1 and named and re.match(_ASKS, clause.text, re.IGNORECASE):
                refused.append(Refusal(reason="It is not clear what the first part asks for."))
    if not asks and lead is not None and not refused:
        asks = [_describe(lead)] if kind_of(lead.text) == "describe" else []
    return list(dict.fromkeys(asks)), refused


def _left(clauses: list[Clause], asks: list[Ask]) -> list[str]:
    """The words that are not accounted for. Where a question asks the same twice, its precise wording counts."""
    said = {word for ask in asks for word in kind_named(ask.kind).words.split()}
    said |= vocabulary.DERIVING if any(clause.table.derived for clause in clauses) else set()
    left: list[str] = []
    for at, clause in enumerate(clauses):
        own = [word for word in clause.left() if not (clause.repeats and word.lower() in said)]
        measures = _real_measures(clause)
        again = any(
            other.kind == clause.kind
            and measures
            and (measures == _real_measures(other) or (other.kind == "correlate" and measures < _real_measures(other)))
            and not other.left()
            and not other.ambiguous
            for other in clauses[at + 1 :]
        )
        plain = all(word.islower() and word.isalpha() and word not in vocabulary.NOT for word in own)
        left += [] if again and plain else own
    return left


def _real_measures(clause: Clause) -> set[str]:
    return {c.name for c in clause.measures(conditioned=False) if not is_key(c, clause.table)}


def _conditions_of_method(clauses: list[Clause], asks: list[Ask]) -> list[Refusal]:
    """A refusal when a sentence about the method names rows that no ask is about."""
    known = {condition.column for ask in asks for condition in ask.conditions} | {
        name for ask in asks for name in ask.by
    }
    for clause in clauses:
        for condition in clause.conditions if clause.repeats else ():
            if condition.test in ("==", "!=", "in", "not in", "spans") and condition.column not in known:
                return [Refusal(reason=f"It is not clear for which part {condition.words} is meant.")]
    return []


def _percent_of_nothing(question: str, asks: list[Ask], table: Table) -> list[Refusal]:
    """A refusal when a sign of percent, which is not that of a number, is not answered by a share."""
    named = {name for ask in asks for name in (*ask.measures, *ask.targets, *(c.column for c in ask.conditions))}
    found = [c for name in named if (c := table.column(name))]
    of_column = any("%" in c.name or is_fraction(c) or is_percentage(c) for c in found)
    answered = any(ask.kind in ("share", "change") or (ask.kind == "count" and ask.conditions) for ask in asks)
    if of_column or answered or not re.search(r"(?<![\d %]) ?%", question):
        return []
    return [Refusal(reason='It is not clear of what "%" is meant.')]


def _claim_beside_quoted(clauses: list[Clause]) -> None:
    """Account for the words that stand beside a column whose name is quoted somewhere in the question."""
    quoted = {
        c.name
        for clause in clauses
        for c in clause.table.columns
        if re.search(f"[\"'`]{re.escape(c.name)}[\"'`]", clause.text)
    }
    for clause in clauses:
        clause.used |= {i for i in clause.free() if _beside_quoted(clause, i, quoted)}


def _beside_quoted(clause: Clause, i: int, quoted: set[str]) -> bool:
    """Whether a word stands beside a column whose name is quoted somewhere: the quote says which column is meant."""
    return (
        any(
            mention.column.name in quoted and any(abs(i - token) <= 2 for token in mention.tokens)
            for mention in clause.mentions
        )
        and clause.word(i) not in vocabulary.OPERATIONS | vocabulary.NOT
    )


def _pieces(question: str) -> list[str]:
    """The sentences and clauses of a question; one without a kind of its own belongs to the one before it."""
    pieces: list[str] = []
    lead = ""
    for text in (_NUMBERING.sub("", part).strip(" \n\t{}") for part in _PIECES.split(question)):
        if not re.search(r"\w", text):
            continue
        leads = bool(pieces) and bool(_LEADS.match(pieces[-1]))
        if leads and not kind_of(re.sub(r"\bat (?:least|most)\b", "", pieces[-1], flags=re.IGNORECASE)):
            lead = f"{pieces[-1]}, "  # "In wave 13, which chamber ..."
            pieces[-1] = lead + text
        elif (
            pieces
            and (not kind_of(text) or _TWO_TIMES.fullmatch(text))
            and not re.search(r"\b(?:charts?|plot|graph)\b", text, re.I)
            and not METHOD.match(text)
            and not re.match(_WHICH_ONES, text, re.IGNORECASE)
            and not re.match(IS_IT, text, re.IGNORECASE)
        ):
            pieces[-1] = f"{pieces[-1]}, {text}"
        else:
            is_method = METHOD.match(text) or re.search(r"\b(?:charts?|plot|graph)\b", text, re.I)
            pieces.append(text if is_method else lead + text)
    return pieces or [question]


def _describe(clause: Clause) -> Ask:
    ask = kind_named("describe").complete(clause)
    assert isinstance(ask, Ask)
    return ask


def _ask(
    clause: Clause, at: int, asks: list[Ask], before: tuple[Ask, ...], lead: Clause | None, *, alone: bool
) -> Ask | Refusal | None:
    """The ask of a clause; None when it has none of its own."""
    if asks and asks[-1].kind == "count" and clause.claim_all(_WHICH_ONES):
        clause.kind = "lookup"
        return replace(asks[-1], kind="lookup", targets=(), by=(), hows=("mean",), chart="", method="")
    name = clause.kind = kind_of_clause(clause, first=at == 0, alone=alone)
    if not name:
        clause.repeats = bool(at) and bool(METHOD.match(clause.text))
        return None if at or not alone else Refusal()
    clause.method = clause.method or name in ("normality", "correlate", "outliers", "distribution")
    kind = kind_named(name)
    said = set(kind.words.split())
    clause.claim_all(kind.cues or r"$^")
    said |= set(vocabulary.HIGHEST | vocabulary.LOWEST) if name == "peak" else set()
    refers = bool(BACK.search(clause.text))
    if at and asks_nothing(clause, name, asks, refers=refers):
        clause.repeats = True
        return None
    if name == "count" and (unclear := counts_nothing(clause, at, asks, lead, refers=refers)):
        return unclear
    source = [*reversed(asks), *reversed(before if refers or at else ())]
    _take_measures(clause, name, source)
    of_winner = bool(asks) and refers and asks[-1].kind == "extreme" and has_winner(clause, asks[-1])
    if of_winner and asks[-1].lists:
        return Refusal(reason=f"The rows of the entry of `{asks[-1].lists[0]}` that was found are not looked at.")
    if lead is not None and lead is not clause:
        if name == "correlate" and not clause.measures() and len(lead.measures()) == 2:
            clause.mentions += [mention for mention in lead.mentions if mention.column in lead.measures()]
        clause.conditions += [c for c in lead.conditions if c not in clause.conditions]
    if asks and not of_winner and (unclear := inherit(clause, name, asks[-1])):
        return unclear
    if not clause.conditions and refers and not of_winner:
        clause.conditions += list(next((ask.conditions for ask in source if ask.conditions), ()))
    if name not in ("missing", "describe", "lookup"):
        clause.claim_all("|".join(pattern for _, pattern in FIGURES))
    found = kind.complete(clause)
    clause.used |= {i for i in clause.free() if clause.word(i) in said}
    if isinstance(found, Refusal):
        asks_more_ = clause.says(r"^\W*(?:and )?(?:which|who|what|when|where|how)\b")
        return found if asks_more_ or not (at and not clause.mentions and asks) else None
    if clause.least and (found.kind not in ("extreme", "top") or not found.by):
        return Refusal(reason="It is not clear which groups have so many rows.")
    found = _with_lists(found, clause)
    if isinstance(found, Refusal):
        return found
    if counts_more(asks, found, clause):
        return Refusal(reason='It is not clear what the first "how many" counts.')
    return replace(found, of_winner=of_winner, chart="" if found.chart == "any" else found.chart)


def _take_measures(clause: Clause, name: str, source: list[Ask]) -> None:
    """Give a clause that names no measure those of the asks before it."""
    if not clause.measures() and name not in ("count", "missing", "describe", "lookup", "share"):
        names = next((ask.measures for ask in source if ask.measures), ())
        columns = [column for n in names if (column := clause.table.column(n))]
        needs = not (name == "extreme" and any(clause.word(i) in vocabulary.ADJECTIVES for i in clause.free()))
        if needs or not figures(clause.table):
            clause.mentions += [Mention(column=column, tokens=(10_000,)) for column in columns]


def _with_lists(ask: Ask, clause: Clause) -> Ask | Refusal:
    """The ask with the columns of lists that it groups by, or whose values it counts: each entry is a group."""
    grouped = [*ask.by, *(ask.targets if ask.kind == "count" else ())]
    lists = tuple(name for name in grouped if (column := clause.table.column(name)) and column.entries)
    if not lists:
        return ask
    if ask.kind not in _OF_ENTRIES or len(lists) > 1:
        return Refusal(reason=f"The cells of `{lists[0]}` are lists, whose entries are not told apart in this.")
    clause.notes.append(f"a row counts for each entry of `{lists[0]}`")
    return replace(ask, lists=lists)


def _same(clauses: list[Clause], before: tuple[Ask, ...], question: str) -> Plan | None:
    """The earlier asks with the measures and conditions of this question: "and for web-03 only?"."""
    clause = clauses[0]
    if len(clauses) > 1 or not _SAME.search(question):
        return None
    clause.claim_all(_SAME_WORDS)
    kept = [ask for ask in before if ask.kind != "describe"]
    measures = tuple(column.name for column in clause.measures(conditioned=False))
    if not kept or clause.left() or clause.ambiguous or not (measures or clause.conditions):
        return None
    if measures and len(kept) > 1:  # "show the same" means the asks with a chart
        kept = [ask for ask in kept if clause.chart and ask.chart] or kept
    own = tuple(clause.conditions)
    columns = {condition.column for condition in own}
    asks = tuple(
        replace(
            ask,
            measures=measures or ask.measures,
            conditions=own + tuple(c for c in ask.conditions if c.column not in columns),
            by=tuple(name for name in ask.by if not any(c.column == name and c.test == "==" for c in own)),
        )
        for ask in kept
    )
    return Plan(table=clause.table, asks=asks)


# ---- refusals ----------------------------------------------------------------------------------------------------


def _understood(clauses: list[Clause]) -> tuple[str, ...]:
    names = [f"`{mention.column.name}`" for clause in clauses for mention in clause.mentions]
    return tuple(dict.fromkeys([*names, *(condition.words for clause in clauses for condition in clause.conditions)]))


def _instead(table: Table, clauses: list[Clause]) -> str:
    """A question that the table answers, about what was understood if possible."""
    named = [c for clause in clauses for c in clause.measures()]
    measures = [c for c in named if c in figures(table)] or figures(table)
    groups = [c for c in table.of_kind("text") if 1 < c.unique <= 20]
    if not measures:
        return f"How many rows are there by {label(groups[0].name)}?" if groups else "How many rows are there?"
    by = f" by {label(groups[0].name)}" if groups else ""
    measure = label(measures[0].name)
    return f"What is the {'highest' if measure.startswith('average') else 'average'} {measure}{by}?"
