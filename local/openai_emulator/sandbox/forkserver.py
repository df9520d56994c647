"""Imports once, then forks a session on each request, as `python -I forkserver.py CONTROL PLAN`.

This process never runs untrusted code; it holds no file of a session once that is forked, and reads nothing that is of
one session only. There are two ways to confine a session before any code runs in it, as the plan says:

* Namespaces (tier 1). This process is in a jail that shows what every session sees, read-only. A session gets new
  namespaces below those of the jail, and its own `/mnt/data`, `/tmp`, `/dev/shm` and `/proc`:

    this process ── start_session: unshares, ends ── process 1: mounts, waits ── the runner: gives up its rights

* A guard (tier 2, see `guard.py`). A session gets folders of its own on this machine's disk, and as root a user:

    this process ── the guard: waits ── the runner: gives up its rights

A request is one byte with four descriptors: the channel of the runner, the output, a socket for the report, and a file
with what is this session's own. On the socket, the host gets a pidfd of the process that waits, later the exit status;
or a text, if there is no session. A guard ends its session when the host closes the socket.

Sources: user_namespaces(7), pid_namespaces(7), mount_namespaces(7), capabilities(7)
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import CellType, FunctionType
from typing import Any, NamedTuple

PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 4, 24, 38
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 0x4000, 0x40000
CAPABILITIES = 64  # more than any kernel has


class Request(NamedTuple):
    """The descriptors of a request."""

    channel: int
    output: int
    report: int
    own: int

    def says(self, text: str) -> None:
        """Tell the host why there is no session."""
        with contextlib.suppress(OSError):
            os.write(self.report, text.encode())


def beside(name: str) -> Any:
    """The module in the file beside this one; with -I, Python does not look there."""
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


guard, runner = beside("guard"), beside("runner")


def call(name: str, *arguments: Any) -> None:
    """A function of the C library. Raises OSError."""
    guard.checked(name, getattr(guard.libc(), name)(*arguments))


# ---- this process ----------------------------------------------------------------------------------------------------


def warm_up() -> None:
    """Import what sessions use and draw a chart, so that fonts and everything that is loaded late are there."""
    runner.load_parts()
    runner.warm_up()
    import matplotlib.font_manager as fonts
    import matplotlib.pyplot as plt

    plt.plot([1, 2], label="x")
    plt.title("x")
    plt.legend()
    plt.gcf().savefig(io.BytesIO(), format="png", dpi=150, bbox_inches="tight")
    plt.close("all")
    held: Any = fonts
    held._get_font.cache_clear()  # it holds open files; matplotlib itself clears it after a fork


def require_forkable(control: socket.socket) -> None:
    """Raises RuntimeError: sessions would share an open file, or lose a thread."""
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208
    opened = {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2, control.fileno()}  # noqa: PTH208
    opened = {descriptor for descriptor in opened if os.path.exists(f"/proc/self/fd/{descriptor}")}  # noqa: PTH110
    if threads != 1 or opened:
        raise RuntimeError(f"after the imports {threads} threads run and {len(opened)} files are open")


def files_for_sessions(folder: Path) -> dict[str, bytes]:
    """matplotlib's font cache, for programs that a session starts."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def noted_paths(home: str) -> Iterator[tuple[Callable[[Any], None], str | Path]]:
    """Where modules have noted paths below the home of this process at their import: what sets it, and the path."""
    for module in list(sys.modules.values()):
        names = vars(module)
        for name, value in list(names.items()):
            if _is_below(value, home):
                yield partial(names.__setitem__, name), value
            elif isinstance(value, list):
                yield from ((partial(value.__setitem__, n), one) for n, one in enumerate(value) if _is_below(one, home))
            elif isinstance(value, FunctionType):
                full = [cell for cell in value.__closure__ or () if cell != CellType()]
                held = [cell for cell in full if _is_below(cell.cell_contents, home)]
                yield from ((partial(setattr, cell, "cell_contents"), cell.cell_contents) for cell in held)


def _is_below(value: object, home: str) -> bool:
    return isinstance(value, str | Path) and (str(value) == home or str(value).startswith(f"{home}/"))


