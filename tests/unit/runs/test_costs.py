"""The cost of a run."""

from __future__ import annotations

import pytest

from shared.models.runs import Usage
from shared.runs.costs import Prices, cost_of
from shared.settings import Settings
from tests.unit.test_settings import LEAST

PRICES = Prices(input=2.0, cached=0.5, output=8.0, search=0.01, session=0.03, label="test")


@pytest.mark.parametrize(
    ("usage", "usd", "parts"),
    [
        (Usage(), 0.0, {}),
        (Usage(input_tokens=1_000_000), 2.0, {"input_tokens": 2.0}),
        (
            Usage(input_tokens=1_000_000, cached_tokens=400_000),
            1.4,
            {"input_tokens": 1.2, "cached_tokens": 0.2},
        ),
        (Usage(output_tokens=500, reasoning_tokens=400), 0.004, {"output_tokens": 0.004}),
        (
            Usage(file_search_calls=3, code_interpreter_calls=9, code_interpreter_sessions=2),
            0.09,
            {"file_search": 0.03, "code_interpreter": 0.06},
        ),
        (Usage(input_tokens=1, cached_tokens=20), 0.00001, {"cached_tokens": 0.00001}),
    ],
    ids=["nothing", "input", "cached", "output", "tools", "more cached than read"],
)
def test_costs(usage: Usage, usd: float, parts: dict[str, float]) -> None:
    cost = cost_of(usage, PRICES)
    assert cost.parts == pytest.approx(parts, abs=1e-6)
    assert cost.usd == pytest.approx(usd, abs=1.1e-6)
    assert cost.usd == pytest.approx(sum(cost.parts.values()))
    assert cost.prices == "test"


def test_prices_come_from_settings() -> None:
    prices = Prices.from_settings(Settings.from_environ({**LEAST, "PRICE_INPUT_USD": "5", "PRICE_LABEL": "ours"}))
    assert (prices.input, prices.label) == (5.0, "ours")
