"""Calls a function with its trigger's data and its inputs, and writes its outputs."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from azure.core.exceptions import ResourceNotFoundError
from azure.functions.meta import Datum

from local.functions_host.functions.blob_data import blob_reference, content_datum, write_blob
from local.functions_host.functions.index import Binding, Function
from local.functions_host.functions.paths import fill
from local.functions_host.functions.trace import TraceContext, new_trace
from local.functions_host.storage import Storage

logger = logging.getLogger(__name__)
DEFAULT_THREADS = 1000
current_function: contextvars.ContextVar[str] = contextvars.ContextVar("current_function", default="")
thread_local_storage = threading.local()
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TriggerInput:
    """The input of one invocation.

    Attributes:
        data: The trigger's data, a Datum of azure-functions or of the SDK-type extension.
        metadata: The trigger metadata.
        values: Values for `{parameters}` in the paths of other bindings.
        trace: The trace context; None is a new trace, if there are any.
    """

    data: Any
    metadata: Mapping[str, Datum] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    trace: TraceContext | None = None


@dataclass(frozen=True, kw_only=True)
class RetryContext:
    """Counts the attempts of a retry policy, which this host has none of; not those of a queue message."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: None = None


@dataclass(frozen=True, kw_only=True)
class Context:
    """The value of the parameter `context`; it has the attributes of `azure.functions.Context`."""

    function_name: str
    function_directory: str
    invocation_id: str
    thread_local_storage: threading.local
    trace_context: TraceContext
    retry_context: RetryContext


class Out(Generic[T]):
    """The value of an output parameter; it has the methods of `azure.functions.Out`."""

    def __init__(self) -> None:
        self._value: T | None = None

    def set(self, val: T) -> None:
        self._value = val

    def get(self) -> T | None:
        return self._value


class WorkerReplaced(Exception):
    """An invocation was ended, because it or another one took longer than `functionTimeout`."""


class Invoker:
    """Runs functions as the worker does: async functions on this event loop, sync functions in a thread pool."""

    def __init__(self, storage: Storage, settings: Mapping[str, str], *, timeout_s: float | None = None) -> None:
        self._storage = storage
        self._settings = settings
        self._timeout_s = timeout_s
        self._limits: set[asyncio.Timeout] = set()  # of all invocations that run
        self._pool = ThreadPoolExecutor(max_workers=threads(settings), thread_name_prefix="function")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, function: Function, trigger_input: TriggerInput) -> Datum | None:
        """Call a function and write its outputs.

        Returns:
            The returned value, if the function has an HTTP `$return` binding.

        Raises:
            Exception: any error of the function; it is already logged.
        """
        invocation_id = str(uuid.uuid4())
        started = time.perf_counter()
        outcome = "Failed"
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                self._limits.add(limit)
                answer = await self._run(function, trigger_input, invocation_id)
            outcome = "Succeeded"
            return answer
        except TimeoutError as exc:
            if not limit.expired():
                raise
            self._replace_worker(function, took_s=time.perf_counter() - started)
            raise WorkerReplaced(f"{function.name!r} was ended: a function exceeded functionTimeout") from exc
        except asyncio.CancelledError:
            outcome = "Cancelled"
            raise
        finally:
            self._limits.discard(limit)
            log_outcome(function, outcome, invocation_id, (time.perf_counter() - started) * 1000)

    def _replace_worker(self, function: Function, *, took_s: float) -> None:
        """End all invocations that run, since the real host replaces the worker process.

        A sync function continues in its thread, which cannot be ended.
        """
        if self._timeout_s is None or took_s < self._timeout_s:  # another function's timeout ended this one
            return
        logger.error("Timeout value of %s s was exceeded by function: Functions.%s", self._timeout_s, function.name)
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())

    async def _run(self, function: Function, trigger_input: TriggerInput, invocation_id: str) -> Datum | None:
        arguments = await self._arguments(function, trigger_input)
        outs = {binding.name: Out[Any]() for binding in function.outputs}
        if function.wants_context:
            trace = trigger_input.trace or new_trace(function.name, self._settings)
            arguments["context"] = context(function, trace, invocation_id)
        result = await self._call(function, arguments | outs, invocation_id)
        if result is not None and function.returns is None:
            raise RuntimeError(f"function {function.name!r} without a $return binding returned a non-None value")
        for binding in function.outputs:
            if (value := outs[binding.name].get()) is not None:
                await self._write(binding, encoded(binding, value), trigger_input)
        return await self._return(function.returns, result, trigger_input)

    async def _return(self, binding: Binding | None, result: Any, trigger_input: TriggerInput) -> Datum | None:
        if binding is None:
            return None
        if binding.type == "http":
            return encoded(binding, result)
        if result is not None:
            await self._write(binding, encoded(binding, result), trigger_input)
        return None

    async def _call(self, function: Function, arguments: Mapping[str, Any], invocation_id: str) -> Any:
        def call() -> Any:
            thread_local_storage.invocation_id = invocation_id
            return function.call(**arguments)

        token = current_function.set(function.name)
        try:
            if function.is_async:
                return await call()
            copied = contextvars.copy_context()
            return await asyncio.get_running_loop().run_in_executor(self._pool, copied.run, call)
        finally:
            current_function.reset(token)

    async def _arguments(self, function: Function, trigger_input: TriggerInput) -> dict[str, Any]:
        arguments = {function.trigger.name: decoded(function.trigger, trigger_input.data, trigger_input.metadata)}
        for binding in function.inputs:
            data = await self._read(binding, fill(binding.options["path"], trigger_input.values))
            arguments[binding.name] = None if data is None else decoded(binding, data, {})
        return arguments

    async def _read(self, binding: Binding, path: str) -> Any:
        container, _, blob = path.partition("/")
        if binding.deferred:
            return blob_reference(binding.connection, container, blob)
        try:
            download = await self._storage.blobs(binding.connection).get_blob_client(container, blob).download_blob()
            return content_datum(await download.readall(), binding.options.get("dataType"))
        except ResourceNotFoundError:
            return None

    async def _write(self, binding: Binding, data: Datum, trigger_input: TriggerInput) -> None:
        if binding.type == "queue":
            for content in queue_messages(data):
                await self._storage.send(binding.options["queueName"].lower(), content, binding.connection)
        else:
            path = fill(binding.options["path"], trigger_input.values)
            await write_blob(self._storage.blobs(binding.connection), path, data.value)


