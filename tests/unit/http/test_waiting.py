"""`?wait=`: the answer comes when something has changed, or after that time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.errors import BadRequest
from shared.http.waiting import READ_EVERY_S, changed, wait_from


class Time:
    def __init__(self) -> None:
        self.now_s = 0.0

    async def pause(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds


async def asked(values: Iterator[str], wait_s: float, final: str = "done") -> tuple[str, float]:
    time = Time()

    async def read() -> str:
        return next(values)

    found = await changed(
        read,
        shown=lambda value: value[0],
        is_final=lambda value: value == final,
        wait_s=wait_s,
        pause=time.pause,
        clock=lambda: time.now_s,
    )
    return found, time.now_s


async def test_it_ends_with_the_change() -> None:
    assert await asked(iter(["a1", "a2", "b"]), 30) == ("b", 2 * READ_EVERY_S)


async def test_it_ends_after_the_time() -> None:
    assert await asked(iter(["a"] * 100), 7) == ("a", 7)


async def test_what_is_final_is_not_waited_for() -> None:
    assert await asked(iter(["done"]), 30) == ("done", 0)


async def test_without_it_there_is_one_look() -> None:
    assert await asked(iter(["a"]), 0) == ("a", 0)


def test_it_is_reduced_to_the_limit_of_the_app() -> None:
    assert [wait_from(text, most=30) for text in (None, "0", "7", "600")] == [0, 0, 7, 30]


@pytest.mark.parametrize("text", ["", "-1", "1.5", "601", "1000", "x", "٣", "9" * 5000, "1,2"])
def test_what_is_no_number_of_seconds_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        wait_from(text, most=30)
    assert caught.value.code == "invalid_wait"
