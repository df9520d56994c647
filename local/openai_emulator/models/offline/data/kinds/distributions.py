"""Correlations, distributions, tests of normality, and outliers."""

from __future__ import annotations

import re
from dataclasses import replace

from local.openai_emulator.models.offline.data import charts
from local.openai_emulator.models.offline.data import columns as cols
from local.openai_emulator.models.offline.data.ask import Ask
from local.openai_emulator.models.offline.data.columns import label
from local.openai_emulator.models.offline.data.kinds.base import (
    QuestionKind,
    Result,
    filter_text,
    number,
    p_value,
    plain_title,
    row_text,
    with_usual_measure,
)
from local.openai_emulator.models.offline.data.profile import Table


def _complete_correlate(ask: Ask, text: str, table: Table) -> Ask:
    return replace(ask, kind="describe") if len(ask.measures) < 2 and len(cols.figures(table)) < 2 else ask


def _complete_normality(ask: Ask, text: str, table: Table) -> Ask:
    if re.search(r"kolmogorov|\bks\b", text, re.IGNORECASE):
        method = "ks"
    else:
        method = "dagostino" if "normaltest" in text else "shapiro"
    return replace(with_usual_measure(ask, text, table), method=method)


def _complete_outliers(ask: Ask, text: str, table: Table) -> Ask:
    ask = with_usual_measure(ask, text, table)
    z = re.search(r"z-?\s?scores?|standard deviations?|anomal|spike|unusual", text, re.IGNORECASE)
    number = re.search(
        r"(?:threshold of|threshold|more than|than|within)\s+(\d+(?:\.\d+)?)|(?<!\d)(\d++(?:\.\d+)?)\s+standard dev",
        text,
        re.IGNORECASE,
    )
    limit = float(number[1] or number[2]) if number else 0.0
    if not 0.5 <= limit <= 10:
        limit = 3.0 if z else 1.5
    rows = tuple(f for f in ask.filters if not f.words.endswith(f" {limit:g}"))  # the limit filters no rows
    return replace(ask, method="z" if z else "iqr", limit=limit, filters=rows)


def _correlate_program(ask: Ask, table: Table) -> list[str]:
    numbers = [c.name for c in table.of_kind("number")]
    names = list(ask.measures) if len(ask.measures) > 1 else numbers
    first = ask.measures[0] if ask.measures else ""
    lines = [f"names = {names!r}", "pairs = []"]
    if len(ask.measures) == 1 or len(ask.measures) > 2:
        lines += [f"for a, b in [({first!r}, name) for name in names if name != {first!r}]:"]
    else:
        lines += ["for a, b in [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]:"]
    lines += [
        "    both = data[[a, b]].dropna()",
        "    if len(both) > 2 and both[a].nunique() > 1 and both[b].nunique() > 1:",
        "        r, p = stats.pearsonr(both[a], both[b])",
        '        pairs.append({"a": a, "b": b, "r": r, "p": p, "n": len(both)})',
        '        print(f"{a} and {b}: r = {r:.4f}, p = {p:.4g}, n = {len(both)}")',
        'pairs.sort(key=lambda pair: -abs(pair["r"]))',
        'results.append({"pairs": pairs[:12], "rows": len(data)})',
    ]
    return lines + (charts.scatter(ask, names) if ask.chart else [])


def _correlate_sentence(ask: Ask, result: Result, table: Table) -> str:
    pairs = result["pairs"]
    if not pairs:
        return "There are not enough figures for a correlation."
    lines = []
    for pair in pairs[:8]:
        size = abs(pair["r"])
        strength = (
            "strong" if size >= 0.7 else "moderate" if size >= 0.4 else "weak" if size >= 0.1 else "practically no"
        )
        sign = "" if size < 0.1 else " positive" if pair["r"] > 0 else " negative"
        sure = "" if pair["p"] < 0.05 else ", not significant"
        lines.append(
            f"{label(pair['a'])} and {label(pair['b'])}: r = **{pair['r']:.3f}** "
            f"({strength}{sign} correlation{sure}, p {p_value(pair['p'])}, n = {pair['n']:,})"
        )
    if len(lines) == 1:
        return f"Pearson correlation{filter_text(ask)} of {lines[0]}."
    return f"Pearson correlations{filter_text(ask)}, the strongest first:\n\n" + "\n".join(
        f"- {line}" for line in lines
    )


