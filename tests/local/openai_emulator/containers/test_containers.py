"""Containers and their files, through the SDK."""

from __future__ import annotations

import openai
import pytest
from openai import AsyncOpenAI

from tests.local.openai_emulator.client import Clock


async def test_files_go_into_a_container_and_out(openai_client: AsyncOpenAI) -> None:
    uploaded = await openai_client.files.create(file=("a.csv", b"x,y\n1,2\n"), purpose="assistants")
    container = await openai_client.containers.create(name="c", file_ids=[uploaded.id])
    assert (container.name, container.status, container.memory_limit) == ("c", "running", "1g")
    second = await openai_client.containers.files.create(container.id, file=("a.csv", b"other"))
    third = await openai_client.containers.files.create(container.id, file_id=uploaded.id)
    files = [file async for file in openai_client.containers.files.list(container.id, order="asc")]
    assert [file.path for file in files] == ["/mnt/data/a.csv", "/mnt/data/a-1.csv", "/mnt/data/a-2.csv"]
    assert {file.source for file in files} == {"user"}
    content = await openai_client.containers.files.content.retrieve(second.id, container_id=container.id)
    assert content.read() == b"other"
    assert (await openai_client.containers.files.retrieve(third.id, container_id=container.id)).bytes == 8
    await openai_client.containers.files.delete(second.id, container_id=container.id)
    with pytest.raises(openai.NotFoundError):
        await openai_client.containers.files.content.retrieve(second.id, container_id=container.id)


async def test_containers_are_listed_and_deleted(openai_client: AsyncOpenAI) -> None:
    made = [await openai_client.containers.create(name=name) for name in ("a", "b", "a")]
    assert [one.id async for one in openai_client.containers.list(name="a")] == [made[2].id, made[0].id]
    await openai_client.containers.delete(made[0].id)
    with pytest.raises(openai.NotFoundError):
        await openai_client.containers.retrieve(made[0].id)


async def test_a_container_expires_when_it_was_not_used(openai_client: AsyncOpenAI, emulator_clock: Clock) -> None:
    container = await openai_client.containers.create(name="c")
    file = await openai_client.containers.files.create(container.id, file=("a.txt", b"x"))
    emulator_clock.now += 19 * 60
    await openai_client.containers.files.content.retrieve(file.id, container_id=container.id)  # a use
    emulator_clock.now += 19 * 60
    assert (await openai_client.containers.retrieve(container.id)).status == "running"
    emulator_clock.now += 2 * 60
    assert (await openai_client.containers.retrieve(container.id)).status == "expired"
    for call in (
        openai_client.containers.files.content.retrieve(file.id, container_id=container.id),
        openai_client.containers.files.create(container.id, file=("b.txt", b"x")),
    ):
        with pytest.raises(openai.NotFoundError, match="expired"):
            await call


async def test_network_access_is_not_given(openai_client: AsyncOpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        await openai_client.containers.create(
            name="c", network_policy={"type": "allowlist", "allowed_domains": ["example.com"]}
        )
    assert (caught.value.status_code, caught.value.code) == (501, "not_implemented")
