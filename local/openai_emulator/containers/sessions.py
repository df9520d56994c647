"""The live sessions of containers: at most a fixed number; the one that was not used for longest makes room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.openai_emulator.sandbox import Session

OpenSession = Callable[[], "Awaitable[Session]"]  # raises SandboxUnavailable


class LiveSessions:
    def __init__(self, open_session: OpenSession, *, most: int) -> None:
        self._open_session = open_session
        self._most = most
        self._live: dict[str, Session] = {}  # by container, least recently used first
        self._opening = 0
        self._busy: set[str] = set()
        self._freed = asyncio.Event()

    def __contains__(self, container_id: str) -> bool:
        return container_id in self._live

    def get(self, container_id: str) -> Session | None:
        """The session of a container, if it has one that is alive."""
        session = self._live.get(container_id)
        return session if session is not None and session.alive else None

    @asynccontextmanager
    async def use(self, container_id: str, prepare: Callable[[Session], Awaitable[None]]) -> AsyncIterator[Session]:
        """The container's session, opened if needed; no other container's call ends it until the block ends.

        Args:
            prepare: Called with a new session before its first use.

        Raises:
            SandboxError: there is no session.
        """
        self._busy.add(container_id)
        try:
            session = self.get(container_id) or await self._open(container_id, prepare)
            self._live[container_id] = self._live.pop(container_id, session)
            yield session
        finally:
            self._busy.discard(container_id)
            self._freed.set()

    async def _open(self, container_id: str, prepare: Callable[[Session], Awaitable[None]]) -> Session:
        await self.end(container_id)
        await self._make_room()
        self._opening += 1
        try:
            session = await self._open_session()
            try:
                await prepare(session)
            except BaseException:
                await session.close()
                raise
            self._live[container_id] = session
        finally:
            self._opening -= 1
        return session

    async def _make_room(self) -> None:
        while len(self._live) + self._opening >= self._most:
            idle = next((one for one in self._live if one not in self._busy), None)
            if idle is not None:
                await self.end(idle)
                continue
            self._freed.clear()
            await self._freed.wait()

    async def end(self, container_id: str) -> None:
        session = self._live.pop(container_id, None)
        if session is not None:
            self._freed.set()
            await session.close()

    async def close(self) -> None:
        for container_id in list(self._live):
            await self.end(container_id)
