"""Assistants as data: `assistants/<name>.json` is the current version, `assistants/<name>/<n>.json` is each one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.errors import BlobChanged, Busy, NotFound
from shared.models.runs import Assistant
from shared.storage.records import Records

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

DEFAULT = Assistant(name="default", version=0, updated_at=datetime(2026, 1, 1, tzinfo=UTC))
WRITE_TRIES = 5


class Assistants:
    def __init__(self, state: Blobs, *, now: Callable[[], datetime]) -> None:
        self._state = state
        self._current = Records(state, Assistant, name=lambda name: f"assistants/{name}.json")
        self._versions = Records(state, Assistant, name=lambda key: f"assistants/{key}.json")
        self._now = now

    async def find(self, name: str) -> Assistant:
        """The current version; `default` ships with the app. Raises NotFound."""
        stored = await self._current.read(name)
        if stored and not stored.value.deleted:
            return stored.value
        if name == DEFAULT.name:
            return DEFAULT
        raise NotFound(
            f"There is no assistant {name!r}. Make it with PUT /api/assistants/{name}.", code="assistant_not_found"
        )

    async def version(self, name: str, version: int) -> Assistant:
        """The version that a run began with, whatever the current one is. Raises NotFound."""
        if (name, version) == (DEFAULT.name, DEFAULT.version):
            return DEFAULT
        stored = await self._versions.read(f"{name}/{version}")
        if stored is None:
            raise NotFound(f"There is no version {version} of the assistant {name!r}.", code="assistant_not_found")
        return stored.value

    async def put(self, wanted: Assistant) -> Assistant:
        """Make `wanted` the next version; what it says itself of version and time does not count."""
        number = 0
        for _ in range(WRITE_TRIES):
            stored = await self._current.read(wanted.name)
            number = max(number, stored.value.version if stored else DEFAULT.version) + 1
            version = replace(wanted, version=number, updated_at=self._now(), deleted=False)
            try:
                # The version first, and never over another: a run looks up the one it began with. A writer that dies
                # here, or loses the race for the current one, leaves a number that nobody uses.
                await self._versions.create(f"{version.name}/{number}", version)
                if stored:
                    await self._current.replace(wanted.name, stored, version)
                else:
                    await self._current.create(wanted.name, version)
            except BlobChanged:
                continue
            return version
        raise Busy(f"The assistant {wanted.name!r} is being changed by others at this moment.", code="assistant_busy")

    async def delete(self, name: str) -> None:
        """Runs that go on keep their version; new ones cannot be started with it."""
        stored = await self._current.read(name)
        if stored is None or stored.value.deleted:
            raise NotFound(f"There is no assistant {name!r} of yours.", code="assistant_not_found")
        try:
            await self._current.replace(name, stored, replace(stored.value, deleted=True))
        except BlobChanged as exc:
            raise Busy(f"The assistant {name!r} is being changed at this moment.", code="assistant_busy") from exc

    async def list(self) -> list[Assistant]:
        found = {DEFAULT.name: DEFAULT}
        async for blob in self._state.list("assistants/"):
            name = blob.name.removeprefix("assistants/").removesuffix(".json")
            stored = await self._current.read(name) if "/" not in name else None
            if stored and not stored.value.deleted:
                found[name] = stored.value
        return [found[name] for name in sorted(found)]
