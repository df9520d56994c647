"""Each defence is taken away in turn: an attack that it stops then gets through. So each is needed, and each attack is one.

The system calls and mounts of `test_exhaustion.py` and the budget of `test_budget.py` are taken away there.
"""

# ruff: noqa: E501  tables of code
from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from local.openai_emulator.sandbox import FileRefused, Limits, Session, SessionEnded, folder, guard, jail, watchdog
from local.openai_emulator.sandbox.tiers import Bubblewrap, ForkedBubblewrap, Isolation, Landlock
from tests.local.openai_emulator.sandbox.attacks.prelude import PRELUDE
from tests.local.openai_emulator.sandbox.conftest import LANDLOCKS

MIB = 1024 * 1024
LIMITS = Limits(wall_s=120, memory_bytes=200 * MIB, data_bytes=16 * MIB, tmp_bytes=4 * MIB, inodes=500, descriptors=600)
Patch = Callable[[pytest.MonkeyPatch], None]


pytestmark = pytest.mark.usefixtures("bare")


@asynccontextmanager
async def a_session(limits: Limits = LIMITS, kind: type[Bubblewrap] = Bubblewrap) -> AsyncIterator[Session]:
    """One of tier 1 that nobody has checked."""
    async with session_of(kind(jail.bwraps()[-1]), limits) as session:
        yield session


@asynccontextmanager
async def session_of(isolation: Isolation, limits: Limits) -> AsyncIterator[Session]:
    try:
        session = await Session.launch(limits, partial(isolation.start, limits, ()))
        try:
            await session.run(PRELUDE)
            yield session
        finally:
            await session.close()
    finally:
        isolation.close()


@pytest.fixture(params=[Bubblewrap, ForkedBubblewrap])
def kind(request: pytest.FixtureRequest) -> type[Bubblewrap]:
    """How the session starts."""
    started: type[Bubblewrap] = request.param
    return started


def without(*words: str) -> Patch:
    """bwrap's arguments without these."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        whole = jail.arguments
        monkeypatch.setattr(jail, "arguments", lambda *a, **k: list(cut(whole(*a, **k), list(words))))

    return patch


def cut(words: list[str], part: list[str]) -> Iterator[str]:
    at = next(n for n in range(len(words)) if words[n : n + len(part)] == part)
    yield from words[:at]
    yield from words[at + len(part) :]


def without_limit(name: str) -> Patch:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        whole = jail.rlimits
        monkeypatch.setattr(jail, "rlimits", lambda limits: {k: v for k, v in whole(limits).items() if k != name})

    return patch


def same_namespace(kind: str) -> str:
    return f"need(os.readlink('/proc/self/ns/{kind}') == {os.readlink(f'/proc/self/ns/{kind}')!r})"  # noqa: PTH115


def size_of(place: str, size_bytes: int) -> tuple[str, ...]:
    return ("--size", str(size_bytes), "--tmpfs", place)


def unlimited(place: str) -> Patch:
    """A file system without a size of its own."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        whole = jail.writable

        def larger(limits: Limits) -> list[tuple[str, int, str]]:
            return [(p, 512 * MIB if p == place else size, mode) for p, size, mode in whole(limits)]

        monkeypatch.setattr(jail, "writable", larger)

    return patch


def write(place: str) -> str:
    return f"for n in range(3): os.posix_fallocate(os.open(f'{place}/{{n}}', os.O_RDWR | os.O_CREAT), 0, 12 << 20)"


# what is taken away, and the attack: its end is reached only then
DEFENCES: dict[str, tuple[Patch, str]] = {
    "the network's namespace": (without("--unshare-net"), same_namespace("net")),
    "the namespace of semaphores": (without("--unshare-ipc"), same_namespace("ipc")),
    "the namespace of names": (without("--hostname", "sandbox"), "need(socket.gethostname() != 'sandbox')"),
    "the namespace of control groups": (without("--unshare-cgroup"), same_namespace("cgroup")),
    "/proc is read only": (without("--remount-ro", "/proc"), "need(not os.statvfs('/proc').f_flag & os.ST_RDONLY)"),
    "/dev/zero is not real": (
        without("--dev-bind", "/dev/full", "/dev/zero"),
        "mmap.mmap(os.open('/dev/zero', os.O_RDWR), 4096)",
    ),
    "no terminals": (
        without("--perms", "0555", *size_of("/dev/pts", 4096), "--remount-ro", "/dev/pts"),
        "os.openpty()",
    ),
    "the size of /mnt/data": (unlimited(jail.DATA), write(jail.DATA)),
    "the size of /tmp": (unlimited(jail.TMP), write(jail.TMP)),
    "the size of /dev/shm": (unlimited(jail.SHM), write(jail.SHM)),
    "the limit of address space": (without_limit("RLIMIT_AS"), "need(libc.mmap(0, 1 << 34, 3, 0x4022, -1, 0) != -1)"),
    "the limit of descriptors": (without_limit("RLIMIT_NOFILE"), "kept = [os.dup(0) for _ in range(280)]"),
    "the limit of processes": (
        without_limit("RLIMIT_NPROC"),
        "for _ in range(64): fork(lambda: time.sleep(0.5))",
    ),
    "the limit of signals": (
        without_limit("RLIMIT_SIGPENDING"),
        "need(sum(libc.timer_create(1, None, ctypes.byref(ctypes.c_void_p())) == 0 for _ in range(300)) == 300)",
    ),
    "the limit of queues": (
        without_limit("RLIMIT_MSGQUEUE"),
        "need(libc.mq_open(b'/q', 0o102, 0o600, None) >= 0)",
    ),
    "the limit of locked memory": (
        without_limit("RLIMIT_MEMLOCK"),
        "checked(libc.mlock(ctypes.create_string_buffer(1 << 20), 1 << 20))",
    ),
}


