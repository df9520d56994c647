"""Comparisons of groups, of times, and of the two values of a column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.openai_emulator.models.offline.data import vocabulary
from local.openai_emulator.models.offline.data.ask import Ask, Refusal
from local.openai_emulator.models.offline.data.clause import Clause, names
from local.openai_emulator.models.offline.data.denials import denial
from local.openai_emulator.models.offline.data.kinds.base import (
    Kind,
    Result,
    column_of,
    columns_text,
    group_value,
    number,
    p_value,
    reading_of,
)
from local.openai_emulator.models.offline.data.kinds.completing import (
    NO_MEASURE,
    additive,
    ask_of,
    claim_comparatives,
    measured,
    number_groups,
    period_of,
    with_chart,
)
from local.openai_emulator.models.offline.data.kinds.counting import claim_counted
from local.openai_emulator.models.offline.data.kinds.figures import compute_figures
from local.openai_emulator.models.offline.data.kinds.figures import sentence as figures_sentence
from local.openai_emulator.models.offline.data.kinds.share import rates
from local.openai_emulator.models.offline.data.rows import group_keys, key_text
from local.openai_emulator.models.offline.data.table import Table

_OFTEN = re.compile(r"\b(?:often|likely|frequent(?:ly)?)\b", re.IGNORECASE)
_END = r"(?=\W*$|[,.;]| on average)"
_OTHERS = (
    rf"\b(?:the )?(?:others?|rest)\b|\b(?:\w+s )?without(?: (?:it|one|them|any))?{_END}"
    rf"|\b(?:\w+ )?(?:who|that|which) (?:do not|don't|did not|didn't|are not|aren't|have not|haven't){_END}"
)


def complete_compare(clause: Clause) -> Ask | Refusal:
    """Compare the values, weeks, months or days that the clause names, or the groups of a column that it names."""
    claim_comparatives(clause)
    contrasted = _contrasted(clause)
    if contrasted and clause.conditions and (_OFTEN.search(clause.text) or not clause.measures(conditioned=False)):
        return rates(clause, contrasted, (), names([clause.table.weight] if clause.table.weight else []))
    measures = measured(clause)
    if isinstance(measures, Refusal):
        counted = next((c.column for c in clause.conditions if c.test == "in"), "")
        if counted and clause.says(r"\b(?:number|count) of\b|\bhow many\b") and not clause.mentions:
            claim_counted(clause)
            return with_chart(ask_of(clause, "count", by=(counted,)), "bar")
        return measures
    if clause.table.weight in measures and not clause.measures(conditioned=False):
        return Refusal(reason=f"Each row stands for `{measures[0].name}` cases, and how they compare is not clear.")
    tested = clause.says(r"\bsignifican|\bt-?\s?tests?\b")
    of_each = tested or contrasted or _OFTEN.search(clause.text)  # "those who ski visit more often"
    how = clause.hows or (("sum",) if additive(measures[0].name) and not of_each else ("mean",))
    by, period = number_groups(clause, measures) or contrasted, clause.period
    if by and not contrasted:  # "do women earn more than men in each department"
        by = (*by, *(c.column for c in clause.conditions if c.test == "in" and c.column not in by))
    spans = next((c for c in clause.conditions if c.test == "spans" and len(c.value) > 1), None)
    period = "" if spans and not clause.says(r"\b(?:per|each|every)\b|ly\b") else period  # "(by order date)"
    if not by and not period:
        several = next((c for c in clause.conditions if c.test == "in"), None)
        if several:
            by = (several.column,)
        elif spans and " week" in spans.words:
            period = "nth week"
        elif spans:
            period = period_of(spans)
        elif texts := clause.texts():
            by = names(texts[:1])
        elif clause.which:
            by = (clause.which.name,)
        elif len(measures) > 1 and not clause.says(r"\bthan\b"):  # two columns
            return with_chart(ask_of(clause, "figures", measures=names(measures), hows=how), "bar")
        else:
            return Refusal(reason=NO_MEASURE if not measures else "It does not say which groups are to be compared.")
    if any(c.test == "==" and (c.column,) == by for c in clause.conditions):
        return Refusal(reason=f"It names only one `{by[0]}`, and not what it is to be compared with.")
    if period == "weekend":
        how = clause.hows or ("mean",)
        clause.conditions = [c for c in clause.conditions if c.test != "weekdays"]
    student = re.search(r"\bt-?\s?tests?\b", clause.whole, re.I) and not re.search(
        r"\bwelch|equal_var|unequal", clause.whole, re.I
    )
    method = "student" if student else ""
    ask = ask_of(clause, "compare", measures=names(measures), by=by, period=period, hows=how, method=method)
    return with_chart(ask, "bar")


def _contrasted(clause: Clause) -> tuple[str, ...]:
    """The column of yes and no whose both values a clause compares: "single ones" and "the others"."""
    halves = [c for c in clause.conditions if (own := clause.table.column(c.column)) and own.unique == 2]
    if _OFTEN.search(clause.text) and len(halves) > 1:  # "were married ones denied more often": the last is asked for
        ends = {column: max(at) for column, at in clause.places}
        halves.remove(max(halves, key=lambda c: ends.get(c.column, -1)))
    for condition in clause.conditions:
        column = clause.table.column(condition.column)
        again = [m for m in clause.mentions if m.column is column]
        others = condition in halves and len(halves) == 1 and bool(re.search(_OTHERS, clause.text, re.IGNORECASE))
        if condition.test != "==" or column is None or column.unique != 2 or not (again or others):
            continue
        clause.claim_all(_OTHERS)
        clause.used |= {token for m in again for token in denial(clause, m.tokens[0], column)}
        clause.mentions = [m for m in clause.mentions if m not in again]
        clause.conditions.remove(condition)
        return (column.name,)
    return ()


def compare_groups(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """The figures by group, and a t-test of two groups: Student's if the ask says so, else Welch's."""
    found = compute_figures(rows, ask)
    samples = [part[ask["measures"][0]].dropna() for _, part in rows.groupby(group_keys(rows, ask))]
    if len(samples) == 2 and min(map(len, samples)) > 1 and "mean" in ask["hows"]:
        from scipy import stats  # type: ignore[import-untyped]

        test = stats.ttest_ind(*samples, equal_var=ask["method"] == "student")
        if test.pvalue == test.pvalue:
            found["t_test"] = {"t": float(test.statistic), "p": float(test.pvalue)}
    return found


def compare_sentence(ask: Ask, result: Result, table: Table) -> str:
    text = figures_sentence(ask, result, table)
    groups = result.get("groups", {})
    if len(groups) == 2 and len(ask.measures) == 1:
        (a, first), (b, second) = groups.items()
        if ask.period or (a.isdigit() and b.isdigit() and int(a) < int(b)):  # the later time against the earlier
            (a, first), (b, second) = (b, second), (a, first)
        x, y = next(iter(first.values())), next(iter(second.values()))
        if x and y:
            more = 100 * (x - y) / y
            side = "above" if more > 0 else "below"
            text += f" The difference is {number(abs(x - y), column_of(table, ask.measures[0]))}: "
            text += f"{group_value(ask, a)} is {abs(more):.2f} % {side} {group_value(ask, b)}."
    if test := result.get("t_test"):
        named = "Student's" if ask.method == "student" else "Welch's"
        verdict = "significant" if test["p"] < ask.level else "not significant"
        text += f" The difference is {verdict} ({named} t-test, t = {test['t']:.4f}, p {p_value(test['p'])})."
    return text


def reading_compare(ask: Ask) -> str:
    figure = {"sum": "Total", "mean": "Average"}.get(ask.hows[0], ask.hows[0])
    return reading_of(f"Comparison: {figure} of {columns_text(ask.measures)}", ask)


# "heavier" for "heaviest"
COMPARATIVES = "|".join(f"{word[:-3]}er" for word in vocabulary.ADJECTIVES if word.endswith("est"))
COMPARE = Kind(
    name="compare",
    examples=("Compare A and B", "What is the difference between A and B in X?", "Is A better than B?", "A versus B"),
    cues=rf"\b(?:{COMPARATIVES}|more|less|higher|lower|better|worse)\b(?=(?:\s+\w+){{0,4}}?\s+than\b"
    rf"(?!\s+(?:[-$€£]?\d|(?:{'|'.join(vocabulary.NUMBERS)})\b)))|"
    r"\bcompar\w+|\bversus\b|\bvs\b|\bdifferences? (?:between|in)\b|\bdiffer\b|\bsignificant differences?\b",
    words="how much percent percentage do does did are is was were earn earns than more less often likely frequently "
    "between change changed changes go went up down rise rose fall fell grow grew increase increased decrease "
    "decreased dropped drop decline declined improve improved gain gained better worse higher lower larger "
    "smaller bigger greater t test tests difference differences significant significantly",
    complete=complete_compare,
    program=compare_groups,
    helpers=(group_keys, key_text, compute_figures),
    sentence=compare_sentence,
    reading=reading_compare,
)
