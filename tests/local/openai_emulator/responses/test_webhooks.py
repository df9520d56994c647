"""Webhook events: signed as the SDK expects, sent again when they are refused."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai
import pytest
from openai import AsyncOpenAI

from local.openai_emulator.responses import webhooks
from local.openai_emulator.responses.webhooks import Webhooks

SECRET = "whsec_" + base64.b64encode(b"a key of the test").decode()

Request = tuple[dict[str, str], bytes]


@asynccontextmanager
async def receiver(*statuses: int) -> AsyncIterator[tuple[str, asyncio.Queue[Request]]]:
    """An HTTP server that answers with these statuses in turn; yields its URL and the requests it got."""
    left = list(statuses)
    received = asyncio.Queue[Request]()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.partition(": ") for line in head.splitlines()[1:] if line]
        headers = {name.lower(): value for name, _, value in lines}
        await received.put((headers, await reader.readexactly(int(headers["content-length"]))))
        writer.write(f"HTTP/1.1 {left.pop(0)} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook", received


async def test_the_sdk_accepts_the_signature() -> None:
    async with receiver(200) as (url, received):
        sender = Webhooks(url=url, secret=SECRET)
        sender.announce("response.completed", "resp_1")
        headers, body = await asyncio.wait_for(received.get(), 180)
        await sender.close()
    client = AsyncOpenAI(api_key="test", webhook_secret=SECRET)
    event = client.webhooks.unwrap(body, headers)
    assert (event.type, event.data.id, event.id) == ("response.completed", "resp_1", headers["webhook-id"])
    assert headers["content-type"] == "application/json"
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(body + b" ", headers)


async def test_a_refused_event_is_sent_again_under_the_same_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "FIRST_WAIT_S", 0.01)
    async with receiver(503, 200) as (url, received):
        sender = Webhooks(url=url, secret=SECRET)
        sender.announce("response.failed", "resp_1")
        (first, body), (second, again) = [await asyncio.wait_for(received.get(), 180) for _ in range(2)]
        await sender.close()
    assert first["webhook-id"] == second["webhook-id"]
    assert body == again


async def test_without_a_url_nothing_is_sent() -> None:
    sender = Webhooks(url=None, secret=None)
    sender.announce("response.completed", "resp_1")
    await sender.close()


@pytest.mark.parametrize("secret", [None, "", "whsec_", "whsec_a"])
def test_a_secret_without_a_key_is_refused_at_start(secret: str | None) -> None:
    with pytest.raises(ValueError, match="EMULATOR_WEBHOOK_SECRET"):
        Webhooks(url="http://127.0.0.1:1/", secret=secret)
