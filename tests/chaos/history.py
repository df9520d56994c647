"""What the clients of a chaos test did and saw, with the times of sending and of the answer. All times are seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["done", "refused", "unknown"]  # unknown: no answer came, or one that leaves it open


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A write or deletion of a document. One writer writes a path, one operation after the other."""

    path: str
    kind: Literal["put", "delete"]
    via: Literal["storage", "http"]
    sent_s: float
    ended_s: float
    outcome: Outcome
    version: int = 0  # of a put, from 1; no two puts of a path have the same
    etag: str | None = None  # of a put that is done


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What GET /api/documents said of a document. `status` None: it was not listed."""

    path: str
    sent_s: float
    ended_s: float
    status: str | None = None
    answers_etag: str | None = None


@dataclass(kw_only=True)
class Question:
    """A question under its Idempotency-Key. `sent_s`: just before its first POST."""

    key: str
    text: str
    sent_s: float
    collection: str
    files: tuple[str, ...] = ()
    thread_id: str | None = None
    run_ids: set[str] = field(default_factory=set)  # of all answers 202
    cancelled: bool = False  # a cancel was sent


@dataclass(frozen=True, kw_only=True)
class Look:
    """The status of a run at a poll."""

    run_id: str
    status: str
    at_s: float


@dataclass(kw_only=True)
class Fault:
    what: str
    began_s: float
    ended_s: float | None = None


@dataclass(kw_only=True)
class History:
    """Appended to by several threads."""

    operations: list[Operation] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    began_s: float = field(default_factory=time.monotonic)

    def now_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began_s

    def puts(self, path: str) -> list[Operation]:
        """The puts of a path that were answered with success."""
        return [o for o in self.operations if o.path == path and o.kind == "put" and o.outcome == "done"]

    def version_of(self, path: str, etag: str | None) -> int | None:
        return next((put.version for put in self.puts(path) if etag is not None and put.etag == etag), None)

    def question_of(self, run_id: str) -> Question | None:
        return next((question for question in self.questions if run_id in question.run_ids), None)

    def about(self, *, path: str | None = None, run_id: str | None = None) -> list[str]:
        """The lines of the history that touch a path or a run, and the faults meanwhile, in order of time."""
        lines = list(self._lines(path, run_id))
        if not lines:
            return []
        first_s, last_s = min(at for at, _ in lines) - 5, max(at for at, _ in lines)
        for fault in self.faults:
            if fault.began_s <= last_s and (fault.ended_s is None or fault.ended_s >= first_s):
                until = "" if fault.ended_s is None else f" until {fault.ended_s:.2f}"
                lines.append((fault.began_s, f"fault: {fault.what}{until}"))
        return [f"{at:8.2f} s  {line}" for at, line in sorted(lines)]

    def _lines(self, path: str | None, run_id: str | None) -> Iterator[tuple[float, str]]:
        for o in self.operations:
            if o.path == path:
                what = f"{o.kind} version {o.version}" if o.version else o.kind
                yield o.sent_s, f"{what} by {o.via}: {o.outcome} at {o.ended_s:.2f}"
        for seen in self.seen:
            if seen.path == path:
                version = self.version_of(seen.path, seen.answers_etag)
                yield seen.ended_s, f"listed as {seen.status}, version {version}" if seen.status else "not listed"
        for question in self.questions:
            if run_id in question.run_ids:
                more = f" in {question.thread_id}" if question.thread_id else ""
                yield question.sent_s, f"asked {question.text!r} ({question.key}){more}: {sorted(question.run_ids)}"
        for look in self.looks:
            if look.run_id == run_id:
                yield look.at_s, f"run is {look.status}"
