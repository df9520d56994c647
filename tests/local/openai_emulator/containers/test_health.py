"""While hostile code runs and its files are kept, the emulator's loop stays free: `healthz` answers."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from starlette.applications import Starlette

from local.openai_emulator.agent.model import RunCode, Say
from local.openai_emulator.containers.budget import MIB, Budget
from tests.local.openai_emulator.client import ScriptedModel, create
from tests.long import long_but

# the attacks that froze the emulator, in their full size
ATTACKS = {
    "sparse images": "for i in range(260): open(f's{i}.png', 'wb').truncate(8 << 20)",
    "sparse files": "for i in range(5000): open(f's{i}.bin', 'wb').truncate(64 << 20)",
    "tiny files": "for i in range(19_000): open(f's{i}.txt', 'w').close()",
    "long output": "for i in range(200): print('x' * 1_000_000)",
    "a long value": "'x' * 200_000_000",
}
LOOP_S = 2.0  # of processor time, without another task having its turn: does not depend on other work of the machine


@pytest.mark.parametrize("attack", long_but(ATTACKS, "sparse images"))
async def test_health_answers_during_an_attack(
    openai_client: AsyncOpenAI, emulator: Starlette, emulator_model: ScriptedModel, attack: str
) -> None:
    emulator_model.moves = [RunCode(code=ATTACKS[attack]), RunCode(code="print(6 * 7)"), Say(text="Done.")]
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    include = ["code_interpreter_call.outputs"]
    asking: asyncio.Task[Any] = asyncio.create_task(create(openai_client, tools=[tool], include=include))
    answers, longest_s, before_s = 0, 0.0, time.thread_time()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(emulator), base_url="http://emulator") as client:
        while not asking.done():
            assert (await client.get("/healthz")).json()["status"] == "ok"
            answers += 1
            longest_s = max(longest_s, time.thread_time() - before_s)
            before_s = time.thread_time()
            await asyncio.sleep(0.001)
    response = await asking
    assert response.status == "completed"
    assert answers > 10
    assert longest_s < LOOP_S
    assert len(response.model_dump_json()) < Budget().run_image_bytes * 1.5 + 4 * MIB
    assert [item.status for item in response.output] == ["completed"] * 3
    assert response.output[1].outputs[0].logs == "42\n"
