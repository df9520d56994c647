"""Fixtures of the unit tests; `world.py` has the app on fakes."""

import pytest

from tests.unit.world import World


@pytest.fixture
def world() -> World:
    return World()
