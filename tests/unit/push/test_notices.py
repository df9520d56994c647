"""Which events go to which targets, their signature, and when a delivery is retried."""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from openai import InvalidWebhookSignatureError, OpenAI

from shared.errors import BadRequest, ServiceBusy, SettingError
from shared.push.notices import RETRY_DELAYS_S, Push, delivery_delay_s
from shared.push.outbound import URL_MAX_CHARS, UrlPolicy
from tests.fakes import Clock, Crash, FakeSender, InMemoryBlobs, InMemoryQueue, Outside, Post

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
TOKEN = "sig-do-not-tell"
URL = f"https://receiver.example/hook?sig={TOKEN}"
OTHER = f"https://prod-1.westeurope.logic.azure.com/workflows/x?sig={TOKEN}"
DATA = {"id": "run_1", "status": "completed"}

CLOUD = UrlPolicy(hosts=("receiver.example", "*.logic.azure.com"))


@dataclass
class World:
    """`push` on fakes; `drain` delivers its queue messages, as the Functions host does."""

    clock: Clock = field(default_factory=Clock)
    outside: Outside = field(default_factory=Outside)
    sender: FakeSender = field(default_factory=FakeSender)

    def __post_init__(self) -> None:
        self.state = InMemoryBlobs("state", self.outside, self.clock)
        self.queue = InMemoryQueue("callbacks", self.outside, self.clock)
        self.push = self.instance()

    def instance(self, secret: str | None = SECRET) -> Push:
        return Push(
            state=self.state,
            queue=self.queue,
            sender=self.sender,  # type: ignore[arg-type]
            policy=CLOUD,
            secret=secret,
            now=self.clock,
        )

    async def deliver_next(self) -> None:
        sent = self.queue.take()
        self.clock.now = max(self.clock.now, sent.due_at)
        await self.push.deliver(msgspec.json.encode(sent.message))

    async def drain(self) -> None:
        while self.queue.messages:
            await self.deliver_next()


@pytest.fixture
def world() -> World:
    return World()


# ---- check and subscribe -----------------------------------------------------------------------------------------


async def test_check_names_the_setting_when_there_is_no_secret(world: World) -> None:
    with pytest.raises(BadRequest, match="CALLBACK_SECRET") as caught:
        await world.instance(secret=None).check(URL)
    assert caught.value.code == "callback_not_allowed"


async def test_check_uses_the_policy_and_then_the_resolved_address(world: World) -> None:
    await world.push.check(URL)
    with pytest.raises(BadRequest):
        await world.push.check("https://other.example/")
    world.sender.inside.add("receiver.example")
    with pytest.raises(BadRequest):
        await world.push.check(URL)


@pytest.mark.parametrize(
    "secret",
    ["secret", "whsec_", "whsec_short", "whsec_!!!!" + "A" * 40, SECRET.removeprefix("whsec_"), SECRET[:-1], SECRET * 3]
    + ["whsec_" + base64.b64encode(bytes(n)).decode() for n in (23, 65)],
)
def test_an_invalid_secret_is_a_setting_error_that_does_not_contain_it(world: World, secret: str) -> None:
    with pytest.raises(SettingError, match="CALLBACK_SECRET") as caught:
        world.instance(secret=secret)
    assert secret == "whsec_" or secret not in str(caught.value)


async def test_a_hook_gets_its_events_until_it_is_deleted(world: World) -> None:
    hook = await world.push.subscribe(URL, ("run.finished",))
    assert hook.created_at == world.clock.now
    assert TOKEN not in repr(hook)
    await world.push.announce("run.finished", id="run_1", data=DATA)
    await world.push.announce("document.indexed", id="a.pdf", data={})
    await world.drain()
    assert [post.url for post in world.sender.posts] == [URL]

    await world.push.announce("run.finished", id="run_2", data=DATA)
    await world.push.unsubscribe(hook.id)
    await world.push.unsubscribe(hook.id)
    await world.push.announce("run.finished", id="run_3", data=DATA)
    await world.drain()
    assert len(world.sender.posts) == 1, "the delivery on the queue is dropped, and no new one is sent"


