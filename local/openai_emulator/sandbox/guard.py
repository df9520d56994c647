"""Holds a session where it shares the machine's namespaces (tier 2).

The guard is a process that never runs untrusted code. It starts the runner in a child that has first given up its user,
its right to new privileges, all files but those of the plan (Landlock), and the system calls of the filter (seccomp).
Then it waits: the session ends when the runner ends, and when the emulator closes the lifeline or dies. The child leads
a process group that nothing can leave, since the filter refuses `setsid` and `setpgid`: so one signal ends all of it.

A guard is forked from the fork server (`forkserver.py`), whose imports the runner then has, or is a program of its own,
`python -I guard.py PLAN`, whose runner does its own imports.

Standard library only. Sources: https://docs.kernel.org/userspace-api/landlock.html, capabilities(7)
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import select
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER = 1, 4, 8, 22, 36
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 38, 47, 2
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # system calls, on every machine
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE, IOCTL_DEV = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # the others are rights on folders
READ_ONLY = EXECUTE | READ_FILE | READ_DIR
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2  # capabilities


@functools.cache
def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def landlock_version() -> int:
    """The version of Landlock in this kernel; 0: none."""
    return max(0, int(libc().syscall(CREATE_RULESET, None, ctypes.c_size_t(0), 1)))


def rights(version: int) -> int:
    """All rights on files that this version knows; what is not granted is refused."""
    bits = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)
    return (1 << bits) - 1


def restrict_files(readable: list[str], writable: list[str]) -> None:
    """Refuse every path but these, TCP, and where the kernel can, signals and abstract sockets to other processes."""
    version = landlock_version()
    if version == 0:
        raise OSError("this kernel has no Landlock")
    known = rights(version)
    attributes = struct.pack("=QQQ", known, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = checked("landlock_create_ruleset", libc().syscall(CREATE_RULESET, attributes, ctypes.c_size_t(size), 0))
    for paths, allowed in ((readable, READ_ONLY), (writable, known & ~IOCTL_DEV)):
        for path in paths:
            grant(ruleset, path, allowed & known)
    checked("landlock_restrict_self", libc().syscall(RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def grant(ruleset: int, path: str, allowed: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):  # noqa: PTH112
        allowed &= OF_FILES
    rule = struct.pack("=Qi", allowed, opened)
    checked("landlock_add_rule", libc().syscall(ADD_RULE, ruleset, 1, rule, 0))
    os.close(opened)


def restrict_calls(program: bytes) -> None:
    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    checked("prctl", libc().prctl(PR_SET_SECCOMP, 2, ctypes.byref(Program(len(program) // 8, program)), 0, 0))


def become(uid: int, *, through_closed_folders: bool) -> None:
    """Become an ordinary user, for good.

    Args:
        uid: Also the group.
        through_closed_folders: Keep the one capability that opens folders closed to others, such as /root, in which
            the interpreter may lie. Landlock still refuses all paths that are not granted.
    """
    checked("prctl", libc().prctl(PR_SET_KEEPCAPS, int(through_closed_folders), 0, 0, 0))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if through_closed_folders:
        for capability in (DAC_READ_SEARCH, DAC_OVERRIDE):  # a container often has only the second
            if set_capabilities(1 << capability):
                checked("prctl", libc().prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0))
                return
        raise OSError("the interpreter lies in a folder that is closed to other users")


def set_capabilities(bits: int) -> bool:
    """Keep these capabilities only; False if this process has not got them."""
    header = struct.pack("=Ii", 0x20080522, 0)
    return bool(libc().capset(header, struct.pack("=6I", bits, bits, bits, 0, 0, 0)) == 0)


def checked(name: str, result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def confine(plan: dict[str, Any], program: bytes) -> None:
    """In the runner's process: give everything up that a session has not.

    Args:
        plan: `uid`, `through_closed_folders`, `readable` and `writable` paths.
        program: The filter of system calls.
    """
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
        score.write("1000")  # if memory runs out, the kernel kills this first
    if plan["uid"] is not None:
        become(plan["uid"], through_closed_folders=plan["through_closed_folders"])
    else:
        set_capabilities(0)  # those of the root of a user namespace
    checked("prctl", libc().prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))  # as after the start of a program: it is measured
    checked("prctl", libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    restrict_files(plan["readable"], plan["writable"])
    restrict_calls(program)


def end_with(parent: int) -> None:
    """Let the kernel end this process when its parent ends. Call it last: a change of the user undoes it."""
    checked("prctl", libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:
        os._exit(1)  # it has ended already


def hold(run: Callable[[int], None], lifeline: int) -> int:
    """Run a session in a child, in a process group of its own, until it ends or the lifeline is closed.

    Args:
        run: Called in the child with the number of this process; does not return.
        lifeline: The only descriptor that is left open, and the first three are closed, too: the end of the output is
            the end of the session.

    Returns:
        The exit status, or 128 + the number of a signal. Every process of the session has ended.
    """
    checked("prctl", libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
    guard = os.getpid()
    runner = os.fork()
    if runner == 0:
        try:
            os.setpgid(0, 0)
            run(guard)
        except BaseException as exc:  # no return into the code of the parent
            os.write(2, f"{exc}\n".encode())
        os._exit(1)
    with contextlib.suppress(OSError):
        os.setpgid(runner, runner)  # whoever is first: the group must be there before it is ended
    os.closerange(0, lifeline)
    os.closerange(lifeline + 1, 4096)
    status = wait_for_end(runner, lifeline)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(runner, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    return status


def wait_for_end(runner: int, lifeline: int) -> int:
    """Reap every process of the session until the runner has ended or the lifeline is closed; the exit status."""
    heard, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    os.write(wake, b"!")  # it may have ended already
    while True:
        ready, _, _ = select.select([lifeline, heard], [], [])
        if lifeline in ready:
            return 128 + signal.SIGKILL
        os.read(heard, 512)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == runner:
                    code = os.waitstatus_to_exitcode(ended[1])
                    return code if code >= 0 else 128 - code


def start_runner(plan: dict[str, Any], guard: int) -> None:
    """In the child: become the runner, a program that does its own imports."""
    with os.fdopen(plan["filter"], "rb") as file:
        program = file.read()
    confine(plan, program)
    end_with(guard)
    os.set_inheritable(plan["channel"], True)
    os.execve(plan["command"][0], plan["command"], plan["environment"])  # noqa: S606


def main() -> None:
    plan = json.loads(sys.argv[1])
    os._exit(hold(lambda guard: start_runner(plan, guard), plan["lifeline"]))


if __name__ == "__main__":
    main()
