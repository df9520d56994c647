"""Delays between looks and before retries, and the deadline of a step, in seconds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.errors import StepTooLong

# Well below `functionTimeout` in host.json: at that time the host ends the worker with all functions that it runs.
STEP_MAX_S = 8 * 60

SHORTEST_S = 1  # a queue's visibility timeout is in whole seconds
LONGEST_S = 30  # a code interpreter container is deleted after 20 idle minutes, with its charts


def look_delay_s(age_s: float) -> int:
    """Seconds until the next look at a task that started `age_s` ago: a tenth of its age, from 1 to 30 s.

    The end of a task is then noticed at most 1 s or a tenth of its duration late; see bench/polling.py.
    """
    return int(min(max(round(age_s / 10), SHORTEST_S), LONGEST_S))


def retry_delay_s(faults: int, asked_s: float | None) -> int:
    """Seconds to wait after the service was busy `faults` times in a row.

    `asked_s` is the Retry-After of the service; up to 300 s are honoured. Without it, the delays are 2, 4, 8 .. 30 s.
    """
    if asked_s is not None:
        return int(min(max(asked_s, SHORTEST_S), 300)) + 1
    doubled = min(2.0 ** min(faults, 10), LONGEST_S)
    # Jitter: throttled runs must not all come back at the same moment.
    return int(doubled + random.uniform(0, doubled / 4))  # noqa: S311


@asynccontextmanager
async def one_step(max_s: float = STEP_MAX_S) -> AsyncIterator[None]:
    """Cancel the block when it takes longer than `max_s`.

    Raises:
        StepTooLong: it did.
    """
    try:
        async with asyncio.timeout(max_s) as deadline:
            yield
    except TimeoutError as exc:
        if not deadline.expired():
            raise
        raise StepTooLong(f"A step took longer than {max_s:.0f} s and was ended. It is tried again.") from exc