async def test_the_url_of_a_hook_is_not_in_its_metadata_nor_on_the_queue(world: World) -> None:
    await world.push.subscribe(URL, ("run.finished",))
    await world.push.announce("run.finished", id="run_1", data=DATA)
    assert TOKEN not in str([info async for info in world.state.list("hooks/")])
    assert TOKEN not in str(world.queue.messages)


@pytest.mark.parametrize("events", [(), ("run.exploded",), ("run.finished", "*")])
async def test_a_hook_with_an_unknown_event_is_rejected(world: World, events: tuple[str, ...]) -> None:
    with pytest.raises(BadRequest, match=r"run\.finished") as caught:
        await world.push.subscribe(URL, events)
    assert caught.value.code == "unknown_event"


async def test_a_hook_for_a_host_that_is_not_allowed_is_not_stored(world: World) -> None:
    with pytest.raises(BadRequest):
        await world.push.subscribe("https://other.example/", ("run.finished",))
    assert world.state.names() == []


@pytest.mark.parametrize(
    "hook_id", ["../runs/run_1", "x/../../runs/run_1", "run_1", "", "hook_", "hook_" + "a" * 24 + "\n"]
)
async def test_unsubscribing_an_invalid_id_accesses_no_blob(world: World, hook_id: str) -> None:
    world.state.put("runs/run_1.json", b"{}")
    await world.push.unsubscribe(hook_id)
    assert world.outside.calls == []


# ---- announce ----------------------------------------------------------------------------------------------------


async def test_one_delivery_for_each_target(world: World) -> None:
    await world.push.subscribe(OTHER, ("run.finished",))
    await world.push.announce("run.finished", id="run_1", data=DATA, urls=(URL, OTHER, URL))
    await world.drain()
    assert sorted(post.url for post in world.sender.posts) == sorted([URL, OTHER, OTHER])
    assert len({post.headers["webhook-id"] for post in world.sender.posts}) == 3


async def test_announcing_twice_repeats_the_ids(world: World) -> None:
    await world.push.subscribe(OTHER, ("run.finished",))
    for _ in range(2):
        await world.instance().announce("run.finished", id="run_1", data=DATA, urls=(URL,))
        world.clock.forward(60)
    await world.push.announce("run.finished", id="run_2", data=DATA, urls=(URL,))
    await world.drain()
    ids = [(post.url, post.headers["webhook-id"]) for post in world.sender.posts]
    assert len(ids) == 6
    assert len(set(ids)) == 4


async def test_a_crash_between_two_targets_is_repaired_by_a_repeat(world: World) -> None:
    world.outside.crash_at(2, after=False)
    with pytest.raises(Crash):
        await world.push.announce("run.finished", id="run_1", data=DATA, urls=(URL, OTHER))
    world.outside.switch_on()
    await world.push.announce("run.finished", id="run_1", data=DATA, urls=(URL, OTHER))
    await world.drain()
    assert {post.url for post in world.sender.posts} == {URL, OTHER}


@pytest.mark.parametrize(
    ("text", "whole"),
    [("x" * 30_000, True), ("x" * 40_000, False), ("ß" * 20_000, False), ("\x01" * 10_000, False)],
    ids=["fits", "long", "long in UTF-8", "long once it is escaped"],
)
async def test_a_message_fits_into_a_queue_for_any_data(world: World, text: str, whole: bool) -> None:
    """A run with large metadata must end too: its event contains only the id, and the receiver can request the rest."""
    longest = "https://receiver.example/".ljust(URL_MAX_CHARS, "\U0001f600")
    await world.push.announce("run.finished", id="run_1", data={"id": "run_1", "text": text}, urls=(longest,))
    [sent] = world.queue.messages
    assert len(base64.b64encode(msgspec.json.encode(sent.message))) <= 64 * 1024
    await world.drain()
    assert body_of(world.sender.posts[0])["data"] == ({"id": "run_1", "text": text} if whole else {"id": "run_1"})


