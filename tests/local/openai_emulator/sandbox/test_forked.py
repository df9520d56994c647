"""Sessions forked from one process: each shares nothing with it or with another, and it can be replaced."""

# ruff: noqa: E501  tables of code
from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from local.openai_emulator.sandbox import (
    Sandbox,
    SandboxUnavailable,
    Session,
    SessionEnded,
    cage,
    forked,
    guard,
    jail,
    tiers,
)
from local.openai_emulator.sandbox.check import NAMESPACES
from local.openai_emulator.sandbox.watchdog import descriptors, processes

pytestmark = pytest.mark.asyncio(loop_scope="module")


only_tier_1 = pytest.mark.parametrize("sandbox", [1], indirect=True, scope="module")
each_tier = pytest.mark.parametrize("tier", [1, 2])


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[1, 2])
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    sandbox = await started(request.param)
    assert isinstance(sandbox._isolation, tiers.Forking), sandbox.reason
    yield sandbox
    await sandbox.close()


async def started(tier: int) -> Sandbox:
    if tier == 2 and guard.landlock_version() == 0:
        pytest.skip("this kernel has no Landlock")
    sandbox = Sandbox(tiers=(tier,))
    await sandbox.start()
    return sandbox


@pytest_asyncio.fixture(loop_scope="module")
async def another(sandbox: Sandbox) -> AsyncIterator[Session]:
    session = await sandbox.open()
    yield session
    await session.close()


def server(sandbox: Sandbox) -> forked.ForkServer:
    assert isinstance(sandbox._isolation, tiers.Forking)
    assert sandbox._isolation.server is not None
    return sandbox._isolation.server


def runner(session: Session) -> int:
    return list(processes(session.init_pid))[1]


@only_tier_1
async def test_every_namespace_is_of_one_session_only(sandbox: Sandbox, session: Session, another: Session) -> None:
    everyone = [os.getpid(), server(sandbox).server_pid, runner(session), runner(another)]
    for name in NAMESPACES:
        assert len({Path(f"/proc/{pid}/ns/{name}").readlink() for pid in everyone}) == 4, name


@only_tier_1
async def test_the_writable_folders_are_of_one_session_only(
    sandbox: Sandbox, session: Session, another: Session
) -> None:
    everyone = [server(sandbox).server_pid, runner(session), runner(another)]
    for place in (*jail.WRITABLE, "/proc"):
        assert len({Path(f"/proc/{pid}/root{place}").stat().st_dev for pid in everyone}) == 3, place


async def test_no_random_numbers_are_common(session: Session, another: Session) -> None:
    code = "import random, secrets, tempfile, uuid, numpy as np\n(random.random(), np.random.rand(), uuid.uuid4(), tempfile.mktemp(), secrets.token_hex())"
    outcomes = [await one.run(code) for one in (session, another)]
    first, second = (outcome.logs.strip("()\n").split(", ") for outcome in outcomes)
    assert len(first) == len(second) == 5
    assert not set(first) & set(second)


async def test_the_server_keeps_no_descriptor_of_a_session(sandbox: Sandbox) -> None:
    before = descriptors(server(sandbox).server_pid)
    opened = [await sandbox.open() for _ in range(3)]
    assert descriptors(server(sandbox).server_pid) - before <= sum(descriptors(one.init_pid) for one in opened)
    own = len(os.listdir(f"/proc/{server(sandbox).server_pid}/fd"))  # noqa: PTH208
    assert own == 4  # input, output, errors, the socket to the emulator
    for session in opened:
        await session.close()


async def gone(pids: list[int]) -> None:
    """Wait until these processes have ended."""
    async with asyncio.timeout(180):
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            await asyncio.sleep(0.01)


SIGNALS = {
    "its process group": "os.killpg(0, 9)",
    "everybody": "os.kill(-1, 9)",
    "its parent": "os.kill(os.getppid(), 9)",
    "the parent of its parent": "os.kill(0, 15)",
}


@pytest.mark.parametrize("target", SIGNALS)
async def test_signals_reach_no_other_session(sandbox: Sandbox, another: Session, target: str) -> None:
    victim = await sandbox.open()
    await victim.run(f"import os, signal\nsignal.signal(15, signal.SIG_IGN)\n{SIGNALS[target]}")
    assert (await another.run("6 * 7")).logs == "42\n"
    assert server(sandbox).started.poll() is None
    await victim.close()


async def test_a_session_whose_first_process_is_killed_leaves_the_others_alone(
    sandbox: Sandbox, another: Session
) -> None:
    session = await sandbox.open()
    everyone = list(processes(session.init_pid))
    os.kill(session.init_pid, signal.SIGKILL)
    try:
        assert "was killed" in (await session.run("import time; time.sleep(60)")).logs
    except SessionEnded as exc:  # that was noticed before the cell began
        assert "has ended" in str(exc)
    await session.close()
    await gone(everyone)
    assert (await another.run("6 * 7")).logs == "42\n"


async def test_sessions_forked_at_once_are_different_ones(sandbox: Sandbox) -> None:
    sessions = await asyncio.gather(*(sandbox._launch() for _ in range(5)))
    assert len({session.init_pid for session in sessions}) == 5
    outcomes = await asyncio.gather(*(session.run(f"{n} * 2") for n, session in enumerate(sessions)))
    assert [outcome.logs for outcome in outcomes] == [f"{n * 2}\n" for n in range(5)]
    for session in sessions:
        await session.close()


