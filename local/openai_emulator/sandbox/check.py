"""Checks that a session is isolated, from inside and from outside, before it runs any untrusted code.

The check inside runs while the session has run only our own code. What the kernel shows outside is read outside.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from local.openai_emulator.sandbox import jail, watchdog
from local.openai_emulator.sandbox.interpreter import is_below
from local.openai_emulator.sandbox.limits import Limits

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


def faults(answer: str, init_pid: int, limits: Limits) -> Iterator[str]:
    """Failed checks of the isolation, one sentence each.

    Args:
        answer: The output of `question`.
        init_pid: Process 1 of the session, as the host numbers it.
        limits: The session's limits.
    """
    yield from _faults_inside(json.loads(answer), limits)
    inside = set(watchdog.processes(init_pid)) - {init_pid}  # process 1 is bwrap itself, which only waits
    if not inside:
        yield "its processes can't be seen from outside"
    for pid in inside:
        yield from _faults_outside(pid)


def _faults_inside(seen: dict[str, Any], limits: Limits) -> Iterator[str]:
    if seen["visible"]:
        yield f"these paths are visible: {', '.join(seen['visible'])}"
    if extra := set(seen["environment"]) - set(jail.ENVIRONMENT) - {"PWD", "LC_CTYPE"}:
        yield f"environment variables of the host are visible: {', '.join(sorted(extra))}"
    if seen["network"] != "PermissionError":
        yield f"a network connection was not refused ({seen['network']})"
    if seen["writable"]:
        yield f"these folders are writable: {', '.join(seen['writable'])}"
    if seen["processes"] > limits.processes:
        yield f"the limit of {limits.processes} processes has no effect"


def _faults_outside(pid: int) -> Iterator[str]:
    for name in NAMESPACES:
        if Path(f"/proc/{pid}/ns/{name}").readlink() == Path(f"/proc/self/ns/{name}").readlink():
            yield f"the {name} namespace is shared with this machine"
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    wanted = {"CapPrm": int(status["CapPrm"], 16) == 0, "CapEff": int(status["CapEff"], 16) == 0}
    wanted |= {"NoNewPrivs": status["NoNewPrivs"] == "1", "Seccomp": status["Seccomp"] == "2"}
    yield from (f"{name} is {status[name]}" for name, right in wanted.items() if not right)
    if not watchdog.proportional_bytes(pid):
        yield "its memory can't be measured from outside"
