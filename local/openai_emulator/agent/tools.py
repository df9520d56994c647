"""The tools that the agent loop calls: file search and code interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from local.openai_emulator.agent.conversation import Ran, Searched


class ToolBroken(Exception):
    """A tool failed. `str()` is passed on to the model."""


class Tools(Protocol):
    """Runs the tool calls of a model."""

    async def search(self, queries: Sequence[str]) -> Searched:
        """Raises ToolBroken."""
        ...

    async def run(self, code: str) -> Ran:
        """Raises ToolBroken."""
        ...
