"""Blob triggers of both sources.

As in the real host, each blob goes through the internal queue `azure-webjobs-blobtrigger-<host id>`.

With `LogsAndContainerScan`, the host looks for blobs in the access log and, as a fallback, lists the container. The
function runs once for each etag; receipts in `azure-webjobs-hosts` record that. With `EventGrid`, the function runs for
every event, without such a check.

Source: https://github.com/Azure/azure-sdk-for-net sdk/storage/Microsoft.Azure.WebJobs.Extensions.Storage.Blobs
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions.meta import Datum
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobClient, BlobServiceClient, ContainerClient

from local.functions_host.access_log import Access
from local.functions_host.functions.blob_data import blob_metadata, blob_reference, content_datum
from local.functions_host.functions.index import Function
from local.functions_host.functions.invocation import Invoker, TriggerInput
from local.functions_host.functions.paths import PathPattern
from local.functions_host.storage import Storage
from local.functions_host.triggers.queues import Received
from local.functions_host.triggers.timers import HOSTS_CONTAINER

logger = logging.getLogger(__name__)

POISON_QUEUE = "webjobs-blobtrigger-poison"
LIST_EVERY_S = 60.0


@dataclass(frozen=True, kw_only=True)
class BlobTrigger:
    """A function with a blob trigger."""

    function: Function
    path: PathPattern
    event_grid: bool

    @classmethod
    def from_function(cls, function: Function) -> BlobTrigger:
        options = function.trigger.options
        source = str(options.get("source", "LogsAndContainerScan"))
        return cls(
            function=function,
            path=PathPattern(options["path"]),
            event_grid=source.replace("_", "").lower() == "eventgrid",
        )

    @property
    def connection(self) -> str | None:
        return self.function.trigger.connection


@dataclass(frozen=True, kw_only=True)
class BlobMessage:
    """A message of the internal queue, in the real host's JSON format. `etag` has no quotes, in JSON it has."""

    function_id: str
    container: str
    blob: str
    etag: str = ""
    blob_type: str = "BlockBlob"

    @property
    def path(self) -> str:
        return f"{self.container}/{self.blob}"

    def to_json(self) -> bytes:
        content = {
            "Type": "BlobTrigger",
            "FunctionId": self.function_id,
            "BlobType": self.blob_type,
            "ContainerName": self.container,
            "BlobName": self.blob,
            "ETag": f'"{self.etag}"' if self.etag else "",
        }
        return json.dumps(content, indent=2, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, content: bytes) -> BlobMessage:
        """Raises: ValueError, KeyError: the content has another format."""
        data: dict[str, Any] = json.loads(content)
        return cls(
            function_id=data["FunctionId"],
            container=data["ContainerName"],
            blob=data["BlobName"],
            etag=str(data.get("ETag") or "").strip('"'),
            blob_type=data.get("BlobType") or "BlockBlob",
        )


class Receipts:
    """Blobs that mark processed versions: `blobreceipts/<host id>/<function id>/"<etag>"/<container>/<blob>`."""

    def __init__(self, service: BlobServiceClient, host_id: str) -> None:
        self._container: ContainerClient = service.get_container_client(HOSTS_CONTAINER)
        self._host_id = host_id

    def _name(self, message: BlobMessage) -> str:
        return f'blobreceipts/{self._host_id}/{message.function_id}/"{message.etag}"/{message.path}'

    async def has(self, message: BlobMessage) -> bool:
        """Whether this version of the blob was processed."""
        return bool(await self._container.get_blob_client(self._name(message)).exists())

    async def names(self, function: Function) -> set[str]:
        """All receipts of a function."""
        prefix = f"blobreceipts/{self._host_id}/{function.id}/"
        try:
            return {name async for name in self._container.list_blob_names(name_starts_with=prefix)}
        except ResourceNotFoundError:
            return set()

    def is_among(self, message: BlobMessage, names: set[str]) -> bool:
        return self._name(message) in names

    async def write(self, message: BlobMessage) -> None:
        """Mark this version as processed."""
        receipt = self._container.get_blob_client(self._name(message))
        try:
            await receipt.upload_blob(b"", overwrite=True)
        except ResourceNotFoundError:
            try:
                await self._container.create_container()
            except ResourceExistsError:
                logger.debug("blob.receipts_container_exists")
            await receipt.upload_blob(b"", overwrite=True)


