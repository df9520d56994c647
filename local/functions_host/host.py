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

from local.callers import Callers
from local.functions_host.background import Background
from local.functions_host.errors import AppRefused, BindingError, HostError
from local.functions_host.functions.checks import check_function
from local.functions_host.functions.index import Function
from local.functions_host.functions.invocation import Invoker
from local.functions_host.functions.loading import loaded_app, log_disabled
from local.functions_host.http.admin import Admin, AdminRuns
from local.functions_host.http.app import HttpApp, HttpFunction
from local.functions_host.http.asgi import Receive, Response, Scope, Send
from local.functions_host.http.connection import App
from local.functions_host.http.gate import ADMIN_KEY, Gate
from local.functions_host.http.keys import Keys
from local.functions_host.http.webhooks import Webhooks
from local.functions_host.settings import STORAGE, HostSettings
from local.functions_host.storage import Storage, create_queue_at_start, end_without
from local.functions_host.storage_events.events import EventGrid, EventQueue
from local.functions_host.storage_events.feed import Feed, position_file
from local.functions_host.triggers.blobs import LIST_EVERY_S, POISON_QUEUE, BlobTrigger, BlobTriggers
from local.functions_host.triggers.queues import LEASE_S, QueueListener, Received, queue_trigger_input
from local.functions_host.triggers.timers import StatusBlob, Timer

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
        as_azure: Be as unkind as the real host, see README.md.
        shut_down: Called when the real host would end its process; only with `as_azure`.
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
        as_azure: bool = False,
        shut_down: Callable[[], None] = lambda: None,
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
        self._as_azure = as_azure
        self._gate = None if as_azure else gate(self.settings.values, auth=auth)
        self._shut_down = shut_down
        self._stack = AsyncExitStack()
        self._loops = Background()
        self._asgi: App | None = None

    @property
    def running(self) -> bool:
        """Whether the app is loaded and its listeners run."""
        return self._asgi is not None

    @property
    def asgi(self) -> App:
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
            functions = self._load(stack)
            storage = Storage(self.settings.values, base64=self.settings.queues.base64)
            stack.push_async_callback(storage.close)
            enabled = [f for f in functions if not self.settings.disabled(f.name)]
            self.functions = tuple(f for f in enabled if is_valid(f, storage))
            invoker = stack.enter_context(
                Invoker(storage, self.settings.values, timeout_s=self.settings.function_timeout_s)
            )
            running = await stack.enter_async_context(self._listening(storage, invoker))
            self._asgi = running
            self._stack = stack.pop_all()
        return self

    def _load(self, stack: AsyncExitStack) -> tuple[Function, ...]:
        try:
            return stack.enter_context(loaded_app(self._folder, self.settings))
        except AppRefused:
            if self._as_azure:  # the real host runs on with no function at all, and says nothing
                return ()
            raise

    async def __aexit__(self, *exc: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Stop listening, wait up to `grace_s` for running functions, unload the app."""
        self._asgi = None
        await self._stack.aclose()

    async def stop_listening(self) -> None:
        """Stop queue listeners, scans and timers. Running functions continue, and HTTP requests are still answered."""
        await self._loops.finish()

    @asynccontextmanager
    async def _listening(self, storage: Storage, invoker: Invoker) -> AsyncIterator[App]:
        runs, loops = Background(), self._loops
        blobs = self._blob_triggers(storage, invoker)
        timers = {f.name: self._timer(f, storage, invoker, runs) for f in self._of_type("timerTrigger")}
        try:
            app = self._http_app(invoker, blobs, AdminRuns(invoker, timers, blobs, runs))
        except AppRefused:  # a route is not valid
            if not self._as_azure:
                raise
            yield unavailable
            return
        listeners = self._queue_listeners(storage, invoker, blobs)
        if self._as_azure:
            loops.start(end_without(storage, self._connections(blobs), self._shut_down))
        else:
            await self._wait_for_storage(storage, blobs)
        woken = [] if self._as_azure else listeners
        feed = Feed(EventGrid(storage, blobs, self._event_queues), blobs, woken)
        has_timers = bool(self.settings.values.get(STORAGE)) or not self._as_azure
        for work in (*listeners, *(timers.values() if has_timers else ())):
            loops.start(work.run())
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
            gate=self._gate,
        )

    def _timer(self, function: Function, storage: Storage, invoker: Invoker, runs: Background) -> Timer:
        has_storage = bool(self.settings.values.get(STORAGE))
        status = StatusBlob(storage.blobs(), self.settings.host_id, function) if has_storage else None
        return Timer(function, invoker, runs, status=status)

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
            without_function=self._shut_down if self._as_azure else None,
        )

    def _queue_listeners(self, storage: Storage, invoker: Invoker, blobs: BlobTriggers | None) -> list[QueueListener]:
        listeners = [
            QueueListener(
                storage.queues(function.trigger.connection),
                queue := str(function.trigger.options["queueName"]).lower(),
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
                options=self.settings.blobs,
                lease_s=self._lease_s,
            )
            blobs.queued = internal.wake
            listeners.append(internal)
        return listeners

    def _connections(self, blobs: BlobTriggers | None) -> set[str | None]:
        """The storage accounts in use; None is the host's own."""
        used = {f.trigger.connection for f in (*self._of_type("queueTrigger"), *self._of_type("blobTrigger"))}
        return used | ({None} if blobs or self._event_queues else set())

    async def _wait_for_storage(self, storage: Storage, blobs: BlobTriggers | None) -> None:
        """Wait for every storage account in use; create the queues of `event_queues`."""
        created = [event_queue.queue for event_queue in self._event_queues]
        for connection in self._connections(blobs):
            await storage.wait_until_up(connection)
        for queue in created:
            try:
                await create_queue_at_start(storage.queues().get_queue_client(queue))
            except AzureError as exc:
                raise HostError(f"The queue {queue!r} cannot be created: {exc}") from exc


def gate(values: Mapping[str, str], *, auth: bool) -> Gate:
    """Raises: HostError: a setting is not valid."""
    try:
        callers = Callers.from_environ(values)
    except ValueError as exc:
        raise HostError(str(exc)) from exc
    return Gate(callers, admin_key=values.get(ADMIN_KEY, ""), open_functions=not auth)


async def unavailable(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI app of a host that cannot start."""
    await Response(status=503).send(send)


def is_valid(function: Function, storage: Storage) -> bool:
    """Whether all bindings of a function can work; if not, the reason is logged."""
    try:
        check_function(function, storage)
    except BindingError as exc:
        log_disabled(function.name, exc)
        return False
    return True


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
