"""Who asked for it is told what became of each document, once for each version."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import pytest

from shared.engines.stores import IndexState
from shared.errors import ServiceBusy, ServiceError
from shared.push.notices import Push
from tests.fakes import Crash
from tests.unit.world import CALLBACK, World

EVENTS = ("document.indexed", "document.failed", "document.removed")


def told(world: World) -> list[tuple[str, str, str]]:
    """Event, path and status of what is on its way to the receivers."""
    bodies = [sent.message["body"] for sent in world.callbacks.messages]
    return [(body["type"], body["data"]["path"], body["data"].get("status", "")) for body in bodies]


async def delete(world: World, path: str) -> None:
    world.blobs.take_away(path)
    await world.documents.remove(path)
    await world.settle()


async def test_a_hook_is_told_of_a_documents_life(world: World) -> None:
    await world.app.push.subscribe(CALLBACK, EVENTS)
    etag = await world.drop("c/a.md")
    await world.drop("c/b.md", b"")
    await delete(world, "c/a.md")
    assert told(world) == [
        ("document.indexed", "c/a.md", "indexed"),
        ("document.failed", "c/b.md", "failed"),
        ("document.removed", "c/a.md", ""),
    ]
    first, second, third = (sent.message["body"]["data"] for sent in world.callbacks.messages)
    assert (first["collection"], first["etag"], first["reason"]) == ("c", etag, None)
    assert second["reason"]["code"] == "empty_file"
    assert third["receipt"].startswith("rcpt_")


async def test_a_hook_is_told_of_what_it_asked_for_alone(world: World) -> None:
    await world.app.push.subscribe(CALLBACK, ("document.removed",))
    await world.drop("c/a.md")
    assert told(world) == []
    await delete(world, "c/a.md")
    assert [event for event, _, _ in told(world)] == ["document.removed"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_call_loses_no_news(after: bool) -> None:
    n = 0
    while True:
        n += 1
        world = World()
        await world.app.push.subscribe(CALLBACK, EVENTS)
        world.stores.states["a.md"] = [IndexState(status="in_progress")]
        world.blobs.put("c/a.md", b"Words.")
        world.outside.crash_at(n, after=after)
        crashed = False
        for _ in range(3):
            try:
                await world.documents.index("c/a.md")
                await world.settle(looks=1000)
                break
            except Crash:
                crashed = True
                world.restart()
        world.outside.switch_on()
        await world.documents.index("c/a.md")
        await world.settle(looks=1000)
        ids = {sent.message["webhook_id"] for sent in world.callbacks.messages}
        assert len(ids) == 1, f"call {n}"
        assert set(told(world)) == {("document.indexed", "c/a.md", "indexed")}, n
        if not crashed:
            break
    assert n > 12


class FakeTopic:
    def __init__(self) -> None:
        self.answers: list[Exception] = []
        self.events: list[tuple[str, str, str]] = []

    async def publish(self, event: str, *, id: str, subject: str, at: datetime, data: Mapping[str, Any]) -> None:
        if self.answers:
            raise self.answers.pop(0)
        self.events.append((event, id, subject))


def with_topic(world: World, topic: FakeTopic) -> Push:
    push = Push(
        state=world.state,
        queue=world.callbacks,
        sender=world.sender,  # type: ignore[arg-type]
        policy=None,  # type: ignore[arg-type]
        secret=None,
        topic=topic,  # type: ignore[arg-type]
        now=world.clock,
    )
    assert push.on
    return push


async def deliver(world: World, push: Push) -> None:
    while world.callbacks.messages:
        await push.deliver(msgspec.json.encode(world.callbacks.take().message))


async def test_a_topic_is_told_of_everything_without_a_secret(world: World) -> None:
    topic = FakeTopic()
    push = with_topic(world, topic)
    await push.announce("document.indexed", id="c/a.md@0x1#0", data={"path": "c/a.md"})
    await push.announce("run.finished", id="run_1", data={"id": "run_1"}, urls=(CALLBACK,))
    topic.answers = [ServiceBusy("Later."), ServiceBusy("Later.")]
    await deliver(world, push)
    assert [(event, subject) for event, _, subject in topic.events] == [
        ("document.indexed", "documents/c/a.md"),
        ("run.finished", "runs/run_1"),
    ]
    assert world.sender.posts == []


async def test_an_event_that_the_topic_refuses_is_dropped(world: World) -> None:
    topic = FakeTopic()
    push = with_topic(world, topic)
    topic.answers = [ServiceError("Too large.")]
    await push.announce("run.finished", id="run_1", data={"id": "run_1"})
    await deliver(world, push)
    assert (topic.events, world.callbacks.messages) == ([], [])
