"""Checks that a session is isolated, from inside and from outside, before it runs any untrusted code.

The check inside runs while the session has run only our own code. What the kernel shows outside is read outside.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from local.openai_emulator.sandbox import jail, watchdog
from local.openai_emulator.sandbox.guard import DAC_OVERRIDE, DAC_READ_SEARCH
from local.openai_emulator.sandbox.interpreter import is_below
from local.openai_emulator.sandbox.limits import Limits
from local.openai_emulator.sandbox.process import is_root

NAMESPACES = ("user", "pid", "net", "mnt", "ipc", "uts", "cgroup")
HIDDEN_AT_HOME = (".ssh", ".azure", ".config", ".bash_history")
HIDDEN = ("/etc/passwd", "/etc/shadow", "/home", "/sys", "/run", "/var")


def probe(hidden: Sequence[str], expected: Mapping[str, Sequence[str]], most_processes: int) -> dict[str, Any]:
    """Runs inside the session: try what must fail. Only its source is sent, so it imports what it needs."""
    import contextlib
    import os
    import signal
    import socket

    seen: dict[str, Any] = {"visible": [path for path in hidden if os.path.lexists(path)]}
    for folder, names in expected.items():  # what this machine has beside the paths that are shown
        with contextlib.suppress(OSError):
            seen["visible"] += [f"{folder}/{name}" for name in os.listdir(folder) if name not in names]  # noqa: PTH208
    seen["environment"] = sorted(os.environ)
    try:
        socket.create_connection(("127.0.0.1", 9), timeout=1).close()
        seen["network"] = "connected"
    except OSError as exc:
        seen["network"] = type(exc).__name__
    read_only = ("/", "/usr", "/venv", "/dev", "/sandbox", os.__file__)
    seen["writable"] = [path for path in read_only if os.access(path, os.W_OK)]
    children: list[int] = []
    try:
        while len(children) <= most_processes:
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children.append(pid)
    except OSError:
        pass
    seen["processes"] = len(children) + 1
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return seen


def question(limits: Limits) -> str:
    """The code to run in the session; prints one JSON object and leaves no names or files."""
    source = "from __future__ import annotations\n" + inspect.getsource(probe)
    source += f"\nimport json\nprint(json.dumps(probe({_hidden()!r}, {jail.expected_names()!r}, {limits.processes})))\n"
    return f"exec({source!r}, {{}})"


def _hidden() -> list[str]:
    """Paths that no session may see. Parents of what it needs are seen; `expected_names` says what may be in them."""
    shown = [inside for _, inside in jail.python_mounts()]
    unwanted = [*HIDDEN, str(Path.cwd()), str(Path(__file__).parent)]
    unwanted += [str(Path.home() / name) for name in HIDDEN_AT_HOME]
    unwanted = [path for path in unwanted if not is_below(path, jail.SYSTEM)]
    return [path for path in unwanted if not any(is_below(place, [path]) for place in (*shown, *jail.SYSTEM))]


def attempts(canary: str, others: Mapping[str, int]) -> dict[str, Callable[[], object]]:
    """Runs inside a session that shares the machine's namespaces: what must fail, each with an OSError.

    Args:
        canary: The path of a file that everybody may read.
        others: Processes of this machine: what they are, and their numbers.
    """
    import os
    import resource
    import socket
    from functools import partial

    def read(path: str) -> bytes:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read()

    folder = os.path.dirname(canary)  # noqa: PTH120
    on_others: dict[str, Callable[[], object]] = {}
    for who, pid in others.items():
        on_others[f"read the environment of {who}"] = partial(read, f"/proc/{pid}/environ")
        on_others[f"signal {who}"] = partial(os.kill, pid, 0)
        on_others[f"limit {who}"] = partial(resource.prlimit, pid, resource.RLIMIT_CORE)
    return on_others | {
        "read a file": lambda: read(canary),
        "list a folder": lambda: os.listdir(folder),  # noqa: PTH208
        "list the root": lambda: os.listdir("/"),  # noqa: PTH208
        "read /etc/passwd": lambda: read("/etc/passwd"),
        "write a file": lambda: os.close(os.open(canary, os.O_WRONLY | os.O_TRUNC)),
        "truncate a file": lambda: os.truncate(canary, 0),
        "make a file": lambda: os.mkdir(canary + "-new"),  # noqa: PTH102
        "delete a file": lambda: os.unlink(canary),  # noqa: PTH108
        "open a network connection": lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
        "open a unix socket": lambda: socket.socket(socket.AF_UNIX),
        "leave its process group": os.setsid,
    }


def shared_probe(parts: Sequence[str], others: Mapping[str, int], most_processes: int) -> dict[str, Any]:
    """Like `probe`, for a session that shares the machine's namespaces.

    `most_processes`: its limit; 0 where other processes of this user count, too, so that the number says nothing.
    `parts`: of the path of the canary; as one string it would be taken for a path of the session.
    """
    import contextlib
    import os
    import threading

    canary = "/".join(parts)
    seen: dict[str, Any] = {"possible": [], "environment": sorted(os.environ)}
    for name, attempt in attempts(canary, others).items():
        try:
            attempt()
        except PermissionError:
            continue
        except OSError:  # it failed for another reason, and would not have been refused
            pass
        seen["possible"].append(name)
    with contextlib.suppress(OSError):
        os.chmod(canary, 0o600)  # noqa: PTH101  without effect, which is seen outside
    seen["descriptors"] = []
    for descriptor in range(3, 4096):
        with contextlib.suppress(OSError):
            os.fstat(descriptor)
            seen["descriptors"].append(descriptor)
    # Threads, which count for the kernel's limit as processes do, and open no files.
    threads: list[threading.Thread] = []
    done = threading.Event()
    threading.stack_size(1 << 18)
    with contextlib.suppress(RuntimeError):
        while len(threads) <= most_processes:
            thread = threading.Thread(target=done.wait)
            thread.start()
            threads.append(thread)
    done.set()
    for thread in threads:
        thread.join()
    threading.stack_size(0)
    seen["processes"] = len(threads) + 1
    return seen


def shared_question(canary: str, limits: Limits, others: Mapping[str, int]) -> str:
    source = "from __future__ import annotations\nfrom collections.abc import Callable\nfrom typing import Any\n"
    source += inspect.getsource(attempts) + inspect.getsource(shared_probe)
    arguments = f"{canary.split('/')!r}, {dict(others)!r}, {limits.processes if is_root() else 0}"
    source += f"\nimport json\nprint(json.dumps(shared_probe({arguments})))\n"
    return f"exec({source!r}, {{}})"


def shared_faults(answer: str, guard_pid: int, limits: Limits, others: Mapping[str, int]) -> Iterator[str]:
    """Failed checks of a session that shares the machine's namespaces, one sentence each.

    Args:
        answer: The output of `shared_question`.
        guard_pid: The session's guard.
        limits: The session's limits.
        others: Processes of this machine that are not of this session: what they are, and their numbers.
    """
    seen = json.loads(answer)
    yield from (f"code can {attempt}" for attempt in seen["possible"])
    if seen["processes"] > limits.processes:
        yield _no_limit_of_processes(limits)
    if len(seen["descriptors"]) > 1:  # the channel
        yield f"{len(seen['descriptors']) - 1} open files or sockets are not the session's own"
    yield from _faults_of_environment(seen, {"TMPDIR"})
    inside = set(watchdog.living(guard_pid)) - {guard_pid}
    if not inside:
        yield "its processes can't be seen from outside"
    for pid in inside:
        yield from _faults_of_rights(pid, capabilities={0, 1 << DAC_OVERRIDE, 1 << DAC_READ_SEARCH})
        if is_root() and os.getuid() in _users(pid):
            yield "it has the user or the group of the emulator"
        for who, other in {"its guard": guard_pid, **others}.items():
            if os.getpgid(pid) == os.getpgid(other):
                yield f"it is in the process group of {who}"


def environment_question() -> str:
    return "import json, os\nprint(json.dumps({'environment': sorted(os.environ)}))"


def environment_faults(answer: str) -> Iterator[str]:
    yield from _faults_of_environment(json.loads(answer), {"TMPDIR", "SYSTEMROOT", "__CF_USER_TEXT_ENCODING"})


def faults(answer: str, init_pid: int, limits: Limits, *, server_pid: int | None = None) -> Iterator[str]:
    """Failed checks of the isolation, one sentence each.

    Args:
        answer: The output of `question`.
        init_pid: Process 1 of the session, as the host numbers it.
        limits: The session's limits.
        server_pid: The process that forked the session, of which it may share nothing either.
    """
    yield from _faults_inside(json.loads(answer), limits)
    inside = set(watchdog.processes(init_pid)) - {init_pid}  # process 1 is bwrap itself, which only waits
    if not inside:
        yield "its processes can't be seen from outside"
    for pid in inside:
        yield from _faults_outside(pid)
        if server_pid is not None:
            yield from _faults_of_fork(pid, server_pid)


def _faults_inside(seen: dict[str, Any], limits: Limits) -> Iterator[str]:
    if seen["visible"]:
        yield f"these paths are visible: {', '.join(seen['visible'])}"
    yield from _faults_of_environment(seen, set())
    if seen["network"] != "PermissionError":
        yield f"a network connection was not refused ({seen['network']})"
    if seen["writable"]:
        yield f"these folders are writable: {', '.join(seen['writable'])}"
    if seen["processes"] > limits.processes:
        yield _no_limit_of_processes(limits)


def _no_limit_of_processes(limits: Limits) -> str:
    return f"the limit of {limits.processes} processes has no effect"


def _faults_of_environment(seen: dict[str, Any], more: set[str]) -> Iterator[str]:
    if extra := set(seen["environment"]) - set(jail.ENVIRONMENT) - {"PWD", "LC_CTYPE"} - more:
        yield f"environment variables of the host are visible: {', '.join(sorted(extra))}"


def _faults_outside(pid: int) -> Iterator[str]:
    yield from (f"the {name} namespace is shared with this machine" for name in _shared(pid, "self"))
    yield from _faults_of_rights(pid, capabilities={0})


def _faults_of_fork(pid: int, server_pid: int) -> Iterator[str]:
    """What is shared with the server is shared with all sessions."""
    yield from (f"the {name} namespace is shared with other sessions" for name in _shared(pid, server_pid))
    for place in jail.WRITABLE:
        if _file_system(pid, place) == _file_system(server_pid, place):
            yield f"{place} is shared with other sessions"


def _shared(pid: int, other: int | str) -> list[str]:
    pairs = {name: [Path(f"/proc/{one}/ns/{name}").readlink() for one in (pid, other)] for name in NAMESPACES}
    return [name for name, (own, foreign) in pairs.items() if own == foreign]


def _file_system(pid: int, place: str) -> int:
    return Path(f"/proc/{pid}/root{place}").stat().st_dev


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _users(pid: int) -> set[int]:
    """Its real, effective, saved and file system's user, and its groups."""
    status = _status(pid)
    return {int(one) for name in ("Uid", "Gid", "Groups") for one in status[name].split()}


def _faults_of_rights(pid: int, *, capabilities: set[int]) -> Iterator[str]:
    status = _status(pid)
    wanted = {name: int(status[name], 16) in capabilities for name in ("CapPrm", "CapEff")}
    wanted |= {"NoNewPrivs": status["NoNewPrivs"] == "1", "Seccomp": status["Seccomp"] == "2"}
    yield from (f"{name} is {status[name]}" for name, right in wanted.items() if not right)
    with watchdog.as_user(int(status["Uid"].split()[0])):
        measured = watchdog.proportional_bytes(pid)
    if not measured:
        yield "its memory can't be measured from outside"
