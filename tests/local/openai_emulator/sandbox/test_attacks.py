"""Hostile code against the sandbox: each attack must fail without an effect on the emulator and other sessions."""

# ruff: noqa: E501  tables of code
from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from local.openai_emulator.sandbox import FileRefused, Limits, Outcome, Sandbox, Session, SessionEnded
from local.openai_emulator.sandbox.watchdog import processes
from local.paths import ROOT

MIB = 1024 * 1024
LIMITS = Limits(
    wall_s=10, memory_bytes=400 * MIB, data_bytes=32 * MIB, tmp_bytes=16 * MIB, inodes=2_000, output_bytes=100_000
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(limits=LIMITS)
    await sandbox.start()
    yield sandbox
    await sandbox.close()


@pytest_asyncio.fixture(loop_scope="module")
async def victim(sandbox: Sandbox) -> AsyncIterator[Session]:
    """A session for one attack that it need not survive."""
    session = await sandbox.open()
    yield session
    await session.close()


# Each prints GOT IN when it works; the expected word comes from the error that stopped it.
STOPPED = {
    "connect to the internet": (
        "import urllib.request; urllib.request.urlopen('http://1.1.1.1', timeout=3); print('GOT IN')",
        "Permission denied",
    ),
    "look a name up": ("import socket; socket.getaddrinfo('example.com', 80); print('GOT IN')", "gaierror"),
    "open a raw packet socket": ("import socket; socket.socket(17, 3, 0); print('GOT IN')", "PermissionError"),
    "open a netlink socket": ("import socket; socket.socket(16, 3, 0); print('GOT IN')", "PermissionError"),
    "read /etc/shadow": ("print('GOT IN', open('/etc/shadow').read())", "FileNotFoundError"),
    "read /etc/passwd": ("print('GOT IN', open('/etc/passwd').read())", "FileNotFoundError"),
    "read the memory of process 1": ("print('GOT IN', open('/proc/1/mem', 'rb').read(1))", "PermissionError"),
    "read the kernel's log": ("import ctypes\nl=ctypes.CDLL(None, use_errno=True)\nb=ctypes.create_string_buffer(9)\n"
                              "n=l.klogctl(3, b, 9)\nprint('GOT IN' if n > 0 else ctypes.get_errno())", "1"),
    "write to /usr": ("open('/usr/x', 'w'); print('GOT IN')", "OSError"),
    "write to the interpreter": ("import os; open(os.__file__, 'a'); print('GOT IN')", "Error: [Errno"),
    "write to site-packages": ("import numpy; open(numpy.__file__, 'a'); print('GOT IN')", "Error: [Errno"),
    "write to /": ("open('/x', 'w'); print('GOT IN')", "OSError"),
    "write to /dev": ("open('/dev/x', 'w'); print('GOT IN')", "OSError"),
    "write to the kernel's settings": ("open('/proc/sys/kernel/hostname', 'w').write('x'); print('GOT IN')", "Error"),
    "become root": ("import os; os.setuid(0); print('GOT IN')", "PermissionError"),
    "signal process 1": ("import os; os.kill(1, 9); print('GOT IN')", "PermissionError"),
    "make a device": ("import os; os.mknod('/mnt/data/d', 0o60600, os.makedev(254, 0)); print('GOT IN')", "PermissionError"),
    "leave by chroot": ("import os; os.chroot('/mnt/data'); print('GOT IN')", "PermissionError"),
    "raise a limit": ("import resource; resource.setrlimit(resource.RLIMIT_NPROC, (9999, 9999)); print('GOT IN')", "Error"),
    "allocate without end": ("x = bytearray(64 << 30); print('GOT IN')", "MemoryError"),
    "allocate an array without end": ("import numpy as np; np.ones((1 << 17, 1 << 17)); print('GOT IN')", "MemoryError"),
    "open files without end": ("f = []\nwhile len(f) < 2000: f.append(open('/dev/null'))\nprint('GOT IN')", "Too many open files"),
    "start threads without end": (
        "import threading, time\nt = []\nwhile len(t) < 2000:\n"
        "    t.append(threading.Thread(target=time.sleep, args=(0.5,))); t[-1].start()\nprint('GOT IN')",
        "can't start new thread",
    ),
    "fill the disk": (
        "b = b'x' * (1 << 20)\nwith open('/mnt/data/big', 'wb') as f:\n    for _ in range(600): f.write(b)\nprint('GOT IN')",
        "No space left",
    ),
    "fill /dev/shm": (
        "b = b'x' * (1 << 20)\nwith open('/dev/shm/big', 'wb') as f:\n    for _ in range(600): f.write(b)\nprint('GOT IN')",
        "No space left",
    ),
}  # fmt: skip


@pytest.mark.parametrize("attack", STOPPED)
async def test_an_attack_is_stopped_and_the_session_goes_on(session: Session, attack: str) -> None:
    code, reason = STOPPED[attack]
    outcome = await session.run(code)
    assert "GOT IN" not in outcome.logs.replace(code, "").replace("print('GOT IN'", "")
    assert reason in outcome.logs
    await session.run(
        "import os, glob\nfor f in glob.glob('/mnt/data/*') + ['/dev/shm/big']:\n  os.path.exists(f) and os.remove(f)"
    )
    assert (await session.run("f = b = x = t = None; 6 * 7")).logs == "42\n"


# system calls by number, on x86-64 and aarch64; the filter must answer EPERM (1) or ENOSYS (38), as given
CALLS = {
    "ptrace": ({"x86_64": 101, "aarch64": 117}, "0", 1),
    "mount": ({"x86_64": 165, "aarch64": 40}, "b'x', b'/mnt/data', b'tmpfs', 0, None", 1),
    "umount": ({"x86_64": 166, "aarch64": 39}, "b'/mnt/data', 2", 1),
    "unshare the user namespace": ({"x86_64": 272, "aarch64": 97}, "0x10000000", 1),
    "clone into a new user namespace": ({"x86_64": 56, "aarch64": 220}, "0x10000011, 0, 0, 0, 0", 1),
    "clone3": ({"x86_64": 435, "aarch64": 435}, "0, 0", 38),
    "setns": ({"x86_64": 308, "aarch64": 268}, "0, 0", 1),
    "bpf": ({"x86_64": 321, "aarch64": 280}, "0, 0, 0", 1),
    "io_uring_setup": ({"x86_64": 425, "aarch64": 425}, "1, 0", 1),
    "keyctl": ({"x86_64": 250, "aarch64": 219}, "0, -3, 1", 1),
    "perf_event_open": ({"x86_64": 298, "aarch64": 241}, "0, 0, -1, -1, 0", 1),
    "userfaultfd": ({"x86_64": 323, "aarch64": 282}, "0", 1),
    "open_by_handle_at": ({"x86_64": 304, "aarch64": 265}, "0, 0, 0", 1),
    "process_vm_readv": ({"x86_64": 310, "aarch64": 270}, "1, 0, 0, 0, 0, 0", 1),
    "kexec_load": ({"x86_64": 246, "aarch64": 104}, "0, 0, 0, 0", 1),
    "finit_module": ({"x86_64": 313, "aarch64": 273}, "0, b'', 0", 1),
    "memory beyond the limits (memfd)": ({"x86_64": 319, "aarch64": 279}, "b'x', 0", 38),
    "memory beyond the limits (System V)": ({"x86_64": 29, "aarch64": 194}, "0, 4096, 0o1600", 1),
    "memory beyond the limits (huge pages)": ({"x86_64": 9, "aarch64": 222}, "0, 2 << 20, 3, 0x40022, -1, 0", 1),
    "type into the terminal": ({"x86_64": 16, "aarch64": 29}, "0, 0x5412, b'x'", 1),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
async def test_a_forbidden_system_call_is_refused(session: Session, call: str) -> None:
    numbers, arguments, code = CALLS[call]
    outcome = await session.run(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"(libc.syscall({numbers[os.uname().machine]}, {arguments}), ctypes.get_errno())"
    )
    assert outcome.logs == f"(-1, {code})\n"


async def test_the_second_system_call_table_of_x86_is_closed(session: Session) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("only x86-64 has one")
    code = "import ctypes\nl = ctypes.CDLL(None, use_errno=True)\n(l.syscall(0x40000000 | 39), ctypes.get_errno())"
    assert (await session.run(code)).logs == "(-1, 38)\n"


async def test_the_environment_and_other_processes_are_not_there(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_THE_HOST", "x")
    outcome = await session.run("import os; sorted(os.environ)")
    assert "SECRET" not in outcome.logs
    outcome = await session.run("[p for p in os.listdir('/proc') if p.isdigit()]")
    assert outcome.logs in ("['1', '2']\n", "[]\n")


async def test_the_place_of_the_project_is_not_told(session: Session) -> None:
    """Only the folder of the packages is: the kernel says what is mounted."""
    look = "print(*(open(f'/proc/{one}', errors='replace').read() for one in ('1/cmdline', 'self/cmdline', 'self/mountinfo')))"
    outcome = await session.run(f"{look}\nprint(open('/venv/pyvenv.cfg').read())")
    assert "/sandbox/" in outcome.logs
    assert [line for line in outcome.logs.splitlines() if str(ROOT) in line and " /venv/sites/" not in line] == []


async def test_no_service_of_this_machine_can_be_reached(session: Session) -> None:
    """Not over loopback, nor through an abstract unix socket, which no mount hides."""
    accepted = threading.Event()

    def accept(listener: socket.socket) -> None:
        try:
            listener.accept()[0].close()
            accepted.set()
        except OSError:
            return

    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        name = f"\0sandbox-test-{os.getpid()}"
        unix.bind(name)
        unix.listen()
        for listener in (tcp, unix):
            listener.settimeout(1.0)
            threading.Thread(target=accept, args=(listener,), daemon=True).start()
        port = tcp.getsockname()[1]
        over_tcp = await session.run(f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)")
        over_unix = await session.run(f"socket.socket(socket.AF_UNIX).connect({name!r})")
    assert "PermissionError" in over_tcp.logs
    assert "ConnectionRefusedError" in over_unix.logs
    assert not accepted.is_set()


async def test_inherited_descriptors_lead_nowhere(session: Session) -> None:
    code = """import os, stat
        for fd in range(3, 256):
            try: mode = os.fstat(fd).st_mode
            except OSError: continue
            print(fd, stat.S_ISSOCK(mode))"""
    outcome = await session.run(code.replace("\n        ", "\n"))
    assert outcome.logs.split()[1:] == ["True"]  # the channel to the host and nothing else


async def test_a_session_sees_nothing_of_another(session: Session, victim: Session) -> None:
    await victim.run("for p in ('/mnt/data/s', '/tmp/s', '/dev/shm/s'): open(p, 'w').write('secret')")
    outcome = await session.run("import os; [os.path.exists(p) for p in ('/mnt/data/s', '/tmp/s', '/dev/shm/s')]")
    assert outcome.logs == "[False, False, False]\n"


@pytest.mark.parametrize(
    "bait",
    [
        "os.symlink('/etc/passwd', 'bait')",
        "os.symlink('/proc/self/root/etc/passwd', 'bait')",
        "os.mkfifo('bait')",
        "os.mkdir('bait')",
        "import socket; socket.socket(socket.AF_UNIX).bind('bait')",
        "os.symlink('good', 'bait')",
    ],
)
async def test_the_host_reads_no_link_no_fifo_no_folder(session: Session, bait: str) -> None:
    assert not (await session.run(f"import os\nopen('good', 'w').write('x')\n{bait}")).failed
    assert "bait" not in [file.filename for file in await session.files()]
    with pytest.raises(FileRefused):
        await session.read("bait")
    tidy = await session.run(
        "(os.rmdir if os.path.isdir('bait') and not os.path.islink('bait') else os.remove)('bait')"
    )
    assert not tidy.failed


async def test_a_link_on_the_way_is_not_followed(session: Session) -> None:
    await session.run("import os\nos.mkdir('sub')\nos.symlink('/', 'sub/root')")
    with pytest.raises(FileRefused):
        await session.read("sub/root/etc/passwd")
    assert not [file for file in await session.files() if "root" in file.filename]


async def test_put_replaces_a_link_and_does_not_follow_it(session: Session, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("untouched")
    source = tmp_path / "source"
    source.write_text("new")
    await session.run(f"import os\nos.symlink({str(target)!r}, 'data.csv')\nos.mkfifo('pipe.csv')")
    await session.put("data.csv", source)
    await session.put("pipe.csv", source)
    assert (await session.read("data.csv"), await session.read("pipe.csv")) == (b"new", b"new")
    assert target.read_text() == "untouched"


# Each has to be ended from outside, when its time is up.
ENDLESS = {
    "loops for ever": "while True: pass",
    "ignores signals": (
        "import signal, time\nfor s in set(signal.Signals) - {9, 19}:\n    signal.signal(s, signal.SIG_IGN)\n"
        "while True:\n    try: time.sleep(1)\n    except BaseException: pass"
    ),
    "loops in native code": "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
    "stops itself": "import os; os.kill(os.getpid(), 19)",
}

# Each ends its session: the code, and words of the sentence that says so.
FATAL = {
    "fills memory": ("import time\nx = []\nwhile True: x.append(bytearray(b'1') * (8 << 20)); time.sleep(0.01)", "400 MiB of memory"),
    "fills memory from many processes": (
        "import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n"
        "        x = bytearray(b'1') * (100 << 20); time.sleep(60)\ntime.sleep(60)",
        "400 MiB of memory",
    ),
    "makes files without end": (
        "import time\nfor n in range(10**6):\n    open(f'/mnt/data/{n}', 'w').close()\n    n % 500 or time.sleep(0.05)",
        "2,000 files",
    ),
    "exits hard": ("import os; os._exit(3)", "exit code 3"),
    "crashes": ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    "kills itself": ("import os; os.kill(os.getpid(), 9)", "was killed"),
    "lets go of its channel": ("import os, time; os.closerange(3, 4096); time.sleep(60)", "was killed"),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(limits=dataclasses.replace(LIMITS, wall_s=2.0))
    await sandbox.start()
    yield sandbox
    await sandbox.close()


@pytest.mark.parametrize("attack", ENDLESS)
async def test_an_endless_run_is_ended_when_its_time_is_up(hasty: Sandbox, attack: str) -> None:
    outcome = await run_to_the_end(hasty, ENDLESS[attack])
    assert outcome.timed_out
    assert "It ran longer than 2 s." in outcome.logs


@pytest.mark.parametrize("attack", FATAL)
async def test_a_broken_limit_ends_the_session_with_a_sentence(sandbox: Sandbox, attack: str) -> None:
    code, reason = FATAL[attack]
    outcome = await run_to_the_end(sandbox, code)
    assert not outcome.timed_out
    assert reason in outcome.logs


async def run_to_the_end(sandbox: Sandbox, code: str) -> Outcome:
    """Run code that ends its session; only its earlier output may be left."""
    session = await sandbox.open()
    everyone = list(processes(session.init_pid))
    outcome = await session.run(f"print('said before', flush=True)\n{code}")
    assert outcome.failed
    assert not session.alive
    assert outcome.logs.startswith("said before\n")
    assert [pid for pid in everyone if runs(pid)] == []
    with pytest.raises(SessionEnded):
        await session.run("1")
    await session.close()
    return outcome


async def test_a_fork_bomb_stops_at_the_limit(hasty: Sandbox) -> None:
    session = await hasty.open()
    bomb = "import os, time\nprint(os.getpid(), flush=True)\nwhile True:\n    try: os.fork()\n    except OSError: time.sleep(60)"
    running = asyncio.create_task(session.run(bomb))
    most = 0
    while not running.done():
        most = max(most, len(list(processes(session.init_pid))))
        await asyncio.sleep(0.05)
    assert 10 < most <= LIMITS.processes + 1  # and process 1
    assert not session.alive
    await session.close()


async def test_long_output_is_cut_and_says_so(session: Session) -> None:
    outcome = await session.run("print('first')\nfor _ in range(50_000): print('x' * 1000)\nprint('last')")
    assert not outcome.failed
    assert LIMITS.output_bytes <= len(outcome.logs) < LIMITS.output_bytes + 200
    assert outcome.logs.startswith("first\n")
    assert outcome.logs.endswith("last\n")
    assert "bytes of output left out" in outcome.logs


async def test_a_forged_reply_affects_only_its_own_run(sandbox: Sandbox, session: Session, victim: Session) -> None:
    """The code can write to the channel, but can only report a wrong result of its own run."""
    forge = "import os\nfor fd in range(3, 300):\n    try: os.write(fd, b'0R1xxxx')\n    except OSError: pass\nraise ValueError"
    await victim.run(forge)
    assert (await session.run("6 * 7")).logs == "42\n"


async def test_a_second_run_after_a_forged_answer_is_not_trusted(victim: Session) -> None:
    forge = "import os\nfor fd in range(3, 300):\n    try: os.write(fd, b'0000')\n    except OSError: pass"
    await victim.run(forge)
    with pytest.raises(SessionEnded):
        await victim.run("6 * 7")
    assert not victim.alive


def runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
