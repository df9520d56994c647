"""On other systems: everything can be imported, and locks and processes work, without what only POSIX has.

`sys.platform` is set to another system in a process of its own. Modules that only POSIX has cannot be imported, and
functions that only it has are gone. Windows' own modules are small stands-in.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from local.paths import ROOT
from tests.long import long_but

# The libraries are imported before, as on this system: only the project's own code is imported as on the other one.
PRELUDE = """
import importlib, os, pkgutil, runpy, signal, subprocess, sys, types
from pathlib import Path

ROOMS = ("local", "shared", "function_app", "make")
LINUX_ONLY = ("local.stack.tied", "local.openai_emulator.sandbox.")  # programs that other systems do not start
ABSENT = {
    "win32": ["fcntl", "resource", "pwd", "grp", "termios", "pty", "uvloop"],
    "darwin": ["uvloop"],
}
LINUX_CALLS = ["pidfd_open", "memfd_create", "setresuid", "setresgid", "sched_getaffinity"]
POSIX_CALLS = ["killpg", "fork", "getuid", "geteuid", "fchown", "set_blocking", "fstatvfs", "setsid", "getloadavg"]
GONE = {
    "win32": {
        os: [*LINUX_CALLS, *POSIX_CALLS],
        signal: ["SIGHUP", "SIGKILL", "SIGXCPU", "pause", "pidfd_send_signal"],
    },
    "darwin": {os: LINUX_CALLS, signal: ["pidfd_send_signal"]},
}

def modules():
    import local, shared
    for package in (local, shared):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.startswith(LINUX_ONLY) and not found.name.endswith("__main__"):
                yield found.name
    yield from ("function_app", "make", "local.__main__", "local.openai_emulator.__main__")

class Refuses:
    def __init__(self, names):
        self.names = names
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def become(platform):
    names = list(modules())
    for name in names:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] in ROOMS or name in ABSENT[platform]]:
        del sys.modules[name]
    sys.meta_path.insert(0, Refuses(ABSENT[platform]))
    for module, gone in GONE[platform].items():
        for name in gone:
            if hasattr(module, name):
                delattr(module, name)
    if platform == "win32":
        locked = set()
        class Locks(types.ModuleType):
            LK_NBLCK = 2
            def locking(self, descriptor, mode, count):
                inode = os.fstat(descriptor).st_ino
                if inode in locked:
                    raise OSError(36, "Resource deadlock avoided")
                locked.add(inode)
        sys.modules["msvcrt"] = Locks("msvcrt")
        subprocess.CREATE_NEW_PROCESS_GROUP = 0
        signal.CTRL_BREAK_EVENT = signal.SIGTERM
    sys.platform = platform
    return names
"""


def run(code: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", PRELUDE + code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="makes other systems out of Linux")
@pytest.mark.parametrize("platform", long_but(["win32", "darwin"], "win32"))
def test_everything_can_be_imported(platform: str) -> None:
    out = run(f"""
names = become({platform!r})
for name in names:
    importlib.import_module(name)
print(len(names))
""")
    assert int(out) > 150


def test_the_check_finds_an_import_of_posix_only() -> None:
    with pytest.raises(AssertionError, match="No module named 'fcntl'"):
        run("become('win32')\nimport fcntl\n")


def test_on_windows_a_record_is_locked_and_a_process_runs_and_ends(tmp_path: Path) -> None:
    out = run(f"""
become("win32")
folder = Path({str(tmp_path)!r})
from local.errors import LocalError
from local.stack.record import Record, ask_to_stop, is_held
record = Record(folder / "stack.json")
try:
    Record(folder / "stack.json")
except LocalError as exc:
    print(exc)
assert not record.stop_asked
ask_to_stop(folder / "stack.json")
assert record.stop_asked

from local.stack.process import Process
sys.platform = "linux"  # for subprocess itself
code = "print('up', flush=True); import time; time.sleep(60)"
process = Process("host", [sys.executable, "-c", code], log=folder / "log")
import local.stack.process
local.stack.process.tie = lambda: []
process.start()
process.wait_until(lambda: "up" in process.output(), within_s=60)
process.terminate()
print(process._popen.wait())
""")
    assert "already running" in out
    assert out.strip().endswith("-15")
