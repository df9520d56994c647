"""Run a command that ends when the process that started it ends: `python tied.py PARENT_PID COMMAND...`.

A parent that is killed cannot end its children; on Linux the kernel does it (`man 2 prctl`, PR_SET_PDEATHSIG). This is
a program of its own since `preexec_fn` is unsafe in a process with threads. Elsewhere the command simply runs.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, then become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we were tied to it
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606


main()
