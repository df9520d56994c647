"""The tiers choose themselves: machines that lack something are simulated in a process of the test's own."""

# ruff: noqa: E501  tables of code
from __future__ import annotations

import ctypes
import errno
import functools
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Any

import pytest
import pytest_asyncio

from local.openai_emulator.sandbox import (
    Limits,
    Sandbox,
    SandboxUnavailable,
    Session,
    cage,
    guard,
    jail,
    seccomp,
    tiers,
)
from local.openai_emulator.sandbox import check as checks
from local.openai_emulator.sandbox.watchdog import living
from local.paths import ROOT
from tests.local.openai_emulator.sandbox.conftest import LANDLOCKS, start_with
from tests.long import long_but

MIB = 1024 * 1024
in_module_loop = pytest.mark.asyncio(loop_scope="module")
needs_landlock = pytest.mark.skipif(guard.landlock_version() == 0, reason="this kernel has no Landlock")

SCRIPT = """
import asyncio, json, os, sys
{before}
from local.openai_emulator.sandbox import Sandbox, SandboxUnavailable
CODE = "import matplotlib.pyplot as plt\\nplt.plot([1, 2])\\nplt.savefig('/mnt/data/chart.png')\\nprint(6 * 7)"
HOG = "import time\\nx = []\\nwhile True: x.append(bytearray(b'1') * (8 << 20)); time.sleep(0.01)"
async def main():
    sandbox = Sandbox(trusted={trusted})
    try:
        await sandbox.start()
    except SandboxUnavailable as exc:
        print(json.dumps({{"tier": None, "reason": str(exc)}}))
        return
    session = await sandbox.open()
    outcome = await session.run(CODE)
    made = [outcome.logs, list(outcome.changed), (await session.read("chart.png"))[:4].decode("latin-1")]
    print(json.dumps({{"tier": sandbox.tier.number, "reason": sandbox.reason, "remedy": sandbox.remedy, "made": made}}))
    if {memory}:
        print((await session.run(HOG)).logs)
    await sandbox.close()
asyncio.run(main())
"""
MADE = ["42\n", ["chart.png"], "\x89PNG"]


def outcome(
    *, before: str = "", trusted: bool = False, memory: bool = False, wrapper: tuple[str, ...] = (), **options: Any
) -> dict[str, Any]:
    """What a session does in a process of its own; with `memory`, it then tries to take too much of that."""
    command = [*wrapper, sys.executable, "-c", SCRIPT.format(before=before, trusted=trusted, memory=memory)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300, **options)
    assert result.returncode == 0, result.stderr[-3000:]
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[0])
    assert ("It used more than 1,024 MiB of memory." in result.stdout) == memory
    return found


