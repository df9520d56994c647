"""Sends events about runs and documents: as signed webhooks to callback URLs and hooks, and to an Event Grid topic.

Each delivery is one queue message, and each processing of it is one attempt. A failed attempt enqueues a new, delayed
message. Delivery is at least once: `webhook-id` is the same for the same event and target, so a receiver can drop
repeats.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import random
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from standardwebhooks import Webhook

from shared.errors import BadRequest, BlobChanged, Busy, ServiceBusy, ServiceError, SettingError
from shared.logs import event
from shared.models.ids import new_id
from shared.storage.layout import HOOKS, hook_id_in, hook_name
from shared.storage.records import Records
from shared.telemetry import trace_for_message

if TYPE_CHECKING:
    from shared.push.eventgrid import Topic
    from shared.push.outbound import Sender, UrlPolicy
    from shared.storage.blobs import Blobs, Queue

log = logging.getLogger(__name__)

EVENTS = ("run.finished", "document.indexed", "document.failed", "document.removed")
RETRY_DELAYS_S = (5, 30, 120, 600, 3_600, 10_800, 21_600, 50_400)  # after each failed attempt; 24 h in all
BODY_MAX_BYTES = 32 * 1024  # a queue message holds 48 KiB, of which the URL may need 8
KEY_BYTES = range(24, 65)  # the key lengths that Standard Webhooks allows
HOOKS_MAX = 20  # one event is at most so many deliveries to hooks
# A receiver that is restarted refuses many deliveries at once, so their number alone does not switch a hook off.
OFF_AFTER = timedelta(hours=24)
OFF_AFTER_MANY = timedelta(hours=1)
MANY_FAILURES = 100
HOOK_ID = re.compile(r"hook_[0-9a-f]{24}")


@dataclass(frozen=True, kw_only=True)
class Hook:
    """A subscription, stored as `hooks/<id>.json`. The URL may contain a secret, such as a signature.

    Attributes:
        failures: Attempts that failed, in a row.
        first_failure_at: The first of them.
        reason: Why the last of them failed.
        off_at: It was switched off, since it failed for too long.
    """

    id: str
    url: str = field(repr=False)
    events: tuple[str, ...]
    created_at: datetime
    failures: int = 0
    first_failure_at: datetime | None = None
    reason: str | None = None
    off_at: datetime | None = None

    @property
    def host(self) -> str:
        return _host(self.url)

    def after_failure(self, why: str, now: datetime) -> Hook:
        """The hook after one more attempt has failed; switched off if it has failed for a day, or often for an hour."""
        since, failures = self.first_failure_at or now, self.failures + 1
        is_dead = now - since >= OFF_AFTER or (failures >= MANY_FAILURES and now - since >= OFF_AFTER_MANY)
        off_at = self.off_at or (now if is_dead else None)
        return replace(self, failures=failures, first_failure_at=since, reason=why, off_at=off_at)

    def after_success(self) -> Hook:
        return replace(self, failures=0, first_failure_at=None, reason=None)


class _Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """The queue message. Its target is one of `url`, `hook_id` (the URL is read at each attempt) and `topic`."""

    webhook_id: str
    body: dict[str, Any]
    trace: str | msgspec.UnsetType = msgspec.field(default_factory=trace_for_message)
    url: str | None = None
    hook_id: str | None = None
    topic: bool = False
    attempt: int = 1


class Push:
    """Accepts subscriptions, enqueues deliveries and carries them out.

    Args:
        secret: The setting CALLBACK_SECRET: `whsec_` and 24 to 64 bytes in base64. None: callbacks are off.
        topic: Receives every event. None: no events go to Event Grid.

    Raises:
        SettingError: the secret has another form.
    """

    def __init__(
        self,
        *,
        state: Blobs,
        queue: Queue,
        sender: Sender,
        policy: UrlPolicy,
        secret: str | None,
        topic: Topic | None = None,
        now: Callable[[], datetime],
    ) -> None:
        self._state = state
        self._queue = queue
        self._sender = sender
        self._policy = policy
        self._signer = _signer(secret) if secret else None
        self._topic = topic
        self._now = now
        self._records = Records(state, Hook, name=hook_name, tags=_tags)

    @property
    def on(self) -> bool:
        """Whether there is anyone to send events to: callbacks or a topic."""
        return self._signer is not None or self._topic is not None

    async def check(self, url: str) -> None:
        """Check a callback URL before it is accepted.

        Raises:
            BadRequest: `callback_not_allowed` or `invalid_callback_url`.
        """
        if self._signer is None:
            raise BadRequest(
                "This app sends no callbacks, because its setting CALLBACK_SECRET is missing. Leave out the callback "
                "and poll instead, or ask the operator of this app to set it.",
                code="callback_not_allowed",
            )
        await self._sender.check_host(self._policy.check_url(url))

    async def subscribe(self, url: str, events: tuple[str, ...]) -> Hook:
        """Create a hook: from now on, these events are sent to the URL.

        Raises:
            BadRequest: as from `check`, or `unknown_event`.
            Busy: there are `HOOKS_MAX` hooks that are on. One that is off gives way to a new one.
        """
        if not events or not set(events) <= set(EVENTS):
            raise BadRequest(f"'events' should name one or more of: {', '.join(EVENTS)}.", code="unknown_event")
        await self.check(url)
        await self._make_room()
        now = self._now()
        hook = Hook(id=new_id("hook", now), url=url, events=tuple(dict.fromkeys(events)), created_at=now)
        await self._records.create(hook.id, hook)
        event(log, logging.INFO, "push.subscribed", hook_id=hook.id, host=_host(url))
        return hook

    async def hooks(self) -> list[Hook]:
        """All hooks, the oldest first."""
        ids = [hook_id_in(info.name) async for info in self._state.list(HOOKS)]
        stored = await asyncio.gather(*map(self._records.read, ids))
        return sorted((one.value for one in stored if one), key=lambda hook: (hook.created_at, hook.id))

    async def _make_room(self) -> None:
        """Delete what is off, the oldest first, until one more hook is allowed."""
        hooks = await self.hooks()
        surplus = len(hooks) - HOOKS_MAX + 1
        for hook in [hook for hook in hooks if hook.off_at][: max(surplus, 0)]:
            await self.unsubscribe(hook.id)
            surplus -= 1
        if surplus > 0:
            raise Busy(
                f"There are {HOOKS_MAX} hooks, and no more are allowed. GET /api/hooks lists them; delete one that is "
                "not used any more.",
                code="too_many_hooks",
            )

    async def unsubscribe(self, hook_id: str) -> None:
        """Delete a hook; an unknown id does nothing. Deliveries to it that are still on the queue are dropped."""
        if HOOK_ID.fullmatch(hook_id) and await self._state.delete(hook_name(hook_id)):
            event(log, logging.INFO, "push.unsubscribed", hook_id=hook_id)

    async def announce(self, event_type: str, *, id: str, data: Mapping[str, Any], urls: tuple[str, ...] = ()) -> None:
        """Enqueue one delivery for the topic, for each of `urls`, and for each hook that subscribed to the event.

        Safe to repeat: `webhook-id` is derived from event, id and target.

        Args:
            event_type: One of `EVENTS`.
            id: Of the run or document.
            data: Ids, a status, links. If the body is over 32 KiB, only the id is sent.
        """
        if self._signer is None and urls:
            event(log, logging.WARNING, "push.off", about=id, why="CALLBACK_SECRET is not set")
        if not self.on:
            return
        body = {"type": event_type, "timestamp": self._now(), "data": dict(data)}
        if len(msgspec.json.encode(body)) > BODY_MAX_BYTES:
            event(log, logging.WARNING, "push.shortened", about=id)
            body["data"] = {"id": id}
        if self._topic:
            await self._enqueue(_Delivery(webhook_id=_webhook_id(event_type, id, "topic"), body=body, topic=True))
        if self._signer is None:
            return
        for url in dict.fromkeys(urls):
            await self._enqueue(_Delivery(webhook_id=_webhook_id(event_type, id, url), body=body, url=url))
        async for info in self._state.list(HOOKS):
            if event_type in info.metadata.get("events", "").split():
                hook_id = hook_id_in(info.name)
                await self._enqueue(
                    _Delivery(webhook_id=_webhook_id(event_type, id, hook_id), body=body, hook_id=hook_id)
                )

    async def deliver(self, body: bytes) -> None:
        """Make one attempt at a delivery. If it fails, enqueue the next attempt, or give up after the last one.

        Errors of the receiver are not raised.

        Raises:
            msgspec.MsgspecError: `body` is not a delivery.
        """
        delivery = msgspec.json.decode(body, type=_Delivery)
        if delivery.topic:
            await self._publish(delivery)
            return
        url = await self._url(delivery)
        if url is None or self._signer is None:
            event(log, logging.INFO, "push.dropped", **_about(delivery))
            return
        content = msgspec.json.encode(delivery.body)
        about = {**_about(delivery), "host": _host(url)}
        try:
            status = await self._sender.post(url, content, self._headers(self._signer, delivery.webhook_id, content))
        except (BadRequest, ServiceBusy) as exc:
            await self._failed(delivery, about, exc.message)
            return
        if 200 <= status < 300:
            event(log, logging.INFO, "push.delivered", **about)
            await self._noted(delivery.hook_id, Hook.after_success)
        elif status == 410:  # Gone: the receiver wants no more
            event(log, logging.INFO, "push.gone", **about)
            if delivery.hook_id:
                await self.unsubscribe(delivery.hook_id)
        else:
            await self._failed(delivery, about, f"The receiver answered {status}.")

    async def give_up(self, body: bytes) -> None:
        """The host gave up on a delivery, for example since the queue refused its next try: put it back."""
        delivery = msgspec.json.decode(body, type=_Delivery)
        await self._retry_later(delivery, {**_about(delivery), "why": "The delivery failed several times in a row."})

    async def _publish(self, delivery: _Delivery) -> None:
        """Send to the Event Grid topic. Dropped if the topic has been removed from the settings meanwhile."""
        body, about = delivery.body, {**_about(delivery), "host": "event grid"}
        if self._topic is None:
            event(log, logging.INFO, "push.dropped", **about)
            return
        data = body["data"]
        subject = f"documents/{data['path']}" if "path" in data else f"runs/{data.get('id')}"
        at = datetime.fromisoformat(body["timestamp"])
        try:
            await self._topic.publish(body["type"], id=delivery.webhook_id, subject=subject, at=at, data=data)
        except ServiceBusy as exc:
            await self._retry_later(delivery, {**about, "why": exc.message})
        except ServiceError as exc:
            event(log, logging.ERROR, "push.refused", **about, why=exc.message)
        else:
            event(log, logging.INFO, "push.delivered", **about)

    async def _failed(self, delivery: _Delivery, about: dict[str, Any], why: str) -> None:
        """Note the failure at the hook, if it is one, and try again later unless that has switched it off."""
        now = self._now()
        hook = await self._noted(delivery.hook_id, lambda hook: hook.after_failure(why, now))
        if hook and hook.off_at:
            event(log, logging.WARNING, "push.switched_off", **about, hook_id=hook.id, why=why)
        else:
            await self._retry_later(delivery, {**about, "why": why})

    async def _noted(self, hook_id: str | None, change: Callable[[Hook], Hook]) -> Hook | None:
        """The changed hook; None if there is none, or other deliveries wrote it at every try: they noted the same."""
        if hook_id is None:
            return None
        with suppress(BlobChanged):
            if stored := await self._records.update(hook_id, change):
                return stored.value
        return None

    async def _retry_later(self, delivery: _Delivery, about: dict[str, Any]) -> None:
        delay_s = delivery_delay_s(delivery.attempt)
        if delay_s is None:
            event(log, logging.WARNING, "push.given_up", **about)
            return
        event(log, logging.INFO, "push.put_off", **about, delay_s=delay_s)
        await self._enqueue(msgspec.structs.replace(delivery, attempt=delivery.attempt + 1), delay_s=delay_s)

    async def _enqueue(self, delivery: _Delivery, *, delay_s: int = 0) -> None:
        await self._queue.send(delivery, delay_s=delay_s)

    async def _url(self, delivery: _Delivery) -> str | None:
        """The target's URL. None if its hook has been deleted or switched off meanwhile."""
        if delivery.hook_id is None:
            return delivery.url
        stored = await self._records.read(delivery.hook_id)
        return stored.value.url if stored and not stored.value.off_at else None

    def _headers(self, signer: Webhook, webhook_id: str, content: bytes) -> dict[str, str]:
        now = self._now().astimezone(UTC)  # `sign` takes every datetime for UTC
        return {
            "Content-Type": "application/json",
            "User-Agent": "assistant-functions",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signer.sign(webhook_id, now, content.decode()),
        }


