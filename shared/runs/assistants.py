"""Assistants as data: `assistants/<name>.json` is the current version, `assistants/<name>/<n>.json` is each version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.errors import BlobChanged, Busy, NotFound
from shared.models.runs import Assistant
from shared.storage.layout import ASSISTANTS, assistant_name
from shared.storage.records import Records

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

DEFAULT = Assistant(name="default", version=0, updated_at=datetime(2026, 1, 1, tzinfo=UTC))
WRITE_TRIES = 5


class Assistants:
    def __init__(self, state: Blobs, *, now: Callable[[], datetime]) -> None:
        self._state = state
        self._current = Records(state, Assistant, name=assistant_name)
        self._versions = Records(state, Assistant, name=_version_name)
        self._now = now

    async def find(self, name: str) -> Assistant:
        """The current version; `default` ships with the app. Raises NotFound."""
        stored = await self._current.read(name)
        if stored and not stored.value.deleted:
            return stored.value
        if name == DEFAULT.name:
            return DEFAULT
        raise NotFound(
            f"There is no assistant {name!r}. Create it with PUT /api/assistants/{name}.", code="assistant_not_found"
        )

    async def version(self, name: str, version: int) -> Assistant:
        """The version that a run started with, whatever the current one is. Raises NotFound."""
        if (name, version) == (DEFAULT.name, DEFAULT.version):
            return DEFAULT
        stored = await self._versions.read(f"{name}/{version}")
        if stored is None:
            raise NotFound(f"There is no version {version} of the assistant {name!r}.", code="assistant_not_found")
        return stored.value

    async def put(self, wanted: Assistant) -> Assistant:
        """Store `wanted` as the next version; its version and time are ignored."""
        number = 0
        for _ in range(WRITE_TRIES):
            stored = await self._current.read(wanted.name)
            number = max(number, stored.value.version if stored else DEFAULT.version) + 1
            version = replace(wanted, version=number, updated_at=self._now(), deleted=False)
            try:
                # Write the version first and never over another: a run reads the version it started with. A writer that
                # dies here, or loses the race for the current version, leaves a version number that nobody uses.
                await self._versions.create(f"{version.name}/{number}", version)
                if stored:
                    await self._current.replace(wanted.name, stored, version)
                else:
                    await self._current.create(wanted.name, version)
            except BlobChanged:
                continue
            return version
        raise Busy(f"The assistant {wanted.name!r} was changed by others at each try.", code="assistant_busy")

    async def delete(self, name: str) -> None:
        """Active runs keep their version; new runs cannot use the assistant."""
        stored = await self._current.read(name)
        if stored is None or stored.value.deleted:
            raise NotFound(f"There is no assistant {name!r} that could be deleted.", code="assistant_not_found")
        try:
            await self._current.replace(name, stored, replace(stored.value, deleted=True))
        except BlobChanged as exc:
            raise Busy(f"The assistant {name!r} is being changed at this moment.", code="assistant_busy") from exc

    async def list(self) -> list[Assistant]:
        found = {DEFAULT.name: DEFAULT}
        async for blob in self._state.list(ASSISTANTS):
            name = blob.name.removeprefix(ASSISTANTS).removesuffix(".json")
            stored = await self._current.read(name) if "/" not in name else None
            if stored and not stored.value.deleted:
                found[name] = stored.value
        return [found[name] for name in sorted(found)]


def _version_name(key: str) -> str:
    name, _, version = key.rpartition("/")
    return assistant_name(name, int(version))
