"""Signed webhook events about background responses that have ended, as the service sends them.

Sources:
    https://platform.openai.com/docs/guides/webhooks
    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import asyncio
import binascii
import json
import logging
from datetime import UTC, datetime

import httpx2
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from local.openai_emulator.http import wire
from local.openai_emulator.tasks import Tasks

logger = logging.getLogger(__name__)

TRIES = 12  # within about eight minutes; OpenAI tries for 72 hours, with growing waits
FIRST_WAIT_S = 1.0  # after the first failed try; each later wait is four times as long, up to the longest one
LONGEST_WAIT_S = 60.0
TIMEOUT_S = 10.0  # of one try


class Webhooks:
    """Sends events to one URL. Without a URL, no events are sent.

    Args:
        url: Where events are POSTed.
        secret: `whsec_` and the key in base64; needed with a URL.

    Raises:
        ValueError: the secret has no key.
    """

    def __init__(self, *, url: str | None, secret: str | None) -> None:
        self._url = url
        self._webhook = _webhook(secret) if url else None
        self._http = httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) if url else None
        self._sending = Tasks[str]()  # by event id

    def announce(self, event_type: str, object_id: str) -> None:
        """Send an event such as `response.completed` in the background."""
        if self._url is not None:
            event_id = wire.new_id("evt_")
            self._sending.start(event_id, self._send, event_id, event_type, object_id)

    async def close(self) -> None:
        """Stop sending; events not delivered yet are lost."""
        await self._sending.close()
        if self._http is not None:
            await self._http.aclose()

    async def _send(self, event_id: str, event_type: str, object_id: str) -> None:
        assert self._http is not None and self._url is not None
        now = int(datetime.now(UTC).timestamp())
        event = {"id": event_id, "object": "event", "type": event_type, "created_at": now, "data": {"id": object_id}}
        body = json.dumps(event)
        for attempt in range(TRIES):
            try:
                response = await self._http.post(self._url, content=body, headers=self._headers(event_id, body))
                if response.is_success:
                    return
                reason = str(response.status_code)
            except httpx2.HTTPError as exc:
                reason = type(exc).__name__
            logger.info("webhook.not_delivered", extra={"event": event_type, "reason": reason})
            await asyncio.sleep(min(FIRST_WAIT_S * 4**attempt, LONGEST_WAIT_S))

    def _headers(self, event_id: str, body: str) -> dict[str, str]:
        assert self._webhook is not None
        now = datetime.now(UTC)
        return {
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(event_id, now, body),
        }


def _webhook(secret: str | None) -> Webhook:
    try:
        return Webhook(secret or "")
    except (EmptyWebhookSecretError, binascii.Error) as exc:
        raise ValueError("EMULATOR_WEBHOOK_SECRET should be whsec_ followed by a key in base64.") from exc