async def test_a_fork_that_fails_is_said_and_ends_no_session(sandbox: Sandbox, another: Session) -> None:
    assert sandbox._spare is not None
    await asyncio.shield(sandbox._spare)
    pid = server(sandbox).server_pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # tier 1 needs pipes beside the four of the request; in tier 2 the request itself does not fit
    most, reason = (8, "Too many open files") if isinstance(server(sandbox), forked.JailedServer) else (5, "no session")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, before[1]))
    with pytest.raises(SandboxUnavailable, match=reason):
        await sandbox._launch()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert (await another.run("6 * 7")).logs == "42\n"
    session = await sandbox._launch()
    assert (await session.run("6 * 7")).logs == "42\n"
    await session.close()


@pytest.mark.usefixtures("bare")
async def test_a_dead_server_takes_its_sessions_along_and_is_started_again() -> None:
    sandbox = Sandbox(tiers=(1,))
    await sandbox.start()
    session = await sandbox.open()
    old = server(sandbox)
    os.kill(old.server_pid, signal.SIGKILL)
    outcome = await session.run("import time; time.sleep(60)")
    assert "was killed" in outcome.logs
    async with asyncio.timeout(180):
        await old.wait()
    opened = await sandbox.open()
    assert (await opened.run("6 * 7")).logs == "42\n"
    assert server(sandbox) is not old
    await sandbox.close()
    assert not Path(f"/proc/{opened.init_pid}").exists()


def server_that_ends(*_: object, **__: int) -> tuple[str, ...]:
    return ("/bin/sh", "-c", "echo no imports here; exit 1")


@pytest.mark.usefixtures("bare")
@each_tier
async def test_where_no_server_works_every_session_starts_by_itself(monkeypatch: pytest.MonkeyPatch, tier: int) -> None:
    monkeypatch.setattr(jail, "fork_server_command", server_that_ends)
    monkeypatch.setattr(cage, "server_command", server_that_ends)
    sandbox = await started(tier)
    session = await sandbox.open()
    assert (await session.run("6 * 7")).logs == "42\n"
    assert sandbox.reason.startswith("Every session does its own imports: ")
    assert "no imports here" in sandbox.reason
    await sandbox.close()


@pytest.mark.usefixtures("bare")
async def test_a_dead_server_of_tier_2_leaves_its_sessions_alone_and_is_started_again() -> None:
    sandbox = await started(2)
    session = await sandbox.open()
    assert sandbox._spare is not None
    await asyncio.shield(sandbox._spare)
    old = server(sandbox)
    os.kill(old.server_pid, signal.SIGKILL)
    async with asyncio.timeout(180):
        await old.wait()
    assert (await session.run("6 * 7")).logs == "42\n"
    opened = [await sandbox.open() for _ in range(2)]  # the first is the spare of before
    assert (await opened[1].run("6 * 7")).logs == "42\n"
    assert server(sandbox) is not old
    everyone = [pid for one in (session, *opened) for pid in processes(one.init_pid)]
    await sandbox.close()
    await gone(everyone)


async def test_an_interpreter_below_tmp_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jail, "python_mounts", lambda: [("/x", "/tmp/x/lib/python3.11")])
    with pytest.raises(SandboxUnavailable, match="/tmp/x/lib"):
        jail.for_fork_server([*jail.PROC], sandbox_limits(), as_root=False)


async def test_without_proc_there_is_no_server() -> None:
    with pytest.raises(SandboxUnavailable, match="no /proc"):
        jail.for_fork_server(["--dir", "/proc"], sandbox_limits(), as_root=False)


def sandbox_limits() -> jail.Limits:
    return jail.Limits()


Plan = dict[str, object]
HOLES: dict[str, tuple[Callable[[Plan], Plan], str]] = {
    **{
        word: (lambda plan, bit=bit: plan | {"namespaces": int(str(plan["namespaces"])) & ~bit}, "shared with other")
        for word, bit in jail.NAMESPACES.items()
        if word in ("--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup")
    },
    **{
        place: (
            lambda plan, place=place: plan | {"writable": [one for one in plan["writable"] if one[0] != place]},  # type: ignore[attr-defined]
            f"{place} is shared with other sessions",
        )
        for place in (jail.DATA, jail.SHM)
    },
    "more processes": (lambda plan: plan | {"limits": {}}, "64 processes"),
}


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("hole", HOLES)
async def test_a_server_with_a_hole_is_not_used(monkeypatch: pytest.MonkeyPatch, hole: str) -> None:
    change, fault = HOLES[hole]
    whole = jail.for_fork_server

    def changed(*args: object, **kwargs: object) -> tuple[list[str], Plan]:
        words, plan = whole(*args, **kwargs)  # type: ignore[arg-type]
        return words, change(plan)

    monkeypatch.setattr(jail, "for_fork_server", changed)
    sandbox = Sandbox(tiers=(1,))
    await sandbox.start()
    assert isinstance(sandbox._isolation, tiers.Bubblewrap)
    assert not isinstance(sandbox._isolation, tiers.ForkedBubblewrap)
    assert fault in sandbox.reason
    await sandbox.close()
