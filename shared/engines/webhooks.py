"""Webhooks that the model service sends: verifies the signature, and finds the run that an event is about.

Source: https://learn.microsoft.com/azure/ai-foundry/openai/how-to/webhooks
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from openai import AsyncOpenAI

from shared.engines.client import translated
from shared.errors import BadRequest, ServiceError


@dataclass(frozen=True, kw_only=True)
class ResponseEvent:
    """A response has ended. `run_id` and `app`, the id of the app that started it, are in its metadata."""

    run_id: str
    response_id: str
    app: str


class ServiceWebhooks:
    def __init__(self, client: AsyncOpenAI, *, secret: str | None) -> None:
        self._client = client
        self._secret = secret

    async def read(self, body: bytes, headers: Mapping[str, str]) -> ResponseEvent | None:
        """Verify an event, and read the metadata of its response. None: the event is not about a run of this app.

        Raises:
            BadRequest: webhooks are off, or the signature is missing, wrong or too old.
        """
        if not self._secret:
            raise BadRequest("Webhooks are off: the setting OPENAI_WEBHOOK_SECRET is missing.", code="webhooks_off")
        try:
            event = self._client.webhooks.unwrap(body, dict(headers), secret=self._secret)
        except ValueError as exc:  # wrong signature, missing headers, or a body that is not JSON
            raise BadRequest("The signature of the webhook is not valid.", code="invalid_signature") from exc
        if not event.type.startswith("response."):
            return None
        response_id = getattr(event.data, "id", "")
        try:
            with translated("retrieving the response of a webhook"):
                response = await self._client.responses.retrieve(response_id)
        except ServiceError:  # deleted, or the service is busy: the poller looks at the run anyway
            return None
        metadata = response.metadata or {}
        run_id = metadata.get("run_id")
        return ResponseEvent(run_id=run_id, response_id=response_id, app=metadata.get("app", "")) if run_id else None
