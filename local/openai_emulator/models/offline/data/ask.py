"""What is computed: an ask, its conditions; and the plan of an answer, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from local.openai_emulator.models.offline.data.stated import Rule
from local.openai_emulator.models.offline.data.table import Table

MOST_COLUMNS = 30  # in a refusal


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition on rows: the arguments of `rows.keep`, and its words in an answer."""

    column: str
    test: str
    value: Any = None
    words: str

    @property
    def plain(self) -> tuple[str, str, Any]:
        return (self.column, self.test, self.value)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One computation, and its chart."""

    kind: str  # the name of a `Kind`
    measures: tuple[str, ...] = ()
    by: tuple[str, ...] = ()  # columns to group by
    period: str = ""  # of the date column, to group by: a key of `rows.group_keys`
    date: str = ""  # the date column
    hows: tuple[str, ...] = ("mean",)  # pandas names of figures
    count: int = 5  # of rows or groups, for `top`
    lowest: bool = False
    targets: tuple[str, ...] = ()  # columns whose cells are asked for
    conditions: tuple[Condition, ...] = ()
    parts: tuple[tuple[str, str, Any], ...] = ()  # of a share: the conditions on the rows that are the part
    chart: str = ""  # line, bar, pie, histogram or scatter
    least: int = 0  # rows of a group; smaller groups are left out
    lists: tuple[str, ...] = ()  # the columns of lists of which each entry is a group
    of_winner: bool = False  # only the rows of the group that the ask before found
    method: str = ""  # of outliers (iqr, z) or the test of normality (shapiro, ks, dagostino)
    limit: float = 0.0  # of outliers: multiples of the interquartile range, or standard deviations
    level: float = 0.05  # of significance
    rules: tuple[Rule, ...] = ()  # for a verdict, as the question states them
    ddof: int = 1  # of standard deviations: 0 for that of a population

    def plain(self) -> Mapping[str, Any]:
        """The ask as its program gets it."""
        left_out = {"conditions", "kind", "of_winner", "rules"}
        return {
            name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items() if name not in left_out
        }


@dataclass(frozen=True, kw_only=True)
class Plan:
    table: Table
    asks: tuple[Ask, ...]
    notes: tuple[str, ...] = ()  # what was assumed


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a question is not computed: what was understood, what was not, and a question that could be answered."""

    understood: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    reason: str = ""
    instead: str = ""
    table: Table | None = field(default=None)

    def text(self) -> str:
        name = self.table.shown if self.table else "the data"
        parts = [f"I cannot answer this from {name} without guessing."]
        if self.understood:
            parts.append(f"I understood: {', '.join(self.understood)}.")
        if self.unknown:
            quoted = ", ".join(f'"{word}"' for word in self.unknown[:6])
            parts.append(f"I found nothing in {name} for {quoted}.")
        if self.reason:
            parts.append(self.reason)
        if self.table:
            names = ", ".join(f"`{column.name}`" for column in self.table.columns[:MOST_COLUMNS])
            parts.append(f"Its columns are {names}{', ...' if len(self.table.columns) > MOST_COLUMNS else ''}.")
        if self.instead:
            parts.append(f'I could answer: "{self.instead}"')
        return " ".join(parts)
