"""Runs that are started at the same moment all end, each once; `python -m bench.load` does it with 200."""

import asyncio

from bench.load import measure
from local.stack.stack import Stack
from tests.acceptance.chat_server import ChatServer

RUNS = 20


def test_runs_started_at_once_all_end_once(slow_stack: Stack, chat_server: ChatServer) -> None:
    chat_server.release()
    asked = chat_server.asked
    load = asyncio.run(measure(slow_stack, RUNS))
    assert load.statuses == {"completed": RUNS}
    assert chat_server.asked == asked + RUNS
