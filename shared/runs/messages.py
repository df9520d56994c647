"""The messages of the queue `runs` and of its poison queue."""

from __future__ import annotations

import msgspec

from shared.telemetry import trace_for_message


class RunLook(msgspec.Struct, frozen=True):
    """Look at a run. `generation` is that of the record when the message was sent: an older one is stale."""

    run_id: str
    generation: int
    trace: str | msgspec.UnsetType = msgspec.field(default_factory=trace_for_message)


def run_look(body: bytes) -> RunLook:
    """Raises msgspec.DecodeError: the host retries the message and then moves it to the poison queue."""
    return msgspec.json.decode(body, type=RunLook)
