"""Assistants, threads and messages, through the SDK; every response is checked against the OpenAPI document."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from starlette.applications import Starlette
from starlette.testclient import TestClient

from local.openai_emulator.agent.model import Say
from local.openai_emulator.server import create_app
from tests.local.openai_emulator.assistants.api import (
    CODE,
    DEPRECATED,
    FUNCTION,
    SEARCH,
    asked,
    assistant_with,
    done,
)
from tests.local.openai_emulator.client import Clock, ScriptedModel
from tests.local.openai_emulator.openapi import check_sync_answer

pytestmark = pytest.mark.filterwarnings(DEPRECATED)


async def uploaded(client: AsyncOpenAI, name: str = "a.txt", content: bytes = b"The fee is 40 EUR.") -> str:
    return (await client.files.create(file=(name, content), purpose="assistants")).id


# ---- clients -----------------------------------------------------------------------------------------------


async def test_the_sdk_says_that_the_api_is_old(client: AsyncOpenAI) -> None:
    with pytest.warns(DeprecationWarning):
        await client.beta.assistants.create(model="m")


@pytest.mark.parametrize("kind", ["openai", "azure v1", "azure api-version"])
def test_the_synchronous_clients_poll(kind: str) -> None:
    with TestClient(create_app(model=ScriptedModel(Say(text="Hi.")))) as http:
        http.event_hooks["response"].append(check_sync_answer)
        made: dict[str, OpenAI] = {
            "openai": OpenAI(api_key="x", base_url="http://testserver/v1", http_client=http),
            "azure v1": AzureOpenAI(
                api_key="x", api_version="preview", base_url="http://testserver/openai/v1/", http_client=http
            ),
            "azure api-version": AzureOpenAI(
                api_key="x", api_version="2025-01-01-preview", azure_endpoint="http://testserver", http_client=http
            ),
        }
        client = made[kind]
        assistant = client.beta.assistants.create(model="m")
        thread = client.beta.threads.create()
        client.beta.threads.messages.create(thread.id, role="user", content="Hello?")
        run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
        assert run.status == "completed"
        newest = client.beta.threads.messages.list(thread.id).data[0]
        assert newest.content[0].text.value == "Hi."  # type: ignore[union-attr]


async def test_the_beta_header_is_not_needed(emulator: Starlette) -> None:
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(emulator), base_url="http://e/openai", headers={"api-key": "x"}
    ) as http:
        answer = await http.post("/threads?api-version=2024-05-01-preview")
    assert answer.json() | {"id": "", "created_at": 0} == {
        "id": "",
        "object": "thread",
        "created_at": 0,
        "metadata": {},
        "tool_resources": {},
    }


# ---- assistants --------------------------------------------------------------------------------------------


async def test_an_assistant_and_its_defaults(client: AsyncOpenAI, emulator_clock: Clock) -> None:
    assistant = await client.beta.assistants.create(model="gpt-4.1")
    assert assistant.id.startswith("asst_")
    assert assistant.to_dict() == {
        "id": assistant.id,
        "object": "assistant",
        "created_at": int(emulator_clock.now),
        "name": None,
        "description": None,
        "model": "gpt-4.1",
        "instructions": None,
        "tools": [],
        "tool_resources": {},
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "response_format": "auto",
    }
    assert await client.beta.assistants.retrieve(assistant.id) == assistant


async def test_an_assistant_is_modified(client: AsyncOpenAI) -> None:
    file_id = await uploaded(client)
    store = await client.vector_stores.create()
    assistant = await assistant_with(client, CODE, name="One", metadata={"a": "1"}, temperature=0.2)
    changed = await client.beta.assistants.update(
        assistant.id,
        model="other",
        tools=[SEARCH, FUNCTION],
        tool_resources={
            "code_interpreter": {"file_ids": [file_id]},
            "file_search": {"vector_store_ids": [store.id]},
        },
        metadata={"b": "2"},
    )
    assert (changed.name, changed.model, changed.temperature, changed.metadata) == ("One", "other", 0.2, {"b": "2"})
    assert [tool.type for tool in changed.tools] == ["file_search", "function"]
    again = await client.beta.assistants.update(
        assistant.id, tool_resources={"code_interpreter": {"file_ids": []}}, name=None
    )
    assert again.name is None
    assert again.to_dict()["tool_resources"] == {
        "code_interpreter": {"file_ids": []},
        "file_search": {"vector_store_ids": [store.id]},
    }


async def test_assistants_are_listed(client: AsyncOpenAI) -> None:
    made = [(await assistant_with(client, name=str(number))).id for number in range(5)]
    listing = client.beta.assistants
    assert [one.id async for one in listing.list(limit=2)] == made[::-1]
    assert [one.id async for one in listing.list(limit=2, order="asc")] == made
    assert [one.id for one in (await listing.list(after=made[3], limit=2)).data] == [made[2], made[1]]
    assert [one.id for one in (await listing.list(before=made[1], limit=2)).data] == [made[3], made[2]]


async def test_a_deleted_assistant_takes_its_store_along(client: AsyncOpenAI) -> None:
    file_id = await uploaded(client)
    resources: Any = {"file_search": {"vector_stores": [{"file_ids": [file_id], "metadata": {"k": "v"}}]}}
    assistant = await assistant_with(client, SEARCH, tool_resources=resources)
    assert assistant.tool_resources is not None
    assert assistant.tool_resources.file_search is not None
    (store_id,) = assistant.tool_resources.file_search.vector_store_ids or []
    store = await client.vector_stores.retrieve(store_id)
    assert (store.metadata, store.expires_after, store.file_counts.total) == ({"k": "v"}, None, 1)
    deleted = await client.beta.assistants.delete(assistant.id)
    assert (deleted.deleted, deleted.object) == (True, "assistant.deleted")
    for gone in (client.beta.assistants.retrieve(assistant.id), client.vector_stores.retrieve(store_id)):
        with pytest.raises(openai.NotFoundError):
            await gone
    assert (await client.files.retrieve(file_id)).id == file_id


@pytest.mark.parametrize(
    ("options", "status", "param"),
    [
        ({"model": ""}, 400, "model"),
        ({"temperature": 3}, 400, "temperature"),
        ({"name": "x" * 257}, 400, "name"),
        ({"tools": [{"type": "browser"}]}, 400, "tools[0]"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, 400, "tools[0].function.function.name"),
        ({"tools": [CODE] * 129}, 400, "tools"),
        ({"metadata": {"k": "v" * 513}}, 400, "metadata.k"),
        ({"response_format": {"type": "xml"}}, 400, "response_format.type"),
        ({"tool_resources": {"code_interpreter": {"file_ids": ["file-none"]}}}, 404, "id"),
        ({"tool_resources": {"file_search": {"vector_store_ids": ["vs_none"]}}}, 404, "id"),
        ({"tool_resources": {"file_search": {"vector_stores": [{"file_ids": ["file-none"]}]}}}, 404, "id"),
    ],
)
async def test_invalid_assistant_options_are_refused(
    client: AsyncOpenAI, options: Any, status: int, param: str
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        await client.beta.assistants.create(**{"model": "m", **options})
    assert (caught.value.status_code, caught.value.param) == (status, param)
    assert (await client.beta.assistants.list()).data == []
    assert (await client.vector_stores.list()).data == []


async def test_a_second_store_is_refused(client: AsyncOpenAI) -> None:
    store = await client.vector_stores.create()
    both: Any = {"file_search": {"vector_store_ids": [store.id], "vector_stores": [{}]}}
    with pytest.raises(openai.BadRequestError, match="one vector store"):
        await assistant_with(client, tool_resources=both)


async def test_tools_are_given_back_as_they_came(client: AsyncOpenAI) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["x", None], "default": None}}}
    function: Any = {"name": "f", "description": None, "parameters": schema, "strict": None}
    search: Any = {"type": "file_search", "file_search": {"max_num_results": 3, "ranking_options": None}}
    assistant = await assistant_with(client, {"type": "function", "function": function}, search)
    assert [tool.to_dict() for tool in assistant.tools] == [
        {"type": "function", "function": {"name": "f", "parameters": schema}},
        {"type": "file_search", "file_search": {"max_num_results": 3}},
    ]


# ---- threads -----------------------------------------------------------------------------------------------


async def test_a_thread_lives(client: AsyncOpenAI) -> None:
    file_id = await uploaded(client)
    thread = await client.beta.threads.create(
        messages=[{"role": "user", "content": "A?"}, {"role": "assistant", "content": "B."}],
        metadata={"k": "v"},
        tool_resources={"code_interpreter": {"file_ids": [file_id]}},
    )
    assert await client.beta.threads.retrieve(thread.id) == thread
    assert thread.to_dict()["tool_resources"] == {"code_interpreter": {"file_ids": [file_id]}}
    said = [message.role async for message in client.beta.threads.messages.list(thread.id, order="asc")]
    assert said == ["user", "assistant"]
    changed = await client.beta.threads.update(thread.id, metadata={"n": "1"})
    assert (changed.metadata, changed.tool_resources) == ({"n": "1"}, thread.tool_resources)
    changed = await client.beta.threads.update(thread.id, tool_resources=None)
    assert (changed.metadata, changed.to_dict()["tool_resources"]) == ({"n": "1"}, {})


async def test_deleting_a_thread_deletes_everything_created_for_it(client: AsyncOpenAI) -> None:
    file_id = await uploaded(client)
    attached: Any = [{"file_id": file_id, "tools": [SEARCH]}]
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": "A?", "attachments": attached}])
    (store_id,) = thread.to_dict()["tool_resources"]["file_search"]["vector_store_ids"]  # type: ignore[index]
    assistant = await assistant_with(client)
    run = await done(client, await client.beta.threads.runs.create(thread.id, assistant_id=assistant.id))
    assert (await client.beta.threads.delete(thread.id)).object == "thread.deleted"
    for gone in (
        client.beta.threads.retrieve(thread.id),
        client.beta.threads.delete(thread.id),
        client.beta.threads.messages.list(thread.id),
        client.beta.threads.runs.retrieve(run.id, thread_id=thread.id),
        client.beta.threads.runs.steps.list(run.id, thread_id=thread.id),
        client.vector_stores.retrieve(store_id),
    ):
        with pytest.raises(openai.NotFoundError):
            await gone
    assert (await client.files.retrieve(file_id)).id == file_id


async def test_a_thread_is_made_whole_or_not_at_all(client: AsyncOpenAI, emulator: Any) -> None:
    file_id = await uploaded(client)
    resources: Any = {"file_search": {"vector_stores": [{"file_ids": [file_id]}]}}
    bad: Any = {"role": "user", "content": "x", "attachments": [{"file_id": "file-none", "tools": [CODE]}]}
    with pytest.raises(openai.NotFoundError):
        await client.beta.threads.create(messages=[{"role": "user", "content": "A"}, bad], tool_resources=resources)
    assistant = await assistant_with(client)
    with pytest.raises(openai.NotFoundError):
        await client.beta.threads.create_and_run(assistant_id="asst_none", thread={"tool_resources": resources})
    with pytest.raises(openai.NotFoundError):
        await client.beta.threads.create_and_run(assistant_id=assistant.id, thread={"messages": [bad]})
    assert emulator.state.emulator.store.all("thread") == []
    assert emulator.state.emulator.store.all("message") == []
    assert (await client.vector_stores.list()).data == []


# ---- messages ----------------------------------------------------------------------------------------------


async def test_a_message_has_its_shape(client: AsyncOpenAI, emulator_clock: Clock) -> None:
    thread = await client.beta.threads.create()
    parts: Any = [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]
    message = await client.beta.threads.messages.create(thread.id, role="user", content=parts, metadata={"k": "v"})
    assert message.to_dict() == {
        "id": message.id,
        "object": "thread.message",
        "created_at": int(emulator_clock.now),
        "thread_id": thread.id,
        "status": "completed",
        "incomplete_details": None,
        "completed_at": None,
        "incomplete_at": None,
        "role": "user",
        "content": [
            {"type": "text", "text": {"value": "One", "annotations": []}},
            {"type": "text", "text": {"value": "Two", "annotations": []}},
        ],
        "assistant_id": None,
        "run_id": None,
        "attachments": [],
        "metadata": {"k": "v"},
    }
    messages = client.beta.threads.messages
    assert await messages.retrieve(message.id, thread_id=thread.id) == message
    changed = await messages.update(message.id, thread_id=thread.id, metadata={"n": "1"})
    assert changed.metadata == {"n": "1"}
    assert await messages.update(message.id, thread_id=thread.id) == changed
    assert (await messages.delete(message.id, thread_id=thread.id)).object == "thread.message.deleted"
    with pytest.raises(openai.NotFoundError):
        await messages.retrieve(message.id, thread_id=thread.id)


async def test_messages_are_listed_by_page_and_by_run(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [Say(text="One."), Say(text="Two.")]
    run = await done(client, await asked(client, "A?"))
    messages = client.beta.threads.messages
    await messages.create(run.thread_id, role="user", content="B?")
    second = await client.beta.threads.runs.create(run.thread_id, assistant_id=run.assistant_id)
    await done(client, second)
    texts = ["A?", "One.", "B?", "Two."]
    oldest = [message async for message in messages.list(run.thread_id, order="asc", limit=3)]
    assert [one.content[0].text.value for one in oldest] == texts  # type: ignore[union-attr]
    ids = [message.id for message in oldest]
    assert [one.id for one in (await messages.list(run.thread_id, after=ids[2])).data] == [ids[1], ids[0]]
    assert [one.id for one in (await messages.list(run.thread_id, before=ids[1], limit=1)).data] == [ids[2]]
    by_run = (await messages.list(run.thread_id, run_id=second.id)).data
    assert [(one.id, one.run_id, one.assistant_id) for one in by_run] == [(ids[3], second.id, run.assistant_id)]
    with pytest.raises(openai.BadRequestError):
        await messages.list(run.thread_id, after="msg_none")


@pytest.mark.parametrize(
    ("options", "status", "param"),
    [
        ({"content": ""}, 400, "content"),
        ({"content": []}, 400, "content"),
        ({"content": [{"type": "text"}]}, 400, "content[0]"),
        ({"content": [{"type": "image_url", "image_url": {"url": "https://e.example/a.png"}}]}, 501, "content[0].type"),
        ({"role": "system"}, 400, "role"),
        ({"attachments": [{"file_id": "file-none", "tools": [CODE]}]}, 404, "id"),
        ({"attachments": [{"file_id": "x", "tools": [FUNCTION]}]}, 400, None),
        ({"extra_body": {"nonsense": 1}}, 400, "nonsense"),
    ],
)
async def test_invalid_messages_are_refused(client: AsyncOpenAI, options: Any, status: int, param: str | None) -> None:
    thread = await client.beta.threads.create()
    with pytest.raises(openai.APIStatusError) as caught:
        await client.beta.threads.messages.create(thread.id, **{"role": "user", "content": "x", **options})
    assert caught.value.status_code == status
    assert param in (None, caught.value.param)
    assert (await client.beta.threads.messages.list(thread.id)).data == []


async def test_attachments_go_to_the_tools_of_the_thread(client: AsyncOpenAI) -> None:
    first, second = await uploaded(client), await uploaded(client, "b.csv", b"x\n1\n")
    thread = await client.beta.threads.create()
    messages = client.beta.threads.messages
    both: Any = [{"file_id": first, "tools": [SEARCH, CODE]}, {"file_id": second, "tools": [CODE]}]
    message = await messages.create(thread.id, role="user", content="x", attachments=both)
    assert message.to_dict()["attachments"] == both
    resources = (await client.beta.threads.retrieve(thread.id)).to_dict()["tool_resources"]
    (store_id,) = resources["file_search"]["vector_store_ids"]  # type: ignore[index]
    assert resources["code_interpreter"] == {"file_ids": [first, second]}  # type: ignore[index]
    store = await client.vector_stores.retrieve(store_id)
    assert store.expires_after is not None
    assert (store.expires_after.days, store.file_counts.total) == (7, 1)
    again: Any = [{"file_id": second, "tools": [SEARCH]}]
    await messages.create(thread.id, role="user", content="y", attachments=again)
    assert (await client.vector_stores.retrieve(store_id)).file_counts.total == 2
    assert len((await client.vector_stores.list()).data) == 1
    await client.vector_stores.delete(store_id)  # the next attachment gets a new one
    await messages.create(thread.id, role="user", content="z", attachments=again)
    resources = (await client.beta.threads.retrieve(thread.id)).to_dict()["tool_resources"]
    assert resources["file_search"]["vector_store_ids"] != [store_id]  # type: ignore[index]


async def test_a_thread_takes_twenty_files_for_code(client: AsyncOpenAI) -> None:
    ids = [await uploaded(client, f"{number}.txt") for number in range(21)]
    thread = await client.beta.threads.create(tool_resources={"code_interpreter": {"file_ids": ids[:20]}})
    more: Any = [{"file_id": ids[20], "tools": [CODE]}]
    with pytest.raises(openai.BadRequestError, match="at most 20"):
        await client.beta.threads.messages.create(thread.id, role="user", content="x", attachments=more)
