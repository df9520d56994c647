"""One event is one line whose ids stand in the message."""

import logging

import pytest

from shared.logs import event

log = logging.getLogger("shared.test")


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ({}, "run.accepted"),
        ({"run": "run_1", "looks": 3}, "run.accepted run=run_1 looks=3"),
        ({"run": None, "ok": False}, "run.accepted ok=False"),
        ({"path": "c/ein Maß.md"}, "run.accepted path='c/ein Maß.md'"),
        ({"path": "c/Maß%s.md"}, "run.accepted path=c/Maß%s.md"),
        ({"detail": "two\nlines", "empty": ""}, "run.accepted detail='two\\nlines' empty=''"),
        ({"forged": "x run=run_2"}, "run.accepted forged='x run=run_2'"),
    ],
)
def test_ids_stand_in_the_message(caplog: pytest.LogCaptureFixture, ids: dict[str, object], message: str) -> None:
    with caplog.at_level(logging.INFO):
        event(log, logging.INFO, "run.accepted", **ids)
    (record,) = caplog.records
    assert record.getMessage() == message
    assert (record.levelname, record.name, record.funcName) == (
        "INFO",
        "shared.test",
        "test_ids_stand_in_the_message",
    )


def test_an_error_brings_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    event(log, logging.ERROR, "run.failed", error=ValueError("why"), run="run_1")
    (record,) = caplog.records
    assert record.exc_info and record.exc_info[0] is ValueError


def test_a_level_that_is_off_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Costly:
        def __str__(self) -> str:
            raise AssertionError

    with caplog.at_level(logging.WARNING):
        event(log, logging.INFO, "run.accepted", run=Costly())
    assert not caplog.records


def test_the_app_silences_the_loggers_of_its_libraries() -> None:
    import function_app

    assert function_app.app
    for name in (
        "azure.core.pipeline.policies.http_logging_policy",
        "httpx",
        "httpx2",
        "openai._base_client",
        "urllib3.connectionpool",
        "aiohttp.client",
    ):
        assert logging.getLogger(name).getEffectiveLevel() >= logging.WARNING
    assert logging.getLogger("azure_functions_worker").getEffectiveLevel() <= logging.WARNING