def decoded(binding: Binding, data: Any, metadata: Mapping[str, Datum]) -> Any:
    """Convert the data of a trigger or input to the type of the parameter."""
    if binding.deferred:
        return binding.converter.decode(data, trigger_metadata=metadata, pytype=binding.pytype)
    return binding.converter.decode(data, trigger_metadata=metadata)


def encoded(binding: Binding, value: Any) -> Datum:
    """Convert a value of the function to data for an output binding.

    Raises:
        TypeError: the binding does not support the type.
    """
    try:
        data: Datum = binding.converter.encode(value, expected_type=binding.pytype)
    except NotImplementedError as exc:
        raise TypeError(
            f'unable to encode outgoing TypedData: unsupported type "{binding.type}" for '
            f'Python type "{type(value).__name__}"'
        ) from exc
    return data


def queue_messages(data: Datum) -> list[bytes]:
    """The messages of a queue output: one for each item of a list."""
    if data.type != "json":
        return [indented(data.value).encode() if isinstance(data.value, str) else data.value]
    content = json.loads(data.value)
    items = content if isinstance(content, list) else [content]
    return [queue_message(item).encode() for item in items]


def indented(text: str) -> str:
    """A JSON object as the real host writes it anew; any other text as it is."""
    try:
        content = json.loads(text)
    except ValueError:
        return text
    return json.dumps(content, indent=2, ensure_ascii=False) if isinstance(content, dict) else text


def queue_message(item: Any) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, dict) and item.keys() == {"id", "body"}:  # a QueueMessage, as the library encodes it
        return str(item["body"])
    return json.dumps(item)


def context(function: Function, trace: TraceContext, invocation_id: str) -> Context:
    return Context(
        function_name=function.name,
        function_directory=str(function.folder),
        invocation_id=invocation_id,
        thread_local_storage=thread_local_storage,
        trace_context=trace,
        retry_context=RetryContext(),
    )


def log_outcome(function: Function, outcome: str, invocation_id: str, duration_ms: float) -> None:
    level = {"Succeeded": logging.INFO, "Cancelled": logging.WARNING}.get(outcome, logging.ERROR)
    logger.log(
        level,
        "Executed 'Functions.%s' (%s, Id=%s, Duration=%.0fms)",
        function.name,
        outcome,
        invocation_id,
        duration_ms,
        exc_info=outcome == "Failed",
    )


def threads(settings: Mapping[str, str]) -> int:
    """`PYTHON_THREADPOOL_THREAD_COUNT`, or what the real host sets it to."""
    text = settings.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    return int(text) if text.isdecimal() and int(text) >= 1 else DEFAULT_THREADS
