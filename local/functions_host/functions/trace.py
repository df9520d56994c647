"""The trace context of an invocation. As in the real host, there is one only with Application Insights."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

SETTING = "APPLICATIONINSIGHTS_CONNECTION_STRING"
TRACE_PARENT = re.compile(r"[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})")


@dataclass(frozen=True, kw_only=True)
class TraceContext:
    """The attributes of `context.trace_context`: W3C `traceparent` and `tracestate`."""

    trace_parent: str = ""
    trace_state: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


def http_trace(headers: Mapping[str, str], settings: Mapping[str, str]) -> TraceContext:
    """The caller's trace with a new span; a new trace if the caller has none."""
    if not settings.get(SETTING):
        return TraceContext()
    match = TRACE_PARENT.fullmatch(headers.get("traceparent", ""))
    if match is None:
        return TraceContext(trace_parent=trace_parent(secrets.token_hex(16), "00"))
    parent = trace_parent(match["trace"], match["flags"])
    return TraceContext(trace_parent=parent, trace_state=headers.get("tracestate", ""))


def new_trace(function: str, settings: Mapping[str, str]) -> TraceContext:
    """A new trace, for a trigger other than HTTP: nothing links it to the sender."""
    if not settings.get(SETTING):
        return TraceContext()
    attributes = {"OperationName": function}
    return TraceContext(trace_parent=trace_parent(secrets.token_hex(16), "00"), attributes=attributes)


def trace_parent(trace: str, flags: str) -> str:
    return f"00-{trace}-{secrets.token_hex(8)}-{flags}"
