"""What code leaves behind is bounded: for a run, for a container, for all of them; and so are live sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from local.openai_emulator.agent.conversation import Ran
from local.openai_emulator.agent.tools import ToolBroken
from local.openai_emulator.containers.budget import MIB, Budget, Choice, Used, choose
from local.openai_emulator.containers.containers import Containers
from local.openai_emulator.files.files import Files
from local.openai_emulator.sandbox import Limits, Sandbox
from local.openai_emulator.store import Store
from tests.local.openai_emulator.client import Clock

SMALL = Budget(
    run_files=10,
    run_bytes=4 * MIB,
    container_files=15,
    container_bytes=6 * MIB,
    all_files=25,
    all_bytes=10 * MIB,
    run_images=3,
    run_image_bytes=MIB,
    container_image_bytes=2 * MIB,
    all_image_bytes=3 * MIB,
    sessions=2,
)
WITHOUT_LIMITS = Budget(**dict.fromkeys(Budget.__dataclass_fields__, 2**62))


# ---- the decision ----------------------------------------------------------------------------------------------------


def chosen(written: Mapping[str, int], **options: Any) -> Choice:
    return choose(written, **{"kept": {}, "gone": (), "used": Used(), "budget": SMALL} | options)


def files(count: int, size_bytes: int = 1, name: str = "f{}.bin") -> dict[str, int]:
    return {name.format(n): size_bytes for n in range(count)}


# what a run writes, and how many files and bytes, images and bytes of them are kept
ATTACKS: dict[str, dict[str, int]] = {
    "many tiny files": files(19_000),
    "many sparse files": files(5_000, 64 * MIB),
    "many sparse images": files(260, 8 * MIB, "s{}.png"),
    "images just below the limit": files(50, MIB, "s{}.png"),
    "tiny images": files(5_000, 1, "s{}.svg"),
    "one file too large": files(1, 5 * MIB),
    "files that add up": files(9, MIB),
    "empty files in folders": files(5_000, 0, "a/b/c/{}.txt"),
    "images among junk": files(3, 10, "chart{}.png") | files(5_000, 1),
    "images of every kind": {f"{n}.{kind}": MIB // 2 for n in range(9) for kind in ("png", "jpg", "gif", "webp")},
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_run_keeps_no_more_than_its_budget(attack: str) -> None:
    written = ATTACKS[attack]
    choice = chosen(written)
    assert len(choice.keep) <= SMALL.run_files
    assert sum(written[name] for name in choice.keep) <= SMALL.run_bytes
    assert len(choice.images) <= SMALL.run_images
    assert sum(written[name] for name in choice.images) <= SMALL.run_image_bytes
    assert choice.images <= set(choice.keep)
    assert choice.notes
    for note in choice.notes:
        assert note.endswith(".")
        assert len(note) < 200


@pytest.mark.parametrize("attack", ATTACKS)
def test_without_the_budget_all_of_it_would_be_kept(attack: str) -> None:
    """What the budget guards against."""
    choice = chosen(ATTACKS[attack], budget=WITHOUT_LIMITS)
    assert (set(choice.keep), choice.notes) == (set(ATTACKS[attack]), ())


LIMITS = [name for name in Budget.__dataclass_fields__ if name != "sessions"]


@pytest.mark.parametrize("limit", LIMITS)
def test_each_limit_alone_stops_something(limit: str) -> None:
    budget = replace(WITHOUT_LIMITS, **{limit: getattr(SMALL, limit)})
    used = Used(other_files=5, other_bytes=MIB, container_image_bytes=MIB, all_image_bytes=2 * MIB)
    written = files(50, MIB, "s{}.png")
    choice = choose(written, kept={}, gone=(), used=used, budget=budget)
    assert len(choice.images) < len(written)
    assert choice.notes


def test_a_chart_among_junk_is_kept_and_shown() -> None:
    choice = chosen(ATTACKS["images among junk"])
    assert {"chart0.png", "chart1.png", "chart2.png"} == choice.images
    assert choice.notes == ("4,993 files were not kept, such as 'f999.bin': a run may leave 10 files and 4 MiB.",)


def test_older_files_make_room_first_those_that_are_gone() -> None:
    kept = files(14, MIB // 4, "old{}.bin")  # 3.5 MiB
    choice = chosen(files(3, MIB, "new{}.bin"), kept=kept, gone={"old5.bin"})
    assert choice.prune == ("old5.bin", "old0.bin")
    assert len(choice.keep) == 3
    assert choice.notes == (
        "2 older files were removed to make room, such as 'old5.bin': a container may hold 15 files and 6 MiB.",
    )


def test_a_file_that_is_written_again_counts_once() -> None:
    kept = files(4, MIB)
    assert chosen(files(4, MIB), kept=kept) == Choice(keep=tuple(kept))


def test_other_containers_leave_less_and_lose_nothing() -> None:
    choice = chosen(files(4, MIB), used=Used(other_bytes=9 * MIB))
    assert len(choice.keep) == 1
    assert "all containers together may hold 25 files and 10 MiB" in choice.notes[0]
    assert chosen(files(4, MIB), used=Used(other_bytes=90 * MIB)).keep == ()


def test_a_run_that_writes_little_is_told_nothing() -> None:
    assert chosen({"chart.png": 9, "out.csv": 5}) == Choice(
        keep=("chart.png", "out.csv"), images=frozenset({"chart.png"})
    )


# ---- real sessions ---------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(limits=Limits(data_bytes=16 * MIB, read_bytes=8 * MIB))
    await sandbox.start()
    yield sandbox
    await sandbox.close()


@asynccontextmanager
async def containers_in(folder: Path, sandbox: Sandbox, budget: Budget = SMALL) -> AsyncIterator[Containers]:
    async def nothing(_: str) -> None:
        return

    store, clock = Store(None), Clock()
    kept = Files(store=store, folder=folder / "files", clock=clock, detach=nothing)
    containers = Containers(
        store=store, folder=folder / "containers", files=kept, open_session=sandbox.open, clock=clock, budget=budget
    )
    yield containers
    await containers.close()
    store.close()


@pytest_asyncio.fixture(loop_scope="module")
async def containers(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Containers]:
    async with containers_in(tmp_path, sandbox) as containers:
        yield containers


def disk_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


in_module_loop = pytest.mark.asyncio(loop_scope="module")

SPARSE = "for i in range({count}): open(f's{{i}}.{ending}', 'wb').truncate({size_bytes})\nprint('written')"


@in_module_loop
@pytest.mark.parametrize(
    "code",
    [
        SPARSE.format(count=260, ending="png", size_bytes=MIB),
        SPARSE.format(count=500, ending="bin", size_bytes=4 * MIB),
        SPARSE.format(count=3_000, ending="txt", size_bytes=0),
        "import os\nf = open('big', 'wb'); os.posix_fallocate(f.fileno(), 0, 10 << 20)\nprint('written')",
        "for i in range(9): open(f'{i}.bin', 'wb').write(bytes(1 << 20))\nprint('written')",
    ],
)
async def test_a_run_leaves_little_on_this_machine(containers: Containers, tmp_path: Path, code: str) -> None:
    container = await containers.create(name="c")
    ran = await containers.run(container.id, code)
    assert ran.logs.startswith("written\n")
    assert not ran.failed
    assert "not kept" in ran.logs or disk_bytes(tmp_path) <= SMALL.run_bytes
    assert disk_bytes(tmp_path) <= SMALL.run_bytes
    assert len(ran.files) <= SMALL.run_files
    assert sum(file.is_image for file in ran.files) <= SMALL.run_images


@in_module_loop
async def test_the_loop_is_free_while_thousands_of_files_are_looked_at(containers: Containers) -> None:
    """Each callback of the loop must be short beside the whole: none does the work of all files."""
    container = await containers.create(name="c")
    await containers.run(container.id, "1")
    running = asyncio.create_task(containers.run(container.id, SPARSE.format(count=9_000, ending="png", size_bytes=1)))
    turns = 0
    while not running.done():
        await asyncio.sleep(0)
        turns += 1
    assert len((await running).files) == SMALL.run_files
    assert turns > 100


REWRITE = """
import os
for name in os.listdir(): os.remove(name)
for i in range(4): open(f'{round}-{i}.bin', 'wb').write(bytes(1 << 20))
os._exit(0)
"""


@in_module_loop
async def test_a_container_never_breaks_for_good(containers: Containers, tmp_path: Path) -> None:
    container = await containers.create(name="c")
    for round in range(6):
        with pytest.raises(ToolBroken):
            await containers.run(container.id, f"round = {round}{REWRITE}")
        assert disk_bytes(tmp_path) <= SMALL.container_bytes
    ran = await containers.run(container.id, "import os; print(sorted(os.listdir()))")
    assert "5-3.bin" in ran.logs


@in_module_loop
async def test_without_pruning_a_container_breaks(sandbox: Sandbox, tmp_path: Path) -> None:
    """The defence taken away: the kept files do not fit into a new session, which then says so."""
    async with containers_in(tmp_path, sandbox, WITHOUT_LIMITS) as containers:
        container = await containers.create(name="c")
        for round in range(6):
            with pytest.raises(ToolBroken):
                await containers.run(container.id, f"round = {round}{REWRITE}")
        assert disk_bytes(tmp_path) > 16 * MIB
        ran = await containers.run(container.id, "print('goes on')")
        assert "files of the container are not in /mnt/data, which is full" in ran.logs
        assert ran.logs.endswith("goes on\n")


@in_module_loop
async def test_files_in_folders_come_back_after_the_session_has_ended(containers: Containers) -> None:
    container = await containers.create(name="c")
    code = "import os\nos.makedirs('a/b')\nopen('a/b/c.txt', 'w').write('kept')\nx = 5"
    await containers.run(container.id, code)
    with pytest.raises(ToolBroken):
        await containers.run(container.id, "os._exit(1)")
    ran = await containers.run(container.id, "print(open('a/b/c.txt').read(), 'x' in globals())")
    assert ran.logs == (
        "[The session of the earlier code has ended: its variables are gone, the files in /mnt/data are there.]\n"
        "kept False\n"
    )
    assert (await containers.run(container.id, "print(1)")).logs == "1\n"


@in_module_loop
async def test_all_containers_together_have_a_budget(containers: Containers, tmp_path: Path) -> None:
    code = "for i in range(4): open(f'{i}.bin', 'wb').write(bytes(1 << 20))"
    logs = [await logs_of(containers, code) for _ in range(4)]
    assert disk_bytes(tmp_path) <= SMALL.all_bytes
    assert logs[:2] == ["", ""]
    assert "all containers together may hold" in logs[3]


async def logs_of(containers: Containers, code: str) -> str:
    container = await containers.create(name="c")
    return (await containers.run(container.id, code)).logs


@in_module_loop
async def test_the_budget_of_a_deleted_container_is_free_again(containers: Containers) -> None:
    code = "for i in range(4): open(f'{i}.bin', 'wb').write(bytes(1 << 20))"
    for _ in range(5):
        container = await containers.create(name="c")
        assert (await containers.run(container.id, code)).logs == ""
        await containers.delete(container.id)


# ---- live sessions ---------------------------------------------------------------------------------------------------


async def alive(containers: Containers, ids: list[str]) -> list[bool]:
    return [containers._sessions.get(one) is not None for one in ids]


@in_module_loop
async def test_the_session_that_was_not_used_for_longest_is_put_to_sleep(containers: Containers) -> None:
    ids = [(await containers.create(name=str(n))).id for n in range(3)]
    for n in (0, 1):
        await containers.run(ids[n], f"open('mine.txt', 'w').write('{n}')\nx = {n}")
    await containers.run(ids[0], "1")
    await containers.run(ids[2], "1")
    assert await alive(containers, ids) == [True, False, True]
    assert (await containers.run(ids[0], "print(x)")).logs == "0\n"
    ran = await containers.run(ids[1], "print(open('mine.txt').read())")
    assert ran.logs.startswith("[The session of the earlier code has ended")
    assert ran.logs.endswith("1\n")
    assert sum(await alive(containers, ids)) == SMALL.sessions


@in_module_loop
async def test_a_session_that_runs_code_is_not_ended_and_others_wait(containers: Containers) -> None:
    ids = [(await containers.create(name=str(n))).id for n in range(4)]
    code = "import time\nwhile not __import__('os').path.exists('go'): time.sleep(0.01)\nprint('done')"
    running = [asyncio.create_task(containers.run(one, code)) for one in ids[:2]]
    async with asyncio.timeout(180):
        while sum(await alive(containers, ids)) < 2:
            await asyncio.sleep(0.01)
    waiting = [asyncio.create_task(containers.run(one, "print('late')")) for one in ids[2:]]
    await asyncio.sleep(0.05)
    assert await alive(containers, ids) == [True, True, False, False]
    for one in ids[:2]:
        session = containers._sessions.get(one)
        assert session is not None
        session._data.write("go", Path(__file__))  # past the lock, which the running code holds
    assert [(await task).logs for task in running + waiting] == ["done\n", "done\n", "late\n", "late\n"]


@in_module_loop
async def test_without_the_cap_sessions_pile_up(sandbox: Sandbox, tmp_path: Path) -> None:
    async with containers_in(tmp_path, sandbox, replace(SMALL, sessions=100)) as containers:
        ids = [(await containers.create(name=str(n))).id for n in range(3)]
        for one in ids:
            await containers.run(one, "1")
        assert sum(await alive(containers, ids)) == 3


# ---- files that code has hidden --------------------------------------------------------------------------------------

HIDING: dict[str, str] = {
    "an answer in the runner's place": (
        "for fd in range(3, 300):\n    try: os.write(fd, b'0')\n    except OSError: pass"
    ),
    "a folder without permissions": "os.chmod('/mnt/data', 0)",
    "a folder in the file's place": "os.remove('a.txt')\nos.mkdir('a.txt')\nopen('a.txt/x', 'w').close()",
    "a link in the file's place": "os.remove('a.txt')\nos.symlink('/etc/passwd', 'a.txt')",
    "an unlink that does nothing": "import pathlib\npathlib.Path.unlink = os.unlink = os.remove = lambda *a, **k: None",
    "an end of the session": "os._exit(0)",
}


@in_module_loop
@pytest.mark.parametrize("hiding", HIDING)
async def test_a_file_is_deleted_whatever_the_code_did(containers: Containers, hiding: str, tmp_path: Path) -> None:
    container = await containers.create(name="c")
    await containers.run(container.id, "open('a.txt', 'w').write('x')")
    (file,) = containers.files(container.id)
    await run_hostile(containers, container.id, f"import os\n{HIDING[hiding]}")
    await containers.remove(container.id, file.id)
    assert file.id not in [one.id for one in containers.files(container.id)]
    source = tmp_path / "source"
    source.write_text("new")
    await containers.add(container.id, source, name="b.txt")
    look = "import os\nprint(os.path.isfile('a.txt'), open('b.txt').read())"
    # Forged answers are told instead of the first true ones, until one is noticed and the session ends.
    told = [await run_hostile(containers, container.id, look) for _ in range(8)]
    assert any(ran and ran.logs.endswith("False new\n") for ran in told)


async def run_hostile(containers: Containers, container_id: str, code: str) -> Ran | None:
    try:
        return await containers.run(container_id, code)
    except ToolBroken:
        return None
