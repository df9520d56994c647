"""Parse documents in child processes: a hostile file may end its child, never the emulator.

The calls block and belong in threads. Children start when first needed, stay warm, and are replaced after a crash,
a broken limit or `FILES_PER_WORKER` files.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from local.openai_emulator.search.parsers.base import ParseError, Section, invalid

logger = logging.getLogger(__name__)

WALL_CLOCK_S = 90.0
FILES_PER_WORKER = 500
_ROOT = Path(__file__).resolve().parents[4]
_KEPT_VARIABLES = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL")  # no secrets for a process that reads hostile files


class ParserPool:
    def __init__(self, *, workers: int = 2, wall_clock_s: float = WALL_CLOCK_S) -> None:
        self._free = threading.BoundedSemaphore(workers)
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._wall_clock_s = wall_clock_s
        self._closed = False

    def parse(self, path: Path, filename: str) -> list[Section]:
        """Like `parsers.parse`, in a child; waits while all children are busy.

        Raises:
            ParseError: the file's fault, its breaking a limit or crashing the child included.
            FileNotFoundError: `path` is not there.
        """
        with self._free:
            worker = self._take()
            try:
                reply = worker.ask({"path": str(path.absolute()), "filename": filename}, self._wall_clock_s)
            except _Died as exc:
                logger.warning("parser.died", extra={"document": filename, "reason": str(exc)})
                raise invalid(f"This file could not be read: {exc}.") from exc
            finally:
                self._give_back(worker)
        if "failure" in reply:
            raise FileNotFoundError(path)
        if "error" in reply:
            code, message = reply["error"]
            raise ParseError(code, message)
        return [Section(text=text, page=page, heading=heading) for text, page, heading in reply["sections"]]

    def warm(self) -> None:
        """Start one child ahead of the first file."""
        with self._free:
            self._give_back(self._take())

    def close(self) -> None:
        """End all children; those at work end with their file."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    def _take(self) -> _Worker:
        while True:
            with self._lock:
                if self._closed:
                    raise RuntimeError("the parser pool is closed")
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return _Worker()
            if worker.alive:
                return worker
            worker.end()

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            if worker.alive and worker.files < FILES_PER_WORKER and not self._closed:
                self._idle.append(worker)
                return
        worker.end()


class _Died(Exception):
    """The child ended instead of answering."""


class _Worker:
    def __init__(self) -> None:
        self.files = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker"],
            cwd=_ROOT,
            env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, str], limit_s: float) -> dict[str, Any]:
        process = self._process
        assert process.stdin and process.stdout
        self.files += 1
        timed_out = threading.Event()

        def stop() -> None:
            timed_out.set()
            process.kill()

        timer = threading.Timer(limit_s, stop)
        timer.start()
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        finally:
            timer.cancel()
        if line.endswith(b"\n"):
            reply: dict[str, Any] = json.loads(line)
            return reply
        self.end()
        raise _Died("it took longer than a document may take" if timed_out.is_set() else "the reader broke off over it")

    def end(self) -> None:
        """Close its stdin, which ends it; kill it when it does not listen."""
        process = self._process
        assert process.stdin and process.stdout
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
