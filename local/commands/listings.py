"""`documents`, `runs` and `usage`: what the app has and what it has cost."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from urllib.parse import quote

from local.client import Client, Json
from local.commands.asking import show
from local.commands.pictures import Charts
from local.errors import LocalError
from local.terminal import Terminal, shortened

PAGE = 100
THREADS_SHOWN = 10
RUNS_LOOKED_AT = 200
AT_ONCE = 8
SUMMED = (
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "total_tokens",
    "file_search_calls",
    "code_interpreter_calls",
)


class Spent:
    """Sums over runs."""

    def __init__(self) -> None:
        self.runs = 0
        self.usd = 0.0
        self.unpriced = 0  # runs of a model whose prices the app does not know, and runs that have not ended
        self.usage = dict.fromkeys(SUMMED, 0)

    def add(self, run: Json) -> None:
        """Add a run, as `GET /api/runs/{id}` answers it."""
        self.runs += 1
        cost = run.get("cost")
        self.usd += cost["usd"] if cost else 0
        self.unpriced += not cost
        for name in SUMMED:
            self.usage[name] += (run.get("usage") or {}).get(name) or 0

    def line(self) -> str:
        """The sums for people."""
        tokens = f"{self.usage['input_tokens']:,} in · {self.usage['output_tokens']:,} out"
        unpriced = f" · {self.unpriced} without a price" if self.unpriced else ""
        return f"{self.runs} {'run' if self.runs == 1 else 'runs'} · {tokens} tokens · ${self.usd:.4f}{unpriced}"

    def as_json(self) -> Json:
        """The sums for programs."""
        return {"runs": self.runs, "usd": round(self.usd, 6), "runs_without_price": self.unpriced, **self.usage}


def documents(
    terminal: Terminal, client: Client, *, collection: str | None, status: str | None, as_json: bool = False
) -> int:
    """List documents, by name."""
    found = client.documents(collection, status)
    if as_json:
        return _print_json({"documents": found})
    for document in found:
        terminal.document(document)
    terminal.say(f"  {counted(found, 'document')}.", style="dim")
    return 0


def runs(terminal: Terminal, client: Client, *, status: str | None, limit: int, as_json: bool = False) -> int:
    """List runs, the newest first."""
    chosen = {"status": status} if status else {}
    found = list(islice(client.listed("/api/runs", "runs", limit=min(limit, PAGE), **chosen), limit))
    if as_json:
        return _print_json({"runs": found})
    for run in found:
        question = shortened(run["question"], 50)
        terminal.pair(run["id"], f"{run['status']:<12} {run['created_at'][:16]}  {took(run):>8}  {question}")
    terminal.say(f"  {counted(found, 'run')}.", style="dim")
    return 0


def one_run(terminal: Terminal, client: Client, run_id: str, *, charts: Charts, as_json: bool = False) -> int:
    """Show a run with its answer; one that has not ended, with its status."""
    run = client.get(f"/api/runs/{quote(run_id, safe='')}")
    if as_json:
        return _print_json(run)
    terminal.heading(shortened(run["question"], 100))
    if run.get("finished_at"):
        show(terminal, client, run, charts=charts)
    else:
        terminal.pair("status", run["status"])
    terminal.pair("thread", run["thread_id"])
    return 0


def usage(terminal: Terminal, client: Client, *, days: int, as_json: bool = False, now: datetime | None = None) -> int:
    """Sum tokens and cost of the runs of the last days, today included, each day in UTC."""
    now = now or datetime.now(UTC)
    first = (now - timedelta(days=days - 1)).date().isoformat()
    by_day: dict[str, Spent] = {}
    for run in _full_runs(client, first):
        by_day.setdefault(run["created_at"][:10], Spent()).add(run)
    stored = list(client.listed("/api/collections", "collections"))
    storage_usd = sum(each["cost_usd_per_day"] for each in stored)
    if as_json:
        found = {day: spent.as_json() for day, spent in sorted(by_day.items())}
        return _print_json({"days": found, "vector_stores_usd_per_day": storage_usd})
    for day, spent in sorted(by_day.items()):
        terminal.pair(day, spent.line())
    if not by_day:
        terminal.say(f"  No run since {first}.", style="dim")
    terminal.pair("vector stores", f"${storage_usd:.4f} a day for {len(stored)} collections")
    return 0


def _full_runs(client: Client, first: str) -> Iterator[Json]:
    """All runs that were asked on a day or later, with cost. One that is deleted meanwhile is left out."""

    def full(run: Json) -> Json | None:
        try:
            return client.get(f"/api/runs/{run['id']}")
        except LocalError as exc:
            if getattr(exc, "status", None) == 404:
                return None
            raise

    chosen: list[Json] = []
    for run in client.listed("/api/runs", "runs", limit=PAGE):
        if run["created_at"][:10] < first:
            break
        chosen.append(run)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from filter(None, pool.map(full, chosen))


def threads(client: Client) -> dict[str, Json]:
    """The threads of the newest runs: id -> its first question among them."""
    found: dict[str, Json] = {}
    for run in islice(client.listed("/api/runs", "runs", limit=PAGE), RUNS_LOOKED_AT):
        if run["thread_id"] in found or len(found) < THREADS_SHOWN:
            found[run["thread_id"]] = run
    return found


def newest_thread(client: Client) -> str:
    """The thread of the newest run.

    Raises:
        LocalError: there is no run.
    """
    for run in client.listed("/api/runs", "runs", limit=1):
        return str(run["thread_id"])
    raise LocalError("There is no thread yet.", "The first question begins one.")


def counted(found: Sized, noun: str) -> str:
    """A number with its noun."""
    return f"{len(found):,} {noun}" if len(found) == 1 else f"{len(found):,} {noun}s"


def took(run: Json) -> str:
    """How long a run took; empty while it runs."""
    if not run.get("finished_at"):
        return ""
    seconds = (datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["created_at"])).total_seconds()
    return f"{seconds:.1f} s"


def _print_json(value: Json) -> int:
    sys.stdout.write(json.dumps(value) + "\n")
    return 0
