"""Correlations, distributions, tests of normality, and outliers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.openai_emulator.models.offline.data.ask import Ask, Refusal
from local.openai_emulator.models.offline.data.clause import Clause, is_key, names
from local.openai_emulator.models.offline.data.kinds.base import (
    Kind,
    Result,
    column_of,
    columns_text,
    number,
    p_value,
    reading_of,
    row_text,
    where_text,
)
from local.openai_emulator.models.offline.data.kinds.completing import ask_of, measured, number_groups
from local.openai_emulator.models.offline.data.names import label
from local.openai_emulator.models.offline.data.rows import told_rows
from local.openai_emulator.models.offline.data.stated import rules_of, verdict_of
from local.openai_emulator.models.offline.data.table import Table

_TESTS = {"ks": "Kolmogorov-Smirnov", "dagostino": "D'Agostino-Pearson", "shapiro": "Shapiro-Wilk"}


def complete_correlate(clause: Clause) -> Ask | Refusal:
    named = [m.column for m in clause.mentions]
    texts = [c for c in named if c.kind != "number" and not clause.entity(c)]
    if texts:
        return Refusal(reason=f"`{texts[0].name}` is no column of numbers, so it has no correlation.")
    measures = list(dict.fromkeys(c for c in named if c.kind == "number"))
    real = [c for c in measures if not is_key(c, clause.table)]
    measures = real if len(real) > 1 else measures
    if clause.says(r"\b(?:lowest|weakest|least|smallest|negative(?:ly)?)\b"):
        return Refusal(reason="The weakest or lowest of several correlations is not looked for.")
    everything = clause.says(r"\b(?:all|other|any|which|strongest)\b")
    clause.claim_all(r"\bother\b|\bstrong(?:est|ly)?\b|\bhighest\b|\bmost\b|\bnumeric(?:al)?\b|\bpairs?\b")
    if len(measures) < 2 and not (everything or not measures):
        return Refusal(reason="A correlation needs two columns of numbers.")
    chart = "scatter" if clause.chart in ("any", "scatter") else ""
    rules = rules_of(clause.whole)
    return ask_of(clause, "correlate", measures=names(measures), by=(), period="", chart=chart, rules=rules)


def correlate(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """Pearson's r of each pair, the strongest first."""
    from scipy import stats  # type: ignore[import-untyped]

    numbers = rows.select_dtypes("number")
    named = ask["measures"]
    every = named if len(named) > 1 else list(numbers.columns)
    pairs = [(a, b) for i, a in enumerate(every) for b in every[i + 1 :]]
    if len(named) == 1:
        pairs = [(named[0], b) for b in every if b != named[0]]
    found = []
    for a, b in pairs:
        both = rows[[a, b]].dropna().astype(float)
        if len(both) > 2 and both[a].nunique() > 1 and both[b].nunique() > 1:
            r, p = stats.pearsonr(both[a], both[b])
            found.append({"a": a, "b": b, "r": float(r), "p": float(p), "n": len(both)})
    found.sort(key=lambda pair: -abs(pair["r"]))
    series = rows[named[:2]].dropna() if len(named) > 1 else None
    return {"pairs": found[:12], "series": series}


def correlate_sentence(ask: Ask, result: Result, table: Table) -> str:
    lines = []
    for pair in result["pairs"][:8]:
        size = abs(pair["r"])
        strength = (
            "strong" if size >= 0.7 else "moderate" if size >= 0.4 else "weak" if size >= 0.1 else "practically no"
        )
        sign = "" if size < 0.1 else " positive" if pair["r"] > 0 else " negative"
        sure = "" if pair["p"] < ask.level else ", not significant"
        lines.append(
            f"{label(pair['a'])} and {label(pair['b'])}: r = **{pair['r']:.3f}** ({strength}{sign} linear correlation"
            f"{sure}, p {p_value(pair['p'])}, n = {pair['n']:,})"
        )
    if not lines:
        return "There are not enough figures for a correlation."
    if len(lines) == 1:
        first = result["pairs"][0]
        verdict = verdict_of(ask.rules, {"p": first["p"], "r": first["r"], "|r|": abs(first["r"])})
        ruled = f" By the rule in the question the relationship is: **{verdict}**." if verdict else ""
        return f"Pearson correlation{where_text(ask)} of {lines[0]}.{ruled}"
    return f"Pearson correlations{where_text(ask)}, the strongest first:\n\n" + "\n".join(f"- {line}" for line in lines)


def complete_distribution(clause: Clause) -> Ask | Refusal:
    measures = measured(clause)
    if isinstance(measures, Refusal):
        return measures
    by = number_groups(clause, measures) or names([clause.which] if clause.which else clause.texts()[:1])
    if by and not clause.says(r"\b(?:skew|kurt)"):
        hows = ("mean", "median", "std", "min", "max")
        return ask_of(clause, "figures", measures=names(measures[:1]), by=by, hows=hows, chart="")
    if by:
        return Refusal(reason="The skewness by group is not among the computations.")
    return ask_of(clause, "distribution", measures=names(measures[:1]), period="", chart="histogram")


