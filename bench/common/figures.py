"""Measured values and their percentiles."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Percentiles:
    """Median, 95th percentile (nearest rank) and maximum."""

    p50: float
    p95: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Percentiles:
        ordered = sorted(values)
        rank = max(0, -(-95 * len(ordered) // 100) - 1)
        return cls(p50=statistics.median(ordered), p95=ordered[rank], max=ordered[-1])


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Several measurements of one thing, in one unit."""

    name: str
    unit: str
    values: list[float]

    @property
    def percentiles(self) -> Percentiles:
        return Percentiles.of(self.values)