def delivery_delay_s(attempt: int) -> int | None:
    """Seconds until the next attempt after this one failed; None: give up. `attempt` counts from 1."""
    if attempt > len(RETRY_DELAYS_S):
        return None
    delay_s = RETRY_DELAYS_S[attempt - 1]
    # Random, so that deliveries that failed together are not all retried at the same moment.
    return delay_s + random.randint(0, delay_s // 10)  # noqa: S311


def _tags(hook: Hook) -> dict[str, str]:
    """The events in the blob's metadata, so that a listing tells which hooks an event goes to."""
    return {"events": "off" if hook.off_at else " ".join(hook.events)}


def _webhook_id(event: str, id: str, target: str) -> str:
    return f"msg_{hashlib.sha256(msgspec.json.encode([event, id, target])).hexdigest()[:32]}"


def _signer(secret: str) -> Webhook:
    """Stricter than `Webhook(secret)`, which skips characters that are not base64 and takes keys of any length."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if secret.startswith("whsec_") and len(key) in KEY_BYTES:
        return Webhook(key)
    raise SettingError(
        "The setting CALLBACK_SECRET should be whsec_ followed by 24 to 64 random bytes in base64; to make one: "
        "echo whsec_$(openssl rand -base64 32)",
        code="setting_invalid",
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _about(delivery: _Delivery) -> dict[str, Any]:
    return {"webhook_id": delivery.webhook_id, "event": delivery.body.get("type"), "attempt": delivery.attempt}
