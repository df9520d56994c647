"""Parse documents in child processes, so that a malicious file can crash a child but not the emulator.

The methods block; call them from threads. A child starts on first use and is reused. It is replaced after a crash,
after it exceeds a limit, and after `FILES_PER_WORKER` files.
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
_KEPT_VARIABLES = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL")  # a child that reads untrusted files gets no secrets


class ParserPool:
    def __init__(self, *, workers: int = 2, wall_clock_s: float = WALL_CLOCK_S) -> None:
        self._free = threading.BoundedSemaphore(workers)
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._wall_clock_s = wall_clock_s
        self._closed = False

    def parse(self, path: Path, filename: str) -> list[Section]:
        """Like `parsers.parse`, in a child process; waits while all children are busy.

        Raises:
            ParseError: the file cannot be parsed, exceeds a limit, or crashes the child.
            FileNotFoundError: `path` does not exist.
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
        """Start one child before the first file arrives."""
        with self._free:
            self._give_back(self._take())

    def close(self) -> None:
        """End all idle children; a busy child ends after its file."""
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
    """The child process ended without a reply."""


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
        raise _Died("parsing took longer than allowed" if timed_out.is_set() else "the parser crashed")

    def end(self) -> None:
        """Close stdin, which ends the child; kill it if it still runs after two seconds."""
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
