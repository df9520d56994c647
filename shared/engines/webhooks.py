"""The service's own webhook: verified by the `openai` SDK, and traced back to our run by the response's metadata.

Source: https://learn.microsoft.com/azure/ai-foundry/openai/how-to/webhooks
"""

from __future__ import annotations

from collections.abc import Mapping

from openai import AsyncOpenAI

from shared.engines.client import translated
from shared.errors import BadRequest, ServiceError


class ServiceWebhooks:
    def __init__(self, client: AsyncOpenAI, *, secret: str | None) -> None:
        self._client = client
        self._secret = secret

    async def run_id(self, body: bytes, headers: Mapping[str, str]) -> str | None:
        """The run that an event is about; None when it is about nothing of ours.

        Raises:
            BadRequest: the signature is not the service's, or is too old.
        """
        if not self._secret:
            raise BadRequest("Webhooks are off: the setting OPENAI_WEBHOOK_SECRET is missing.", code="webhooks_off")
        try:
            event = self._client.webhooks.unwrap(body, dict(headers), secret=self._secret)
        except ValueError as exc:  # a wrong signature is one, and so are missing headers and a body that is no JSON
            raise BadRequest("The signature does not fit.", code="invalid_signature") from exc
        if not event.type.startswith("response."):
            return None
        response_id = getattr(event.data, "id", "")
        try:
            with translated("looking for the run of a webhook"):
                response = await self._client.responses.retrieve(response_id)
        except ServiceError:  # deleted, or not to be had now: the queue looks anyway
            return None
        return (response.metadata or {}).get("run_id")
