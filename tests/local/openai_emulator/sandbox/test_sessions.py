"""Sandbox sessions: state, charts, files, the spare session, and cleaning up at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from local.openai_emulator.sandbox import (
    FileRefused,
    Limits,
    Sandbox,
    SandboxUnavailable,
    Session,
    SessionEnded,
    SessionFile,
    jail,
    seccomp,
)
from local.openai_emulator.sandbox.folder import check_name
from local.openai_emulator.sandbox.watchdog import processes
from local.paths import ROOT
from tests.long import long_but

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(limits=Limits(data_bytes=64 * 2**20, read_bytes=2**20))
    await sandbox.start()
    yield sandbox
    await sandbox.close()


async def test_state_is_kept_between_runs(session: Session) -> None:
    await session.run("def double(x):\n    return 2 * x\nnumber = 21")
    outcome = await session.run("double(number)")
    assert (outcome.logs, outcome.failed, outcome.changed) == ("42\n", False, ())


@pytest.mark.parametrize(
    ("code", "logs"),
    [
        ("1 + 1", "2\n"),
        ("1 + 1;", ""),
        ("None", ""),
        ("x = 5\nx", "5\n"),
        ("'text'", "'text'\n"),
        ("display(3)", "3\n"),
        ("", ""),
        ("# nothing", ""),
        ("import pandas as pd\npd.DataFrame({'a': [1]})", "   a\n0  1\n"),
        ("import os; _n = os.system('echo from a child')", "from a child\n"),
        ("import ctypes; _n = ctypes.CDLL(None).puts(b'from native code')", "from native code\n"),
        ("import sys; _n = sys.stderr.write('an error line\\n')", "an error line\n"),
        ("print('Grüße, 世界')", "Grüße, 世界\n"),
        ("import sys; sys.exit()", ""),
        ("__name__", "'__main__'\n"),
    ],
)
async def test_it_prints_as_a_notebook_does(session: Session, code: str, logs: str) -> None:
    outcome = await session.run(code)
    assert (outcome.logs, outcome.failed) == (logs, False)


async def test_a_traceback_shows_the_code_and_not_the_runner(session: Session) -> None:
    outcome = await session.run("def f():\n    return 1 / 0\n\nf()")
    assert outcome.failed
    assert "    return 1 / 0\n" in outcome.logs
    assert outcome.logs.rstrip().endswith("ZeroDivisionError: division by zero")
    assert "runner" not in outcome.logs


async def test_a_syntax_error_is_a_failure_of_the_run_only(session: Session) -> None:
    outcome = await session.run("x = = 1")
    assert outcome.failed
    assert "SyntaxError" in outcome.logs
    assert "runner" not in outcome.logs
    assert session.alive


async def test_a_shown_chart_comes_back_as_a_valid_png(sandbox: Sandbox) -> None:
    session = await sandbox.open()
    outcome = await session.run(
        "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.title('A chart')\nplt.show()"
    )
    assert (outcome.logs, outcome.changed) == ("", ("figure-1.png",))
    width, height = png_size(await session.read("figure-1.png"))
    assert 500 < width < 2000
    assert 300 < height < 2000
    await session.close()


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("fig, ax = plt.subplots(); ax.bar([1], [2]);", ("figure-1.png",)),
        ("plt.plot([1]); plt.figure(); plt.plot([2]); plt.show()", ("figure-1.png", "figure-2.png")),
        ("plt.plot([1]); plt.savefig('mine.png')", ("mine.png",)),
        ("plt.plot([1]); plt.savefig('mine.png'); plt.show()", ("mine.png",)),
        ("plt.plot([1]); plt.savefig('mine.png'); plt.close()", ("mine.png",)),
        ("pd.Series([1, 2]).plot();", ("figure-1.png",)),
        ("plt.plot([1]); plt.show(); plt.show()", ("figure-1.png",)),
    ],
)
async def test_every_figure_is_saved_once(session: Session, code: str, changed: tuple[str, ...]) -> None:
    await session.run(
        "import os, glob, matplotlib.pyplot as plt, pandas as pd\nfor f in glob.glob('*.png'): os.remove(f)"
    )
    outcome = await session.run(code)
    assert outcome.changed == changed, outcome.logs
    assert (await session.run("plt.get_fignums()")).logs == "[]\n"


async def test_files_made_and_changed_are_reported_and_read(session: Session) -> None:
    outcome = await session.run("import os\nos.makedirs('out/deep')\nopen('out/deep/a b#%.txt', 'w').write('one');")
    assert outcome.changed == ("out/deep/a b#%.txt",)
    assert await session.read("out/deep/a b#%.txt") == b"one"
    assert SessionFile(filename="out/deep/a b#%.txt", size_bytes=3) in await session.files()
    assert (await session.run("open('out/deep/a b#%.txt').read();")).changed == ()
    assert (await session.run("open('out/deep/a b#%.txt', 'w').write('two');")).changed == ("out/deep/a b#%.txt",)


async def test_a_workbook_is_read_and_written(session: Session, tmp_path: Path) -> None:
    import pandas as pd

    pd.DataFrame({"n": [1, 2, 3]}).to_excel(tmp_path / "in.xlsx", index=False)
    await session.put("in.xlsx", tmp_path / "in.xlsx")
    outcome = await session.run(
        "import pandas as pd\nfrom scipy import stats\ndf = pd.read_excel('/mnt/data/in.xlsx')\n"
        "df.to_excel('out.xlsx')\n(int(df.n.sum()), float(stats.linregress(df.n, df.n).slope))"
    )
    assert (outcome.logs, outcome.changed) == ("(6, 1.0)\n", ("out.xlsx",))


@pytest.mark.parametrize(
    "name", ["plain.csv", "mit Leerzeichen.csv", "数据 #1 100%.csv", "emoji 🙂.txt", ".hidden", "a" * 255]
)
async def test_a_file_is_put_under_its_own_name(session: Session, tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.write_text("content")
    await session.put(name, source)
    assert (await session.run(f"open('/mnt/data/' + {name!r}).read()")).logs == "'content'\n"
    assert await session.read(name) == b"content"
    assert not (await session.run(f"open({name!r}, 'a').write('more');")).failed


BAD_NAMES = [
    "",
    ".",
    "..",
    "a/b",
    "/etc/passwd",
    "../x",
    "a\\b",
    "a\0b",
    "a\nb",
    "\x1b[2J",
    "x" * 256,
    "é" * 128,
    "\ud800",
]


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
async def test_a_bad_name_is_refused(session: Session, tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.write_text("content")
    with pytest.raises(FileRefused):
        await session.put(name, source)
    with pytest.raises(FileRefused):
        check_name(name)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../b", "a//b", "", "a/"])
async def test_a_bad_path_is_not_read(session: Session, name: str) -> None:
    with pytest.raises(FileRefused):
        await session.read(name)


async def test_a_missing_file_is_said_to_be_missing(session: Session) -> None:
    with pytest.raises(FileNotFoundError):
        await session.read("nothing.csv")


async def test_a_file_too_large_is_refused_both_ways(session: Session, tmp_path: Path) -> None:
    await session.run("open('large.bin', 'wb').write(b'x' * (2 << 20));")
    with pytest.raises(FileRefused, match="larger than"):
        await session.read("large.bin")
    source = tmp_path / "huge.bin"
    with source.open("wb") as file:
        file.truncate(80 * 2**20)
    with pytest.raises(FileRefused, match="No space left"):
        await session.put("huge.bin", source)
    assert "huge.bin" not in [file.filename for file in await session.files()]


async def test_files_can_be_read_after_the_session_has_ended(sandbox: Sandbox) -> None:
    session = await sandbox.open()
    await session.run("open('kept.txt', 'w').write('kept')\nimport os; os._exit(0)")
    assert not session.alive
    assert await session.read("kept.txt") == b"kept"
    with pytest.raises(SessionEnded):
        await session.put("x", Path(__file__))
    await session.close()


async def test_runs_of_one_session_wait_for_each_other(session: Session) -> None:
    first = session.run("import time; time.sleep(0.2); turn = 1; print('first')")
    second = session.run("print('second', turn)")
    outcomes = await asyncio.gather(first, second)
    assert [outcome.logs for outcome in outcomes] == ["first\n", "second 1\n"]


async def test_a_cancelled_run_ends_its_session(sandbox: Sandbox) -> None:
    session = await sandbox.open()
    running = asyncio.create_task(session.run("import time; open('started', 'w').close(); time.sleep(60)"))
    async with asyncio.timeout(180):
        while not await session.files():
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not session.alive
    await session.close()


async def test_the_loop_is_free_while_code_runs(session: Session) -> None:
    running = asyncio.create_task(session.run("sum(range(10_000_000))"))
    ticks = 0
    while not running.done():
        await asyncio.sleep(0.001)
        ticks += 1
    assert ticks > 5


async def test_a_spare_is_replaced_when_taken(sandbox: Sandbox) -> None:
    sessions = [await sandbox.open() for _ in range(2)]
    assert len({session.init_pid for session in sessions}) == 2
    assert [(await session.run("'x' in globals()")).logs for session in sessions] == ["False\n", "False\n"]
    for session in sessions:
        await session.close()


async def test_a_dead_spare_is_not_handed_out(sandbox: Sandbox) -> None:
    assert sandbox._spare is not None
    spare = await asyncio.shield(sandbox._spare)
    os.kill(spare.init_pid, signal.SIGKILL)
    async with asyncio.timeout(180):
        while spare.alive:
            await asyncio.sleep(0.01)
    session = await sandbox.open()
    assert (await session.run("6 * 7")).logs == "42\n"
    await session.close()


async def test_closing_leaves_no_process_and_no_descriptor(sandbox: Sandbox) -> None:
    assert sandbox._spare is not None
    await asyncio.shield(sandbox._spare)  # whose descriptors shall not be counted
    before = {path.name for path in Path("/proc/self/fd").iterdir()}
    another = Sandbox()
    await another.start()
    session = await another.open()
    code = "import subprocess, time\nfor _ in range(3): subprocess.Popen(['sleep', '600'], start_new_session=True)"
    running = asyncio.create_task(session.run(f"{code}\ntime.sleep(600)"))
    async with asyncio.timeout(180):
        while len(everyone := list(processes(session.init_pid))) < 5:
            await asyncio.sleep(0.01)
    await another.close()
    await running
    assert [pid for pid in everyone if Path(f"/proc/{pid}").exists()] == []
    assert {path.name for path in Path("/proc/self/fd").iterdir()} <= before
    with pytest.raises(SandboxUnavailable):
        await another.open()


async def test_a_killed_emulator_takes_its_sessions_along() -> None:
    code = (
        "import asyncio\nfrom local.openai_emulator.sandbox import Sandbox\nasync def main():\n"
        "    sandbox = Sandbox(); await sandbox.start(); session = await sandbox.open()\n"
        "    print(session.init_pid, flush=True); await session.run('while True: pass')\nasyncio.run(main())"
    )
    emulator = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert emulator.stdout is not None
    init_pid = int(await asyncio.to_thread(emulator.stdout.readline))
    everyone = list(processes(init_pid))
    assert len(everyone) >= 2
    emulator.kill()
    emulator.wait()
    emulator.stdout.close()
    async with asyncio.timeout(180):
        while any(Path(f"/proc/{pid}").exists() for pid in everyone):
            await asyncio.sleep(0.01)


async def test_a_machine_without_a_filter_is_refused() -> None:
    with pytest.raises(SandboxUnavailable, match="riscv64"):
        seccomp.program("riscv64")


@pytest.mark.parametrize("bwrap", ["/bin/false", "/nowhere/bwrap"])
async def test_the_sandbox_does_not_start_without_bwrap(monkeypatch: pytest.MonkeyPatch, bwrap: str) -> None:
    monkeypatch.setattr(jail, "bwraps", lambda: [bwrap])
    await assert_refuses_to_start("isolated here")


async def test_a_kernel_that_forbids_namespaces_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bwrap = tmp_path / "bwrap"
    bwrap.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    bwrap.chmod(0o755)
    monkeypatch.setattr(jail, "bwraps", lambda: [str(bwrap)])
    await assert_refuses_to_start("namespace.*(sysctl|security-opt)")


# A hole each, made on purpose: what is taken from bwrap's arguments or put there, and what the check must say.
HOLES = {
    "shares the network": (["--unshare-net"], [], "the net namespace is shared"),
    "shares the semaphores": (["--unshare-ipc"], [], "the ipc namespace is shared"),
    "shows the homes": ([], ["--ro-bind", "/home", "/home"], "/home"),
    "passes a secret": (["--clearenv"], ["--setenv", "A_SECRET", "x"], "A_SECRET"),
}


@pytest.mark.parametrize("hole", long_but(HOLES, "passes a secret"))
async def test_the_sandbox_does_not_start_with_a_hole(monkeypatch: pytest.MonkeyPatch, hole: str) -> None:
    removed, added, fault = HOLES[hole]
    whole = jail.arguments
    monkeypatch.setattr(jail, "arguments", lambda *a, **k: [*added, *(w for w in whole(*a, **k) if w not in removed)])
    await assert_refuses_to_start(fault)


async def test_the_sandbox_does_not_start_without_a_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    allow_all = seccomp.program()[-8:]  # its last instruction
    monkeypatch.setattr(seccomp, "program", lambda **_: allow_all)
    await assert_refuses_to_start("a network connection was not refused")


async def test_the_sandbox_does_not_start_when_the_process_limit_does_not_bind(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = jail.rlimits
    monkeypatch.setattr(jail, "rlimits", lambda limits: whole(replace(limits, processes=200)))
    await assert_refuses_to_start("64 processes")


async def assert_refuses_to_start(fault: str) -> None:
    sandbox = Sandbox(tiers=(1,))
    with pytest.raises(SandboxUnavailable, match=fault):
        await sandbox.start()
    with pytest.raises(SandboxUnavailable):
        await sandbox.open()


def png_size(content: bytes) -> tuple[int, int]:
    """Width and height; checks every chunk's CRC."""
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    place, kinds = 8, []
    while place < len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        body = content[place + 4 : place + 8 + size]
        assert zlib.crc32(body) == int.from_bytes(content[place + 8 + size : place + 12 + size], "big")
        kinds.append(body[:4])
        place += 12 + size
    assert (kinds[0], kinds[-1]) == (b"IHDR", b"IEND")
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