@pytest.mark.parametrize("defence", DEFENCES)
async def test_without_it_the_attack_gets_through(
    monkeypatch: pytest.MonkeyPatch, defence: str, kind: type[Bubblewrap]
) -> None:
    take_away, attack = DEFENCES[defence]
    if defence in BROAD and not has_room(BROAD[defence]):
        pytest.skip("this machine's own limit is as low")
    take_away(monkeypatch)
    async with a_session(kind=kind) as session:
        outcome = await session.run(f"{attack}\nprint('GOT IN')")
    assert "GOT IN" in outcome.logs, outcome.logs


BROAD = {
    "the limit of locked memory": ("RLIMIT_MEMLOCK", 2 * MIB),
    "the limit of queues": ("RLIMIT_MSGQUEUE", MIB // 2),
}


def has_room(limit: tuple[str, int]) -> bool:
    import resource

    hard = resource.getrlimit(getattr(resource, limit[0]))[1]
    return hard == resource.RLIM_INFINITY or hard >= limit[1]


# in tier 2 the filter refuses message queues in any case
LIMITED = [name for name in DEFENCES if name.startswith("the limit of") and name != "the limit of queues"]


@asynccontextmanager
async def a_caged_session(kind: type[Landlock], limits: Limits = LIMITS) -> AsyncIterator[Session]:
    """One of tier 2 that nobody has checked."""
    if guard.landlock_version() == 0:
        pytest.skip("this kernel has no Landlock")
    async with session_of(kind(), limits) as session:
        yield session


@pytest.mark.parametrize("caged", LANDLOCKS)
@pytest.mark.parametrize("defence", LIMITED)
async def test_in_tier_2_without_it_the_attack_gets_through(
    monkeypatch: pytest.MonkeyPatch, defence: str, caged: type[Landlock]
) -> None:
    take_away, attack = DEFENCES[defence]
    if defence in BROAD and not has_room(BROAD[defence]):
        pytest.skip("this machine's own limit is as low")
    async with a_caged_session(caged, replace(LIMITS, descriptors=100_000)) as session:
        outcome = await session.run(f"{attack}\nprint('GOT IN')")
        assert "GOT IN" not in outcome.logs.splitlines()
    take_away(monkeypatch)
    async with a_caged_session(caged, replace(LIMITS, descriptors=100_000)) as session:
        outcome = await session.run(f"{attack}\nprint('GOT IN')")
    assert "GOT IN" in outcome.logs, outcome.logs


async def test_with_all_of_them_none_gets_through(kind: type[Bubblewrap]) -> None:
    async with a_session(replace(LIMITS, descriptors=100_000), kind) as session:
        for attack in (attack for _, attack in DEFENCES.values()):
            outcome = await session.run(f"{attack}\nprint('GOT IN')")
            assert outcome.failed, f"{attack}: {outcome.logs}"
            assert "GOT IN" not in outcome.logs.splitlines()


# what measures from outside: what is taken away, and a program that its session then survives
MEASURES: dict[str, tuple[Patch, str]] = {
    "memory": (lambda patch: patch.setattr(watchdog, "memory_bytes", lambda *_, **__: 0), "x = bytearray(b'1') * (400 << 20)"),
    "descriptors": (
        lambda patch: patch.setattr(watchdog, "descriptors", lambda _: 0),
        "for _ in range(4): fork(lambda: ([os.dup(0) for _ in range(200)], time.sleep(WAIT)))",
    ),
    "files": (
        lambda patch: patch.setattr(folder.Folder, "inodes", lambda _: 0),
        "for n in range(700): open(f'f{n}', 'w')",
    ),
}  # fmt: skip


@pytest.mark.parametrize("measure", MEASURES)
async def test_without_measuring_a_session_takes_too_much(monkeypatch: pytest.MonkeyPatch, measure: str) -> None:
    take_away, program = MEASURES[measure]
    async with a_session() as session:
        ended = await session.run(f"WAIT = 600\n{program}\ntime.sleep(600)", wall_s=300)
        assert not ended.timed_out
        assert "It " in ended.logs.splitlines()[-1]
        assert not session.alive
    take_away(monkeypatch)
    async with a_session() as session:
        outcome = await session.run(f"WAIT = 0.3\n{program}\ntime.sleep(0.5)\nprint('GOT IN')")
        assert outcome.logs.endswith("GOT IN\n")


async def test_without_the_limits_of_a_path_the_host_reads_its_own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_session() as session:
        await session.run("os.symlink('/', 'root')")
        with pytest.raises(FileRefused):
            await session.read("root/etc/hostname")
        monkeypatch.setattr(folder, "RESOLVE", 0)
        assert await session.read("root/etc/hostname") == Path("/etc/hostname").read_bytes()


async def test_without_the_check_of_silence_a_forged_answer_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_: Session) -> None:
        return

    forge = "for fd in range(3, 256):\n    try: os.write(fd, b'00')\n    except OSError: pass"
    async with a_session() as session:
        await session.run(forge)
        with pytest.raises(SessionEnded):
            await session.run("raise ValueError")
    monkeypatch.setattr(Session, "_require_silence", nothing)
    async with a_session() as session:
        await session.run(forge)
        assert not (await session.run("raise ValueError")).failed


async def test_without_the_limit_of_output_all_of_it_is_kept() -> None:
    async with a_session(replace(LIMITS, output_bytes=10_000)) as session:
        assert len((await session.run("print('x' * 100_000)")).logs) < 11_000
    async with a_session(replace(LIMITS, output_bytes=10**9)) as session:
        assert len((await session.run("print('x' * 100_000)")).logs) > 100_000
