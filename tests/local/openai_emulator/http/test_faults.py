"""Fault rules, over real HTTP, and the limits of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from local.openai_emulator.server import create_app, serve
from local.openai_emulator.settings import Settings
from tests.local.openai_emulator.client import Clock, ScriptedModel, client_of


@pytest.fixture
async def served() -> AsyncIterator[str]:
    async with serve(Settings(api_key="secret")) as url:
        yield url


@pytest.fixture
async def admin(served: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served, headers={"api-key": "secret"}) as http:
        yield http


@pytest.fixture
async def client(served: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="secret", base_url=f"{served}/openai/v1/", max_retries=0) as client:
        yield client


async def add(admin: httpx2.AsyncClient, **rule: Any) -> str:
    answer = await admin.post("/admin/faults", json=rule)
    assert answer.status_code == 201, answer.text
    id: str = answer.json()["id"]
    return id


async def applied(admin: httpx2.AsyncClient) -> list[int]:
    return [rule["applied"] for rule in (await admin.get("/admin/faults")).json()["data"]]


async def names(client: AsyncOpenAI) -> list[str]:
    return [file.filename for file in (await client.files.list()).data]


async def upload(client: AsyncOpenAI, name: str = "a.txt") -> None:
    await client.files.create(file=(name, b"x"), purpose="assistants")


async def test_429_with_its_headers_until_used_up(admin: httpx2.AsyncClient, client: AsyncOpenAI) -> None:
    await add(admin, path="/files*", method="POST", status=429, retry_after_ms=1200, count=2)
    for _ in range(2):
        with pytest.raises(openai.RateLimitError) as caught:
            await upload(client)
        assert caught.value.code == "rate_limit_exceeded"
        assert caught.value.response.headers["retry-after-ms"] == "1200"
        assert caught.value.response.headers["retry-after"] == "2"
        assert await names(client) == []  # no work was done, and GET is not meant
    await upload(client)
    assert await names(client) == ["a.txt"]
    assert await applied(admin) == [2]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_missing_role_is_answered_as_azure_does(
    admin: httpx2.AsyncClient, client: AsyncOpenAI, status: int
) -> None:
    await add(admin, path="/responses", status=status, count=1)
    with pytest.raises(openai.APIStatusError, match="lacks the required data action") as caught:
        await client.responses.create(model="builtin", input="Hello")
    assert (caught.value.status_code, caught.value.code) == (status, "PermissionDenied")


async def test_a_rule_can_say_code_and_message(admin: httpx2.AsyncClient, client: AsyncOpenAI) -> None:
    text = "OperationId get-container not supported for CheckAccess."
    await add(admin, path="/vector_stores/*/search", status=400, code="BadRequest", message=text)
    with pytest.raises(openai.BadRequestError, match="CheckAccess") as caught:
        await client.vector_stores.search("vs_1", query="x")
    assert caught.value.code == "BadRequest"
    assert (await admin.post("/admin/faults", json={"path": "/x", "message": "No status."})).status_code == 400


async def test_a_request_searches_two_stores_at_most(client: AsyncOpenAI) -> None:
    ids = [(await client.vector_stores.create(name=name)).id for name in "abc"]
    tool: Any = {"type": "file_search", "vector_store_ids": ids}
    with pytest.raises(openai.BadRequestError, match="maximum of 2 vector stores") as caught:
        await client.responses.create(model="builtin", input="Hello", tools=[tool])
    assert caught.value.code == "integer_above_max_value"


async def test_5xx_is_a_server_error(admin: httpx2.AsyncClient, client: AsyncOpenAI) -> None:
    await add(admin, path="/vector_stores", status=503)
    with pytest.raises(openai.InternalServerError) as caught:
        await client.vector_stores.create()
    assert (caught.value.status_code, caught.value.code) == (503, "server_error")
    assert "retry-after" not in caught.value.response.headers


@pytest.mark.parametrize(("drop", "left"), [("before", []), ("after", ["a.txt"])])
async def test_a_dropped_connection(admin: httpx2.AsyncClient, client: AsyncOpenAI, drop: str, left: list[str]) -> None:
    await add(admin, path="/files", method="POST", drop=drop, count=1)
    with pytest.raises(openai.APIConnectionError):
        await upload(client)
    assert await names(client) == left
    await upload(client, "b.txt")  # the next connection is served
    assert len(await names(client)) == len(left) + 1


async def test_a_large_upload_is_dropped_too(admin: httpx2.AsyncClient, client: AsyncOpenAI) -> None:
    await add(admin, path="/files", drop="before", count=1)
    with pytest.raises(openai.APIConnectionError):
        await client.files.create(file=("a.txt", bytes(8_000_000)), purpose="assistants")
    assert await names(client) == []


async def test_a_delay_alone_lets_the_work_be_done(admin: httpx2.AsyncClient, client: AsyncOpenAI) -> None:
    await add(admin, path="/models", delay_ms=1_500)
    with pytest.raises(openai.APITimeoutError):
        await client.with_options(timeout=0.2).models.list()
    await admin.delete("/admin/faults")
    await add(admin, path="/files", delay_ms=5, method="POST")
    await upload(client, "b.txt")
    assert await names(client) == ["b.txt"]
    assert await applied(admin) == [1]


async def test_the_same_seed_hits_the_same_requests(admin: httpx2.AsyncClient, client: AsyncOpenAI) -> None:
    async def sequence(seed: int) -> list[bool]:
        await admin.delete("/admin/faults")
        await add(admin, path="/models", status=500, probability=0.5, seed=seed)
        return [(await admin.get("/v1/models")).status_code == 500 for _ in range(20)]

    first = await sequence(7)
    assert first == await sequence(7) != await sequence(8)
    assert 0 < sum(first) < 20
    assert await applied(admin) == [sum(await sequence(8))]


async def test_the_first_rule_not_used_up_wins(admin: httpx2.AsyncClient) -> None:
    first = await add(admin, path="/models", status=500, count=1)
    second = await add(admin, path="/*", status=503)
    codes = [(await admin.get(path)).status_code for path in ("/v1/models", "/openai/v1/models", "/openai/files")]
    assert codes == [500, 503, 503]
    assert (await admin.get("/healthz")).status_code == 200
    assert (await admin.delete(f"/admin/faults/{second}")).json() == {
        "id": second,
        "object": "fault.deleted",
        "deleted": True,
    }
    assert [rule["id"] for rule in (await admin.get("/admin/faults")).json()["data"]] == [first]
    assert (await admin.get("/v1/models")).status_code == 200
    assert (await admin.delete(f"/admin/faults/{second}")).status_code == 404


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({}, "path"),
        ({"path": "/x", "colour": 1}, "colour"),
        ({"path": "/x", "status": 200}, "status"),
        ({"path": "/x", "status": "429"}, "status"),
        ({"path": "/x", "delay_ms": -1}, "delay_ms"),
        ({"path": "/x", "drop": "during"}, "drop"),
        ({"path": "/x", "probability": 1.5}, "probability"),
        ({"path": "/x", "count": 0}, "count"),
        ({"path": "/x", "method": "PUT"}, "method"),
        ({"path": "/x", "status": 500, "drop": "after"}, "not both"),
        ({"path": "/x", "retry_after_ms": 5}, "retry_after_ms"),
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused(
    admin: httpx2.AsyncClient, rule: dict[str, Any], told: str
) -> None:
    answer = await admin.post("/admin/faults", json=rule)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]
    assert await applied(admin) == []


async def test_rules_need_the_credentials_of_the_api(served: str) -> None:
    async with httpx2.AsyncClient(base_url=served, headers={"api-key": "wrong"}) as http:
        assert (await http.post("/admin/faults", json={"path": "/*", "status": 500})).status_code == 401


# ---- limits ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def limited(clock: Clock | None = None, **limits: int) -> AsyncIterator[AsyncOpenAI]:
    app = create_app(Settings(**limits), model=ScriptedModel(), clock=clock or Clock())  # type: ignore[arg-type]
    async with app.router.lifespan_context(app), client_of(app) as client:
        yield client


async def text_file(client: AsyncOpenAI, text: str = "Pumps.") -> str:
    return (await client.files.create(file=("a.txt", text.encode()), purpose="assistants")).id


async def test_a_full_store_takes_no_more_files() -> None:
    async with limited(store_max_files=2) as client:
        first, second, third = [await text_file(client) for _ in range(3)]
        store = await client.vector_stores.create(file_ids=[first, second])
        with pytest.raises(openai.BadRequestError, match="at most 2 files") as caught:
            await client.vector_stores.files.create(store.id, file_id=third)
        assert caught.value.code == "vector_store_full"
        await client.vector_stores.files.create(store.id, file_id=first)  # indexed anew: not one more
        await client.vector_stores.files.delete(second, vector_store_id=store.id)
        await client.vector_stores.files.create(store.id, file_id=third)
        assert {file.id for file in (await client.vector_stores.files.list(store.id)).data} == {first, third}


async def test_a_store_is_not_made_with_too_many_files() -> None:
    async with limited(store_max_files=2) as client:
        with pytest.raises(openai.BadRequestError, match="at most 2 files"):
            await client.vector_stores.create(file_ids=[await text_file(client) for _ in range(3)])
        assert (await client.vector_stores.list()).data == []


async def test_a_file_of_too_many_tokens_fails() -> None:
    async with limited(file_max_tokens=1_000) as client:
        store = await client.vector_stores.create()
        files = client.vector_stores.files
        within = await files.create_and_poll(await text_file(client, "pump " * 900), vector_store_id=store.id)
        assert within.status == "completed", within.last_error  # though its chunks overlap
        beyond = await files.create_and_poll(await text_file(client, "pump " * 1_100), vector_store_id=store.id)
        assert beyond.status == "failed"
        assert beyond.last_error is not None
        assert beyond.last_error.code == "invalid_file"
        assert "1,000 tokens" in beyond.last_error.message
        assert beyond.usage_bytes == 0


async def test_an_expired_store_takes_no_files_and_stays_expired() -> None:
    clock = Clock()
    async with limited(clock) as client:
        file_id = await text_file(client)
        store = await client.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 1})
        await client.vector_stores.files.create_and_poll(file_id, vector_store_id=store.id)
        clock.now += 2 * 86_400
        with pytest.raises(openai.BadRequestError, match="expired") as caught:
            await client.vector_stores.files.create(store.id, file_id=await text_file(client))
        assert caught.value.code == "vector_store_expired"
        await client.vector_stores.files.delete(file_id, vector_store_id=store.id)
        assert (await client.vector_stores.retrieve(store.id)).status == "expired"


@pytest.mark.parametrize("given", ["0", "-1", "many", "1.5", "²"])
def test_a_limit_is_a_whole_number_above_0(given: str) -> None:
    with pytest.raises(ValueError, match="EMULATOR_FILE_MAX_TOKENS"):
        Settings.from_environ({"EMULATOR_FILE_MAX_TOKENS": given})


def test_limits_come_from_the_environment() -> None:
    settings = Settings.from_environ({"EMULATOR_STORE_MAX_FILES": "7", "EMULATOR_FILE_MAX_TOKENS": ""})
    assert (settings.store_max_files, settings.file_max_tokens) == (7, 2_000_000)
