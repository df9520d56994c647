"""When to look next. Pure."""

from __future__ import annotations

import random

SHORTEST_S = 1  # a queue's visibility timeout is in whole seconds
LONGEST_S = 30  # a code interpreter container dies after 20 idle minutes, and its charts with it


def look_delay_s(age_s: float) -> int:
    """Seconds until the next look at what has been going on for `age_s`: a tenth of the age, from 1 to 30 s.

    So an answer is late by a second for runs of up to 10 s, and by a tenth of the run beyond; see bench/polling.py.
    """
    return int(min(max(round(age_s / 10), SHORTEST_S), LONGEST_S))


def retry_delay_s(faults: int, asked_s: float | None) -> int:
    """Seconds to wait when the service was busy `faults` times in a row: what it asked for, else 2, 4, 8 .. 30 s."""
    if asked_s is not None:
        return int(min(max(asked_s, SHORTEST_S), 300)) + 1
    doubled = min(2.0 ** min(faults, 10), LONGEST_S)
    # Apart from one another, so that throttled runs do not come back in one wave.
    return int(doubled + random.uniform(0, doubled / 4))  # noqa: S311