def distribution(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """Percentiles, skewness and kurtosis of a column."""
    values = rows[ask["measures"][0]].dropna().astype(float)
    facts = {key: float(value) for key, value in values.describe(percentiles=[0.05, 0.25, 0.5, 0.75, 0.95]).items()}
    return {"facts": facts | {"skewness": float(values.skew()), "kurtosis": float(values.kurt())}, "series": values}


def distribution_sentence(ask: Ask, result: Result, table: Table) -> str:
    facts, name = result["facts"], ask.measures[0]
    column = column_of(table, name)
    skew = facts["skewness"]
    shape = "roughly symmetrical" if abs(skew) < 0.5 else f"skewed to the {'right' if skew > 0 else 'left'}"

    def at(key: str) -> str:
        return number(facts[key], column)

    return (
        f"Distribution of {label(name)}{where_text(ask)} ({int(facts['count']):,} values): median **{at('50%')}**, "
        f"average {at('mean')}, standard deviation {at('std')}. Half of the values lie between {at('25%')} and "
        f"{at('75%')}, nine in ten between {at('5%')} and {at('95%')}; the range is {at('min')} to {at('max')}. "
        f"It is {shape} (skewness {skew:.2f}, kurtosis {facts['kurtosis']:.2f})."
    )


def complete_normality(clause: Clause) -> Ask | Refusal:
    measures = measured(clause)
    if isinstance(measures, Refusal):
        return measures
    method = (
        "ks"
        if re.search(r"(?i)kolmogorov|\bks\b", clause.whole)
        else "dagostino"
        if re.search("(?i)normaltest|agostino", clause.whole)
        else "shapiro"
    )
    if re.search("(?i)anderson|lilliefors|jarque", clause.whole):
        return Refusal(reason="This test of normality is not among the computations.")
    return ask_of(clause, "normality", measures=names(measures[:1]), by=(), period="", chart="", method=method)


def check_normality(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """The statistic and the p-value of a test of normality."""
    from scipy import stats

    values = rows[ask["measures"][0]].dropna().astype(float)
    if len(values) < 8:
        return {"few": len(values)}
    if ask["method"] == "ks":
        test = stats.kstest((values - values.mean()) / values.std(), "norm")
    else:
        test = stats.shapiro(values) if ask["method"] == "shapiro" else stats.normaltest(values)
    facts = {"statistic": test.statistic, "p": test.pvalue, "mean": values.mean(), "std": values.std()}
    facts |= {"skewness": values.skew(), "kurtosis": values.kurt()}
    return {"facts": {key: float(value) for key, value in facts.items()}}


def normality_sentence(ask: Ask, result: Result, table: Table) -> str:
    if "few" in result:
        return f"There are only {result['few']} values, too few for a test of normality."
    facts, name = result["facts"], ask.measures[0]
    normal = facts["p"] >= ask.level
    verdict = "is **normally distributed** as far as the test can tell" if normal else "is **not normally distributed**"
    return (
        f"{label(name)} {verdict}: {_TESTS[ask.method]} test, statistic {facts['statistic']:.4f}, p "
        f"{p_value(facts['p'])} "
        f"(skewness {facts['skewness']:.2f}, kurtosis {facts['kurtosis']:.2f}, mean "
        f"{number(facts['mean'], column_of(table, name))}, standard deviation "
        f"{number(facts['std'], column_of(table, name))})."
    )


def complete_outliers(clause: Clause) -> Ask | Refusal:
    measures = measured(clause)
    if isinstance(measures, Refusal):
        return measures
    z = bool(re.search(r"(?i)z-?\s?scores?|standard deviations?|anomal|spike|unusual", clause.whole)) and not re.search(
        r"(?i)\biqr\b|interquartile", clause.whole
    )
    given = re.search(
        r"(?:threshold of|threshold|more than|greater than|than|within|outside of)\s+(\d+(?:\.\d+)?)"
        r"|(?<![\d.])(\d++(?:\.\d++)?)\s++standard dev",
        clause.whole,
        re.IGNORECASE,
    )
    limit = float(given[1] or given[2]) if given else 0.0
    clause.claim_all(rf"(?<![\d.]){limit:g}(?![\d.])")
    limit = limit if 0.5 <= limit <= 10 else 3.0 if z else 1.5
    rows = tuple(c for c in clause.conditions if c.value not in (limit, -limit))  # the limit chooses no rows
    fields = {"method": "z" if z else "iqr", "limit": limit, "conditions": rows, "by": (), "period": "", "chart": ""}
    return ask_of(clause, "outliers", measures=names(measures[:1]), **fields)


def find_outliers(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """The values outside the bounds, the farthest first, and the figures of the rest."""
    name, limit = ask["measures"][0], ask["limit"]
    values = rows[name].dropna().astype(float)
    if ask["method"] == "z":
        low, high = values.mean() - limit * values.std(), values.mean() + limit * values.std()
    else:
        q1, q3 = values.quantile(0.25), values.quantile(0.75)
        low, high = q1 - limit * (q3 - q1), q3 + limit * (q3 - q1)
    odd = values[(values < low) | (values > high)]
    rest = values.drop(odd.index)
    far = (odd - values.median()).abs().sort_values(ascending=False, kind="stable").index
    found = {"count": len(odd), "of": len(values), "bounds": [float(low), float(high)]}
    found |= {
        "mean_without": float(rest.mean()),
        "std_without": float(rest.std(ddof=ask["ddof"])),
        "first": told_rows(rows.loc[far], 8),
    }
    return found


def outliers_sentence(ask: Ask, result: Result, table: Table) -> str:
    name = ask.measures[0]
    column = column_of(table, name)
    if ask.method == "z":
        rule = f"more than {ask.limit:g} standard deviations from the mean"
    else:
        rule = f"{ask.limit:g} times the interquartile range beyond the quartiles"
    low, high = result["bounds"]
    lead = (
        f"**{result['count']:,}** of {result['of']:,} values of {label(name)}{where_text(ask)} are outliers "
        f"({rule}: below {number(low, column)} or above {number(high, column)})."
    )
    lines = [f"- {row_text(ask, row, table)}: {number(row[name], column)}" for row in result["first"]]
    shown = (
        f"\n\nThe {'farthest' if result['count'] > len(lines) else 'values'}:\n\n" + "\n".join(lines) if lines else ""
    )
    mean, std = number(result["mean_without"], column), number(result["std_without"], column)
    return f"{lead}{shown}\n\nWithout them the average is {mean}, the standard deviation {std}."


CORRELATE = Kind(
    name="correlate",
    examples=("Is there a correlation between X and Y?", "Does X depend on Y?", "Are X and Y related?"),
    cues=r"\bcorrelat\w*|\brelationship between\b|\brelated? to\b|\bdepends? on\b|\b(?:affects?|influences?|impacts?)\b"
    r"|\brelationships?\b|\b(?:(?:strongly|closely) )?related\b|\b(?:connection|link) between\b|\bassociat(?:ed|ion)\b"
    r"|\bgo(?:es)? (?:up|down|together) (?:with|when|as)\b|\b(?:rise|increase|grow|fall|decrease|drop)s? with\b",
    words=(
        "mean means more higher lower less larger greater fewer better worse how strongly closely "
        "coefficient coefficients strongest magnitude sign positive negative pairs between "
        "related "
        "affect affects influences impact impacts relation relationship correlated "
        "influence depends depend linear pattern patterns analysis"
    ),
    complete=complete_correlate,
    program=correlate,
    sentence=correlate_sentence,
    reading=lambda ask: reading_of(f"Pearson correlation of {columns_text(ask.measures) or 'all pairs'}", ask),
)
DISTRIBUTION = Kind(
    name="distribution",
    examples=("Show the distribution of X", "What are the quartiles of X?", "How is X spread?", "Histogram of X"),
    cues=r"\bhistograms?\b|\bdistribut\w+|\bpercentiles?\b|\bquartiles?\b|\bskew\w*|\bkurtosis|\bspread of\b",
    words="spread shape",
    complete=complete_distribution,
    program=distribution,
    sentence=distribution_sentence,
    reading=lambda ask: reading_of(f"Distribution of {columns_text(ask.measures)}", ask),
)
NORMALITY = Kind(
    name="normality",
    examples=("Is X normally distributed?", "Run a Shapiro-Wilk test on X", "Does X follow a normal distribution?"),
    cues=r"\bnormal(?:ly|ity)?\b.{0,40}\bdistribut\w*|\bnormality\b|\bshapiro(?:-wilk)?\b|\bkolmogorov(?:-smirnov)?\b",
    words="follow follows adhere adheres test distribution normal distributed",
    complete=complete_normality,
    program=check_normality,
    sentence=normality_sentence,
    reading=lambda ask: reading_of(f"{_TESTS[ask.method]} test of {columns_text(ask.measures)}", ask),
)
OUTLIERS = Kind(
    name="outliers",
    examples=("Are there outliers in X?", "Find anomalies in X", "Which values of X are unusual?"),
    cues=r"\boutliers?\b|\banomal\w+|\bunusual\b|\bspikes?\b|\babnormal\b|\bodd values",
    words=(
        "z detection detect yes remove removing removed removal after recalculate new mean "
        "standard deviation box plot iqr z-score score scores method interquartile range many how"
    ),
    complete=complete_outliers,
    program=find_outliers,
    helpers=(told_rows,),
    sentence=outliers_sentence,
    reading=lambda ask: reading_of(f"Outliers of {columns_text(ask.measures)}", ask),
)