async def test_without_a_secret_nothing_is_announced_or_delivered(world: World) -> None:
    await world.instance(secret=None).announce("run.finished", id="run_1", data=DATA, urls=(URL,))
    assert world.outside.calls == []
    await world.push.announce("run.finished", id="run_1", data=DATA, urls=(URL,))
    world.push = world.instance(secret=None)
    await world.drain()
    assert world.sender.posts == []


# ---- what is sent ------------------------------------------------------------------------------------------------


async def test_the_openai_sdk_verifies_what_is_sent(world: World) -> None:
    """OpenAI also uses Standard Webhooks. The SDK compares the timestamp with the real clock."""
    world.clock.now = datetime.now(UTC)
    await world.push.announce("run.finished", id="run_1", data={**DATA, "name": "Größe"}, urls=(URL,))
    await world.drain()
    [post] = world.sender.posts
    with OpenAI(api_key="none", webhook_secret=SECRET) as client:
        event: Any = client.webhooks.unwrap(post.body, post.headers)
        assert (event.type, event.data.name) == ("run.finished", "Größe")
        with pytest.raises(InvalidWebhookSignatureError):
            client.webhooks.unwrap(post.body + b" ", post.headers)
        with pytest.raises(InvalidWebhookSignatureError):
            client.webhooks.unwrap(post.body, post.headers | {"webhook-id": "msg_2"})


def body_of(post: Post) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(post.body)
    return body


async def test_every_attempt_sends_the_same_event_with_a_new_timestamp(world: World) -> None:
    """`timestamp` in the body is the time of the event, in the header that of the attempt; both are signed."""
    happened_at = world.clock.now
    world.sender.answers = [500, 500]
    await world.push.announce("run.finished", id="run_1", data=DATA, urls=(URL,))
    await world.drain()
    assert len(world.sender.posts) == 3
    assert len({post.body for post in world.sender.posts}) == 1
    assert len({post.headers["webhook-id"] for post in world.sender.posts}) == 1
    assert len({post.headers["webhook-timestamp"] for post in world.sender.posts}) == 3
    assert len({post.headers["webhook-signature"] for post in world.sender.posts}) == 3
    body = body_of(world.sender.posts[0])
    assert datetime.fromisoformat(body.pop("timestamp")) == happened_at
    assert body == {"type": "run.finished", "data": DATA}
    assert world.sender.posts[0].headers["Content-Type"] == "application/json"


# ---- tries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "delay_s"),
    [(1, 5), (2, 30), (3, 120), (4, 600), (5, 3_600), (6, 10_800), (7, 21_600), (8, 50_400)],
)
def test_the_delay_after_each_failed_attempt(attempt: int, delay_s: int) -> None:
    waits = {delivery_delay_s(attempt) for _ in range(200)}
    assert all(wait is not None and delay_s <= wait <= delay_s * 1.1 for wait in waits)
    assert delay_s < 30 or len(waits) > 1, "the delay is random"


def test_the_ninth_attempt_is_the_last_one_day_after_the_first() -> None:
    assert delivery_delay_s(9) is None
    assert timedelta(hours=24) <= timedelta(seconds=sum(RETRY_DELAYS_S)) <= timedelta(hours=25)


