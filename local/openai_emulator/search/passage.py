"""The result of a file search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One chunk that a file search found."""

    file_id: str
    filename: str
    text: str
    score: float  # 0 to 1; see `ranking`
    page: int | None = None
    attributes: Mapping[str, str | float | bool] = field(default_factory=dict)
