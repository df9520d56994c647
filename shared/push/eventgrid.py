"""Publishes events to an Event Grid custom topic. Only this module imports `azure.eventgrid`.

Source: https://learn.microsoft.com/azure/event-grid/post-to-custom-topics
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.errors import ServiceBusy, ServiceError

if TYPE_CHECKING:
    from azure.eventgrid.aio import EventGridPublisherClient

SOURCE = "/assistant-functions"
PREFIX = "AssistantFunctions."


class Topic:
    """An Event Grid custom topic. The client is opened on first use.

    Args:
        key: The access key, for a laptop or a test. None: the app's managed identity is used.
        client_id: Of a user-assigned identity; None: the system-assigned one.
    """

    def __init__(self, endpoint: str, *, key: str | None, client_id: str | None) -> None:
        self._endpoint = endpoint
        self._key = key
        self._client_id = client_id
        self._client: EventGridPublisherClient | None = None

    async def publish(self, event: str, *, id: str, subject: str, at: datetime, data: Mapping[str, Any]) -> None:
        """Send one CloudEvent. The event `document.indexed` gets the type `AssistantFunctions.DocumentIndexed`.

        Raises:
            ServiceBusy: Event Grid is busy or cannot be reached, or denies access: a new role assignment takes
                minutes to become effective. Retrying can help.
            ServiceError: Event Grid rejects the event.
        """
        from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
        from azure.core.messaging import CloudEvent

        event_type = PREFIX + "".join(word.title() for word in event.split("."))
        cloud_event = CloudEvent(source=SOURCE, type=event_type, id=id, subject=subject, time=at, data=dict(data))
        try:
            await self._open().send(cloud_event, retry_total=0)  # the queue retries
        except HttpResponseError as exc:
            status = exc.status_code
            if status is None or status in (401, 403, 408, 429) or status >= 500:
                raise ServiceBusy(f"Event Grid answered {status}.", unclear=True) from exc
            raise ServiceError(f"Event Grid answered {status}.", code="event_grid_refused") from exc
        except ClientAuthenticationError as exc:
            raise ServiceBusy("The app could not get a token for Event Grid.") from exc
        except AzureError as exc:
            raise ServiceBusy("Event Grid cannot be reached.", unclear=True) from exc

    def _open(self) -> EventGridPublisherClient:
        if self._client is None:
            from azure.core.credentials import AzureKeyCredential
            from azure.eventgrid.aio import EventGridPublisherClient
            from azure.identity.aio import DefaultAzureCredential

            credential = (
                AzureKeyCredential(self._key)
                if self._key
                else DefaultAzureCredential(managed_identity_client_id=self._client_id)
            )
            self._client = EventGridPublisherClient(self._endpoint, credential)
        return self._client

    async def close(self) -> None:
        if self._client:
            await self._client.close()
            self._client = None
