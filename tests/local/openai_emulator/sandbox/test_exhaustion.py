"""Code that tries to use up this machine: memory that no process shows, counters, background work.

Each defence is taken away in turn, to see that an attack then gets through.
"""

# ruff: noqa: E501  tables of code
from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from local.openai_emulator.sandbox import Limits, Sandbox, Session, jail, seccomp
from local.openai_emulator.sandbox.process import Process
from local.openai_emulator.sandbox.watchdog import living

MIB = 1024 * 1024
LIMITS = Limits(
    wall_s=30, memory_bytes=400 * MIB, data_bytes=32 * MIB, tmp_bytes=16 * MIB, inodes=2_000, descriptors=300
)
NUMBERS = {name: seccomp.MACHINES[os.uname().machine].calls.get(name, -1) for name in seccomp.X86_64}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(tiers=(1,), limits=LIMITS)
    await sandbox.start()
    yield sandbox
    await sandbox.close()


def call(name: str, arguments: str) -> str:
    return (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nlibc.syscall.restype = ctypes.c_long\n"
        f"n = libc.syscall({NUMBERS[name]}, {arguments})\nprint('GOT IN' if n >= 0 else 'refused')"
    )


# Each prints GOT IN if it works. The name of the system call is the defence to take away.
REFUSED: dict[str, tuple[str, str]] = {
    "anonymous shared memory": ("import mmap; mmap.mmap(-1, 4096); print('GOT IN')", "mmap"),
    "shared memory with more flags": ("import mmap; mmap.mmap(-1, 4096, flags=0x4021); print('GOT IN')", "mmap"),
    "a memfd": ("import os; os.memfd_create('x'); print('GOT IN')", "memfd_create"),
    "System V shared memory": (call("shmget", "0, 4096, 0o1600"), "shmget"),
    "pages in a pipe": ("import os\nr, w = os.pipe()\n" + call("vmsplice", "w, None, 0, 0"), "vmsplice"),
    "asynchronous I/O contexts": (call("io_setup", "8, ctypes.byref(ctypes.c_void_p())"), "io_setup"),
    "inotify instances": (call("inotify_init1", "0"), "inotify_init1"),
    "larger pipes": ("import fcntl, os\nfcntl.fcntl(os.pipe()[0], 1031, 1 << 20); print('GOT IN')", "fcntl"),
    "signals to a stranger by a descriptor": ("import fcntl, os\nfcntl.fcntl(0, 8, 1); print('GOT IN')", "fcntl"),
    "hiding from the watchdog": (call("prctl", "4, 0, 0, 0, 0"), "prctl"),
}

# Refused by something other than the filter: the words of the answer.
BOUNDED: dict[str, tuple[str, str]] = {
    "shared memory of /dev/zero": (
        "import mmap, os; mmap.mmap(os.open('/dev/zero', os.O_RDWR), 4096); print('GOT IN')", "Error"),
    "lower its own mark for the kernel": ("open('/proc/self/oom_score_adj', 'w').write('0'); print('GOT IN')", "Error"),
    "lower the mark of process 1": ("open('/proc/1/oom_score_adj', 'w').write('0'); print('GOT IN')", "Error"),
    "locked memory": ("import ctypes, mmap\nlibc = ctypes.CDLL(None)\nb = ctypes.create_string_buffer(1 << 20)\n"
                      "print('GOT IN' if libc.mlock(b, 1 << 20) == 0 else 'refused')", "refused"),
    "message queues": ("import ctypes\nlibc = ctypes.CDLL(None)\nn = libc.mq_open(b'/q', 0o102, 0o600, None)\n"
                       "print('GOT IN' if n >= 0 else 'refused')", "refused"),
    "timers without end": ("import ctypes\nlibc = ctypes.CDLL(None)\nn = sum(libc.timer_create(1, None, ctypes.byref(ctypes.c_void_p())) == 0 "
                           "for _ in range(999))\nprint('GOT IN' if n > 256 else 'refused')", "refused"),
    "realtime priority": ("import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)); print('GOT IN')", "Error"),
    "a better priority": ("import os; os.setpriority(0, 0, -5); print('GOT IN')", "Error"),
}  # fmt: skip


