"""Long documents in parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True, kw_only=True)
class Part:
    content: IO[bytes]
    first_page: int | None = None
    last_page: int | None = None


def parts_of(ending: str, content: IO[bytes], *, max_tokens: int) -> Iterator[Part]:
    yield Part(content=content)
