"""`?wait=SECONDS`: the request is answered when something has changed, or after that time.

The record is read again and again, since another process may write it. In between the request sleeps, so that it holds
neither the event loop nor a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared.errors import BadRequest
from shared.http.fields import WAIT_MAX_S

T = TypeVar("T")
READ_EVERY_S = 0.5


def wait_from(text: str | None, *, most: int) -> float:
    """Seconds to wait; more than `most`, the app's own limit, is reduced to it."""
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(WAIT_MAX_S)) and int(text) <= WAIT_MAX_S):
        raise BadRequest(f"wait is a whole number of seconds from 0 to {WAIT_MAX_S}.", code="invalid_wait")
    return min(int(text), most)


async def changed(
    read: Callable[[], Awaitable[T]],
    *,
    shown: Callable[[T], object],
    is_final: Callable[[T], bool],
    wait_s: float,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Read until `shown` of it changes, it is final, or `wait_s` is over.

    Args:
        is_final: Whether the caller must see it at once; a request for it does not wait.
    """
    found = await read()
    before, until_s = shown(found), clock() + wait_s
    while not is_final(found) and shown(found) == before and (left_s := until_s - clock()) > 0:
        await pause(min(READ_EVERY_S, left_s))
        found = await read()
    return found