class BlobTriggers:
    """All blob triggers of the app: finds blobs, puts them on the internal queue, runs the functions.

    Args:
        triggers: The functions.
        storage: Holds the blobs and the internal queue.
        invoker: Runs the functions.
        host_id: Part of the names of the queue and the receipts.
        list_every_s: Interval between two container scans.
        without_function: Called for an event that names no function; None drops it.

    Attributes:
        queue: Name of the internal queue; it is created with its first message.
        queued: Is called after a message was put on the internal queue.
    """

    def __init__(
        self,
        triggers: Sequence[BlobTrigger],
        *,
        storage: Storage,
        invoker: Invoker,
        host_id: str,
        list_every_s: float,
        without_function: Callable[[], None] | None = None,
    ) -> None:
        self._end = without_function
        self.queue = f"azure-webjobs-blobtrigger-{host_id}"
        self._triggers = {trigger.function.id.lower(): trigger for trigger in triggers}
        self._storage = storage
        self._invoker = invoker
        self._list_every_s = list_every_s
        self._receipts = Receipts(storage.blobs(), host_id)
        self._queued: set[tuple[str, str, str]] = set()  # function id, path, etag; queued by this process
        self._running: set[tuple[str, str, str]] = set()
        self.queued: Callable[[], None] = lambda: None

    @property
    def scanned(self) -> list[BlobTrigger]:
        """Triggers with source LogsAndContainerScan."""
        return [trigger for trigger in self._triggers.values() if not trigger.event_grid]

    @property
    def subscribed(self) -> list[BlobTrigger]:
        """Triggers with source EventGrid."""
        return [trigger for trigger in self._triggers.values() if trigger.event_grid]

    async def enqueue(self, message: BlobMessage) -> None:
        """Put a blob on the internal queue."""
        await self._storage.send(self.queue, message.to_json())
        self.queued()

    async def scan(self) -> None:
        """List the containers regularly, to find blobs that are not in the access log."""
        while True:
            for trigger in self.scanned:
                try:
                    await self._scan(trigger)
                except AzureError as exc:
                    logger.warning("blob.scan_failed", extra={"function": trigger.function.name, "error": str(exc)})
            await asyncio.sleep(self._list_every_s)

    async def _scan(self, trigger: BlobTrigger) -> None:
        container = self._storage.blobs(trigger.connection).get_container_client(trigger.path.container)
        receipts: set[str] | None = None
        try:
            async for properties in container.list_blobs():
                message = self._message(trigger, properties.name, properties.etag)
                if trigger.path.match(message.path) is None or self._key(message) in self._queued:
                    continue
                receipts = await self._receipts.names(trigger.function) if receipts is None else receipts
                if self._receipts.is_among(message, receipts):
                    self._queued.add(self._key(message))
                else:
                    await self._found(message)
        except ResourceNotFoundError:  # no container yet
            return

    async def written(self, access: Access) -> None:
        """Queue a blob that was written, for the triggers with source LogsAndContainerScan."""
        for trigger in self.scanned:
            if trigger.path.container != access.area or trigger.path.match(f"{access.area}/{access.name}") is None:
                continue
            blob = self._storage.blobs(trigger.connection).get_blob_client(access.area, access.name)
            try:
                properties = await blob.get_blob_properties()
            except ResourceNotFoundError:
                continue
            await self._found(self._message(trigger, access.name, properties.etag))

    async def _found(self, message: BlobMessage) -> None:
        """Queue a version once per process. Receipts of earlier processes are checked when the message is handled."""
        if self._key(message) in self._queued:
            return
        self._queued.add(self._key(message))
        await self.enqueue(message)

    def _message(self, trigger: BlobTrigger, blob: str, etag: str | None) -> BlobMessage:
        return BlobMessage(
            function_id=trigger.function.id,
            container=trigger.path.container,
            blob=blob,
            etag=(etag or "").strip('"'),
        )

    def _key(self, message: BlobMessage) -> tuple[str, str, str]:
        return message.function_id, message.path, message.etag

    async def handle(self, received: Received) -> None:
        """Run the function for a message of the internal queue."""
        message = BlobMessage.from_json(received.content)
        if not message.function_id:
            await self._without_function(message)
            return
        trigger = self._triggers.get(message.function_id.lower())
        if trigger is None:  # as in the real host, messages for an unknown or renamed function are dropped
            logger.debug("blob.unknown_function", extra={"function": message.function_id})
            return
        client = self._storage.blobs(trigger.connection).get_blob_client(message.container, message.blob)
        try:
            properties = await client.get_blob_properties()
        except ResourceNotFoundError:  # the blob was deleted in the meantime
            return
        if trigger.event_grid:
            await self._run(trigger, message, client, properties)
        else:
            await self._run_once(trigger, message, client, properties, last_try=received.last_try)

    async def _without_function(self, message: BlobMessage) -> None:
        """Drop the message; the real host ends its process and finds the message again after ten minutes."""
        logger.error("blob.event_without_function: %s; the real host would end now", message.path)
        if self._end:
            self._end()
            await asyncio.Event().wait()  # until this process ends; the message is not settled

    async def _run_once(
        self,
        trigger: BlobTrigger,
        message: BlobMessage,
        client: BlobClient,
        properties: BlobProperties,
        *,
        last_try: bool,
    ) -> None:
        current = self._message(trigger, message.blob, properties.etag)
        if current.etag != message.etag:  # there is a newer version
            await self._found(current)
            return
        key = self._key(message)
        if key in self._running or await self._receipts.has(message):
            return
        self._running.add(key)
        try:
            await self._run(trigger, message, client, properties)
            await self._receipts.write(message)
        except Exception:
            if last_try:  # the message goes to the poison queue; a restart must not run the function again
                await self._receipts.write(message)
            raise
        finally:
            self._running.discard(key)

    async def _run(
        self, trigger: BlobTrigger, message: BlobMessage, client: BlobClient, properties: BlobProperties
    ) -> None:
        binding = trigger.function.trigger
        data = (
            blob_reference(binding.connection, message.container, message.blob)
            if binding.deferred
            else content_datum(await (await client.download_blob()).readall(), binding.options.get("dataType"))
        )
        parameters = trigger.path.match(message.path) or {}
        metadata = blob_metadata(client, message.path, properties)
        await self._invoker.run(
            trigger.function,
            TriggerInput(
                data=data,
                metadata=metadata | {name: Datum(value, "string") for name, value in parameters.items()},
                values={"blobTrigger": message.path} | parameters,
            ),
        )

    async def run_for_path(self, function: Function, path: str) -> None:
        """Run a function for the blob `container/name`; for the admin endpoint."""
        trigger = self._triggers[function.id.lower()]
        container, _, blob = path.partition("/")
        client = self._storage.blobs(trigger.connection).get_blob_client(container, blob)
        message = BlobMessage(function_id=function.id, container=container, blob=blob)
        await self._run(trigger, message, client, await client.get_blob_properties())