def docker_filter() -> bytes:
    """The part of Docker's default profile that matters here: no namespaces, no mounts, `clone3` unsupported."""
    machine = seccomp.MACHINES[os.uname().machine]
    refused = ("unshare", "setns", "mount", "umount2", "pivot_root", "keyctl", "bpf", "perf_event_open", "ptrace")
    refused += ("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "mount_setattr")
    program = [(seccomp.LOAD, 0, 0, seccomp.NR)]
    for name in refused:
        program += seccomp._when(seccomp.JUMP_EQUAL, machine.calls[name], seccomp.ERRNO | errno.EPERM)
    program += seccomp._when(seccomp.JUMP_EQUAL, machine.calls["clone3"], seccomp.ERRNO | errno.ENOSYS)
    refuse = seccomp._when(seccomp.JUMP_SET, seccomp.NAMESPACE_FLAGS, seccomp.ERRNO | errno.EPERM)
    program += seccomp._argument(machine.calls["clone"], seccomp.ARG0, refuse)
    program.append((seccomp.RETURN, 0, 0, seccomp.ALLOW))
    return b"".join(struct.pack("=HBBI", *one) for one in program)


def become_docker(program: bytes) -> None:
    """In the test's own child."""
    ctypes.CDLL(None).prctl(guard.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    guard.restrict_calls(program)


# what root has in a default Docker container: not CAP_SYS_PTRACE, so it may not measure processes of other users
CAPABILITIES = "+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+setgid,+setuid,+setfcap,+setpcap,+kill"
USERS = {
    "root": ("setpriv", "--bounding-set", f"-all,{CAPABILITIES},+net_bind_service,+sys_chroot,+audit_write"),
    "whoever runs this": ("env",),
}


@needs_landlock
@pytest.mark.parametrize("user", USERS)
def test_in_a_default_docker_container_tier_2_is_chosen(user: str) -> None:
    if subprocess.run([*USERS[user], "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"this machine can't simulate {user}")
    found = outcome(wrapper=USERS[user], memory=True, preexec_fn=functools.partial(become_docker, docker_filter()))
    assert (found["tier"], found["made"]) == (2, MADE)
    assert "Tier 1 does not work here" in found["reason"]
    assert "--security-opt seccomp=unconfined" in found["remedy"] or "sysctl" in found["remedy"]


@needs_landlock
def test_without_user_namespaces_tier_2_is_chosen() -> None:
    """As an ordinary user of the namespace: nothing is root here."""
    off = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    wrapper = ("unshare", "--user", "--map-root-user", "sh", "-c", off, "sh")
    if subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine allows no user namespaces at all")
    found = outcome(wrapper=wrapper)
    assert (found["tier"], found["made"]) == (2, MADE)
    assert "sudo sysctl user.max_user_namespaces=10000" in found["remedy"]


WITHOUT = {
    "darwin": "for name in ('pidfd_open', 'memfd_create'): delattr(os, name)",
    "win32": (
        "import signal\nfor name in ('resource', 'fcntl', 'termios', 'pwd'): sys.modules[name] = None\n"
        "for name in ('pidfd_open', 'memfd_create', 'killpg', 'fork', 'getuid', 'geteuid', 'setgroups', 'chown', 'nice',"
        " 'setsid'): delattr(os, name)\n"
        "for name in ('SIGXCPU', 'SIGSTOP', 'SIGCONT', 'pidfd_send_signal'): delattr(signal, name)\n"
        "import types; sys.modules['msvcrt'] = types.SimpleNamespace(LK_NBLCK=2, locking=lambda *_: None)"
    ),
}


@pytest.mark.parametrize("platform", WITHOUT)
def test_on_another_system_trusted_code_runs_and_no_other(platform: str, tmp_path: Path) -> None:
    """The system is simulated by its name and by what Python lacks there.

    It has a folder for temporary files of its own: its locks are no real ones, so it would delete the folders of other
    emulators, and they would delete its own.
    """
    before = f"import asyncio, sys, tempfile; sys.platform = {platform!r}; tempfile.tempdir = {str(tmp_path)!r}\n"
    before += WITHOUT[platform]
    found = outcome(before=before, trusted=True)
    assert (found["tier"], found["made"]) == (3, MADE)
    assert f"this is {platform}, not Linux" in found["reason"]
    refused = outcome(before=before)
    assert refused["tier"] is None
    assert refused["reason"].count("\n") == 0
    for words in (platform, "EMULATOR_UNSAFE_CODE=1", "WSL 2"):
        assert words in refused["reason"]


def test_an_old_kernel_without_namespaces_falls_to_tier_3() -> None:
    before = "from local.openai_emulator.sandbox import guard, jail\n"
    before += "guard.landlock_version = lambda: 0\njail.bwraps = lambda: ['/bin/false']"
    found = outcome(before=before, trusted=True)
    assert (found["tier"], found["made"]) == (3, MADE)
    assert "Tier 2 does not work here: this kernel has no Landlock" in found["reason"]
    assert outcome(before=before)["tier"] is None


def test_the_systems_own_bubblewrap_is_tried_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "bwrap"
    own.write_text("#!/bin/sh\nexit 1\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert jail.bwraps()[0] == str(own)
    assert len(jail.bwraps()) == 2


@in_module_loop
async def test_a_bubblewrap_that_does_not_work_is_replaced_by_the_bundled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = jail.bwraps
    monkeypatch.setattr(jail, "bwraps", lambda: ["/bin/false", *whole()])
    sandbox = Sandbox(tiers=(1,))
    await sandbox.start()
    assert sandbox.tier is not None
    assert (sandbox.tier.number, sandbox.reason) == (1, "")
    await sandbox.close()


# ---- tier 2 under attack ---------------------------------------------------------------------------------------------

LIMITS = Limits(memory_bytes=500 * MIB, data_bytes=16 * MIB, tmp_bytes=MIB, inodes=500, descriptors=300, wall_s=30)
EMULATOR = os.getpid()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=long_but(LANDLOCKS, tiers.ForkedLandlock))
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(tiers=(2,), limits=LIMITS)
    await start_with(sandbox, request.param)
    yield sandbox
    await sandbox.close()


CALL = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); n = {}; print('GOT IN' if n >= 0 else 'refused')"
ATTACKS = {
    "read /etc/passwd": "open('/etc/passwd').read(); print('GOT IN')",
    "read the home": "import os; os.listdir({home!r}); print('GOT IN')",
    "read the project": "open({project!r}).read(); print('GOT IN')",
    "list the root": "import os; os.listdir('/'); print('GOT IN')",
    "list /proc": "import os; os.listdir('/proc'); print('GOT IN')",
    "read the memory of the emulator": "open('/proc/{pid}/mem', 'rb').read(1); print('GOT IN')",
    "read the environment of the emulator": "open('/proc/{pid}/environ').read(); print('GOT IN')",
    "write to the project": "open({project!r}, 'a'); print('GOT IN')",
    "write to /usr": "open('/usr/x', 'w'); print('GOT IN')",
    "write to site-packages": "import numpy; open(numpy.__file__, 'a'); print('GOT IN')",
    "signal the emulator": "import os; os.kill({pid}, 0); print('GOT IN')",
    "signal its parent": "import os; os.kill(os.getppid(), 0); print('GOT IN')",
    "read the memory of its parent": "import os; open(f'/proc/{{os.getppid()}}/mem', 'rb').read(1); print('GOT IN')",
    "signal a thread of the emulator": CALL.format("libc.syscall({tgkill}, {pid}, {pid}, 0)"),
    "limit the emulator": "import resource; resource.prlimit({pid}, 7, (9, 9)); print('GOT IN')",
    "slow the emulator down": "import os; os.setpriority(0, {pid}, 19); print('GOT IN')",
    "open a socket": "import socket; socket.socket(); print('GOT IN')",
    "open a unix socket": "import socket; socket.socket(socket.AF_UNIX); print('GOT IN')",
    "send datagrams": "import socket; socket.socketpair(type=socket.SOCK_DGRAM); print('GOT IN')",
    "leave the process group": "import os; os.setpgid(0, 0); print('GOT IN')",
    "leave the session": "import os; os.setsid(); print('GOT IN')",
    "become root": "import os; os.setuid(0); print('GOT IN' if {is_root} or os.getuid() == 0 else 1/0)",
    "shared memory": "import mmap; mmap.mmap(-1, 4096); print('GOT IN')",
    "shared memory of /dev/zero": "open('/dev/zero', 'r+b'); print('GOT IN')",
    "a new user namespace": CALL.format("libc.unshare(0x10000000)"),
    "trace the emulator": CALL.format("libc.ptrace(16, {pid}, 0, 0)"),
    "hide from the watchdog": CALL.format("libc.prctl(4, 0, 0, 0, 0)"),
    "a file of another session": "import glob; print('GOT IN' if glob.glob({others!r}) else 1/0)",
}  # fmt: skip


@in_module_loop
@pytest.mark.parametrize("attack", ATTACKS)
async def test_tier_2_stops_it(session: Session, attack: str, sandbox: Sandbox) -> None:
    values = {
        "home": str(Path.home()),
        "project": str(ROOT / "pyproject.toml"),
        "pid": EMULATOR,
        "tgkill": seccomp.MACHINES[os.uname().machine].calls["tgkill"],
        "is_root": False,
        "others": str(Path(session._process.folders[jail.DATA]).parents[1] / "*" / "*"),
    }
    outcome = await session.run(ATTACKS[attack].format(**values))
    assert "GOT IN\n" not in outcome.logs
    assert (await session.run("6 * 7")).logs == "42\n"


@in_module_loop
async def test_modes_owners_and_times_of_files_cannot_be_changed(session: Session, tmp_path: Path) -> None:
    """Landlock does not cover them: the calls succeed and do nothing."""
    victim = tmp_path / "victim"
    victim.write_text("x")
    victim.chmod(0o666)
    before = victim.stat()
    parts = str(victim).split("/")
    code = f"import os\np = '/'.join({parts})\nos.chmod(p, 0)\nos.utime(p, (0, 0))\nprint('done')"
    assert (await session.run(code)).logs == "done\n"
    after = victim.stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert not (await session.run("import shutil; open('a', 'w').close(); shutil.copy('a', 'b')")).failed


TOO_MUCH = {
    "files": ("import time\nfor n in range(2000): open(f'f{n}', 'w').close(); time.sleep(0.001)", "500 files"),
    "bytes": ("import time\nfor n in range(99): open(f'f{n}', 'wb').write(bytes(1 << 20)); time.sleep(0.03)", "17 MiB of files"),
    "deleted files": (
        "import os, time\nkept = []\nfor n in range(99):\n    kept.append(open('f', 'wb', buffering=0)); os.remove('f')\n"
        "    kept[-1].write(bytes(1 << 20)); time.sleep(0.03)",
        "17 MiB of files",
    ),
    "files below a path that is too long to be opened": (
        "import os\nfor n in range(17): os.mkdir('d' * 250); os.chdir('d' * 250)\n"
        "for n in range(1500): os.mkdir('d'); os.chdir('d')\nopen('f', 'w').close()",
        "folders that cannot be looked into",
    ),
    "memory": ("import time\nx = []\nwhile True: x.append(bytearray(b'1') * (8 << 20)); time.sleep(0.01)", "500 MiB of memory"),
    "sockets": (
        "import socket, os, time\nkept = []\nfor n in range(4):\n    if os.fork() == 0:\n"
        "        kept += [socket.socketpair() for _ in range(100)]; time.sleep(60)\ntime.sleep(60)",
        "300 files, pipes and sockets",
    ),
}  # fmt: skip


@in_module_loop
@pytest.mark.parametrize("resource", TOO_MUCH)
async def test_tier_2_ends_a_session_that_uses_too_much(sandbox: Sandbox, resource: str) -> None:
    code, sentence = TOO_MUCH[resource]
    session = await sandbox.open()
    everyone = living(session.init_pid)
    folder = Path(session._process.folders[jail.DATA]).parent
    outcome = await session.run(code)
    assert sentence in outcome.logs
    assert not session.alive
    assert [pid for pid in everyone if Path(f"/proc/{pid}").exists()] == []
    await session.close()
    assert not folder.exists()


@in_module_loop
async def test_background_processes_end_with_the_cell_and_with_the_session(sandbox: Sandbox) -> None:
    session = await sandbox.open()
    code = "import os, time\nif os.fork() == 0:\n    if os.fork() == 0:\n        time.sleep(600)\n    os._exit(0)\nos.wait();"
    assert not (await session.run(code)).failed
    assert len(living(session.init_pid)) == 2  # the guard and the runner
    await session.close()


class More(dict[str, str]):
    """An environment that has one variable more than it says."""

    def __or__(self, other: dict[str, str]) -> dict[str, str]:  # type: ignore[override]
        return {**self, **other, "A_SECRET": "x"}


# What is taken away, and what the check must then say.
HOLES: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "no filter": (
        lambda patch: patch.setattr(seccomp, "program", lambda **_: struct.pack("=HBBI", 6, 0, 0, seccomp.ALLOW)),
        "code can (signal|limit|open)",
    ),
    "too many readable paths": (
        lambda patch: patch.setattr(cage, "DEVICES", ("/",)),
        "code can read a file; code can list a folder",
    ),
    "a secret in the environment": (
        lambda patch: patch.setattr(jail, "ENVIRONMENT", More(jail.ENVIRONMENT)),
        "A_SECRET",
    ),
    "no Landlock": (lambda patch: patch.setattr(guard, "landlock_version", lambda: 0), "no Landlock"),
}


@in_module_loop
@needs_landlock
@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("kind", long_but(LANDLOCKS, tiers.ForkedLandlock))
@pytest.mark.parametrize("hole", HOLES)
async def test_tier_2_does_not_start_with_a_hole(
    monkeypatch: pytest.MonkeyPatch, hole: str, kind: type[tiers.Landlock]
) -> None:
    make, fault = HOLES[hole]
    make(monkeypatch)
    sandbox = Sandbox(tiers=(2,))
    monkeypatch.setattr("local.openai_emulator.sandbox.sandbox.isolations", lambda _: (one() for one in [kind]))
    with pytest.raises(SandboxUnavailable, match=fault):
        await sandbox.start()


def test_a_kept_host_variable_is_found_by_the_check_of_tier_3() -> None:
    assert list(checks.environment_faults(json.dumps({"environment": ["PATH", "AZURE_KEY"]})))
    assert list(checks.environment_faults(json.dumps({"environment": ["PATH", "TMPDIR"]}))) == []


def test_private_folders_below_the_system_are_not_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project in /usr/src/app, a home in /usr/local/home: Landlock can only add, so their siblings are added."""
    for name in ("bin", "home/me", "home/you"):
        (tmp_path / name).mkdir(parents=True)
    place, private = str(tmp_path), [str(tmp_path / "home/me")]
    assert sorted(cage._without(place, private)) == [str(tmp_path / "bin"), str(tmp_path / "home/you")]
    shutil.rmtree(tmp_path / "home")
    assert list(cage._without(place, [])) == [place]


def test_the_folders_of_a_killed_emulator_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    live = cage.Home(with_environment=False)
    killed = cage.Home(with_environment=False)
    killed.session_folders(uid=None)
    killed._lock.close()  # as the kernel does
    foreign = tmp_path / "sandbox-of-somebody-else"
    foreign.mkdir()
    with monkeypatch.context() as another_user:
        another_user.setattr("os.getuid", lambda: 12345)
        cage.remove_stale()
    assert killed.folder.exists()
    cage.remove_stale()
    assert (live.folder.exists(), killed.folder.exists(), foreign.exists()) == (True, False, True)
    live.close()
    assert not live.folder.exists()


def test_a_folder_that_another_process_takes_for_stale_before_it_is_locked_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process deletes it before this one opens the lock, or just before it has it; the third one stays."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lock, seen = cage._lock, []

    def late(folder: Path) -> IO[bytes] | None:
        seen.append(folder)
        if len(seen) == 1:
            shutil.rmtree(folder)
        held = lock(folder)
        if len(seen) == 2:
            shutil.rmtree(folder)
        return held

    monkeypatch.setattr(cage, "_lock", late)
    home = cage.Home(with_environment=False)
    assert home.folder == seen[2]
    assert lock(home.folder) is None
    home.close()
    monkeypatch.setattr(cage, "_lock", lambda folder: None)
    with pytest.raises(SandboxUnavailable, match="can be locked"):
        cage.Home(with_environment=False)
