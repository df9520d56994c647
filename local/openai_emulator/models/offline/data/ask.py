"""The plan of an analysis: a table, and a list of asks (what to compute)."""

from __future__ import annotations

from dataclasses import dataclass

from local.openai_emulator.models.offline.data.filters import Filter
from local.openai_emulator.models.offline.data.profile import Table


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One computation, and the chart of it."""

    kind: str  # the name of a `QuestionKind`
    measures: tuple[str, ...] = ()
    by: str = ""  # the column to group by
    period: str = ""  # the period of the date column to group by: a key of `kinds.base.PERIOD_KEYS`
    how: tuple[str, ...] = ("mean",)  # pandas names of the figures
    count: int = 5  # of rows or groups, for the kind `top`
    lowest: bool = False
    filters: tuple[Filter, ...] = ()
    chart: bool = False
    only_best_group: bool = False  # only the rows of the group that the previous ask found
    method: str = ""  # of outliers ("iqr", "z") or the normality test ("shapiro", "ks", "dagostino")
    limit: float = 0.0  # of outliers: multiples of the interquartile range, or standard deviations


@dataclass(frozen=True, kw_only=True)
class Plan:
    table: Table
    asks: tuple[Ask, ...]
