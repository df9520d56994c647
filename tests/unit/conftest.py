"""Fixtures of the unit tests; `world.py` has the app on fakes."""

import pytest

from shared.collections import texts
from tests.unit.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def every_text_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of each version is a blob, beside its record."""
    monkeypatch.setattr(texts, "SHORT_BYTES", 0)
