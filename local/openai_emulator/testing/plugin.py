"""A pytest fixture with a running emulator, for tests of other projects.

In `conftest.py`: `pytest_plugins = ["local.openai_emulator.testing.plugin"]`
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import pytest
from openai import AzureOpenAI, OpenAI

from local.openai_emulator.server import serve
from local.openai_emulator.settings import Settings


@dataclass(frozen=True, kw_only=True)
class RunningEmulator:
    url: str  # http://127.0.0.1:PORT, for `azure_endpoint`

    @property
    def base_url(self) -> str:
        """For `OPENAI_BASE_URL`."""
        return f"{self.url}/openai/v1/"

    def client(self) -> OpenAI:
        return OpenAI(api_key="any", base_url=self.base_url, max_retries=0)

    def azure_client(self, api_version: str = "2024-10-21") -> AzureOpenAI:
        return AzureOpenAI(api_key="any", azure_endpoint=self.url, api_version=api_version, max_retries=0)


@pytest.fixture
def openai_emulator() -> Iterator[RunningEmulator]:
    """An empty emulator with the built-in model, in a thread of its own until the test ends; its data are in memory."""
    started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(started)), name="openai_emulator", daemon=True)
    thread.start()
    url, loop, stop = started.result()
    yield RunningEmulator(url=url)
    loop.call_soon_threadsafe(stop.set)
    thread.join()


async def _serve(started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
    stop = asyncio.Event()
    try:
        async with serve(Settings()) as url:
            started.set_result((url, asyncio.get_running_loop(), stop))
            await stop.wait()
    except Exception as exc:
        if started.done():
            raise
        started.set_exception(exc)
