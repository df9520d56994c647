"""What the app needs, looked at one by one: for people who find out why it does not work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import AppError

if TYPE_CHECKING:
    from shared.storage.blobs import Storage

PATIENCE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at; `detail` says what is wrong with it."""

    name: str
    ok: bool
    detail: str
    took_ms: int


async def look_around(storage: Storage, ping: Callable[[], Awaitable[None]]) -> list[Check]:
    """Storage, queues and the model service, all at once. `ping` raises when the service cannot be used."""
    looks: dict[str, Callable[[], Awaitable[object]]] = {
        "container documents": storage.documents.reachable,
        "container answers": storage.answers.reachable,
        "container state": storage.state.reachable,
        "queue runs": storage.runs.reachable,
        "queue indexing": storage.indexing.reachable,
        "queue callbacks": storage.callbacks.reachable,
        "model service": ping,
    }
    return list(await asyncio.gather(*(_check(name, look) for name, look in looks.items())))


async def _check(name: str, look: Callable[[], Awaitable[object]]) -> Check:
    begun_s = time.monotonic()
    detail = ""
    try:
        async with asyncio.timeout(PATIENCE_S):
            await look()
    except TimeoutError:
        detail = f"There was no answer within {PATIENCE_S:.0f} s."
    except AppError as exc:
        detail = exc.message
    return Check(name=name, ok=not detail, detail=detail, took_ms=round((time.monotonic() - begun_s) * 1000))
