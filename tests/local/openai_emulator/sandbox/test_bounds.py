"""What hostile programs leave behind is bounded, measured from outside: the disk, background work, files and output."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from local.openai_emulator.agent.tools import ToolBroken
from local.openai_emulator.containers.containers import Containers
from local.openai_emulator.sandbox import Limits, Sandbox, Session
from local.openai_emulator.sandbox.watchdog import is_stopped, living
from tests.local.openai_emulator.containers.test_budget import MIB, SMALL, containers_in, disk_bytes
from tests.local.openai_emulator.sandbox.attacks.bounded import BACKGROUND, DISK, OUTPUTS
from tests.local.openai_emulator.sandbox.attacks.prelude import PRELUDE

LIMITS = Limits(
    wall_s=120, data_bytes=16 * MIB, tmp_bytes=4 * MIB, inodes=2_000, read_bytes=8 * MIB, output_bytes=100_000
)
TIDY = """
os.chdir('/mnt/data')
subprocess.run("chmod -R u+rwX . ; rm -rf -- ./* ./.[!.]* /tmp/[!m]* /dev/shm/*", shell=True, stderr=subprocess.DEVNULL)
f = m = d = None
for fd in range(3, 256):
    try: os.close(fd) if not stat.S_ISSOCK(os.fstat(fd).st_mode) else None
    except OSError: pass
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(tiers=(1,), limits=LIMITS)
    await sandbox.start()
    yield sandbox
    await sandbox.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def a_session(sandbox: Sandbox) -> AsyncIterator[Callable[[], Awaitable[Session]]]:
    """The session of the test before if it is alive, else a new one."""
    opened: list[Session] = []

    async def alive() -> Session:
        if not opened or not opened[-1].alive:
            opened.append(await sandbox.open())
            await opened[-1].run(PRELUDE)
        return opened[-1]

    yield alive


@pytest.mark.parametrize("program", DISK)
async def test_the_disk_has_an_end(a_session: Callable[[], Awaitable[Session]], program: str) -> None:
    session = await a_session()
    await session.run(DISK[program])
    used = [os.fstatvfs(folder._descriptor) for folder in session._folders]
    assert [(one.f_blocks - one.f_bfree) * one.f_frsize for one in used] <= [16 * MIB, 4 * MIB, 4 * MIB]
    assert sum(one.f_blocks * one.f_frsize for one in used) == 24 * MIB
    assert not session.alive or max(folder.inodes() for folder in session._folders) <= LIMITS.inodes
    if session.alive:
        assert not (await session.run(TIDY)).failed


@pytest.mark.parametrize("program", BACKGROUND)
async def test_nothing_runs_after_the_cell(a_session: Callable[[], Awaitable[Session]], program: str) -> None:
    session = await a_session()
    outcome = await session.run(BACKGROUND[program])
    assert session.alive, outcome.logs
    (runner,) = living(session.init_pid) - {session.init_pid}
    assert is_stopped(runner)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def answers(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Containers]:
    async with containers_in(tmp_path_factory.mktemp("answers"), sandbox) as containers:
        yield containers


@pytest.mark.parametrize("program", OUTPUTS)
async def test_an_answer_has_an_end(answers: Containers, program: str) -> None:
    container = await answers.create(name=program)
    logs, files, images = "", 0, 0
    try:
        ran = await answers.run(container.id, f"{PRELUDE}\n{OUTPUTS[program]}")
        logs, files, images = ran.logs, len(ran.files), sum(file.is_image for file in ran.files)
    except ToolBroken as exc:
        logs = str(exc)
    assert len(logs) <= LIMITS.output_bytes + 1_000
    assert files <= SMALL.run_files
    assert images <= SMALL.run_images
    assert disk_bytes(answers.path(container.id, "x").parent) <= SMALL.container_bytes
    assert b"root:" not in b"".join(
        answers.path(container.id, file.id).read_bytes() for file in answers.files(container.id)
    )
    assert (await answers.run(container.id, "import sys; open('again', 'w').write('x')")).logs.count("Error") == 0
    await answers.delete(container.id)
