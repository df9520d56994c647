"""Fixtures of the unit tests; the app on fakes stands in `world.py`."""

import pytest

from tests.unit.world import World


@pytest.fixture
def world() -> World:
    return World()
