"""What is inside a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

from shared.datacards import NotATable, card_of
from shared.filetypes import DATA, ending_of
from shared.models import Kind, Reason


class Unreadable(Exception):
    def __init__(self, reason: Reason, *, unsupported: bool) -> None:
        super().__init__(reason.message)
        self.reason = reason
        self.unsupported = unsupported


@dataclass(frozen=True, kw_only=True)
class Contents:
    ending: str
    kind: Kind
    notice: Reason | None = None


def look_inside(path: str, content: IO[bytes]) -> Contents:
    ending = ending_of(path)
    if ending == "json":
        try:
            card_of(path.rsplit("/", 1)[-1], content)
        except NotATable:
            return Contents(ending=ending, kind="text")
        return Contents(ending=ending, kind="data")
    return Contents(ending=ending, kind="data" if ending in DATA else "text")
