"""Receives queue messages and runs functions for them, with the real host's rules for retries and poison queues.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.functions.meta import Datum
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from local.functions_host.functions.invocation import TriggerInput
from local.functions_host.settings import QueueOptions
from local.functions_host.storage import decode, send_raw

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 0.1
LEASE_S = 600  # visibility timeout of a received message; renewed after half of it
CLOCK_MARGIN_S = 0.002  # storage rounds times to milliseconds


@dataclass(frozen=True, kw_only=True)
class Received:
    """A received queue message with its decoded content."""

    content: bytes
    message: QueueMessage
    last_try: bool = False  # if this attempt fails, the message goes to the poison queue


Handler = Callable[[Received], Awaitable[None]]


class BindingFailed(Exception):
    """The content of a message does not fit the parameter."""


class QueueListener:
    """Receives the messages of a queue.

    Args:
        service: Client of the storage account.
        queue: Name of the queue; the listener does not create it.
        poison: Name of the queue for messages that failed `max_dequeue_count` times; created if needed.
        handle: Called for each message; the message failed if it raises.
        options: From host.json.
        lease_s: Visibility timeout of a received message.
    """

    def __init__(
        self,
        service: QueueServiceClient,
        queue: str,
        *,
        poison: str,
        handle: Handler,
        options: QueueOptions,
        lease_s: int = LEASE_S,
    ) -> None:
        self.queue = queue
        self._client: QueueClient = service.get_queue_client(queue)
        self._poison: QueueClient = service.get_queue_client(poison)
        self._handle = handle
        self._options = options
        self._lease_s = lease_s
        self._look = asyncio.Event()
        self._failing = False
        self._running: set[asyncio.Task[None]] = set()

    def wake(self, after_s: float = 0.0) -> None:
        """Receive messages now, or in `after_s` seconds."""
        if after_s <= 0:
            self._look.set()
        else:
            asyncio.get_running_loop().call_later(after_s + CLOCK_MARGIN_S, self._look.set)

    async def run(self) -> None:
        """Receive messages until cancelled. Running calls continue after that, see `finish`."""
        wait_s = FIRST_WAIT_S
        while True:
            await self._until_free()
            self._look.clear()
            messages = await self._receive()
            for message in messages:
                self._start(message)
            if messages:
                wait_s = FIRST_WAIT_S
                continue
            if await happened(self._look, within_s=wait_s):
                wait_s = FIRST_WAIT_S
            else:
                wait_s = min(wait_s * 2, self._options.max_polling_interval_s)

    async def finish(self, *, within_s: float) -> None:
        """Wait for running calls, then cancel the rest; the messages of these become visible again."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _until_free(self) -> None:
        while len(self._running) > self._options.new_batch_threshold:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def _receive(self) -> list[QueueMessage]:
        size = self._options.batch_size
        pages = self._client.receive_messages(messages_per_page=size, visibility_timeout=self._lease_s).by_page()
        try:
            messages = [message async for message in await anext(pages)]
        except (ResourceNotFoundError, StopAsyncIteration):  # no queue yet
            return []
        except (AzureError, OSError) as exc:
            if not self._failing:  # log the first failure only
                logger.warning("queue.receive_failed", extra={"queue": self.queue, "error": str(exc)})
            self._failing = True
            return []
        self._failing = False
        return messages

    def _start(self, message: QueueMessage) -> None:
        task = asyncio.create_task(self._process(message))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _process(self, message: QueueMessage) -> None:
        try:
            await self._attempt(message)
        except AzureError as exc:
            logger.warning(
                "queue.message_not_settled", extra={"queue": self.queue, "id": message.id, "error": str(exc)}
            )

    async def _attempt(self, message: QueueMessage) -> None:
        if (message.dequeue_count or 1) > self._options.max_dequeue_count:
            await self._move_to_poison(message)
            return
        try:
            content = decode(message.content, as_base64=self._options.base64)
        except ValueError:
            logger.error("queue.message_undecodable", extra={"queue": self.queue, "id": message.id})
            await self._move_to_poison(message)
            return
        try:
            async with self._lease_renewed(message):
                last_try = (message.dequeue_count or 1) >= self._options.max_dequeue_count
                await self._handle(Received(content=content, message=message, last_try=last_try))
        except asyncio.CancelledError:
            await asyncio.shield(self._release(message, after_s=0))
            raise
        except BindingFailed as exc:
            logger.error("queue.binding_failed: %s", exc)
            await self._failed(message)
        except Exception:  # logged by the invoker
            await self._failed(message)
        else:
            await self._client.delete_message(message.id, message.pop_receipt)

    async def _failed(self, message: QueueMessage) -> None:
        if (message.dequeue_count or 1) >= self._options.max_dequeue_count:
            await self._move_to_poison(message)
        else:
            await self._release(message, after_s=self._options.retry_delay_s)

    async def _release(self, message: QueueMessage, *, after_s: float) -> None:
        await self._client.update_message(message.id, message.pop_receipt, visibility_timeout=int(after_s))
        self.wake(after_s)

    async def _move_to_poison(self, message: QueueMessage) -> None:
        logger.warning(
            "queue.message_poisoned",
            extra={"queue": self.queue, "id": message.id, "poison_queue": self._poison.queue_name},
        )
        await send_raw(self._poison, message.content)
        await self._client.delete_message(message.id, message.pop_receipt)

    @asynccontextmanager
    async def _lease_renewed(self, message: QueueMessage) -> AsyncIterator[None]:
        task = asyncio.create_task(self._renew(message))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _renew(self, message: QueueMessage) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 2)
            try:
                renewed = await self._client.update_message(
                    message.id, message.pop_receipt, visibility_timeout=self._lease_s
                )
            except HttpResponseError as exc:
                logger.warning("queue.renewal_failed", extra={"queue": self.queue, "error": str(exc)})
                return
            message.pop_receipt = renewed.pop_receipt


async def happened(event: asyncio.Event, *, within_s: float) -> bool:
    """Wait for an event; False if it does not happen within `within_s`."""
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


def queue_trigger_input(received: Received, queue: str) -> TriggerInput:
    """The input of a queue trigger. As in the real worker, a parameter of type bytes gets text, too.

    Raises:
        BindingFailed: the content is not UTF-8; the function does not run.
    """
    message = received.message
    try:
        text = received.content.decode()
    except UnicodeDecodeError as exc:
        raise BindingFailed(
            f"Exception binding parameter: the message {message.id} in {queue!r} is not UTF-8."
        ) from exc
    data = Datum(text, "string")
    values = {"queueTrigger": text, "id": str(message.id)}
    return TriggerInput(
        data=data,
        metadata={
            "QueueTrigger": Datum(values["queueTrigger"], "string"),
            "Id": Datum(message.id, "string"),
            "PopReceipt": Datum(message.pop_receipt, "string"),
            "DequeueCount": Datum(json.dumps(message.dequeue_count), "json"),
            "InsertionTime": time_datum(message.inserted_on),
            "ExpirationTime": time_datum(message.expires_on),
            "NextVisibleTime": time_datum(message.next_visible_on),
        },
        values=values | {"dequeueCount": str(message.dequeue_count)} | json_values(data),
    )


def json_values(data: Datum) -> dict[str, str]:
    """The strings and numbers of a JSON object, for `{parameters}` in other bindings."""
    try:
        content = json.loads(data.value)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: str(value) for name, value in content.items() if isinstance(value, (str, int, float))}


def time_datum(at: datetime | None) -> Datum:
    return Datum(json.dumps(at.isoformat() if at else None), "json")
