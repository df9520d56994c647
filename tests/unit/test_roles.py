"""The service refuses the app's identity while a role is missing or has not arrived: bounded tries, then a name."""

from __future__ import annotations

import pytest

from shared.errors import ServiceDenied, ServiceNotUnderstood
from tests.unit.world import DEADLINE_S, RUN_DEFAULT_S, World

NO_ROLE = ServiceDenied("starting the run: no. Assign the role 'Cognitive Services OpenAI Contributor'.")
FOUR_MINUTES_S = 240


def deny(world: World, *calls: str, tries: int) -> None:
    for call in calls:
        for _ in range(tries):
            world.outside.fail(call, NO_ROLE)


async def test_a_run_outlives_four_minutes_without_its_role(world: World) -> None:
    began = world.clock()
    deny(world, "engine.start", tries=9)
    run = await world.ask()
    assert run.status == "queued"
    await world.finish()
    run = await world.runs.find(run.id)
    assert (world.clock() - began).total_seconds() > FOUR_MINUTES_S / 2
    assert run.status == "completed"
    assert run.blocked is None


async def test_a_run_that_never_gets_its_role_names_it(world: World) -> None:
    began = world.clock()
    deny(world, "engine.start", tries=1000)
    run = await world.ask()
    await world.finish()
    run = await world.runs.find(run.id)
    assert run.error
    assert (run.status, run.error.code, run.error.retryable) == ("expired", "service_access_denied", True)
    assert "Cognitive Services OpenAI Contributor" in run.error.message
    assert RUN_DEFAULT_S <= (world.clock() - began).total_seconds() < RUN_DEFAULT_S + 120


@pytest.mark.parametrize("call", ["stores.create_store", "stores.upload", "stores.attach"])
async def test_a_document_outlives_minutes_without_the_role(world: World, call: str) -> None:
    deny(world, call, tries=9)
    await world.drop("c/a.md")
    document = await world.document("c/a.md")
    assert (document.status, document.faults) == ("indexed", 0)


async def test_a_document_that_never_gets_the_role_names_it(world: World) -> None:
    began = world.clock()
    deny(world, "stores.upload", tries=1000)
    await world.drop("c/a.md")
    document = await world.document("c/a.md")
    assert document.reason
    assert (document.status, document.reason.code) == ("failed", "service_access_denied")
    assert "Cognitive Services OpenAI Contributor" in document.reason.message
    assert DEADLINE_S <= (world.clock() - began).total_seconds() < DEADLINE_S + 600


STRANGER = ServiceNotUnderstood("retrieving the run: not from the API. Check OPENAI_BASE_URL.")


@pytest.mark.parametrize("call", ["engine.start", "engine.look"])
async def test_a_run_outlives_the_answer_of_a_stranger(world: World, call: str) -> None:
    world.outside.fail(call, STRANGER)
    run = await world.ask()
    await world.finish()
    assert (await world.runs.find(run.id)).status == "completed"


async def test_a_run_that_only_strangers_answer_says_so(world: World) -> None:
    world.outside.fail("engine.look", *[STRANGER] * 1000)
    run = await world.ask()
    await world.finish()
    error = (await world.runs.find(run.id)).error
    assert error
    assert (error.code, error.retryable) == ("service_not_understood", True)
    assert "Check OPENAI_BASE_URL" in error.message


async def test_a_document_outlives_the_answer_of_a_stranger(world: World) -> None:
    world.outside.fail("stores.upload", STRANGER)
    await world.drop("c/a.md")
    assert (await world.document("c/a.md")).status == "indexed"
