"""Delays between looks and before retries."""

import pytest

from shared.delays import LONGEST_S, look_delay_s, retry_delay_s


@pytest.mark.parametrize(
    ("age_s", "delay_s"), [(-5, 1), (0, 1), (14.9, 1), (16, 2), (100, 10), (294, 29), (300, 30), (1e9, 30)]
)
def test_looks_come_later_with_age(age_s: float, delay_s: int) -> None:
    assert look_delay_s(age_s) == delay_s


@pytest.mark.parametrize(
    ("asked_s", "delay_s"),
    [(0, 2), (0.2, 2), (1, 2), (-7, 2), (20, 21), (20.9, 21), (10_000, 301), (float("inf"), 301)],
)
def test_the_delay_that_the_service_asked_for(asked_s: float, delay_s: int) -> None:
    assert retry_delay_s(1, asked_s) == delay_s


@pytest.mark.parametrize(("faults", "least_s"), [(1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (6, 30), (10**6, 30)])
def test_without_retry_after_the_delay_doubles_up_to_a_limit(faults: int, least_s: int) -> None:
    delays = {retry_delay_s(faults, None) for _ in range(200)}
    assert min(delays) >= least_s
    assert max(delays) <= least_s * 1.25
    assert max(delays) <= LONGEST_S * 1.25


def test_delays_have_jitter() -> None:
    assert len({retry_delay_s(6, None) for _ in range(200)}) > 3