def serve(control: socket.socket, plan: dict[str, Any]) -> None:
    fork_one = fork_guard if plan["guarded"] else fork_session
    while True:
        said, descriptors, _, _ = socket.recv_fds(control, 1, len(Request._fields))
        if not said:
            return  # the emulator has ended
        if len(descriptors) == len(Request._fields):
            request = Request(*descriptors)
            try:
                fork_one(plan, request)
            except OSError as exc:  # this machine has no room for it now
                request.says(f"{exc}")
        keep_only(control.fileno())


def fork(request: Request, run: Callable[[], None]) -> int:
    """Run it in a child; returns the child's number."""
    child = os.fork()
    if child == 0:
        try:
            run()
        except BaseException as exc:  # no return into the code of the parent
            request.says(f"{exc}")
        os._exit(1)
    return child


# ---- a session in namespaces -----------------------------------------------------------------------------------------


def fork_session(plan: dict[str, Any], request: Request) -> None:
    """Fork the process that makes the namespaces; map the users of the new user namespace, which it cannot."""
    unshared, unshared_in = os.pipe()
    mapped_out, mapped = os.pipe()
    child = fork(request, lambda: start_session(plan, request, unshared_in, mapped_out))
    for descriptor in (unshared_in, mapped_out):
        os.close(descriptor)
    if os.read(unshared, 1):
        try:
            map_users(child, plan["users"])
            os.write(mapped, b"1")
        except OSError as exc:
            request.says(f"mapping users: {exc}")
    for descriptor in (unshared, mapped):
        os.close(descriptor)
    os.waitpid(child, 0)


def map_users(pid: int, users: list[int]) -> None:
    """Give the new user namespace the same users. Without privileges, a group can be mapped if there is only one."""
    lines = "".join(f"{user} {user} 1\n" for user in users)
    if len(users) == 1:
        Path(f"/proc/{pid}/setgroups").write_text("deny")
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/{pid}/{kind}").write_text(lines)


def start_session(plan: dict[str, Any], request: Request, ready: int, mapped: int) -> None:
    """In the child: make the namespaces, start process 1 in them, tell the host, and end."""
    Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, the kernel kills sessions first
    call("unshare", plan["namespaces"])
    call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)  # else its maps could not be written
    os.write(ready, b"1")
    if not os.read(mapped, 1):
        os._exit(1)
    first = os.fork()
    if first == 0:
        tell_status(request, lambda: run_as_process_1(plan, request))
    tell_pid(request, first)
    os._exit(0)


def run_as_process_1(plan: dict[str, Any], request: Request) -> int:
    """Mount the session's file systems, start the runner, and wait for it; its exit status."""
    become_first(request)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the kernel keeps signals without a handler from process 1
    mount_all(plan)
    for capability in range(CAPABILITIES):
        guard.libc().prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)  # the runner may have the same user
    child = os.fork()
    if child == 0:
        run_cells(request.channel, plan["limits"], lambda: confine_in_namespaces(plan))
    os.close(request.channel)
    os.closerange(0, 3)
    give_up_capabilities()
    guard.restrict_calls(plan["filter"])
    return wait_for(child)


def mount_all(plan: dict[str, Any]) -> None:
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    for place, size_bytes, mode in plan["writable"]:
        options = f"mode={mode},size={size_bytes}".encode()
        call("mount", b"tmpfs", place.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, options)
    put_files(plan, Path(plan["cache"]))
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (MS_RDONLY if plan["proc_read_only"] else 0)
    call("mount", b"proc", b"/proc", b"proc", flags, None)


def confine_in_namespaces(plan: dict[str, Any]) -> None:
    give_up_capabilities()
    call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)  # as after any start of a program, so that it is measured
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    guard.restrict_calls(plan["filter"])


def give_up_capabilities(*, but: int = 0) -> None:
    if not guard.set_capabilities(but):
        raise OSError("capabilities can't be given up")


