"""Spans and metrics. Off, all of this does nothing; OpenTelemetry is imported only when the setting TELEMETRY is set.

A trace goes on in each queue message (the field `trace`) and in the record of its run or document, as a W3C
`traceparent`: the Functions host gives every queue function a trace of its own.
Source: https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import msgspec

log = logging.getLogger(__name__)

SETTING = "TELEMETRY"
KINDS = ("off", "console", "file", "otlp", "azure")
TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")

Value = str | int | float | bool


class Backend(Protocol):
    def span(self, name: str, parent: str | None, ids: Mapping[str, Value]) -> AbstractContextManager[None]: ...

    def note(self, name: str, ids: Mapping[str, Value]) -> None: ...

    def current(self) -> str | None: ...

    def count(self, name: str, amount: float, labels: Mapping[str, Value]) -> None: ...

    def measure(self, name: str, value: float, labels: Mapping[str, Value]) -> None: ...


_backend: Backend | None = None


def start(environ: Mapping[str, str] = os.environ) -> None:
    """Switch it on if the setting TELEMETRY says so: `off`, `console`, `file:<path>`, `otlp` or `azure`.

    What is wrong with it is only logged: an app that fails to load has no functions at all.
    """
    kind = (environ.get(SETTING) or "off").partition(":")[0]
    if kind not in KINDS:
        log.error("telemetry.off The setting %s is %.40r; it must be one of %s.", SETTING, kind, ", ".join(KINDS))
    elif kind != "off" and _backend is None:
        try:
            from shared.telemetry.opentelemetry import open_backend

            use(open_backend(environ))
        except ImportError as exc:
            log.error("telemetry.off The package of %s is not installed, which %s=%s needs.", exc.name, SETTING, kind)
        except (KeyError, ValueError) as exc:  # of the connection string
            log.error("telemetry.off %s=%s cannot be used: %s", SETTING, kind, exc)


def use(backend: Backend | None) -> None:
    """Use this backend; None switches it off."""
    global _backend
    _backend = backend


def is_on() -> bool:
    return _backend is not None


def span(name: str, *, parent: str | None = None, **ids: Value | None) -> AbstractContextManager[None]:
    """A span during the block.

    Args:
        parent: The trace that it belongs to. A span that is open stays the parent when it is of that trace, or when
            there is no `parent`.
        ids: Ids and counts. Never text of documents, questions, answers, or secrets.
    """
    return _backend.span(name, parent, _given(ids)) if _backend else nullcontext()


def call_span(name: str, ids: Mapping[str, Value]) -> AbstractContextManager[None]:
    """A span of a call to the outside, in the open span."""
    return _backend.span(name, None, ids) if _backend else nullcontext()


def note(name: str, ids: Mapping[str, object]) -> None:
    """A log event of this moment, on the open span, and counted."""
    if _backend:
        _backend.note(name, {key: str(value) for key, value in ids.items() if value is not None and key in EVENT_IDS})
        family, _, what = name.partition(".")
        if family == "document" and what in ("indexed", "failed", "unsupported"):
            _backend.count("documents.ended", 1, {"status": what})


def current() -> str | None:
    """The open span as `traceparent`; None when there is none."""
    return _backend.current() if _backend else None


def trace_for_message() -> str | msgspec.UnsetType:
    """The value of the field `trace` of a queue message; it is left out when there is none."""
    return current() or msgspec.UNSET


def trace_in(body: bytes) -> str | None:
    """The trace of a queue message, whatever else it holds."""
    if not _backend:
        return None
    try:
        return parent_in(msgspec.json.decode(body, type=_Traced).trace)
    except msgspec.DecodeError:
        return None


def parent_in(text: object) -> str | None:
    """A `traceparent` from outside; None if it is none."""
    return text if isinstance(text, str) and TRACE_PARENT.fullmatch(text) else None


def count(name: str, amount: float = 1, **labels: Value) -> None:
    if _backend:
        _backend.count(name, amount, labels)


def measure(name: str, value: float, **labels: Value) -> None:
    """One value of a distribution, such as a duration in seconds."""
    if _backend:
        _backend.measure(name, value, labels)


# Of log events: other fields can hold messages of the service.
EVENT_IDS = frozenset(
    {"run_id", "thread_id", "path", "etag", "status", "code", "faults", "attempt", "looks", "store_id"}
)


class _Traced(msgspec.Struct):
    trace: object = None


def _given(ids: Mapping[str, Value | None]) -> dict[str, Value]:
    return {key: value for key, value in ids.items() if value is not None}