@pytest.mark.parametrize("attack", REFUSED | BOUNDED)
async def test_it_is_refused(session: Session, attack: str) -> None:
    code, reason = (REFUSED | BOUNDED)[attack]
    outcome = await session.run(code)
    assert "GOT IN\n" not in outcome.logs
    assert attack in REFUSED or reason in outcome.logs
    assert (await session.run("6 * 7")).logs == "42\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unfiltered() -> AsyncIterator[Session]:
    """A session whose filter has none of the calls of `REFUSED`."""
    with pytest.MonkeyPatch.context() as patch:
        names = {name for _, name in REFUSED.values()}
        whole = seccomp._checks
        patch.setattr(seccomp, "_checks", lambda **kwargs: (one for one in whole(**kwargs) if one[0] not in names))
        patch.setattr(seccomp, "BY_ARGUMENT", seccomp.BY_ARGUMENT | names)
        sandbox = Sandbox(tiers=(1,), limits=LIMITS)
        await sandbox.start()
    session = await sandbox.open()
    yield session
    await sandbox.close()


@pytest.mark.parametrize("attack", REFUSED)
async def test_without_the_filter_it_gets_through(unfiltered: Session, attack: str) -> None:
    outcome = await unfiltered.run(REFUSED[attack][0])
    assert "GOT IN\n" in outcome.logs, outcome.logs


