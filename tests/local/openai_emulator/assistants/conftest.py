"""The client of the Assistants API tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI
from starlette.applications import Starlette

from tests.local.openai_emulator.assistants.api import checked_client


@pytest.fixture
async def client(emulator: Starlette) -> AsyncIterator[AsyncOpenAI]:
    async with checked_client(emulator) as client:
        yield client
