"""Signed events on what becomes of background responses, as the service sends them to a registered address.

Sources:
    https://platform.openai.com/docs/guides/webhooks
    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import time

import httpx2

from local.openai_emulator.http import wire
from local.openai_emulator.tasks import Tasks

logger = logging.getLogger(__name__)

TRIES = 4
FIRST_WAIT_S = 1.0
TIMEOUT_S = 10.0


class Webhooks:
    """One registered address. Without one, events go nowhere.

    Args:
        url: Where events are POSTed.
        secret: `whsec_` and the key in base64.
    """

    def __init__(self, *, url: str | None, secret: str | None) -> None:
        self._url = url
        self._key = base64.b64decode((secret or "").removeprefix("whsec_"))
        self._sending = Tasks[str]()  # by event id
        self._http = httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) if url else None

    def announce(self, event_type: str, object_id: str) -> None:
        """Send an event such as `response.completed` in the background."""
        if self._http is None:
            return
        event_id = wire.new_id("evt_")
        self._sending.start(event_id, self._send, event_id, event_type, object_id)

    async def close(self) -> None:
        await self._sending.close()
        if self._http is not None:
            await self._http.aclose()

    async def _send(self, event_id: str, event_type: str, object_id: str) -> None:
        assert self._http is not None and self._url is not None
        now = int(time.time())
        event = {"id": event_id, "object": "event", "type": event_type, "created_at": now, "data": {"id": object_id}}
        body = json.dumps(event).encode()
        for attempt in range(TRIES):
            try:
                response = await self._http.post(self._url, content=body, headers=self._headers(event_id, body))
                if response.is_success:
                    return
                why = str(response.status_code)
            except httpx2.HTTPError as exc:
                why = type(exc).__name__
            logger.info("webhook.not_taken", extra={"event": event_type, "why": why})
            await asyncio.sleep(FIRST_WAIT_S * 4**attempt)

    def _headers(self, event_id: str, body: bytes) -> dict[str, str]:
        at = str(int(time.time()))
        signed = b".".join((event_id.encode(), at.encode(), body))
        signature = base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode()
        return {
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{signature}",
        }
