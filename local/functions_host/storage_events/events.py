"""A local Event Grid: creates storage events from the requests in the access log, and delivers them.

BlobCreated goes to the blob triggers with source EventGrid, BlobDeleted to the queues of `--event-queue`. Delivery is
at least once: the position in the log is saved only after all events before it are on a queue.

Source: https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from azure.core.exceptions import AzureError

from local.functions_host.access_log import Access
from local.functions_host.storage import Storage, encode, send_raw
from local.functions_host.triggers.blobs import BlobMessage, BlobTriggers

logger = logging.getLogger(__name__)

CREATED = "Microsoft.Storage.BlobCreated"
DELETED = "Microsoft.Storage.BlobDeleted"
TOPIC = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local"
    "/providers/Microsoft.Storage/storageAccounts/{account}"
)
RETRY_EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class EventQueue:
    """A subscription that sends the BlobDeleted events of a container to a storage queue."""

    container: str
    queue: str

    @classmethod
    def parse(cls, text: str) -> EventQueue:
        """Parse `container=queue`.

        Raises:
            ValueError: the text has another form.
        """
        container, equals, queue = text.partition("=")
        if not (container and equals and queue):
            raise ValueError(f"{text!r} is not CONTAINER=QUEUE")
        return cls(container=container, queue=queue)


def storage_event(access: Access, *, account: str, blob_url: str) -> dict[str, Any]:
    """A storage event in Event Grid's schema, without the blob's etag, which the access log does not have.

    Args:
        access: The request that wrote or deleted the blob.
        account: Name of the storage account.
        blob_url: URL of its blob service.
    """
    if access.blob_deleted:
        event_type, api = DELETED, "DeleteBlob"
    else:
        event_type, api = CREATED, "PutBlockList" if access.query.get("comp") == "blocklist" else "PutBlob"
    return {
        "topic": TOPIC.format(account=account),
        "subject": f"/blobServices/default/containers/{access.area}/blobs/{access.name}",
        "eventType": event_type,
        "id": str(uuid.uuid4()),
        "eventTime": f"{access.at:%Y-%m-%dT%H:%M:%S}.0000000Z",
        "data": {
            "api": api,
            "requestId": str(uuid.uuid4()),
            "eTag": "",
            "blobType": "BlockBlob",
            "url": f"{blob_url.rstrip('/')}/{access.area}/{quote(access.name)}",
            "sequencer": f"{access.at.timestamp():032.0f}",
        },
        "dataVersion": "",
        "metadataVersion": "1",
    }


def blob_message(function_id: str, event: Mapping[str, Any]) -> BlobMessage:
    """The message for the internal queue that the blobs webhook creates from an event.

    Only the event's data counts: the blob is the one of its URL, and neither the subject nor the type is looked at.

    Raises:
        ValueError: the data has no URL of a blob, or no known type of blob.
    """
    data = event.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("url"), str):
        raise ValueError("The event's data has no URL.")
    blob_type = str(data.get("blobType")).lower().removesuffix("blob").capitalize()
    if blob_type not in {"Block", "Append", "Page"}:
        raise ValueError("The event's data has no type of blob.")
    container, blob = blob_of_url(data["url"])
    etag = str(data.get("eTag") or "").strip('"')
    return BlobMessage(function_id=function_id, container=container, blob=blob, etag=etag, blob_type=f"{blob_type}Blob")


def blob_of_url(url: str) -> tuple[str, str]:
    """The container and the blob of a URL. The account is the first part of the path for an IP address (Azurite).

    Raises:
        ValueError: the URL is not absolute.
    """
    parts = urlsplit(url)
    if not parts.scheme or not parts.hostname:
        raise ValueError(f"{url!r} is not an absolute URL.")
    path = parts.path.lstrip("/")
    if parts.hostname == "localhost" or is_ip_address(parts.hostname):
        path = path.partition("/")[2]
    container, _, blob = path.partition("/")
    return unquote(container), unquote(blob)


def is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class EventGrid:
    """Delivers the events of a storage account."""

    def __init__(self, storage: Storage, triggers: BlobTriggers | None, queues: Sequence[EventQueue]) -> None:
        self._storage = storage
        self._triggers = triggers
        self._queues = queues

    async def deliver(self, access: Access) -> bool:
        """Send the events of a storage request to all subscribers, and retry until they are on a queue.

        Returns:
            Whether there was a subscriber.
        """
        while True:
            try:
                return await self._deliver(access)
            except AzureError as exc:  # Event Grid retries, too
                logger.warning("event.delivery_failed", extra={"blob": access.name, "error": str(exc)})
                await asyncio.sleep(RETRY_EVERY_S)

    async def _deliver(self, access: Access) -> bool:
        service = self._storage.blobs()
        delivered = False
        if access.blob_written and self._triggers:
            for trigger in self._triggers.subscribed:
                if trigger.path.filters(f"{access.area}/{access.name}"):
                    event = storage_event(access, account=str(service.account_name), blob_url=service.url)
                    await self._triggers.enqueue(blob_message(trigger.function.id, event))
                    delivered = True
        if access.blob_deleted:
            for subscription in self._queues:
                if subscription.container == access.area:
                    event = storage_event(access, account=str(service.account_name), blob_url=service.url)
                    await self._send(subscription.queue, event)
                    delivered = True
        return delivered

    async def _send(self, queue: str, event: Mapping[str, Any]) -> None:
        """Send an event to a queue. Event Grid always uses base64, independent of host.json."""
        content = encode(json.dumps(event).encode(), as_base64=True)
        await send_raw(self._storage.queues().get_queue_client(queue), content)
