"""Fixtures of the emulator's tests; what they are made of stands in `emulator.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI
from starlette.applications import Starlette

from tests.local.openai_emulator.client import Clock, ScriptedModel, client_of, running_app


@pytest.fixture
def emulator_model() -> ScriptedModel:
    """Append to its `moves` what it shall do."""
    return ScriptedModel()


@pytest.fixture
def emulator_clock() -> Clock:
    return Clock()


@pytest.fixture
async def emulator(emulator_model: ScriptedModel, emulator_clock: Clock) -> AsyncIterator[Starlette]:
    """An emulator in memory that answers with `emulator_model` and lives by `emulator_clock`."""
    async with running_app(emulator_model, clock=emulator_clock) as app:
        yield app


@pytest.fixture
async def openai_client(emulator: Starlette) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(emulator) as client:
        yield client