SOCKETS = "import os, socket, time\nkept = []\nfor _ in range(8):\n    if os.fork() == 0:\n"
ENDED: dict[str, tuple[str, str]] = {
    "sockets of many processes": (
        SOCKETS + "        kept += [socket.socketpair() for _ in range(60)]; time.sleep(60)\ntime.sleep(60)",
        "300 files, pipes and sockets",
    ),
    "full sockets": (
        SOCKETS + "        for _ in range(60):\n            a, b = socket.socketpair(); kept.append((a, b)); a.setblocking(False)\n"
        "            try:\n                while True: a.send(bytes(1 << 16))\n            except BlockingIOError: pass\n"
        "        time.sleep(60)\ntime.sleep(60)",
        "300 files, pipes and sockets",
    ),
    "pipes of many processes": (
        SOCKETS + "        kept += [os.pipe() for _ in range(60)]; time.sleep(60)\ntime.sleep(60)",
        "300 files, pipes and sockets",
    ),
    "event polls": (
        SOCKETS.replace("socket", "select") + "        kept += [select.epoll() for _ in range(120)]; time.sleep(60)\ntime.sleep(60)",
        "300 files, pipes and sockets",
    ),
    "memory shared by a fork": (
        "import os, time\nx = bytearray(b'1') * (90 << 20)\nfor _ in range(5):\n    if os.fork() == 0:\n"
        "        x[::4096] = b'2' * len(x[::4096]); time.sleep(60)\ntime.sleep(60)",
        "400 MiB of memory",
    ),
    "extended attributes": (
        "import os, time\nfor n in range(1900):\n    open(f'f{n}', 'w').close()\n"
        "for n in range(1900):\n    os.setxattr(f'f{n}', 'user.x', bytes(60000)); n % 50 or time.sleep(0.02)\ntime.sleep(60)",
        "files.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("attack", ENDED)
async def test_it_ends_the_session_with_a_sentence(sandbox: Sandbox, attack: str) -> None:
    code, sentence = ENDED[attack]
    session = await sandbox.open()
    outcome = await session.run(code)
    if attack == "extended attributes" and "Error" in outcome.logs:
        pytest.skip("this kernel keeps no extended attributes in memory")
    assert sentence in outcome.logs
    assert not session.alive
    await session.close()


async def test_without_the_limit_of_descriptors_sockets_pile_up() -> None:
    sandbox = Sandbox(tiers=(1,), limits=dataclasses.replace(LIMITS, descriptors=10**6))
    await sandbox.start()
    session = await sandbox.open()
    outcome = await session.run(
        SOCKETS
        + "        kept += [socket.socketpair() for _ in range(60)]; os._exit(0)\n_ = [os.wait() for _ in range(8)]"
    )
    assert not outcome.failed
    await sandbox.close()


# ---- background work -------------------------------------------------------------------------------------------------

BACKGROUND: dict[str, str] = {
    "a child": "import subprocess; p = subprocess.Popen(['sleep', '600'])",
    "a child of a shell": "import subprocess; p = subprocess.Popen('sleep 600 & sleep 600', shell=True)",
    "a daemon": "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)\n    os._exit(0)\nos.wait();",
    "a child that ignores signals": (
        "import os, signal, time\nif os.fork() == 0:\n    for s in (1, 2, 15, 18): signal.signal(s, signal.SIG_IGN)\n    time.sleep(600)"
    ),
    "a child that has stopped": "import os, time\nif os.fork() == 0:\n    os.kill(os.getpid(), 19)\n    time.sleep(600)\ntime.sleep(0.1)",
    "children that fork for ever": (
        "import os, time\nif os.fork() == 0:\n    while True:\n        try:\n            if os.fork() == 0: os._exit(0)\n            os.wait()\n"
        "        except OSError: pass"
    ),
    "a thread": (
        "import threading\ndef spin():\n    while True: pass\nt = threading.Thread(target=spin, daemon=True); t.start()"
    ),
    "a timer": "import signal\nsignal.signal(14, lambda *a: sum(range(10**7))); _ = signal.setitimer(0, 0.001, 0.5)",
}  # fmt: skip


@pytest.mark.parametrize("work", BACKGROUND)
async def test_nothing_runs_between_two_cells(sandbox: Sandbox, work: str) -> None:
    session = await sandbox.open()
    outcome = await session.run(BACKGROUND[work])
    assert (outcome.logs, outcome.failed) == ("", False)
    left = living(session.init_pid) - {session.init_pid}
    assert len(left) == 1
    assert state(left.pop()) == "T"
    await session.close()


async def test_without_the_pause_it_runs_on(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_: Process) -> bool:
        return True

    monkeypatch.setattr(Process, "pause", nothing)
    session = await sandbox.open()
    await session.run(BACKGROUND["a child"])
    left = living(session.init_pid) - {session.init_pid}
    assert len(left) == 2
    await session.close()


async def test_a_session_goes_on_after_the_pause(session: Session) -> None:
    code = "import threading, time\nn = 0\ndef count():\n    global n\n    while True: n += 1; time.sleep(0.001)\nthreading.Thread(target=count, daemon=True).start()"
    await session.run(code)
    first = int((await session.run("time.sleep(0.05); n")).logs)
    assert int((await session.run("time.sleep(0.05); n")).logs) > first


# ---- the rest --------------------------------------------------------------------------------------------------------


async def test_the_kernel_is_told_to_end_sessions_first(session: Session) -> None:
    await session.run("1")
    for pid in living(session.init_pid):
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n"
    assert (await session.run("print(open('/proc/self/oom_score_adj').read(), end='')")).logs == "1000\n"


HOLES: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "/proc is writable": (
        lambda words: without(words, ["--remount-ro", "/proc"]),
        "import os; print('GOT IN' if not os.statvfs('/proc').f_flag & os.ST_RDONLY else 'refused')",
    ),
    "/dev/zero is real": (
        lambda words: without(words, ["--dev-bind", "/dev/full", "/dev/zero"]),
        "import mmap, os; mmap.mmap(os.open('/dev/zero', os.O_RDWR), 4096); print('GOT IN')",
    ),
}


@pytest.mark.parametrize("hole", HOLES)
async def test_without_the_mount_it_gets_through(monkeypatch: pytest.MonkeyPatch, session: Session, hole: str) -> None:
    change, code = HOLES[hole]
    assert "GOT IN\n" not in (await session.run(code)).logs
    whole = jail.arguments
    monkeypatch.setattr(jail, "arguments", lambda *a, **k: change(whole(*a, **k)))
    sandbox = Sandbox(tiers=(1,))
    await sandbox.start()
    opened = await sandbox.open()
    assert "GOT IN\n" in (await opened.run(code)).logs
    await sandbox.close()


def without(words: list[str], part: list[str]) -> list[str]:
    at = next(n for n in range(len(words)) if words[n : n + len(part)] == part)
    return words[:at] + words[at + len(part) :]


async def test_the_loop_is_free_while_files_are_compared(session: Session) -> None:
    """What looks at each file runs in a thread: other callbacks have their turn meanwhile."""
    running = asyncio.create_task(session.run("for n in range(1900): open(f'f{n}', 'w').close()"))
    turns = 0
    while not running.done():
        await asyncio.sleep(0)
        turns += 1
    assert len((await running).written) == 1900
    assert turns > 50


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
