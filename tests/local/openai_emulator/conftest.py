"""Fixtures of the emulator's tests; `client.py` has what they are made of."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI
from starlette.applications import Starlette

from tests.local.openai_emulator.client import Clock, ScriptedModel, client_of, running_app


@pytest.fixture
def emulator_model() -> ScriptedModel:
    """The model of `emulator`; tests append to its `moves`."""
    return ScriptedModel()


@pytest.fixture
def emulator_clock() -> Clock:
    return Clock()


@pytest.fixture
async def emulator(emulator_model: ScriptedModel, emulator_clock: Clock) -> AsyncIterator[Starlette]:
    """An emulator in memory, with `emulator_model` and `emulator_clock`."""
    async with running_app(emulator_model, clock=emulator_clock) as app:
        yield app


@pytest.fixture
async def openai_client(emulator: Starlette) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(emulator) as client:
        yield client
