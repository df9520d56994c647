"""What a call may take, and what its log shows."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from local.functions_host.functions.invocation import indented, threads
from local.functions_host.logs import Formatter, Shown
from tests.local.functions_host.apps import calls, client, host, until, write_app

SLOW = """
    @app.route(route="slow", auth_level="ANONYMOUS")
    async def slow(req: func.HttpRequest) -> str:
        calls.append("slow")
        await asyncio.Event().wait()
        return "never"

    @app.route(route="page", auth_level="ANONYMOUS")
    async def page(req: func.HttpRequest) -> str:
        return "page"
"""


async def test_a_function_that_exceeds_the_timeout_ends_all_that_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The real host replaces the worker process; requests after that are answered."""
    folder = write_app(tmp_path / "app", SLOW, host_json={"functionTimeout": "00:00:00.2"})
    async with host(folder) as running, client(running) as http:
        first, second = await asyncio.gather(http.get("/api/slow"), http.get("/api/slow"))
        assert (first.status_code, second.status_code, first.content) == (500, 500, b"")
        assert (await http.get("/api/page")).text == "page"
    assert "was exceeded by function: Functions.slow" in caplog.text


async def test_without_a_limit_a_function_may_take_long(tmp_path: Path) -> None:
    folder = write_app(tmp_path / "app", SLOW, host_json={"functionTimeout": "-1"})
    async with host(folder) as running, client(running) as http:
        request = asyncio.create_task(http.get("/api/slow"))
        await until(calls)
        assert running.settings.function_timeout_s is None
        assert not request.done()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)


async def test_of_a_functions_log_only_the_message_is_shown(tmp_path: Path) -> None:
    """A record from a thread of the function's own is not shown, unless it is a warning."""
    source = """
        import logging, threading

        @app.route(route="log", auth_level="ANONYMOUS")
        async def log(req: func.HttpRequest) -> str:
            logging.getLogger("x").info("hello", extra={"run": "r1"})
            logging.getLogger("sdk.core").info("Request URL")
            thread = threading.Thread(target=logging.getLogger("x").info, args=("from a thread",))
            thread.start()
            thread.join()
            return "logged"
    """
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
    handler.addFilter(Shown(as_azure=False))
    handler.setFormatter(Formatter("%(levelname)s %(source)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        async with host(write_app(tmp_path / "app", source)) as running, client(running) as http:
            await http.get("/api/log")
            logging.getLogger("local.functions_host.x").info("said", extra={"why": 1})
            logging.getLogger("x").warning("outside")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    shown = [line for line in lines if "Executed" not in line]
    assert shown == [
        "INFO Function.log.User hello",
        "INFO Function.log.User Request URL",
        "INFO local.functions_host.x said why=1",
        "WARNING x outside",
    ]


def test_as_azure_nothing_is_shown_from_outside_of_a_call() -> None:
    record = logging.makeLogRecord({"name": "x", "levelno": logging.CRITICAL, "msg": "outside"})
    assert Shown(as_azure=False).filter(record)
    assert not Shown(as_azure=True).filter(record)


def test_the_thread_pool_is_as_large_as_the_real_hosts() -> None:
    assert threads({}) == 1000
    assert threads({"PYTHON_THREADPOOL_THREAD_COUNT": "50"}) == 50
    assert threads({"PYTHON_THREADPOOL_THREAD_COUNT": "0"}) == 1000


def test_a_json_object_is_written_anew_for_a_queue() -> None:
    assert indented('{"q":1,"ü":[]}') == '{\n  "q": 1,\n  "ü": []\n}'
    assert indented("[1]") == "[1]"
    assert indented("text") == "text"
