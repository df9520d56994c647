"""Tier 2 behind a guard, forked or not: what one session has, no other sees; all of it ends with the emulator."""

# ruff: noqa: E501  tables of code
from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from local.openai_emulator.sandbox import Limits, Sandbox, SandboxUnavailable, Session, cage, guard, jail, tiers
from local.openai_emulator.sandbox.process import is_root
from local.openai_emulator.sandbox.watchdog import processes
from local.paths import ROOT
from tests.local.openai_emulator.sandbox.conftest import LANDLOCKS, start_with
from tests.long import long_but

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(guard.landlock_version() == 0, reason="this kernel has no Landlock"),
]
SECRET = "a-key-of-the-emulator-2b7e151628aed2a6"
only_forked = pytest.mark.parametrize("sandbox", [tiers.ForkedLandlock], indirect=True, scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=long_but(LANDLOCKS, tiers.ForkedLandlock))
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A_SECRET_OF_THE_EMULATOR", SECRET)
        sandbox = Sandbox(tiers=(2,))
        await start_with(sandbox, request.param)
        yield sandbox
    await sandbox.close()


@pytest_asyncio.fixture(loop_scope="module")
async def another(sandbox: Sandbox) -> AsyncIterator[Session]:
    session = await sandbox.open()
    yield session
    await session.close()


def server_pid(sandbox: Sandbox) -> int:
    assert isinstance(sandbox._isolation, tiers.ForkedLandlock)
    assert sandbox._isolation.server is not None
    return sandbox._isolation.server.server_pid


def runner(session: Session) -> int:
    return list(processes(session.init_pid))[1]


def in_parts(path: str) -> str:
    """The path as code that gives it; as one string it would be taken for one of the session's own."""
    return f"'/'.join({path.split('/')})"


FOREIGN = {
    "read a file": "open(p + '/secret').read()",
    "list the folder": "os.listdir(p)",
    "write a file": "open(p + '/secret', 'a')",
    "make a file": "open(p + '/new', 'x')",
    "delete a file": "os.remove(p + '/secret')",
    "link a file": "os.link(p + '/secret', 'mine')",
    "move the folder": "os.rename(p, 'mine')",
    "enter it by a link": "os.symlink(p, 'there'); os.listdir('there')",
    "enter it from its own folder": "os.listdir(os.path.relpath(p))",
}  # fmt: skip


@pytest.mark.parametrize("attempt", FOREIGN)
@pytest.mark.parametrize("place", [jail.DATA, jail.TMP])
async def test_no_file_of_another_session_is_reached(
    session: Session, another: Session, attempt: str, place: str
) -> None:
    assert not (await another.run(f"open('{place}/secret', 'w').write('x');")).failed
    path = in_parts(another._process.folders[place])
    outcome = await session.run(f"import os, contextlib\np = {path}\n{FOREIGN[attempt]}\nprint('GOT IN')")
    assert "GOT IN" not in outcome.logs.splitlines()
    assert re.search(r"(PermissionError|OSError: \[Errno 18\])", outcome.logs), outcome.logs
    await session.run("import contextlib\nwith contextlib.suppress(OSError): os.remove('there')")


async def test_a_session_has_no_user_and_no_process_group_of_others(session: Session, another: Session) -> None:
    if is_root():
        found = [
            set(Path(f"/proc/{runner(one)}/status").read_text().split("Uid:")[1].split()[:4])
            for one in (session, another)
        ]
        assert [len(users) for users in found] == [1, 1]
        assert len(found[0] | found[1] | {"0"}) == 3
    for kind in (os.getpgid, os.getsid):
        assert len({kind(pid) for pid in (os.getpid(), runner(session), runner(another))}) == 3


async def test_the_check_leaves_no_processes_behind() -> None:
    """What is not reaped counts for the limit of the session that was checked, which is the first to be used."""
    sandbox = Sandbox(tiers=(2,), limits=Limits(processes=8))
    await sandbox.start()
    session = await sandbox.open()
    code = "import os, time\nfor n in range(6): os.fork() or os._exit(0)"
    assert (await session.run(code)).logs == ""
    await sandbox.close()


async def test_a_session_has_its_own_channel_and_nothing_else(session: Session) -> None:
    code = "import os, stat\nfor fd in range(4096):\n    try: mode = os.fstat(fd).st_mode\n    except OSError: continue\n    print(fd, stat.S_ISSOCK(mode))"
    found = [line.split() for line in (await session.run(code)).logs.splitlines()]
    assert [is_socket for _, is_socket in found] == ["False", "False", "False", "True"]


