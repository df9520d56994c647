"""Runs a command that ends when its parent process ends: `python tied.py PARENT_PID COMMAND...`.

A killed parent cannot stop its children; on Linux the kernel can (`man 2 prctl`, PR_SET_PDEATHSIG). This is a separate
program because `preexec_fn` is unsafe in a process with threads. On other systems the command just runs.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel for SIGTERM when the parent ends, then replace this process by the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent ended before the call
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606


main()
