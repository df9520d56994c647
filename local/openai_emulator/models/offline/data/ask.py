"""DOC."""

from __future__ import annotations

from dataclasses import dataclass

from local.openai_emulator.models.offline.data.filters import Filter
from local.openai_emulator.models.offline.data.profile import Table


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One thing to compute."""

    kind: str
    measures: tuple[str, ...] = ()
    by: str = ""  # a category's column
    period: str = ""  # "hour", "weekday", "day", "week", "month" or "year" of the date column
    how: tuple[str, ...] = ("mean",)
    count: int = 5  # for `top`
    lowest: bool = False
    filters: tuple[Filter, ...] = ()
    chart: bool = False
    of_winner: bool = False  # only the rows of the group that the ask before found
    method: str = ""  # of outliers ("iqr", "z") and of the normality test
    limit: float = 0.0  # of outliers: times the IQR, or standard deviations


@dataclass(frozen=True, kw_only=True)
class Plan:
    table: Table
    asks: tuple[Ask, ...]
