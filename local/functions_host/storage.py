"""Async clients of the storage accounts in the app's settings."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from azure.core.exceptions import (
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob.aio import BlobServiceClient, LinearRetry
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from local.functions_host.errors import HostError, SettingMissing
from local.functions_host.settings import STORAGE

logger = logging.getLogger(__name__)

DEVELOPMENT = (  # the meaning of `UseDevelopmentStorage=true`
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={key};"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)
PUBLISHED_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Azurite's
START_DEADLINE_S = 60.0
POLL_EVERY_S = 0.02
GONE_S, WATCH_EVERY_S = 20.0, 1.0


class Storage:
    """Clients by the name of their connection setting; they are created on first use.

    Args:
        settings: The app's environment.
        base64: Whether queue messages are base64 (host.json `messageEncoding`).
    """

    def __init__(self, settings: Mapping[str, str], *, base64: bool = True) -> None:
        self._settings = settings
        self._base64 = base64
        self._blobs: dict[str, BlobServiceClient] = {}
        self._queues: dict[str, QueueServiceClient] = {}

    def connection_string(self, connection: str | None) -> str:
        """The connection string in a setting; None is the host's own account.

        Raises:
            SettingMissing: the setting does not exist.
        """
        name = connection or STORAGE
        text = self._settings.get(name) or self._settings.get(f"AzureWebJobs{name}")
        if not text:
            raise SettingMissing(f"The storage connection {name!r} is not set: put its connection string in {name}.")
        if text.strip().rstrip(";").lower() == "usedevelopmentstorage=true":
            return DEVELOPMENT.format(key=development_key(self._settings.get("AZURITE_ACCOUNTS", "")))
        return text

    def blobs(self, connection: str | None = None) -> BlobServiceClient:
        """The blob service of an account."""
        text = self.connection_string(connection)
        if text not in self._blobs:
            self._blobs[text] = BlobServiceClient.from_connection_string(text, **options())
        return self._blobs[text]

    def queues(self, connection: str | None = None) -> QueueServiceClient:
        """The queue service of an account."""
        text = self.connection_string(connection)
        if text not in self._queues:
            self._queues[text] = QueueServiceClient.from_connection_string(text, **options())
        return self._queues[text]

    async def wait_until_up(self, connection: str | None = None) -> None:
        """Wait until the blob and queue services of an account accept connections.

        Raises:
            HostError: they do not within `START_DEADLINE_S`.
        """
        deadline = time.monotonic() + START_DEADLINE_S
        for url in (self.blobs(connection).url, self.queues(connection).url):
            if not await listens(url):
                logger.info("host.waits_for_storage", extra={"url": url})
            while not await listens(url):
                if time.monotonic() > deadline:
                    raise HostError(f"Storage does not answer at {url}. Is Azurite running?")
                await asyncio.sleep(POLL_EVERY_S)

    async def send(self, queue: str, content: bytes, connection: str | None = None) -> None:
        """Send a queue message; create the queue if it does not exist."""
        client = self.queues(connection).get_queue_client(queue)
        await send_raw(client, encode(content, as_base64=self._base64))

    async def close(self) -> None:
        """Close every connection."""
        for blobs in self._blobs.values():
            await blobs.close()
        for queues in self._queues.values():
            await queues.close()


def development_key(accounts: str) -> str:
    """The key of Azurite's usual account: that in `AZURITE_ACCOUNTS`, as Azurite reads it, else the published one."""
    keys = dict(account.split(":")[:2] for account in accounts.split(";") if ":" in account)
    return keys.get("devstoreaccount1", PUBLISHED_KEY)


async def end_without(
    storage: Storage,
    connections: set[str | None],
    end: Callable[[], None],
    *,
    gone_s: float = GONE_S,
    every_s: float = WATCH_EVERY_S,
) -> None:
    """Call `end` when an account has not answered for `gone_s`, as the real host ends without its storage."""
    urls = [service(c).url for c in connections for service in (storage.blobs, storage.queues)]
    gone_since: float | None = None
    while True:
        answers = all([await listens(url) for url in urls])
        gone_since = None if answers else gone_since or time.monotonic()
        if gone_since and time.monotonic() - gone_since > gone_s:
            logger.error("An unhandled exception has occurred. Host is shutting down: storage does not answer")
            end()
            return
        await asyncio.sleep(every_s)


async def send_raw(client: QueueClient, content: str) -> None:
    """Send a queue message without encoding it; create the queue if it does not exist."""
    try:
        await client.send_message(content)
    except ResourceNotFoundError:
        await create_queue(client)
        await client.send_message(content)


async def create_queue(client: QueueClient) -> None:
    """Create a queue if it does not exist."""
    try:
        await client.create_queue()
    except ResourceExistsError:
        return


async def create_queue_at_start(client: QueueClient, *, within_s: float = START_DEADLINE_S) -> None:
    """Create a queue if it does not exist, while storage may still be starting.

    The port of a container is open before its program listens: connections are accepted there, and closed.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            await create_queue(client)
        except (ServiceRequestError, ServiceResponseError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(POLL_EVERY_S)
        else:
            return


async def listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(
            parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        )
    except OSError:
        return False
    writer.close()
    return True


def options() -> dict[str, Any]:
    """Client options: short retries, and no proxy lookup if there is no proxy: aiohttp repeats it for each request.

    The host's own requests are not logged; those of the app are, as in Azure.
    """
    retries = LinearRetry(backoff=1, retry_total=2, random_jitter_range=0)
    silent = logging.getLogger(f"{__name__}.requests")
    silent.setLevel(logging.WARNING)
    proxies = bool(getproxies().keys() - {"no"})
    return {"retry_policy": retries, "use_env_settings": proxies, "logger": silent}


def encode(content: bytes, *, as_base64: bool) -> str:
    """Encode the content of a queue message."""
    return base64.b64encode(content).decode() if as_base64 else content.decode()


def decode(content: str, *, as_base64: bool) -> bytes:
    """Decode the content of a queue message. White space in base64 is ignored, as in .NET.

    Raises:
        ValueError: the content is not base64.
    """
    if not as_base64:
        return content.encode()
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except binascii.Error as exc:
        raise ValueError(f"not base64: {exc}") from exc
