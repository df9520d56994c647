"""DOC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line: what was looked at, how it is, and the command that mends it where it is wrong."""

    name: str
    said: str
    mend: str = ""  # empty: it is well

    @property
    def well(self) -> bool:
        return not self.mend
