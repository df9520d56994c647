"""The child process that parses: `python -m local.openai_emulator.search.parsers.worker`.

One JSON line in, one JSON line out, until stdin ends (so it ends with its parent). JSON and not pickle, because what
comes back was made from a hostile file.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from local.openai_emulator.search.parsers import parse
from local.openai_emulator.search.parsers.base import ParseError

MEMORY_BYTES = 2 * 1024**3
CPU_S = 60  # for one file


def main() -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # a library that prints must not end up between the replies
    _limit_process()
    for line in sys.stdin.buffer:
        _limit_cpu()
        replies.write(json.dumps(_answer(json.loads(line))) + "\n")
        replies.flush()


def _answer(request: dict[str, str]) -> dict[str, Any]:
    try:
        sections = parse(Path(request["path"]), request["filename"])
    except ParseError as exc:
        return {"error": [exc.code, str(exc)]}
    except MemoryError:
        return {"error": ["invalid_file", "This file needs more memory to open than a document may take."]}
    except FileNotFoundError:
        return {"failure": "the file is gone"}
    except Exception as fault:  # any library may raise anything on a broken file; the file is what is wrong
        sys.stderr.write(f"{type(fault).__name__}: {fault}\n"[:2000])
        return {"error": ["invalid_file", "This file is damaged or in a form that cannot be read."]}
    return {"sections": [[section.text, section.page, section.heading] for section in sections]}


def _limit_process() -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":  # macOS refuses a limit on address space
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def _limit_cpu() -> None:
    """Allow CPU_S more seconds than this process has used up on the files before."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = int(used.ru_utime + used.ru_stime) + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
