"""Reads the places of HTML and of large Office files in a process of its own, with limits of time and memory.

Their readers take text that was made to be slow: a thread that reads it cannot be stopped, and others need the thread.
`python -m shared.formats.places.apart ENDING` reads the document from standard input and writes its places to standard
output, as JSON.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from typing import IO

import msgspec

from shared.formats.places.base import UNREAD, Places

MEMORY_MAX_BYTES = 2 * 1024 * 1024 * 1024  # of address space, most of which is never used
TIMEOUT_S = 20


def places_apart(ending: str, content: IO[bytes]) -> Places:
    """The places of a document; not complete when they cannot be read within the limits."""
    content.seek(0)
    command = [sys.executable, "-m", "shared.formats.places.apart", ending]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # the packages of this app
    with tempfile.TemporaryFile() as source:
        shutil.copyfileobj(content, source)
        source.seek(0)
        try:
            done = subprocess.run(  # noqa: S603 - the ending is one of those that the app knows
                command, stdin=source, capture_output=True, env=environ, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return UNREAD
    return msgspec.json.decode(done.stdout, type=Places) if done.returncode == 0 else UNREAD


def main() -> None:
    from shared.formats.places.reading import read_places

    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
    with tempfile.TemporaryFile() as content:  # standard input cannot seek when it is a pipe
        shutil.copyfileobj(sys.stdin.buffer, content)
        sys.stdout.buffer.write(msgspec.json.encode(read_places(sys.argv[1], content)))


if __name__ == "__main__":
    main()
