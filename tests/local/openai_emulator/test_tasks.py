"""Background tasks: one at a time per key, cancelled at shutdown."""

from __future__ import annotations

import asyncio

import pytest

from local.openai_emulator.tasks import Tasks


class Work:
    """Records when it begins and ends; runs until `finish` is set or it is cancelled."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.finish = asyncio.Event()
        self.clean_up = asyncio.Event()
        self.clean_up.set()

    async def run(self, name: str) -> None:
        self.log.append(f"{name} begins")
        try:
            await self.finish.wait()
        except asyncio.CancelledError:
            await self.clean_up.wait()
            self.log.append(f"{name} is cancelled")
            raise
        self.log.append(f"{name} ends")


async def turns_of_the_loop() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_wait_returns_when_the_work_has_ended() -> None:
    tasks, work = Tasks[str](), Work()
    tasks.start("a", work.run, "a")
    await turns_of_the_loop()
    assert list(tasks.running()) == ["a"]
    work.finish.set()
    await tasks.wait(["a", "unknown"])
    assert work.log == ["a begins", "a ends"]
    await turns_of_the_loop()
    assert list(tasks.running()) == []


async def test_wait_returns_after_its_timeout_and_leaves_the_work_running() -> None:
    tasks, work = Tasks[str](), Work()
    tasks.start("a", work.run, "a")
    await tasks.wait(["a"], timeout_s=0.01)
    assert work.log == ["a begins"]
    await tasks.close()


async def test_stop_cancels_the_work_of_one_key_and_waits_for_its_end() -> None:
    tasks, work = Tasks[str](), Work()
    for key in ("a", "b"):
        tasks.start(key, work.run, key)
    await turns_of_the_loop()
    await tasks.stop("a")
    await tasks.stop("unknown")
    assert work.log == ["a begins", "b begins", "a is cancelled"]
    assert list(tasks.running()) == ["b"]
    await tasks.close()


async def test_cancel_does_not_wait() -> None:
    tasks, work = Tasks[str](), Work()
    tasks.start("a", work.run, "a")
    await turns_of_the_loop()
    tasks.cancel("a")
    assert work.log == ["a begins"]
    await tasks.wait(["a"])
    assert work.log == ["a begins", "a is cancelled"]


@pytest.mark.parametrize("restarts", [1, 2, 3])
async def test_new_work_begins_only_when_all_earlier_work_of_its_key_has_ended(restarts: int) -> None:
    tasks, work = Tasks[str](), Work()
    work.clean_up.clear()
    tasks.start("a", work.run, "first")
    await turns_of_the_loop()
    for number in range(restarts):
        tasks.start("a", work.run, f"restart {number}")
        await turns_of_the_loop()
    assert work.log == ["first begins"]
    work.clean_up.set()
    work.finish.set()
    await tasks.wait(["a"])
    last = f"restart {restarts - 1}"
    assert work.log == ["first begins", "first is cancelled", f"{last} begins", f"{last} ends"]


async def test_work_cancelled_before_its_first_step_never_begins() -> None:
    tasks, work = Tasks[str](), Work()
    tasks.start("a", work.run, "a")
    await tasks.stop("a")
    assert work.log == []


async def test_close_cancels_everything_and_waits() -> None:
    tasks, work = Tasks[tuple[str, str]](), Work()
    for file_id in ("file-1", "file-2"):
        tasks.start(("vs-1", file_id), work.run, file_id)
    await turns_of_the_loop()
    await tasks.close()
    await tasks.close()
    assert sorted(work.log[2:]) == ["file-1 is cancelled", "file-2 is cancelled"]
    assert list(tasks.running()) == []
