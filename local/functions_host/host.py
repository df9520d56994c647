"""`Host`: loads an app, then runs its HTTP functions, queue listeners, blob triggers and timers."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from azure.core.exceptions import AzureError

from local.functions_host.background import Background
from local.functions_host.errors import HostError
from local.functions_host.functions.index import Function
from local.functions_host.functions.invocation import Invoker
from local.functions_host.functions.loading import loaded_app
from local.functions_host.http.admin import Admin, AdminRuns
from local.functions_host.http.app import HttpApp, HttpFunction
from local.functions_host.http.keys import Keys
from local.functions_host.http.webhooks import Webhooks
from local.functions_host.settings import HostSettings
from local.functions_host.storage import Storage, create_queue
from local.functions_host.storage_events.events import EventGrid, EventQueue
from local.functions_host.storage_events.feed import Feed, position_file
from local.functions_host.triggers.blobs import LIST_EVERY_S, POISON_QUEUE, BlobTrigger, BlobTriggers
from local.functions_host.triggers.queues import LEASE_S, QueueListener, Received, queue_trigger_input
from local.functions_host.triggers.timers import Timer

logger = logging.getLogger(__name__)

GRACE_S = 2.0


class Host:
    """Runs a function app; `async with Host(...) as host` loads it and starts its listeners.

    Args:
        app_folder: The folder with function_app.py and host.json.
        access_log: Azurite's log. Its requests wake the queue listeners and raise blob events; without it the
            listeners only poll, and there are no blob events.
        environ: The app's environment, in `os.environ` while the host runs; None is this process's environment.
        settings_file: A file to use instead of `local.settings.json`.
        auth: Require keys, see `keys.py`.
        event_queues: The queues that get the BlobDeleted events of containers.
        lease_s: Visibility timeout of a received queue message.
        list_every_s: Interval between two container scans of blob triggers with source LogsAndContainerScan.
        grace_s: How long running functions may continue when the host stops.
    """

    def __init__(
        self,
        app_folder: Path,
        *,
        access_log: Path | None = None,
        environ: Mapping[str, str] | None = None,
        settings_file: Path | None = None,
        auth: bool = False,
        event_queues: Sequence[EventQueue] = (),
        lease_s: int = LEASE_S,
        list_every_s: float = LIST_EVERY_S,
        grace_s: float = GRACE_S,
    ) -> None:
        self.settings = HostSettings.read(app_folder, os.environ if environ is None else environ, settings_file)
        self.functions: tuple[Function, ...] = ()
        self.keys = Keys.from_settings(self.settings.values) if auth else None
        self._folder = app_folder.resolve()
        self._log = access_log
        self._event_queues = event_queues
        self._lease_s = lease_s
        self._list_every_s = list_every_s
        self._grace_s = grace_s
        self._stack = AsyncExitStack()
        self._loops = Background()
        self._asgi: HttpApp | None = None

    @property
    def running(self) -> bool:
        """Whether the app is loaded and its listeners run."""
        return self._asgi is not None

    @property
    def asgi(self) -> HttpApp:
        """The ASGI app that serves the HTTP functions; only while the host runs."""
        if self._asgi is None:
            raise RuntimeError("The host is not running.")
        return self._asgi

    async def __aenter__(self) -> Self:
        """Load the app, wait for storage, start listening.

        Raises:
            HostError: the app is rejected, a setting is missing or storage does not answer.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(environment(self.settings.values))
            functions = stack.enter_context(loaded_app(self._folder, self.settings))
            self.functions = tuple(f for f in functions if not self.settings.disabled(f.name))
            storage = Storage(self.settings.values, base64=self.settings.queues.base64)
            stack.push_async_callback(storage.close)
            invoker = stack.enter_context(Invoker(storage, self.settings.values))
            running = await stack.enter_async_context(self._listening(storage, invoker))
            self._asgi = running
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Stop listening, wait up to `grace_s` for running functions, unload the app."""
        self._asgi = None
        await self._stack.aclose()

    async def stop_listening(self) -> None:
        """Stop queue listeners, scans and timers. Running functions continue, and HTTP requests are still answered."""
        await self._loops.finish()

    @asynccontextmanager
    async def _listening(self, storage: Storage, invoker: Invoker) -> AsyncIterator[HttpApp]:
        runs, loops = Background(), self._loops
        blobs = self._blob_triggers(storage, invoker)
        timers = {f.name: Timer(f, invoker, runs) for f in self._of_type("timerTrigger")}
        app = self._http_app(invoker, blobs, AdminRuns(invoker, timers, blobs, runs))
        listeners = self._queue_listeners(storage, invoker, blobs)
        await self._wait_for_storage(storage, blobs)
        feed = Feed(EventGrid(storage, blobs, self._event_queues), blobs, listeners)
        for work in (*(listener.run() for listener in listeners), *(timer.run() for timer in timers.values())):
            loops.start(work)
        if blobs:
            loops.start(blobs.scan())
        if blobs and blobs.subscribed and not self._log:
            names = ", ".join(trigger.function.name for trigger in blobs.subscribed)
            logger.warning("host.no_access_log: without an access log these functions get no blob events: %s", names)
        if self._log:
            loops.start(feed.run(self._log, position_file(self._log, self.settings.host_id)))
        try:
            yield app
        finally:
            await loops.finish()
            feed.save()
            finishing = [listener.finish(within_s=self._grace_s) for listener in listeners]
            await asyncio.gather(runs.finish(within_s=self._grace_s), *finishing)

    def _http_app(self, invoker: Invoker, blobs: BlobTriggers | None, admin_runs: AdminRuns) -> HttpApp:
        by_name = {function.name: function for function in self.functions}
        return HttpApp(
            [HttpFunction.from_function(f, self.settings.route_prefix) for f in self._of_type("httpTrigger")],
            invoker=invoker,
            webhooks=Webhooks(by_name, blobs, invoker),
            admin=Admin(by_name, host_id=self.settings.host_id, keys=self.keys, start=admin_runs.start),
            keys=self.keys,
            settings=self.settings.values,
        )

    def _of_type(self, trigger_type: str) -> list[Function]:
        return [function for function in self.functions if function.trigger.type == trigger_type]

    def _blob_triggers(self, storage: Storage, invoker: Invoker) -> BlobTriggers | None:
        triggers = [BlobTrigger.from_function(function) for function in self._of_type("blobTrigger")]
        if not triggers:
            return None
        return BlobTriggers(
            triggers,
            storage=storage,
            invoker=invoker,
            host_id=self.settings.host_id,
            list_every_s=self._list_every_s,
        )

    def _queue_listeners(self, storage: Storage, invoker: Invoker, blobs: BlobTriggers | None) -> list[QueueListener]:
        listeners = [
            QueueListener(
                storage.queues(function.trigger.connection),
                queue := str(function.trigger.options["queueName"]),
                poison=f"{queue}-poison",
                handle=queue_handler(function, queue, invoker),
                options=self.settings.queues,
                lease_s=self._lease_s,
            )
            for function in self._of_type("queueTrigger")
        ]
        if blobs:
            internal = QueueListener(
                storage.queues(),
                blobs.queue,
                poison=POISON_QUEUE,
                handle=blobs.handle,
                options=self.settings.queues,
                lease_s=self._lease_s,
            )
            blobs.queued = internal.wake
            listeners.append(internal)
        return listeners

    async def _wait_for_storage(self, storage: Storage, blobs: BlobTriggers | None) -> None:
        """Wait for every storage account in use; create the host's internal queue and the queues of `event_queues`."""
        connections = {f.trigger.connection for f in (*self._of_type("queueTrigger"), *self._of_type("blobTrigger"))}
        created = [blobs.queue] if blobs else []
        created += [event_queue.queue for event_queue in self._event_queues]
        for connection in connections | ({None} if created else set()):
            await storage.wait_until_up(connection)
        for queue in created:
            try:
                await create_queue(storage.queues().get_queue_client(queue))
            except AzureError as exc:
                raise HostError(f"The queue {queue!r} cannot be created: {exc}") from exc


def queue_handler(function: Function, queue: str, invoker: Invoker) -> Callable[[Received], Awaitable[None]]:
    async def handle(received: Received) -> None:
        await invoker.run(function, queue_trigger_input(received, queue))

    return handle


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Add settings to `os.environ` and restore it afterwards."""
    before = {name: os.environ.get(name) for name, value in values.items() if os.environ.get(name) != value}
    os.environ.update({name: values[name] for name in before})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
