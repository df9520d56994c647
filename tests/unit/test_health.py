"""Deep health: each dependency has its own check."""

from __future__ import annotations

import asyncio

import pytest

from shared import health
from shared.errors import ServiceError, StorageError
from shared.health import check_health
from shared.storage.blobs import Storage
from tests.unit.world import World


def storage_of(world: World) -> Storage:
    return Storage(
        documents=world.blobs,
        answers=world.answers,
        state=world.state,
        runs=world.queue,
        indexing=world.indexing,
        callbacks=world.callbacks,
    )


async def well() -> None:
    pass


async def test_all_checks_pass(world: World) -> None:
    checks = await check_health(storage_of(world), well)
    assert len(checks) == 7
    assert all(check.ok and not check.detail for check in checks)


async def test_failed_checks_are_named(world: World) -> None:
    async def refused() -> None:
        raise ServiceError("Bad key.")

    world.outside.fail("runs.reachable", StorageError("The queue runs does not exist."))
    wrong = {c.name: c.detail for c in await check_health(storage_of(world), refused) if not c.ok}
    assert wrong == {"queue runs": "The queue runs does not exist.", "model service": "Bad key."}


async def test_checks_that_time_out_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_TIMEOUT_S", 0.01)
    wrong = [check for check in await check_health(storage_of(world), asyncio.Event().wait) if not check.ok]  # type: ignore[arg-type]
    assert [check.name for check in wrong] == ["model service"]
    assert "no answer" in wrong[0].detail
