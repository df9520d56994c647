"""Runs a reader of this package in a process of its own, with limits of time and memory.

Some files are made to be slow, and some abort their reader: a thread that reads one cannot be stopped, others need the
thread, and no `except` catches an abort. The module that is run calls `serve`: it reads the document from standard
input and writes its result to standard output.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import IO

import msgspec

from shared.formats.base import UnusableFile, not_a_table
from shared.models.documents import Reason

MEMORY_MAX_BYTES = 2 * 1024 * 1024 * 1024  # of address space, most of which is never used
UNUSABLE = 3  # the exit code for a document that cannot be indexed; the reason is on standard error


class ReaderEnded(Exception):
    """The reader has no result: it failed, or took too long."""

    def __init__(self, message: str, *, too_slow: bool = False) -> None:
        super().__init__(message)
        self.too_slow = too_slow


class _Unusable(msgspec.Struct, frozen=True):
    reason: Reason
    unsupported: bool


def run(module: str, *arguments: str, content: IO[bytes], target: IO[bytes], timeout_s: float) -> None:
    """Run `python -m MODULE ARGUMENTS` with the document as its input; its output is written to the file `target`.

    Args:
        content: Seekable, in memory or on disk.
        target: A file on disk; its position is at the start afterwards.

    Raises:
        UnusableFile: as the reader raised it.
        ReaderEnded: the reader failed, or took too long.
    """
    content.seek(0)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # the packages of this app
    with tempfile.TemporaryFile() as source:
        shutil.copyfileobj(content, source)
        source.seek(0)
        try:
            done = subprocess.run(  # noqa: S603 - no part of the command comes from outside
                [sys.executable, "-m", module, *arguments],
                stdin=source,
                stdout=target,
                stderr=subprocess.PIPE,
                env=environ,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise ReaderEnded(f"It took more than {timeout_s:g} s.", too_slow=True) from exc
    target.seek(0)
    if done.returncode == UNUSABLE:
        known = msgspec.json.decode(done.stderr, type=_Unusable)
        raise UnusableFile(known.reason, unsupported=known.unsupported)
    if done.returncode:
        raise ReaderEnded(f"The reader ended with {done.returncode}.")


def convert(
    module: str, content: IO[bytes], *, max_bytes: int, timeout_s: float, too_slow: str, damaged: str
) -> IO[bytes]:
    """What `python -m MODULE MAX_BYTES` makes of a document, in a temporary file that the caller closes.

    Args:
        too_slow, damaged: The messages for a document that takes too long, and for one that the reader fails at.

    Raises:
        UnusableFile: `not_a_table`.
    """
    target = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        run(module, str(max_bytes), content=content, target=target, timeout_s=timeout_s)
    except ReaderEnded as exc:
        target.close()
        raise not_a_table(too_slow if exc.too_slow else damaged) from exc
    except BaseException:
        target.close()
        raise
    return target


def serve(read: Callable[[IO[bytes], IO[bytes]], None]) -> None:
    """Be that process: read the document from the first file, which can seek, and write the result to the second."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
    try:
        read(sys.stdin.buffer, sys.stdout.buffer)
        sys.stdout.flush()
    except UnusableFile as exc:
        sys.stderr.buffer.write(msgspec.json.encode(_Unusable(exc.reason, exc.unsupported)))
        sys.exit(UNUSABLE)