def _correlate_title(ask: Ask, result: Result) -> str:
    return plain_title(charts.title(ask, how=""))


def _distribution_program(ask: Ask, table: Table) -> list[str]:
    measure = ask.measures[0]
    return [
        f"values = data[{measure!r}].dropna()",
        "facts = values.describe(percentiles=[0.05, 0.25, 0.5, 0.75, 0.95]).to_dict()",
        'facts |= {"skewness": values.skew(), "kurtosis": values.kurt()}',
        'for name, value in facts.items():\n    print(f"{name}: {value:.4f}")',
        'results.append({"distribution": facts, "rows": len(data)})',
        *charts.histogram(ask),
    ]


def _distribution_sentence(ask: Ask, result: Result, table: Table) -> str:
    facts, name = result["distribution"], ask.measures[0]
    skew = facts["skewness"]
    shape = "roughly symmetrical" if abs(skew) < 0.5 else f"skewed to the {'right' if skew > 0 else 'left'}"
    return (
        f"Distribution of {label(name)}{filter_text(ask)} ({int(facts['count']):,} values): median "
        f"**{number(facts['50%'], name)}**, "
        f"average {number(facts['mean'], name)}, standard deviation {number(facts['std'], name)}. "
        f"Half of the values lie between "
        f"{number(facts['25%'], name)} and {number(facts['75%'], name)}, nine in ten between "
        f"{number(facts['5%'], name)} and "
        f"{number(facts['95%'], name)}; the range is {number(facts['min'], name)} to {number(facts['max'], name)}. "
        f"It is {shape} (skewness {skew:.2f}, kurtosis {facts['kurtosis']:.2f})."
    )


def _distribution_title(ask: Ask, result: Result) -> str:
    return f"Distribution of {label(ask.measures[0])}{filter_text(ask)}"


def _normality_program(ask: Ask, table: Table) -> list[str]:
    test = {
        "ks": 'stats.kstest((values - values.mean()) / values.std(), "norm")',
        "dagostino": "stats.normaltest(values)",
        "shapiro": "stats.shapiro(values)",
    }[ask.method]
    return [
        f"values = data[{ask.measures[0]!r}].dropna()",
        f"test = {test}",
        'print(f"statistic = {test.statistic:.4f}, p = {test.pvalue:.4g}, skewness = {values.skew():.4f}")',
        'normal = {"statistic": test.statistic, "p": test.pvalue, "mean": values.mean(), "std": values.std()}',
        (
            'results.append({"normality": {**normal, "skewness": values.skew(), "kurtosis": '
            'values.kurt()}, "rows": len(data)})'
        ),
    ]


def _normality_sentence(ask: Ask, result: Result, table: Table) -> str:
    facts, name = result["normality"], ask.measures[0]
    test = {"ks": "Kolmogorov-Smirnov", "dagostino": "D'Agostino-Pearson", "shapiro": "Shapiro-Wilk"}[ask.method]
    verdict = (
        "is **normally distributed** as far as the test can tell"
        if facts["p"] >= 0.05
        else "is **not normally distributed**"
    )
    return (
        f"{label(name)} {verdict}: {test} test, statistic {facts['statistic']:.4f}, p {p_value(facts['p'])} (skewness "
        f"{facts['skewness']:.2f}, kurtosis {facts['kurtosis']:.2f}, mean "
        f"{number(facts['mean'], name)}, standard deviation {number(facts['std'], name)})."
    )


