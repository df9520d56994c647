"""The child process that parses documents: `python -m local.openai_emulator.search.parsers.worker`.

It reads one JSON request per line from stdin and writes one JSON reply per line to stdout. It ends when stdin is
closed, so it ends with its parent. The replies are JSON, not pickle: a malicious file could control a pickle.
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
    os.dup2(2, 1)  # output that a library prints must not mix with the replies
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
        return {"error": ["invalid_file", "This file needs more memory than the limit of a document."]}
    except FileNotFoundError:
        return {"failure": "the file does not exist"}
    except Exception as fault:  # a parser library can raise any exception on a damaged file
        sys.stderr.write(f"{type(fault).__name__}: {fault}\n"[:2000])
        return {"error": ["invalid_file", "This file is damaged or has an unsupported structure."]}
    return {"sections": [[section.text, section.page, section.heading] for section in sections]}


def _limit_process() -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":  # macOS does not support a limit on address space
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def _limit_cpu() -> None:
    """Allow CPU_S seconds for the next file, in addition to the time that earlier files took."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = int(used.ru_utime + used.ru_stime) + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
