"""A span around each call of an adapter, with the ids among its arguments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import cache
from inspect import Parameter, isasyncgenfunction, iscoroutinefunction, signature
from typing import Any, TypeVar

from shared.errors import ServiceBusy
from shared.telemetry import Value, call_span, count, is_on

T = TypeVar("T")

# Parameters that are ids. All others may be content: a query, an answer, a file.
IDS = frozenset({"store_id", "file_id", "engine_run", "run_id", "prefix", "delay_s", "limit"})
BLOB_NAMES = frozenset({"documents", "answers", "state"})


def traced(adapter: T, label: str) -> T:
    """The adapter with a span for each call, named `<label>.<method>`; the adapter itself when telemetry is off."""
    return _Traced(adapter, label) if is_on() else adapter  # type: ignore[return-value]


class _Traced:
    def __init__(self, adapter: object, label: str) -> None:
        self._adapter = adapter
        self._label = label

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._adapter, name)
        if iscoroutinefunction(found):
            return self._call(name, found)
        return self._iterate(name, found) if isasyncgenfunction(found) else found

    def _call(self, name: str, method: Any) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            with call_span(f"{self._label}.{name}", _ids_in(self._label, method, arguments, named)):
                try:
                    return await method(*arguments, **named)
                except ServiceBusy as exc:
                    count("service.refusals", code=exc.code)
                    raise

        return call

    def _iterate(self, name: str, method: Any) -> Any:
        async def iterate(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
            # No open span across a `yield`: the caller's own spans would become children of it.
            with call_span(f"{self._label}.{name}", _ids_in(self._label, method, arguments, named)):
                items = method(*arguments, **named)
                first = await anext(items, _END)
            while first is not _END:
                yield first
                first = await anext(items, _END)

        return iterate


_END = object()


def _ids_in(label: str, method: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Value]:
    given = {**dict(zip(_names_of(method.__func__), arguments, strict=False)), **named}
    ids: dict[str, Value] = {key: value for key, value in given.items() if key in IDS and isinstance(value, Value)}
    if label in BLOB_NAMES and isinstance(given.get("name"), str):
        ids["blob"] = given["name"]
    if run_id := getattr(given.get("ask"), "run_id", None):
        ids["run_id"] = run_id
    if isinstance(content := given.get("content"), bytes):
        ids["bytes"] = len(content)
    return ids


@cache
def _names_of(function: Any) -> tuple[str, ...]:
    return tuple(
        n for n, p in signature(function).parameters.items() if n != "self" and p.kind is not Parameter.KEYWORD_ONLY
    )
