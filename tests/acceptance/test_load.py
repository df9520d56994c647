"""Runs that are started at the same time all end, each once. `python -m bench.load` does the same with 200 runs."""

import asyncio

from bench.load import measure
from local.stack.stack import Stack
from tests.acceptance.chat_server import ChatServer

RUNS = 20


def test_runs_started_at_the_same_time_each_end_once(slow_stack: Stack, chat_server: ChatServer) -> None:
    chat_server.release()
    asked = chat_server.asked
    load = asyncio.run(measure(slow_stack, RUNS))
    assert load.statuses == {"completed": RUNS}
    assert chat_server.asked == asked + RUNS
