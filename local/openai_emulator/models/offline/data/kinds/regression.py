"""Linear regression: how a column depends on others, and how well it is predicted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.openai_emulator.models.offline.data.ask import Ask, Refusal
from local.openai_emulator.models.offline.data.clause import Clause, names
from local.openai_emulator.models.offline.data.kinds.base import (
    Kind,
    Result,
    columns_text,
    p_value,
    reading_of,
    where_text,
)
from local.openai_emulator.models.offline.data.kinds.completing import ask_of
from local.openai_emulator.models.offline.data.names import label
from local.openai_emulator.models.offline.data.table import Column, Table

_SHARE = (  # of the rows that are for the test, or for the training
    ("test", r"test[ _-]?size\D{0,12}?(0?\.\d+)"),
    ("test", r"(\d\d) ?% (?:of (?:the )?\w+ )?(?:for |as |is )?(?:the )?test"),
    ("train", r"(\d\d) ?% (?:of (?:the )?\w+ )?(?:for |as |is )?(?:the )?train"),
    ("test", r"\b\d\d ?[:/-] ?(\d\d)\b"),
)
_SEED = re.compile(r"\b(?:random[ _]?(?:state|seed)|seed)\b\D{0,12}?(\d+)", re.IGNORECASE)


def complete(clause: Clause) -> Ask | Refusal:
    """What is predicted is the column after "predict", else the first; the others explain it."""
    flags = {c.column for c in clause.conditions if c.test == "==" and f"({c.column} = " in c.words}
    clause.conditions = [c for c in clause.conditions if c.column not in flags]
    columns: list[Column] = list(dict.fromkeys(m.column for m in clause.mentions))
    columns += [c for c in clause.table.columns if c.name in flags and c not in columns]
    if texts := [c for c in columns if c.kind != "number"]:
        return Refusal(reason=f"`{texts[0].name}` is no column of numbers, and no encoding is among the computations.")
    if len(columns) < 2:
        return Refusal(reason="A regression needs the column to be predicted and at least one to predict it from.")
    at = re.search(r"\bpredict\w*\b|\bdependent variable\b", clause.text, re.IGNORECASE)
    after = [m for m in clause.mentions if at and clause.tokens[m.tokens[0]].start() > at.end()]
    target = after[0].column if after else columns[0]
    share = _share(clause.whole)
    seed = _SEED.search(clause.whole)
    if share and not seed:
        return Refusal(reason="It splits the rows at random without a random state, so the figures would be by chance.")
    clause.claim_all(rf"(?<!\d)(?:{100 * share:.0f}|{100 - 100 * share:.0f}|{seed[1] if seed else 0})(?!\d)\s*%?")
    features = names(c for c in columns if c is not target)
    return ask_of(
        clause,
        "regression",
        measures=(target.name,),
        targets=features,
        by=(),
        period="",
        chart="",
        limit=share,
        count=int(seed[1]) if seed else 0,
    )


def _share(question: str) -> float:
    """The share of the rows that is kept for the test; 0 when the question asks for no split."""
    for what, pattern in _SHARE:
        if match := re.search(pattern, question, re.IGNORECASE):
            share = float(match[1]) if "." in match[1] else int(match[1]) / 100
            return share if what == "test" else 1 - share
    return 0.0


def regress(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """Least squares on the rows for training: coefficients with p-values; errors on the rows for the test.

    The rows are split like scikit-learn's `train_test_split` splits them.
    """
    import numpy as np
    from scipy import stats  # type: ignore[import-untyped]

    target, features, share = ask["measures"][0], ask["targets"], ask["limit"]
    both = rows[[target, *features]].dropna().astype(float).reset_index(drop=True)
    train = test = both
    if share:
        order = np.random.RandomState(ask["count"]).permutation(len(both))
        held = int(np.ceil(share * len(both) - 1e-9))
        test, train = both.iloc[order[:held]], both.iloc[order[held:]]
    if len(train) <= len(features) + 1:
        return {"few": len(train)}

    def matrix(part: Any) -> Any:
        return np.column_stack([np.ones(len(part)), part[features].to_numpy()])

    x, y = matrix(train), train[target].to_numpy()
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    free = len(y) - x.shape[1]
    errors = np.sqrt(np.diag(np.linalg.pinv(x.T @ x)) * ((y - x @ weights) ** 2).sum() / free)
    p = 2 * stats.t.sf(np.abs(weights / errors), free)
    left = test[target].to_numpy() - matrix(test) @ weights
    spread = ((test[target] - test[target].mean()) ** 2).sum()
    facts = {"rmse": np.sqrt((left**2).mean()), "mse": (left**2).mean(), "mae": np.abs(left).mean()}
    facts |= {"r2": 1 - (left**2).sum() / spread}
    return {
        "coefficients": {name: [float(w), float(q)] for name, w, q in zip(features, weights[1:], p[1:], strict=True)},
        "intercept": float(weights[0]),
        "facts": {name: float(value) for name, value in facts.items()},
        "of": [len(train), len(test)],
    }


def sentence(ask: Ask, result: Result, table: Table) -> str:
    if "few" in result:
        return f"There are only {result['few']} complete rows, too few for a regression."
    facts, target = result["facts"], label(ask.measures[0])
    train, test = result["of"]
    where = f"on the {test:,} rows for the test ({train:,} for training)" if ask.limit else f"on all {train:,} rows"
    lines = [
        f"- {label(name)}: coefficient **{weight:.{2 if abs(weight) >= 0.1 else 4}f}** "
        f"(p {p_value(p)}, {'' if p < ask.level else 'not '}significant)"
        for name, (weight, p) in result["coefficients"].items()
    ]
    return (
        f"Linear regression of {target}{where_text(ask)}, {where}: R² **{facts['r2']:.2f}**, "
        f"RMSE **{facts['rmse']:.2f}**, "
        f"MSE {facts['mse']:.2f}, mean absolute error {facts['mae']:.2f}; intercept {result['intercept']:.2f}.\n\n"
        + "\n".join(lines)
    )


def reading(ask: Ask) -> str:
    return reading_of(f"Linear regression of {columns_text(ask.measures)} on {columns_text(ask.targets)}", ask)


REGRESSION = Kind(
    name="regression",
    examples=("Predict X from Y with a linear regression", "Fit a regression of X on Y", "Regress X on Y"),
    cues=r"\bregress(?:ion|ed)?\b",
    words=(
        "machine learning train training trained linear regression model models predict predicts predicting prediction "
        "based features feature independent dependent variables evaluate evaluating evaluation performance root mean "
        "squared square error errors rmse mse mae r2 r-squared sklearn scikit learn library "
        "linearregression task split "
        "splitting set sets test testing random seed state reproducibility using fit build multiple simple analysis "
        "score target ratio size squares least ordinary ols on regress"
    ),
    complete=complete,
    program=regress,
    sentence=sentence,
    reading=reading,
)
