"""The session that most tests of a file share. Each file has a `sandbox` of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from local.openai_emulator.sandbox import Sandbox, Session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(sandbox: Sandbox) -> AsyncIterator[Session]:
    """For code that it survives."""
    session = await sandbox.open()
    yield session
    await session.close()
