"""Deep health: checks storage, queues and the model service one by one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import AppError

if TYPE_CHECKING:
    from shared.storage.blobs import Storage

CHECK_TIMEOUT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check; `detail` says what is wrong."""

    name: str
    ok: bool
    detail: str
    took_ms: int


async def check_health(storage: Storage, ping: Callable[[], Awaitable[None]]) -> list[Check]:
    """Check everything at the same time. `ping` raises when the model service cannot be used."""
    checks: dict[str, Callable[[], Awaitable[object]]] = {
        "container documents": storage.documents.reachable,
        "container answers": storage.answers.reachable,
        "container state": storage.state.reachable,
        "queue runs": storage.runs.reachable,
        "queue indexing": storage.indexing.reachable,
        "queue callbacks": storage.callbacks.reachable,
        "model service": ping,
    }
    return list(await asyncio.gather(*(_run(name, check) for name, check in checks.items())))


async def _run(name: str, check: Callable[[], Awaitable[object]]) -> Check:
    started_s = time.monotonic()
    detail = ""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except TimeoutError:
        detail = f"There was no answer within {CHECK_TIMEOUT_S:.0f} s."
    except AppError as exc:
        detail = exc.message
    return Check(name=name, ok=not detail, detail=detail, took_ms=round((time.monotonic() - started_s) * 1000))
