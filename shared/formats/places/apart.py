"""Reads a document in a process of its own, with limits of time and memory.

`python -m shared.formats.places.apart ENDING` is that process: see process.py. Its result is a `Reading`, as JSON.
"""

from __future__ import annotations

import sys
import tempfile
from typing import IO

import msgspec

from shared.formats.places.base import Reading
from shared.formats.process import run, serve

TIMEOUT_S = 20


def read_apart(ending: str, content: IO[bytes]) -> Reading:
    """As `read` in reading.py.

    Raises:
        UnusableFile: as `read` raised it.
        ReaderEnded: it cannot be read within the limits.
    """
    with tempfile.TemporaryFile() as target:
        run("shared.formats.places.apart", ending, content=content, target=target, timeout_s=TIMEOUT_S)
        return msgspec.json.decode(target.read(), type=Reading)


def _serve(source: IO[bytes], target: IO[bytes]) -> None:
    from shared.formats.places.reading import read

    target.write(msgspec.json.encode(read(sys.argv[1], source)))


if __name__ == "__main__":
    serve(_serve)