async def test_no_descriptor_travels_in_a_socket(session: Session) -> None:
    """A deleted file that only such a descriptor keeps is in no process's list: its size would not be counted."""
    code = (
        "import os, socket\na, b = socket.socketpair()\nwith open('hidden', 'wb') as f:\n    os.remove('hidden')\n"
        "    f.write(bytes(1 << 20))\n    socket.send_fds(a, [b'x'], [f.fileno()])"
    )
    assert "PermissionError" in (await session.run(code)).logs


@only_forked
async def test_the_memory_of_a_session_holds_nothing_of_the_emulator_nor_of_another(
    sandbox: Sandbox, another: Session
) -> None:
    """What the fork server has in its memory, every session has."""
    marker = "what-the-first-session-wrote-" + "6bc1bee22e40"
    await another.run(f"x = {marker!r}; open('/mnt/data/{marker}', 'w').write(x);")
    (await sandbox.open()).alive  # noqa: B018  the spare; the next one is forked after what the other has done
    late = await sandbox.open()
    own_folder = Path(another._process.folders[jail.DATA]).parent.name
    words = [SECRET, marker, f"{own_folder}/", "A_SECRET_OF_THE_EMULATOR"]
    try:
        assert marker.encode() in memory(runner(another))
        for pid in (server_pid(sandbox), late.init_pid, runner(late)):
            content = memory(pid)
            assert b"matplotlib" in content
            assert [word for word in words if word.encode() in content] == []
    except PermissionError:
        pytest.skip("this user may not read the memory of other processes")
    await late.close()


def memory(pid: int) -> bytes:
    """What it can write to, the rest is of files."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:  # noqa: PTH123
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            if rights.startswith("rw"):
                first, last = (int(end, 16) for end in place.split("-"))
                file.seek(first)
                found.append(file.read(last - first))
    return b"".join(found)


async def test_no_module_keeps_a_folder_of_the_fork_server(session: Session) -> None:
    """As after imports of the session's own: settings, caches and temporary files are below its own folders."""
    own = Path(session._process.folders[jail.TMP]).parent
    code = f"""
import os, sys, tempfile, matplotlib, matplotlib.pyplot
home, own = {in_parts(str(own.parent))}, {in_parts(str(own))}
places = [matplotlib.get_configdir(), matplotlib.get_cachedir(), tempfile.gettempdir(), os.path.expanduser("~"), os.getcwd(), *matplotlib.style.USER_LIBRARY_PATHS, *os.environ.values()]
for module in [one for name, one in sys.modules.items() if name != "__main__"]:
    for value in list(vars(module).values()):
        places += [value] if isinstance(value, str) else [one for one in value if isinstance(one, str)] if isinstance(value, (list, tuple, set)) else []
foreign = {{one for place in places for one in place.split(":") if one.startswith(home + "/session-") and one != own and not one.startswith(own + "/")}}
print(foreign, sum(one.startswith(own) for one in places) > 5)"""
    assert (await session.run(code)).logs == "set() True\n"


async def test_a_program_that_a_session_starts_finds_the_fonts(session: Session) -> None:
    code = "import matplotlib, os\n[name for name in os.listdir(matplotlib.get_cachedir()) if name.startswith('fontlist')] != []"
    if (await session.run(code)).logs != "True\n":  # the first session of a way that is not forked makes it
        assert not isinstance(session._process, cage.CagedFork)


async def test_each_session_gets_its_own_figures(session: Session, another: Session) -> None:
    draw = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nplt.figure().show()"
    for one in (session, another):
        assert sorted((await one.run(draw)).written) == ["figure-1.png", "figure-2.png"]


async def test_if_memory_runs_out_the_guard_stays(session: Session) -> None:
    """Without it, nothing would end what the runner has started."""
    own = Path("/proc/self/oom_score_adj").read_text()
    assert Path(f"/proc/{session.init_pid}/oom_score_adj").read_text() == own
    assert Path(f"/proc/{runner(session)}/oom_score_adj").read_text() == "1000\n"