def wait_for(child: int) -> int:
    """Reap every process of the session until the runner has ended; its exit status, 128 + the number of a signal."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


# ---- a session with a guard ------------------------------------------------------------------------------------------


def fork_guard(plan: dict[str, Any], request: Request) -> None:
    fork(request, lambda: start_guard(plan, request))


def start_guard(plan: dict[str, Any], request: Request) -> None:
    """In the child: tell the host, start the runner, and wait until the session ends. Never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with os.fdopen(request.own, "rb") as file:
        session = plan | json.load(file)
    tell_pid(request, os.getpid())
    tell_status(request, lambda: run_as_guard(session, request))


def run_as_guard(session: dict[str, Any], request: Request) -> int:
    become_first(request)
    status: int = guard.hold(lambda pid: run_guarded(session, request.channel, pid), request.report)
    return status


def run_guarded(session: dict[str, Any], channel: int, parent: int) -> None:
    """In the runner's process. Never returns."""
    os.environ.clear()
    os.environ.update(session["environment"])
    runner.FOLDERS.update(session["folders"])
    run_cells(channel, session["limits"], lambda: confine_by_landlock(session, parent))


def confine_by_landlock(session: dict[str, Any], parent: int) -> None:
    guard.confine(session, session["filter"])
    guard.end_with(parent)
    put_files(session, Path(session["environment"]["MPLCONFIGDIR"]))
    for note, path in session["noted"]:
        note(type(path)(str(path).replace(session["home"], session["environment"]["HOME"], 1)))


# ---- any session -----------------------------------------------------------------------------------------------------


def tell_pid(request: Request, pid: int) -> None:
    """Give the host a pidfd of the process that waits for the session's end."""
    report = socket.socket(fileno=request.report)
    socket.send_fds(report, [b"P"], [os.pidfd_open(pid)])
    report.detach()


def tell_status(request: Request, run: Callable[[], int]) -> None:
    """In the process that waits: run it and tell the host the exit status. Never returns."""
    status = 1
    try:
        status = run()
    except BaseException as exc:
        with contextlib.suppress(OSError):
            os.write(2, f"{exc}\n".encode())
    with contextlib.suppress(OSError):
        os.write(request.report, bytes([status]))
    os._exit(status)


def become_first(request: Request) -> None:
    """In the process that waits: lead a session of processes, and let go of what is not this session's."""
    os.dup2(request.output, 1)
    os.dup2(request.output, 2)
    keep_only(request.channel, request.report)
    os.setsid()


def keep_only(*descriptors: int) -> None:
    """Close all descriptors but these and the first three."""
    last = 2
    for descriptor in sorted(descriptors):
        os.closerange(last + 1, descriptor)
        last = descriptor
    os.closerange(last + 1, 4096)


def put_files(plan: dict[str, Any], cache: Path) -> None:
    os.umask(0)
    cache.mkdir(mode=0o777)
    os.umask(0o022)
    for name, content in plan["files"].items():
        (cache / name).write_bytes(content)


def run_cells(number: int, limits: dict[str, int], confine: Callable[[], None]) -> None:
    """In the runner's process: give everything up, then run untrusted code. Never returns."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        channel = runner.open_channel(str(number))
        namespace = runner.prepare(limits)
        reseed()
        confine()
        runner.serve(channel, namespace)
    except BaseException as exc:
        with contextlib.suppress(OSError):
            os.write(2, f"{exc}\n".encode())
    os._exit(1)


def reseed() -> None:
    """NumPy seeds its generator at import: without this, all sessions would have the same random numbers."""
    import numpy as np

    np.random.seed()


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    with os.fdopen(int(sys.argv[2]), "rb") as file:
        plan = json.load(file)
    keep_only(control.fileno())
    if plan["guarded"]:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps guards
    else:
        for place in plan["covers"]:
            guard.libc().umount2(place.encode(), 0)  # where it is covered
        give_up_capabilities(but=plan["kept_capabilities"])
    warm_up()
    plan["filter"] = bytes.fromhex(plan["filter"])
    plan["files"] = files_for_sessions(Path(plan["cache"]))
    plan["home"] = os.environ["HOME"]
    plan["noted"] = list(noted_paths(plan["home"])) if plan["guarded"] else []
    gc.collect()
    require_forkable(control)
    gc.freeze()  # these objects are not looked at again, so that their pages stay shared
    control.sendall(runner.READY)
    serve(control, plan)


if __name__ == "__main__":
    main()
