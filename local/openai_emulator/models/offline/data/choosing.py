"""Which kind of question a clause is: by its cues, by what it names, or by the nearest example."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary
from local.openai_emulator.models.offline.data.clause import CHANGE, FIGURES, Clause, figures, is_key, is_year
from local.openai_emulator.models.offline.data.kinds.changing import changes_of_groups
from local.openai_emulator.models.offline.data.kinds.completing import (
    VERSUS,
    additive,
    claim_comparatives,
    comparatives_in,
)
from local.openai_emulator.models.offline.data.kinds.contrast import is_contrast
from local.openai_emulator.models.offline.data.kinds.ends import most_rows
from local.openai_emulator.models.offline.data.kinds.first_time import asks_first_time
from local.openai_emulator.models.offline.data.kinds.having import limits_rows
from local.openai_emulator.models.offline.data.kinds.per_group import averages_totals
from local.openai_emulator.models.offline.data.kinds.registry import kind_of, nearest_kind
from local.openai_emulator.models.offline.data.kinds.share import BY_PERCENT
from local.openai_emulator.models.offline.data.names import name_stems, squeezed
from local.openai_emulator.models.offline.data.units import is_fraction, is_percentage
from local.openai_emulator.models.offline.words import stem

_SUPERLATIVE = re.compile(
    rf"\b(?:highest|lowest|most|least|fewest|largest|smallest|biggest|greatest|best|worst"
    rf"|{'|'.join(vocabulary.ADJECTIVES)})\b(?! (?:common|frequent|popular|often))",
    re.IGNORECASE,
)
# "Do houses with more rooms have a higher price?"
_MORE_AND_MORE = re.compile(
    r"\b(?:more|less|fewer|\w{3,}er)\b.{1,60}?"
    r"\b(?:more|higher|lower|less|better|worse|larger|greater|bigger|smaller|longer|shorter|heavier|older|younger|taller|cheaper)\b",
    re.IGNORECASE,
)
_TIMES = ("spans", "ranges")
_WHICH_ARE_THERE = r"^\W*(?:which|what) (?:different )?[\w ]{1,30}? (?:are|were) there\b"
_ROWS = vocabulary.ROW_NOUNS | vocabulary.PEOPLE
_THINGS_PER = r"^\W*[a-z]{3,}s (?:by|per|in each|for each)\b"
_COMPARES = r"^\W*(?:was|were|is|are|did|does|do)\b.*\bthan\b"
_MORE_OR = (
    r"\b(?:higher|lower|more|less|larger|bigger|greater|better|worse)\b.*\bor\b"
    r"|^\W*(?:did|does|do|has|have|is|are|was|were)\b.*\bor\b.*\b(?:higher|lower|more|less|fewer|larger|bigger)\b"
)


def _counts_things(clause: Clause) -> bool:
    """Whether rows are counted: "dishes per region", but not "sales per region", nor "houses by price"."""
    noun = clause.word(0)
    own = next((m.column for m in clause.mentions if 0 in m.tokens), None)
    if own is not None and own.unique < clause.table.rows:
        return False
    of_file = stem(noun) in name_stems(clause.table.shown.rpartition(".")[0])
    if noun not in _ROWS and own is None and not of_file:
        return False
    if any(additive(c.name) for c in figures(clause.table)) and (additive(noun) or noun not in _ROWS):
        return False
    return all(is_year(c) or is_key(c, clause.table) for c in clause.by_numbers)


def _is_share_itself(clause: Clause) -> bool:
    """Whether "the share of X" is the name of a column of shares: it is read, and not computed."""
    measures = clause.measures(conditioned=False)
    if clause.says(r"\b(?:share|percent(?:age)?|proportion|fraction|%) of (?:the |all )?(?:total|overall)\b"):
        return False
    if len(measures) != 1 or not (is_fraction(measures[0]) or is_percentage(measures[0])):
        return False
    if not (clause.conditions or clause.by or clause.by_numbers or clause.period or clause.which or clause.hows):
        return False
    pinned = any((c := clause.table.column(condition.column)) and clause.entity(c) for condition in clause.conditions)
    if not (pinned or clause.hows or clause.by or clause.by_numbers or clause.period or clause.which):
        clause.ambiguous.append(f"It is not clear whether the cells of `{measures[0].name}` are added up.")
    clause.claim_all(r"\b(?:shares?|percent(?:age)?s?|proportions?|fractions?)(?: of)?\b")
    return True


def _asks_for_cells(clause: Clause) -> bool:
    """Whether two cells of one row are asked for: "in what year was X released and how many streams did it get"."""
    of_row = any((c := clause.table.column(found.column)) and clause.entity(c) for found in clause.conditions)
    asked = clause.says(r"\b(?:which|what)\b") and clause.says(r"\bhow (?:many|much)\b")
    return of_row and asked and len({m.column for m in clause.mentions}) > 1 and not clause.hows


def _is_end_of_each(clause: Clause) -> bool:
    """Whether the highest or lowest value in each group is asked for: "the maximum salary per department"."""
    grouped = (clause.by or clause.by_numbers or clause.period) and not clause.which
    asks_which = clause.says(r"^\W*(?:in |on |at )?(?:which|who|when|where)\b") or clause.says(r"\bwhich\b")
    return bool(grouped) and not asks_which and bool(clause.hows) and set(clause.hows) <= {"min", "max"}


def kind_of_clause(clause: Clause, *, first: bool, alone: bool) -> str:
    """The kind by its cues; else by what the clause names; else that of the nearest example."""
    name = kind_of(_without_names(clause))
    claim_comparatives(clause)
    if name in ("", "correlate", "figures"):
        comparatives_in(clause)
    if of_groups := _of_groups(clause, name):
        return of_groups
    if name in ("share", "peak") and (better := _better_than_cue(clause, name)):
        return better
    if name in ("extreme", "figures", "") and {"min", "max"} <= set(clause.hows) and not (clause.which or clause.by):
        return "figures"  # "the highest and the lowest salary"
    if name in ("count", "figures") and _asks_for_cells(clause):
        return "lookup"
    if name in ("", "lookup", "describe", "count") and clause.says(_WHICH_ARE_THERE) and clause.texts():
        return "count"
    compared = any(c.test == "in" for c in clause.conditions)
    is_more = len(clause.measures(conditioned=False)) == 2 and _MORE_AND_MORE.search(clause.text)
    if name in ("", "figures") and is_more and not clause.says(r"\bthan\b"):
        return "correlate"
    counted = re.match(r"\W*how many\b", clause.text, re.IGNORECASE)
    if (
        name in ("figures", "count", "describe")
        and _SUPERLATIVE.search(clause.text)
        and not counted
        and not clause.limits()
    ) and not re.search(r"\bmost (?:common|frequent|popular)\b|\bmode\b", clause.text, re.IGNORECASE):
        return "figures" if _is_end_of_each(clause) else "extreme"
    if name == "extreme" and _is_end_of_each(clause):
        return "figures"
    if name == "compare" and any(c.test.endswith(" column") for c in clause.conditions):
        return "count" if counted or clause.says(r"\bhow often\b") else "lookup"
    of_measure = name == "figures" or (name == "count" and clause.measures(conditioned=False))
    has_several = any(c.test == "in" or (c.test in _TIMES and len(c.value) == 2) for c in clause.conditions)
    if name == "trend" and has_several and clause.says(VERSUS):
        return "compare"
    if name == "share" and clause.says(BY_PERCENT):
        return "compare" if has_several and clause.says_beside(CHANGE) else name
    if of_measure and has_several and _says_compared(clause):
        return "compare"
    if name in ("", "describe") and clause.of_all and len(clause.measures()) == 1 and not _is_grouped(clause):
        clause.hows = clause.hows or (("sum",) if additive(clause.measures()[0].name) else ("mean",))
        return "figures"
    if name == "describe" and (clause.mentions or clause.chart):
        name = ""
    if name:
        return name
    name = _by_names(clause, first=first or alone, has_several=has_several)
    return "compare" if name == "peak" and compared and not clause.table.of_kind("date") else name


def _better_than_cue(clause: Clause, name: str) -> str:
    """The kind of a clause with the cues of a share or a peak that asks for something else; empty if it does not."""
    dates = clause.table.of_kind("date")
    years = [c for c in clause.table.of_kind("number") if is_year(c)]
    if name == "peak" and not dates and years and clause.measures():
        return "extreme"
    if name == "peak" and not dates and clause.measures() and any(c.test == "in" for c in clause.conditions):
        return "compare"
    if name == "peak":
        return "extreme" if not clause.measures() and most_rows(clause) else ""
    ranked = re.search(r"\b(?:top|bottom) (?:\d+|two|three|four|five|ten)\b", clause.text, re.IGNORECASE)
    if ranked and any(is_fraction(c) or is_percentage(c) for c in clause.measures()):
        clause.claim_all(r"\b(?:shares?|percent(?:age)?s?|proportions?|fractions?)(?: of)?\b")
        return "top"
    return "figures" if _is_share_itself(clause) else ""


def _says_compared(clause: Clause) -> bool:
    return clause.says_beside(CHANGE) or clause.says(_COMPARES) or clause.says(VERSUS) or _of_times(clause)


def _of_times(clause: Clause) -> bool:
    """Whether a clause asks which of two times has more: "higher in 2016 or in 2017"."""
    return clause.says(_MORE_OR) and any(c.test in _TIMES and len(c.value) == 2 for c in clause.conditions)


def _is_grouped(clause: Clause) -> bool:
    of_text = clause.which is not None and clause.which.kind == "text"
    return bool(clause.by or clause.by_numbers or clause.period or of_text)


def _by_names(clause: Clause, *, first: bool, has_several: bool) -> str:
    """The kind of a clause without cues, by what it names; else that of the nearest example."""
    if clause.chart:
        return {"histogram": "distribution", "scatter": "correlate", "pie": "share"}.get(clause.chart, "trend")
    grouped = clause.by or clause.by_numbers or clause.period
    measures = clause.measures(conditioned=False)
    if grouped and not clause.hows and set(measures) <= set(clause.by_numbers) and clause.says(_THINGS_PER):
        return "count" if _counts_things(clause) else ""
    if measures and grouped and not _of_times(clause):
        return "figures"
    several = [c for x in clause.conditions if x.test == "in" and (c := clause.table.column(x.column))]
    if measures and several and clause.entity(several[0]) and not (grouped or clause.says(_MORE_OR + r"|\btogether\b")):
        return "lookup"  # "the rent of Ann and Bob"
    if measures and has_several and (clause.says_beside(CHANGE) or clause.says(_MORE_OR)):
        return "compare"
    called = [c for c in measures if any(re.fullmatch(pattern, c.name, re.IGNORECASE) for _, pattern in FIGURES)]
    pinned = any((c := clause.table.column(x.column)) and clause.entity(c) for x in clause.conditions)
    if called and not pinned and additive(called[0].name):  # "total sales in the USA" of `total`
        clause.hows = clause.hows or ("sum",)
        return "figures"
    listed = not measures and clause.says(r"^\W*(?:list|show|name|give|which|who)\b")
    if clause.conditions and (listed or any(c.test == "==" for c in clause.conditions)) and not grouped:
        return "lookup"
    if measures and any(c.test == "spans" for c in clause.conditions):  # "the revenue in October"
        clause.hows = clause.hows or ("sum" if additive(measures[0].name) else "mean",)
        return "figures"
    if first and (clause.mentions or clause.conditions):
        masked = clause.text
        for mention in clause.mentions:
            if max(mention.tokens) < len(clause.tokens):
                masked = masked.replace(clause.tokens[mention.tokens[0]][0], "X")
        return nearest_kind(masked) or kind_of(clause.text)
    return kind_of(clause.text)


def _of_groups(clause: Clause, name: str) -> str:
    """A kind that what a clause names tells better than its cues."""
    if name in ("", "figures", "compare", "extreme", "count", "trend") and changes_of_groups(clause):
        return "change"
    if name in ("", "figures", "count") and averages_totals(clause):
        return "per group"
    if name in ("", "figures", "compare", "correlate", "extreme", "trend") and is_contrast(clause):
        return "contrast"
    if name in ("", "count", "lookup", "describe", "compare") and limits_rows(clause):
        return "having"
    if name in ("", "figures", "compare", "extreme", "share") and clause.rate_of:
        return "share"
    return "first time" if asks_first_time(clause) else ""


def _without_names(clause: Clause) -> str:
    """The text of a clause with X for each value, and for each column whose whole name stands in it: `count`."""
    text = clause.text
    names = [(mention.tokens, mention.column.name.lower()) for mention in clause.mentions]
    for tokens, name in (*names, *((tokens, "") for _, tokens in clause.places)):
        if written := clause.written(tokens).replace("_", " "):
            start, end = clause.tokens[min(tokens)].start(), clause.tokens[max(tokens)].end()
            is_figure = name and "_" in name and any(re.match(figure, written) for _, figure in FIGURES)
            if not name or (squeezed(written) == squeezed(name) and not is_figure):
                text = f"{text[:start]}{'X' * (end - start)}{text[end:]}"
    return text
