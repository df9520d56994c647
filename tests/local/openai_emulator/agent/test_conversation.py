"""Where the turn begins in a conversation: at the question that is to be answered."""

from __future__ import annotations

from typing import Any

import pytest

from local.openai_emulator.agent.conversation import Called, Event, Said, turn_start
from local.openai_emulator.agent.model import Say
from tests.local.openai_emulator.client import ScriptedModel, client_of, running_app


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


HISTORY: list[Any] = [said("user", "First?"), said("assistant", "First."), said("user", "Second?")]


@pytest.mark.parametrize(
    ("roles", "first_new", "expected"),
    [
        (["user"], 0, 0),
        (["user", "user"], 0, 0),
        (["developer", "user"], 0, 0),
        (["user", "assistant", "user"], 0, 2),
        (["user", "assistant", "system", "user", "user"], 0, 2),
        (["user", "assistant", "user", "assistant"], 0, 2),
        (["user", "assistant", "user", "call"], 0, 2),
        (["user", "call", "user"], 0, 2),
        (["user", "call"], 1, 1),
        (["user", "assistant", "call", "assistant"], 2, 2),
        (["user", "user"], 1, 1),
        ([], 0, 0),
    ],
)
def test_the_turn_begins_at_the_last_question(roles: list[str], first_new: int, expected: int) -> None:
    call = Called(call_id="c", name="f", arguments="{}")
    events: list[Event] = [call if role == "call" else Said(role=role, text="") for role in roles]
    assert turn_start(events, first_new) == expected


async def test_each_api_answers_the_last_question_of_a_repeated_conversation() -> None:
    model = ScriptedModel(Say(text="Second."), Say(text="Second."), Say(text="Second."))
    async with running_app(model=model) as app, client_of(app) as client:
        await client.responses.create(model="m", input=HISTORY)
        await client.chat.completions.create(model="m", messages=HISTORY)
        assistant = await client.beta.assistants.create(model="m")
        thread = await client.beta.threads.create(messages=HISTORY)
        await client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    for prompt in model.prompts:
        assert [event.text for event in prompt.events[prompt.turn_starts_at :]] == ["Second?"]
    assert len(model.prompts) == 3
