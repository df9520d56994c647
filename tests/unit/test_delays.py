"""Delays between looks and before retries, and the deadline of a step."""

import ast
import asyncio
import json

import pytest

from local.paths import ROOT
from shared.delays import LONGEST_S, STEP_MAX_S, look_delay_s, one_step, retry_delay_s
from shared.engines.vector_stores import UPLOAD_TIMEOUT_S
from shared.errors import StepTooLong


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


# ---- the deadline of a step ---------------------------------------------------------------------------------------


async def test_a_step_ends_at_its_deadline() -> None:
    with pytest.raises(StepTooLong, match="longer than 0 s"):
        async with one_step(0):
            await asyncio.Event().wait()


async def test_a_timeout_of_a_request_within_a_step_is_no_deadline() -> None:
    with pytest.raises(TimeoutError):
        async with one_step():
            raise TimeoutError


def test_the_deadlines_are_well_below_the_timeout_of_the_host() -> None:
    timeout = json.loads((ROOT / "host.json").read_text())["functionTimeout"]
    hours, minutes, seconds = map(int, timeout.split(":"))
    assert (hours * 60 + minutes) * 60 + seconds - 100 >= STEP_MAX_S
    assert UPLOAD_TIMEOUT_S <= STEP_MAX_S - 60


def test_each_function_without_a_caller_has_the_deadline() -> None:
    """Those of poison queues make one or two calls of storage, which have deadlines of their own."""
    defined = ast.parse((ROOT / "function_app.py").read_text()).body
    found = [node for node in defined if isinstance(node, ast.AsyncFunctionDef)]
    [step] = [node for node in found if node.name == "step"]
    assert "async with one_step():" in ast.unparse(step)
    functions = [node for node in found if "trigger" in ast.unparse(node.decorator_list[0])]
    steps = [node for node in functions if "poison" not in ast.unparse(node.decorator_list[0])]
    assert len(steps) >= 8
    for node in steps:
        body = ast.unparse(node.body[1:])
        assert body.startswith("async with step(") or "arrivals.written" in body, node.name
