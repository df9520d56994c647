"""Delay and cost of several polling strategies, simulated without a clock: `python -m bench.polling [--json FILE]`.

Within each class, run lengths are log-uniform; a poll takes 50 ms. Billed time is that of a function with 2 GB of
memory, at least 1 s per execution (Flex Consumption).
Source: https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan#billing
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shared.delays import look_delay_s

POLL_S = 0.05
MEMORY_GB = 2.0
LEAST_BILLED_S = 1.0
CLASSES = {"0.3-10 s": (0.3, 10), "10-60 s": (10, 60), "1-10 min": (60, 600), "10-60 min": (600, 3600)}
RUNS = 2_000


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """A way to wait for the end of a run.

    Attributes:
        name: For the table.
        delay_s: The delay before the next poll, for a run's age; both in seconds.
        transactions_per_poll: Storage transactions.
        executions_per_poll: Function executions.
        sleeps: The function sleeps between polls, so all the time is billed.
    """

    name: str
    delay_s: Callable[[float], float]
    transactions_per_poll: int
    executions_per_poll: int = 1
    sleeps: bool = False


STRATEGIES = (
    # 5 transactions: receive the message, read and write the record, send the next message, delete this one.
    Strategy(name="this app", delay_s=look_delay_s, transactions_per_poll=5),
    Strategy(name="tutorial: a loop of 2 s", delay_s=lambda _: 2, transactions_per_poll=0, sleeps=True),
    Strategy(name="SDK: a loop of 1 s", delay_s=lambda _: 1, transactions_per_poll=0, sleeps=True),
    # A timer, an orchestrator replay and an activity: about ten queue and table transactions, two executions.
    Strategy(name="Durable, every 5 s", delay_s=lambda _: 5, transactions_per_poll=10, executions_per_poll=2),
    Strategy(name="Durable, every 10 s", delay_s=lambda _: 10, transactions_per_poll=10, executions_per_poll=2),
)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The result for one strategy and one class of runs."""

    strategy: str
    runs: str
    lag_p50_s: float
    lag_p95_s: float
    lag_p95_share: float  # of the run's length
    polls: float
    transactions_per_1000: int
    gb_s_per_1000: int


def wait_for(strategy: Strategy, run_s: float) -> tuple[float, int]:
    """Seconds from the end of a run until a poll sees it, and the number of polls."""
    at_s, polls = strategy.delay_s(0.0) + POLL_S, 1
    while at_s < run_s:
        at_s += strategy.delay_s(at_s) + POLL_S
        polls += 1
    return at_s - run_s, polls


def simulate(strategy: Strategy, name: str, bounds: tuple[float, float]) -> Waiting:
    rng = random.Random(7)  # the same runs for each strategy
    low, high = (math.log(bound) for bound in bounds)
    lengths = [math.exp(rng.uniform(low, high)) for _ in range(RUNS)]
    waits = [wait_for(strategy, run_s) for run_s in lengths]
    lags = sorted(lag for lag, _ in waits)
    shares = sorted(lag / run_s for (lag, _), run_s in zip(waits, lengths, strict=True))
    polls = statistics.mean(polls for _, polls in waits)
    if strategy.sleeps:
        billed_s = statistics.mean(run_s + lag for run_s, (lag, _) in zip(lengths, waits, strict=True))
    else:
        billed_s = polls * strategy.executions_per_poll * LEAST_BILLED_S
    return Waiting(
        strategy=strategy.name,
        runs=name,
        lag_p50_s=round(statistics.median(lags), 2),
        lag_p95_s=round(lags[int(RUNS * 0.95)], 2),
        lag_p95_share=round(shares[int(RUNS * 0.95)], 3),
        polls=round(polls, 1),
        transactions_per_1000=round(polls * strategy.transactions_per_poll * 1000),
        gb_s_per_1000=round(billed_s * MEMORY_GB * 1000),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = [simulate(strategy, name, bounds) for name, bounds in CLASSES.items() for strategy in STRATEGIES]
    table = Table(title="Waiting for runs (simulated, 2,000 runs a row)")
    table.add_column("runs")
    table.add_column("strategy")
    for column in ("lag p50", "lag p95", "of the run", "polls", "transactions/1,000", "GB-s/1,000"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.runs,
            row.strategy,
            f"{row.lag_p50_s:.2f} s",
            f"{row.lag_p95_s:.2f} s",
            f"{row.lag_p95_share:.0%}",
            f"{row.polls:.1f}",
            f"{row.transactions_per_1000:,}",
            f"{row.gb_s_per_1000:,}",
            end_section=row.strategy == STRATEGIES[-1].name,
        )
    Console(width=120).print(table)
    minute = {strategy.name: wait_for(strategy, 60.0)[1] for strategy in STRATEGIES}
    Console(width=120).print(f"Polls for a run of one minute: {', '.join(f'{k} {v}' for k, v in minute.items())}.")
    if arguments.json:
        figures = {"rows": [asdict(row) for row in rows], "polls_for_a_minute": minute}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
