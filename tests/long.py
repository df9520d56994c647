"""Parameters that only `make test ALL=1` runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def long_but(values: Iterable[Any], *kept: Any) -> list[Any]:
    """The values as parameters of a test; all but those that are kept are `long`.

    Raises:
        ValueError: a value that is kept is none of them.
    """
    every = list(values)
    if strangers := [value for value in kept if value not in every]:
        raise ValueError(f"no such values: {strangers}")
    return [pytest.param(value, marks=() if value in kept else pytest.mark.long) for value in every]
