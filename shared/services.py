"""Puts the app together, once per worker process."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.documents.library import Library
from shared.health import Check, check_health
from shared.logs import event
from shared.push.notices import Push
from shared.push.outbound import Sender, UrlPolicy
from shared.runs.assistants import Assistants
from shared.runs.costs import Prices
from shared.runs.ending import Ending
from shared.runs.inputs import Inputs
from shared.runs.launching import Defaults, Launcher
from shared.runs.poller import Poller
from shared.runs.publishing import Publisher
from shared.runs.record import RunRecords
from shared.runs.runs import Runs
from shared.runs.threads import Threads
from shared.settings import Settings
from shared.storage.upload_urls import UploadUrls
from shared.telemetry.traced import traced

if TYPE_CHECKING:
    from shared.engines.base import Engine
    from shared.engines.client import Client
    from shared.engines.stores import VectorStores
    from shared.engines.webhooks import ServiceWebhooks
    from shared.storage.blobs import Storage


log = logging.getLogger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


async def give_up(handle: Callable[[bytes], Awaitable[None]], body: bytes, *, message_id: str | None) -> None:
    """Handle a message of a poison queue. It never raises: the host would repeat a failing one every ten minutes."""
    try:
        await handle(body)
    except Exception as exc:
        event(log, logging.ERROR, "poison.dropped", error=exc, message=message_id, bytes=len(body))


@dataclass(frozen=True, kw_only=True)
class Services:
    settings: Settings
    library: Library
    runs: Runs
    poller: Poller
    publisher: Publisher
    threads: Threads
    assistants: Assistants
    push: Push
    webhooks: ServiceWebhooks
    upload_urls: UploadUrls
    check_health: Callable[[], Awaitable[list[Check]]]

    @classmethod
    def from_settings(cls, settings: Settings) -> Services:
        # Imported on use: a cold start that only answers GET /api/health needs neither SDK.
        from shared.engines.client import open_client, ping
        from shared.engines.vector_stores import OpenAIVectorStores
        from shared.engines.webhooks import ServiceWebhooks
        from shared.storage.blobs import open_storage

        client = open_client(settings)
        storage = _traced(open_storage(settings.storage, client_id=settings.identity_client_id))
        return cls.of(
            settings,
            storage=storage,
            engine=traced(_engine(settings, client), "engine"),
            stores=traced(OpenAIVectorStores(client, model=settings.model), "stores"),
            push=_push(settings, storage),
            webhooks=ServiceWebhooks(client, secret=settings.webhook_secret),
            ping=lambda: ping(client),
        )

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        storage: Storage,
        engine: Engine,
        stores: VectorStores,
        push: Push,
        webhooks: ServiceWebhooks,
        ping: Callable[[], Awaitable[None]],
        now: Callable[[], datetime] = utc_now,
    ) -> Services:
        """The app on the given storage, service and clock; tests hand in their own."""
        library = Library.of(settings, storage=storage, stores=stores, push=push, filters=engine.filters, now=now)
        prices, defaults = Prices.from_settings(settings), Defaults.from_settings(settings)
        publisher = Publisher(storage.answers, engine, stores, library.catalogue, library.texts, prices, now)
        threads, assistants = Threads(storage.state, now=now), Assistants(storage.state, now=now)
        records = RunRecords(storage.state, storage.runs, now=now)
        ending = Ending(storage.state, records, engine, publisher, threads, push, now)
        inputs = Inputs(library, stores, threads, now)
        launcher = Launcher(records, engine, threads, assistants, ending, inputs, defaults, library, now)
        runs = Runs(
            storage.state,
            records,
            engine,
            launcher,
            ending,
            publisher,
            threads,
            assistants,
            inputs,
            push,
            now,
            default_s=settings.run_default_s,
            max_s=settings.run_max_s,
        )
        poller = Poller(storage.state, records, engine, launcher, ending, inputs, threads, settings, now)
        return cls(
            settings=settings,
            library=library,
            runs=runs,
            poller=poller,
            publisher=publisher,
            threads=threads,
            assistants=assistants,
            push=push,
            webhooks=webhooks,
            upload_urls=UploadUrls(settings.storage, client_id=settings.identity_client_id, now=now),
            check_health=lambda: check_health(storage, ping),
        )


def _traced(storage: Storage) -> Storage:
    parts = {field.name: traced(getattr(storage, field.name), field.name) for field in fields(storage)}
    return replace(storage, **parts)


def _engine(settings: Settings, client: Client) -> Engine:
    if settings.engine == "assistants":
        from shared.engines.assistants import AssistantsEngine

        return AssistantsEngine(client)
    from shared.engines.responses import ResponsesEngine

    return ResponsesEngine(client)


def _push(settings: Settings, storage: Storage) -> Push:
    policy = UrlPolicy(hosts=settings.callback_hosts, allow_private=settings.callback_allow_private)
    topic = None
    if settings.topic_endpoint:
        from shared.push.eventgrid import Topic

        made = Topic(settings.topic_endpoint, key=settings.topic_key, client_id=settings.identity_client_id)
        topic = traced(made, "topic")
    return Push(
        state=storage.state,
        queue=storage.callbacks,
        sender=traced(Sender(policy), "push"),
        policy=policy,
        secret=settings.callback_secret,
        topic=topic,
        now=utc_now,
    )
