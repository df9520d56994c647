"""Background work: asyncio tasks, each under a key such as an object's id, that are cancelled at shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Hashable, Iterable
from typing import Any, Generic, TypeVar, TypeVarTuple

Key = TypeVar("Key", bound=Hashable)
Arguments = TypeVarTuple("Arguments")


class Tasks(Generic[Key]):
    """Runs at most one piece of work per key at a time."""

    def __init__(self) -> None:
        # Newest last; all but the newest are cancelled already and have not ended yet.
        self._tasks: dict[Key, list[asyncio.Task[None]]] = {}

    def start(self, key: Key, work: Callable[[*Arguments], Coroutine[Any, Any, None]], *arguments: *Arguments) -> None:
        """Run `work(*arguments)` in the background. Work under the same key is cancelled first and has ended before."""
        self.cancel(key)
        tasks = self._tasks.setdefault(key, [])
        task = asyncio.create_task(_after(tuple(tasks), work, *arguments), name=f"{work.__qualname__} {key}")
        tasks.append(task)
        task.add_done_callback(lambda ended: self._forget(key, ended))

    def cancel(self, key: Key) -> None:
        """Cancel the work under a key, if any, without waiting for its end."""
        if tasks := self._tasks.get(key):
            tasks[-1].cancel()  # a second cancel of the older ones would interrupt their clean-up

    async def stop(self, key: Key) -> None:
        """Cancel the work under a key, if any, and wait for its end."""
        self.cancel(key)
        await self.wait([key])

    async def wait(self, keys: Iterable[Key], *, timeout_s: float | None = None) -> None:
        """Wait until all work under these keys has ended, or the time is over."""
        if tasks := [task for key in keys for task in self._tasks.get(key, ())]:
            await asyncio.wait(tasks, timeout=timeout_s)

    def running(self) -> Collection[Key]:
        """The keys with work that has not ended."""
        return self._tasks.keys()

    async def close(self) -> None:
        """Cancel all work and wait for its end."""
        for key in self._tasks:
            self.cancel(key)
        await self.wait(self._tasks)

    def _forget(self, key: Key, ended: asyncio.Task[None]) -> None:
        self._tasks[key].remove(ended)
        if not self._tasks[key]:
            del self._tasks[key]


async def _after(
    earlier: Collection[asyncio.Task[None]],
    work: Callable[[*Arguments], Coroutine[Any, Any, None]],
    *arguments: *Arguments,
) -> None:
    if earlier:
        await asyncio.wait(earlier)
    await work(*arguments)
