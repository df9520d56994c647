"""Shared by the Assistants API tests: a client that checks every response, and helpers to create and await runs."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
from openai import AsyncOpenAI
from openai.types.beta import Assistant
from openai.types.beta.threads import Message, Run
from openai.types.beta.threads.runs import RunStep
from starlette.applications import Starlette

from local.openai_emulator.agent.conversation import Called, Prompt
from local.openai_emulator.agent.model import CallFunctions, Say
from tests.local.openai_emulator.client import until
from tests.local.openai_emulator.openapi import check_answer

DEPRECATED = "ignore::DeprecationWarning"  # each method of the SDK warns
CONTENT: Any = "step_details.tool_calls[*].file_search.results[*].content"
CODE: Any = {"type": "code_interpreter"}
SEARCH: Any = {"type": "file_search"}
FUNCTION: Any = {
    "type": "function",
    "function": {"name": "price", "description": "A price", "parameters": {"type": "object", "properties": {}}},
}


TWO_CALLS = CallFunctions(
    calls=(
        Called(call_id="call_1", name="price", arguments='{"of": "a"}'),
        Called(call_id="call_2", name="price", arguments='{"of": "b"}'),
    )
)
OUTPUTS: Any = [{"tool_call_id": "call_1", "output": "1"}, {"tool_call_id": "call_2", "output": "2"}]


class Gate:
    """A move of a scripted model that waits until `open` is set."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, _: Prompt) -> Say:
        await self.open.wait()
        return Say(text="At last.")


def checked_client(app: Starlette) -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key="test",
        base_url="http://emulator/openai/v1/",
        http_client=httpx2.AsyncClient(transport=httpx2.ASGITransport(app), event_hooks={"response": [check_answer]}),
        max_retries=0,
        _strict_response_validation=True,
    )


async def assistant_with(client: AsyncOpenAI, *tools: Any, **options: Any) -> Assistant:
    assistant: Assistant = await client.beta.assistants.create(model="gpt-test", tools=list(tools), **options)
    return assistant


async def asked(client: AsyncOpenAI, question: str = "Hello?", *, tools: Any = (), **options: Any) -> Run:
    """Create an assistant, a thread and a run."""
    assistant = await assistant_with(client, *tools)
    run: Run = await client.beta.threads.create_and_run(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": question}]}, **options
    )
    return run


async def status(client: AsyncOpenAI, run: Run, *wanted: str) -> Run:
    """Wait until the run has one of these statuses; return it."""

    async def look() -> Run | None:
        now: Run = await client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)
        return now if now.status in wanted else None

    found: Run = await until(look)
    return found


async def done(client: AsyncOpenAI, run: Run) -> Run:
    return await status(client, run, "completed", "failed", "incomplete", "cancelled", "expired")


async def steps_of(client: AsyncOpenAI, run: Run, **options: Any) -> list[RunStep]:
    """Oldest first."""
    page = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc", **options)
    return [step async for step in page]


async def answer_of(client: AsyncOpenAI, run: Run) -> Message:
    messages = [message async for message in client.beta.threads.messages.list(run.thread_id, run_id=run.id)]
    assert len(messages) == 1
    return messages[0]


def text_of(message: Message) -> str:
    return "".join(block.text.value for block in message.content if block.type == "text")
