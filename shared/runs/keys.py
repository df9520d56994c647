"""Idempotency keys: a request that is sent again with its key gets the same run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.errors import BlobChanged, Busy
from shared.runs.record import RunRecords, digest
from shared.storage.layout import idempotency_name
from shared.storage.records import Records, Stored

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs


@dataclass(frozen=True, kw_only=True)
class KeyUse:
    """The use of an Idempotency-Key: its run, and a digest of the request that used it first.

    `run_created`: the run has a record. A missing record then means that the run was deleted.
    """

    run_id: str
    digest: str
    run_created: bool = False


class IdempotencyKeys:
    def __init__(self, state: Blobs, runs: RunRecords) -> None:
        self._keys = Records(state, KeyUse, name=idempotency_name)
        self._runs = runs

    async def use(self, key: str, request: str, run_id: str) -> Stored[KeyUse]:
        """Reserve the key for this request, or return its earlier use.

        Raises:
            Busy: the key was used for another request.
        """
        use = KeyUse(run_id=run_id, digest=digest(request))
        try:
            return await self._keys.create(key, use)
        except BlobChanged:
            stored = await self._keys.read(key)
        if stored and stored.value.run_created and await self._runs.read(stored.value.run_id) is None:
            try:
                return await self._keys.replace(key, stored, use)
            except BlobChanged:
                stored = await self._keys.read(key)
        if stored is None or stored.value.digest != use.digest:
            raise Busy(
                "This Idempotency-Key was used for another question. Take a new key for a new question.",
                code="idempotency_key_reused",
            )
        return stored

    async def keep(self, key: str, used: Stored[KeyUse]) -> None:
        """Note that the key's run has a record."""
        if not used.value.run_created:
            with suppress(BlobChanged):  # the same request noted it at the same moment
                await self._keys.replace(key, used, replace(used.value, run_created=True))

    async def free(self, key: str, used: Stored[KeyUse]) -> None:
        """Nothing was started: the key can be used for a corrected question."""
        await self._keys.delete(key, used)