async def test_the_runner_ends_with_its_guard(sandbox: Sandbox) -> None:
    session = await sandbox.open()
    pid = runner(session)
    os.kill(session.init_pid, signal.SIGKILL)
    outcome = await session.run("import time; time.sleep(600)")
    assert "was killed" in outcome.logs
    await gone([pid])
    await session.close()


async def gone(pids: list[int]) -> None:
    async with asyncio.timeout(180):
        while any(is_running(pid) for pid in pids):
            await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


EMULATOR = """
import asyncio
from local.openai_emulator.sandbox import Sandbox, sandbox, tiers, watchdog
sandbox.isolations = lambda _: iter([tiers.{kind}()])
HOG = "import os, signal, time\\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\\nfor _ in range(3): os.fork()\\nopen('/mnt/data/' + str(os.getpid()), 'w'); time.sleep(600)"
async def main():
    sandbox = Sandbox(tiers=(2,))
    await sandbox.start()
    session = await sandbox.open()
    running = asyncio.create_task(session.run(HOG))
    while len(await session.files()) < 8 and not running.done():
        await asyncio.sleep(0.01)
    pids = set(watchdog.processes(session.init_pid))
    if getattr(sandbox._isolation, "server", None):
        pids.add(sandbox._isolation.server.server_pid)
    print(*pids, flush=True)
    await running
asyncio.run(main())
"""


@pytest.mark.parametrize("kind", [one.__name__ for one in LANDLOCKS])
async def test_all_processes_end_with_an_emulator_that_is_killed(kind: str) -> None:
    """The runner, its children, which ignore signals, the guard, and the fork server."""
    command = (sys.executable, "-c", EMULATOR.format(kind=kind))
    emulator = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert emulator.stdout is not None
    pids = [int(one) for one in (await emulator.stdout.readline()).split()]
    assert len(pids) >= 9
    assert all(map(is_running, pids))
    emulator.kill()
    await emulator.wait()
    await gone(pids)


Replace = tuple[str, str, str]  # the program, a part of it, what stands there instead
HOLES: dict[str, tuple[list[Replace], str]] = {
    "nothing is given up": ([("forkserver.py", 'guard.confine(session, session["filter"])', "pass")], "code can read a file"),
    "no Landlock": ([("guard.py", 'restrict_files(plan["readable"], plan["writable"])', "pass")], "code can read a file"),
    "no filter": ([("guard.py", "    restrict_calls(program)\n", "    pass\n")], "code can"),
    "foreign descriptors": (
        [("runner.py", "    os.closerange(3, channel.fileno())", "    pass"), ("runner.py", "    os.closerange(channel.fileno() + 1, 4096)", "    pass")],
        "open files or sockets are not the session's own",
    ),
    "the process group of the guard": (
        [("guard.py", "os.setpgid(0, 0)", "pass"), ("guard.py", "os.setpgid(runner, runner)", "pass")],
        "it is in the process group of its guard",
    ),
    "no limits": ([("forkserver.py", 'run_cells(channel, session["limits"]', "run_cells(channel, {}")], "64 processes"),
    "the group of the emulator": ([("guard.py", "    os.setresgid(uid, uid, uid)\n", "")], "it has the user or the group of the emulator"),
    "a variable more": ([("forkserver.py", "    os.environ.update(session", "    os.environ['A_SECRET'] = 'x'\n    os.environ.update(session")], "A_SECRET"),
}  # fmt: skip


@pytest.mark.parametrize("hole", HOLES)
async def test_a_server_with_a_hole_is_not_used(monkeypatch: pytest.MonkeyPatch, bare: Path, hole: str) -> None:
    """Sessions are then started one by one, if they have not got it, too; it is said why."""
    replaced, fault = HOLES[hole]
    if not is_root() and hole in ("no limits", "the group of the emulator"):
        pytest.skip("sessions have the user of the emulator")
    monkeypatch.setattr(cage, "KILL_S", 1.0)  # some cannot be ended by the guard
    for program, part, instead in replaced:
        text = (bare / program).read_text()
        assert part in text
        (bare / program).write_text(text.replace(part, instead))
    sandbox = Sandbox(tiers=(2,))
    try:
        await sandbox.start()
    except SandboxUnavailable as exc:
        assert fault in str(exc)
    else:
        assert type(sandbox._isolation) is tiers.Landlock
        assert fault in sandbox.reason
        assert sandbox.reason.startswith("Every session does its own imports: ")
    await sandbox.close()
