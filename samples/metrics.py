"""The two CSV files: hourly figures of February 2026 and monthly figures since January 2025.

All random numbers come from one generator with a fixed seed, so the files are the same on every machine. The hourly
file contains patterns to find: a daily peak at 14:00, less traffic on weekends, a memory leak that slows web-02 down
during the month, and an outage of web-02 on 14 February from 13:00 to 16:00.
"""

import csv
import io
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

START = datetime(2026, 2, 1)
HOURS = 28 * 24
OUTAGE = (datetime(2026, 2, 14, 13), datetime(2026, 2, 14, 16))

HOURLY_HEADER = (
    "timestamp",
    "server",
    "response_time_ms",
    "requests",
    "error_rate_percent",
    "cpu_percent",
    "memory_percent",
)
MONTHLY_HEADER = (
    "month",
    "avg_response_time_ms",
    "p95_response_time_ms",
    "total_requests",
    "error_rate_percent",
    "availability_percent",
    "downtime_minutes",
    "incidents",
)


@dataclass(frozen=True, kw_only=True)
class Server:
    """One server: its figures on a normal day."""

    name: str
    response_time_ms: float
    requests: float  # at the daily peak
    error_rate_percent: float
    memory_percent: float
    leak_percent: float = 0.0  # memory gained per day
    slowdown_ms: float = 0.0  # response time gained per day


SERVERS = (
    Server(name="api-01", response_time_ms=142, requests=2240, error_rate_percent=0.22, memory_percent=58),
    Server(name="web-01", response_time_ms=228, requests=1780, error_rate_percent=0.31, memory_percent=49),
    Server(
        name="web-02",
        response_time_ms=246,
        requests=1740,
        error_rate_percent=0.38,
        memory_percent=52,
        leak_percent=1.1,
        slowdown_ms=7.5,
    ),
    Server(name="web-03", response_time_ms=219, requests=1610, error_rate_percent=0.27, memory_percent=47),
)

# Month, response time and requests relative to February 2026, error rate in percent, downtime in minutes, incidents.
# The figures of October to December are also in q4-incident-report.md.
HISTORY = (
    ("2025-01", 0.79, 0.71, 0.34, 21, 1),
    ("2025-02", 0.80, 0.68, 0.31, 0, 0),
    ("2025-03", 0.81, 0.76, 0.33, 16, 1),
    ("2025-04", 0.83, 0.77, 0.30, 0, 0),
    ("2025-05", 0.84, 0.81, 0.35, 29, 1),
    ("2025-06", 0.83, 0.79, 0.29, 0, 0),
    ("2025-07", 0.85, 0.80, 0.36, 33, 1),
    ("2025-08", 0.86, 0.78, 0.32, 12, 1),
    ("2025-09", 0.88, 0.88, 0.34, 0, 0),
    ("2025-10", 1.04, 0.94, 0.61, 69, 2),
    ("2025-11", 1.27, 1.31, 1.18, 162, 2),
    ("2025-12", 1.09, 1.22, 0.57, 35, 1),
    ("2026-01", 0.93, 0.97, 0.39, 0, 0),
)
FEBRUARY_DOWNTIME = 18  # minutes


def hourly_rows() -> list[tuple[str, str, float, int, float, float, float]]:
    """The figures of all servers for each hour, in the order of `HOURLY_HEADER`."""
    noise = random.Random(20260201)
    return [_row(server, START + timedelta(hours=hour), noise) for hour in range(HOURS) for server in SERVERS]


def _row(server: Server, at: datetime, noise: random.Random) -> tuple[str, str, float, int, float, float, float]:
    days = (at - START).total_seconds() / 86_400
    busy = _busy(at)
    requests = server.requests * busy * noise.uniform(0.95, 1.05)
    response_time = (
        (server.response_time_ms + server.slowdown_ms * days) * (0.82 + 0.42 * busy) * noise.uniform(0.94, 1.06)
    )
    error_rate = server.error_rate_percent * (0.6 + 0.8 * busy) * noise.uniform(0.7, 1.3)
    cpu = 14 + 52 * busy + noise.uniform(-4, 4)
    memory = server.memory_percent + server.leak_percent * days + 6 * busy + noise.uniform(-1.5, 1.5)
    if server.name == "web-02" and OUTAGE[0] <= at < OUTAGE[1]:
        response_time, error_rate, requests = response_time * 6.4, error_rate * 21, requests * 0.42
        cpu = 95 + noise.uniform(0, 3)
    return (
        f"{at:%Y-%m-%d %H:%M}",
        server.name,
        round(response_time, 1),
        round(requests),
        round(error_rate, 2),
        round(min(cpu, 99.0), 1),
        round(min(memory, 97.0), 1),
    )


def _busy(at: datetime) -> float:
    """The load of an hour, 0 to 1: a bell curve around 14:00, and two thirds of it at weekends."""
    bell = math.exp(-(((at.hour - 14) / 4.6) ** 2))
    return (0.12 + 0.88 * bell) * (0.66 if at.weekday() >= 5 else 1.0)


def monthly_rows() -> Iterator[tuple[str, float, float, int, float, float, int, int]]:
    """The months before February 2026, and February 2026 from the hourly file, in the order of `MONTHLY_HEADER`."""
    february = hourly_rows()
    times = sorted(row[2] for row in february)
    mean, p95 = sum(times) / len(times), times[math.ceil(0.95 * len(times)) - 1]
    requests = sum(row[3] for row in february)
    errors = sum(row[3] * row[4] for row in february) / requests
    for month, slower, busier, error_rate, downtime, incidents in HISTORY:
        yield (
            month,
            round(mean * slower, 1),
            round(p95 * slower * (1 + incidents * 0.03), 1),
            round(requests * busier / 100) * 100,
            error_rate,
            _availability(month, downtime),
            downtime,
            incidents,
        )
    availability = _availability("2026-02", FEBRUARY_DOWNTIME)
    yield "2026-02", round(mean, 1), p95, requests, round(errors, 2), availability, FEBRUARY_DOWNTIME, 1


def _availability(month: str, downtime: int) -> float:
    first = datetime.strptime(month, "%Y-%m")
    following = (first + timedelta(days=32)).replace(day=1)
    minutes = (following - first).total_seconds() / 60
    return round(100 * (1 - downtime / minutes), 3)


def hourly_csv() -> str:
    return _csv(HOURLY_HEADER, hourly_rows())


def monthly_csv() -> str:
    return _csv(MONTHLY_HEADER, monthly_rows())


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
