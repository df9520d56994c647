"""Delays between looks and before retries, in seconds. Pure."""

from __future__ import annotations

import random

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