FAULTS: list[int | BadRequest | ServiceBusy] = [
    301, 400, 401, 404, 429, 500, 503, 199, ServiceBusy("Out of reach."), BadRequest("Not public.")
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_any_error_is_retried_for_a_day_and_then_given_up(
    world: World, fault: int | BadRequest | ServiceBusy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    started_at = world.clock.now
    world.sender.answers = [fault] * 20
    await world.push.announce("run.finished", id="run_1", data=DATA, urls=(URL,))
    await world.drain()
    assert len(world.sender.posts) == 9
    assert timedelta(hours=24) <= world.clock.now - started_at <= timedelta(hours=27)
    assert [record.message.split()[0] for record in caplog.records] == ["push.put_off"] * 8 + ["push.given_up"]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_status_2xx_ends_the_delivery(world: World, status: int) -> None:
    world.sender.answers = [500, status]
    await world.push.announce("run.finished", id="run_1", data=DATA, urls=(URL,))
    await world.drain()
    assert len(world.sender.posts) == 2


async def test_status_410_ends_the_delivery_and_deletes_the_hook(world: World) -> None:
    hook = await world.push.subscribe(URL, ("run.finished",))
    stays = await world.push.subscribe(OTHER, ("run.finished",))
    world.sender.answers = [410]
    await world.push.announce("run.finished", id="run_1", data=DATA, urls=(URL,))
    await world.drain()
    assert world.state.names() == sorted(f"hooks/{id}.json" for id in (hook.id, stays.id)), "410 was for the run's URL"

    world.sender.posts.clear()
    world.sender.answers = [410, 410]
    await world.push.announce("run.finished", id="run_2", data=DATA)
    await world.drain()
    assert len(world.sender.posts) == 2
    assert world.state.names() == []


async def test_a_message_delivered_twice_sends_the_same_id_twice(world: World) -> None:
    await world.push.announce("run.finished", id="run_1", data=DATA, urls=(URL,))
    message = msgspec.json.encode(world.queue.take().message)
    await world.push.deliver(message)
    await world.push.deliver(message)
    assert len({post.headers["webhook-id"] for post in world.sender.posts}) == 1


@pytest.mark.parametrize("message", [b"", b"[]", b"{}", b'{"webhook_id": 1, "body": {}}'])
async def test_a_message_that_cannot_be_read_raises(world: World, message: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        await world.push.deliver(message)


# ---- secrets -----------------------------------------------------------------------------------------------------


async def test_logs_contain_hosts_and_ids_but_no_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hook = await world.push.subscribe(OTHER, ("run.finished",))
    world.sender.answers = [500, ServiceBusy("Out of reach."), 200, 410]
    await world.push.announce("run.finished", id="run_1", data=DATA, urls=(URL,))
    await world.drain()
    world.sender.answers = [500] * 9
    await world.push.announce("run.finished", id="run_2", data=DATA, urls=(URL,))
    await world.drain()
    await world.push.announce("run.finished", id="run_3", data=DATA, urls=(URL,))
    await world.instance(secret=None).deliver(msgspec.json.encode(world.queue.take().message))
    await world.instance(secret=None).announce("run.finished", id="run_3", data=DATA, urls=(URL,))

    told = [str(vars(record)) for record in caplog.records]
    assert {record.message.split()[0] for record in caplog.records} == {
        f"push.{what}"
        for what in ("subscribed", "unsubscribed", "put_off", "delivered", "gone", "given_up", "dropped", "off")
    }
    assert any("receiver.example" in line for line in told)
    assert any(hook.id in line for line in told)
    for secret in (TOKEN, SECRET, SECRET.removeprefix("whsec_"), "/hook", "/workflows"):
        assert not any(secret in line for line in told)


@pytest.mark.parametrize(
    "url",
    [
        f"https://other.example/{TOKEN}",
        f"http://receiver.example/{TOKEN}",
        f"https://user:{TOKEN}@receiver.example/",
        f"https://receiver.example:99999/{TOKEN}",
        f"https://receiver.example/#{TOKEN}",
        f"https://[::1/{TOKEN}",
    ],
)
async def test_an_error_contains_only_the_host_of_the_url(world: World, url: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await world.push.check(url)
    assert TOKEN not in caught.value.message
    assert caught.value.__cause__ is None