def _outliers_program(ask: Ask, table: Table) -> list[str]:
    measure, limit = ask.measures[0], f"{ask.limit:g}"
    lines = [f"values = data[{measure!r}].dropna()"]
    if ask.method == "z":
        lines += ["scores = (values - values.mean()) / values.std()", f"odd = values[scores.abs() > {limit}]"]
        bounds = f"[values.mean() - {limit} * values.std(), values.mean() + {limit} * values.std()]"
    else:
        lines += [
            "q1, q3 = values.quantile(0.25), values.quantile(0.75)",
            f"low, high = q1 - {limit} * (q3 - q1), q3 + {limit} * (q3 - q1)",
            "odd = values[(values < low) | (values > high)]",
        ]
        bounds = "[low, high]"
    lines += [
        "rest = values.drop(odd.index)",
        f"bounds = {bounds}",
        (
            f"rows = data.loc[odd.index].sort_values({measure!r}, key=lambda v: (v - "
            f"values.median()).abs(), ascending=False)"
        ),
        'print(f"{len(odd)} outliers outside {bounds[0]:.4f} to {bounds[1]:.4f}")',
        "print(rows.head(20).to_string())",
        'outliers = {"count": len(odd), "bounds": bounds, "mean_without": rest.mean(), "std_without": rest.std()}',
        'outliers["first"] = json.loads(rows.head(8).to_json(orient="records", date_format="iso"))',
        'results.append({"outliers": outliers, "rows": len(data)})',
    ]
    return lines


def _outliers_sentence(ask: Ask, result: Result, table: Table) -> str:
    facts, name = result["outliers"], ask.measures[0]
    rule = (
        f"more than {ask.limit:g} standard deviations from the mean"
        if ask.method == "z"
        else f"{ask.limit:g} times the interquartile range beyond the quartiles"
    )
    low, high = facts["bounds"]
    lead = (
        f"**{facts['count']:,}** of {result['rows']:,} values of {label(name)}{filter_text(ask)} are outliers "
        f"({rule}: below {number(low, name)} or above {number(high, name)})."
    )
    lines = [f"- {row_text(ask, row, table)}: {number(row[name], name)}" for row in facts["first"]]
    shown = (
        f"\n\nThe {'farthest' if facts['count'] > len(lines) else 'values'}:\n\n" + "\n".join(lines) if lines else ""
    )
    mean, std = number(facts["mean_without"], name), number(facts["std_without"], name)
    rest = f"Without them the average is {mean}, the standard deviation {std}."
    return lead + shown + f"\n\n{rest}"


CORRELATE = QuestionKind(
    name="correlate",
    phrases=r"\bcorrelat\w*|\brelationship between\b|\brelated? to\b|\bdepends? on\b",
    complete=_complete_correlate,
    program=_correlate_program,
    sentence=_correlate_sentence,
    chart_title=_correlate_title,
    joins_itself=True,
    uses_scipy=True,
)
DISTRIBUTION = QuestionKind(
    name="distribution",
    phrases=(r"\bhistogram|\bdistribut|\bpercentiles?\b|\bquartiles?\b|\bbox ?plot|\bskew\w*|\bkurtosis|\bspread of\b"),
    complete=with_usual_measure,
    program=_distribution_program,
    sentence=_distribution_sentence,
    chart_title=_distribution_title,
    joins_figures=True,
    always_charts=True,
)
NORMALITY = QuestionKind(
    name="normality",
    phrases=r"\bnormal(?:ly|ity)?\b.{0,80}\bdistribut|\bnormality\b|\bnormal distribution|shapiro|kolmogorov",
    complete=_complete_normality,
    program=_normality_program,
    sentence=_normality_sentence,
    joins_itself=True,
    uses_scipy=True,
)
OUTLIERS = QuestionKind(
    name="outliers",
    phrases=r"\boutliers?\b|\banomal\w+|\bunusual\b|\bspikes?\b|\babnormal\b|\bodd values",
    complete=_complete_outliers,
    program=_outliers_program,
    sentence=_outliers_sentence,
    joins_itself=True,
)
