"""DOC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from local.openai_emulator.agent.conversation import Ran, Searched


class ToolBroken(Exception):
    """A tool could not do its work. str() is told to the model."""


class Tools(Protocol):
    """What carries out the model's steps."""

    async def search(self, queries: Sequence[str]) -> Searched:
        """Raises ToolBroken."""
        ...

    async def run(self, code: str) -> Ran:
        """Raises ToolBroken."""
        ...
