"""Timers: schedules, and how the host runs them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.storage.blob.aio import BlobServiceClient

from local.functions_host.triggers.schedules import parse_schedule
from local.stack.azurite import Azurite
from tests.local.functions_host.apps import ADMIN, calls, client, host, unique, until, write_app


@pytest.mark.parametrize(
    ("schedule", "now", "expected"),
    [
        pytest.param("*/10 * * * * *", "2026-11-22T10:00:05", "2026-11-22T10:00:10", id="every ten seconds"),
        pytest.param("*/10 * * * * *", "2026-11-22T10:00:10", "2026-11-22T10:00:20", id="strictly later"),
        pytest.param("0 */5 * * * *", "2026-11-22T23:58:00", "2026-11-23T00:00:00", id="over midnight"),
        pytest.param("0 30 9 * * mon-fri", "2026-11-20T10:00:00", "2026-11-23T09:30:00", id="weekdays by name"),
        pytest.param("0 0 0 13 * 5", "2026-11-22T00:00:00", "2027-08-13T00:00:00", id="day and weekday both"),
        pytest.param("0 0 0 29 2 *", "2026-11-22T00:00:00", "2028-02-29T00:00:00", id="leap day"),
        pytest.param("0 0 0 1 jan,jul *", "2026-11-22T00:00:00", "2027-01-01T00:00:00", id="months by name"),
        pytest.param("0 10-20/5 8 * * 0", "2026-11-22T08:11:00", "2026-11-22T08:15:00", id="range with step"),
        pytest.param("0 50/5 8 * * *", "2026-11-22T08:56:00", "2026-11-23T08:50:00", id="step from a value"),
        pytest.param("*/5 * * * *", "2026-11-22T10:01:00", "2026-11-22T10:05:00", id="five fields"),
        pytest.param("0 0 0 30 2 *", "2026-11-22T00:00:00", None, id="never"),
        pytest.param("00:01:30", "2026-11-22T10:00:00", "2026-11-22T10:01:30", id="time span"),
        pytest.param("1.00:00:00", "2026-11-22T10:00:00", "2026-11-23T10:00:00", id="time span of days"),
    ],
)
def test_the_next_run(schedule: str, now: str, expected: str | None) -> None:
    at = parse_schedule(schedule).after(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert at == (datetime.fromisoformat(expected).replace(tzinfo=UTC) if expected else None)


@pytest.mark.parametrize(
    "schedule",
    ["", "* * *", "60 * * * * *", "* * * 0 * *", "* * * * * 7", "5-1 * * * * *", "*/0 * * * * *", "x * * * * *", "1:2"],
)
def test_an_invalid_schedule_raises(schedule: str) -> None:
    with pytest.raises(ValueError):
        parse_schedule(schedule)


async def test_a_timer_runs_by_the_schedule_of_a_setting_and_errors_do_not_stop_it(tmp_path: Path) -> None:
    source = """
        @app.timer_trigger(arg_name="timer", schedule="%WHEN%")
        def tick(timer: func.TimerRequest) -> None:
            calls.append((timer.past_due, sorted(timer.schedule_status)))
            raise RuntimeError("always")
    """
    async with host(write_app(tmp_path / "app", source), environ={"WHEN": "00:00:00.05"}):
        await until(lambda: len(calls()) >= 3)
        assert calls()[0] == (False, ["Last", "LastUpdated", "Next"])


async def test_a_timer_can_run_at_the_start(tmp_path: Path) -> None:
    source = """
        @app.timer_trigger(arg_name="timer", schedule="0 0 0 30 2 *", run_on_startup=True)
        async def tick(timer: func.TimerRequest) -> None:
            calls.append(timer.past_due)
    """
    async with host(write_app(tmp_path / "app", source)):
        assert await until(calls) == [False]


async def test_runs_do_not_overlap_and_a_stopping_host_waits_for_the_last_one(tmp_path: Path) -> None:
    source = """
        @app.timer_trigger(arg_name="timer", schedule="00:00:00.02")
        async def tick(timer: func.TimerRequest) -> None:
            calls.append("in")
            await asyncio.sleep(0.1)
            calls.append("out")
    """
    async with host(write_app(tmp_path / "app", source)):
        noted = await until(lambda: len(calls()) >= 5 and calls())
    assert noted[:4] == ["in", "out", "in", "out"]
    assert noted.count("in") == noted.count("out")


async def test_a_missed_run_is_made_up_at_the_start(azurite: Azurite, tmp_path: Path) -> None:
    """The status blob tells it: the first start has none, the second one finds a run that is due."""
    source = """
        @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
        async def tick(timer: func.TimerRequest) -> None:
            calls.append((timer.past_due, timer.schedule_status["Last"]))
    """
    folder, environ = write_app(tmp_path / "app", source), {"AzureFunctionsWebHost__hostid": unique("host")}
    status_name = f"timers/{environ['AzureFunctionsWebHost__hostid']}/Host.Functions.tick/status"
    async with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        blob = service.get_blob_client("azure-webjobs-hosts", status_name)
        async with host(folder, azurite, environ):
            await until(blob.exists)
        status = json.loads(await (await blob.download_blob()).readall())
        assert status["Last"] == "0001-01-01T00:00:00+00:00"
        assert status["Next"].endswith("-01-01T00:00:00+00:00")
        missed = {"Last": "2025-01-01T00:00:00.0041126+00:00", "Next": "2026-01-01T00:00:00+00:00"}
        await blob.upload_blob(json.dumps(status | missed), overwrite=True)
        async with host(folder, azurite, environ):
            assert await until(calls) == [(True, "2025-01-01T00:00:00.004112+00:00")]
        written = json.loads(await (await blob.download_blob()).readall())
        assert written["Last"] > "2026"
        async with host(folder, azurite, environ) as running, client(running) as http:
            await http.post("/admin/functions/tick", json={}, headers=ADMIN)
            assert (await until(calls))[0][0] is False


async def test_a_changed_schedule_makes_nothing_up(azurite: Azurite, tmp_path: Path) -> None:
    environ = {"AzureFunctionsWebHost__hostid": unique("host"), "WHEN": "0 0 0 1 1 *"}
    source = """
        @app.timer_trigger(arg_name="timer", schedule="%WHEN%")
        async def tick(timer: func.TimerRequest) -> None:
            calls.append(timer.past_due)
    """
    folder = write_app(tmp_path / "app", source)
    status_name = f"timers/{environ['AzureFunctionsWebHost__hostid']}/Host.Functions.tick/status"
    async with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        blob = service.get_blob_client("azure-webjobs-hosts", status_name)
        async with host(folder, azurite, environ):
            await until(blob.exists)
        old = {"Last": "2020-01-01T00:00:00+00:00", "Next": "2020-01-02T00:00:00+00:00"}
        await blob.upload_blob(json.dumps(old | {"LastUpdated": old["Last"]}), overwrite=True)

        async def rewritten() -> bool:
            return b"2020-01-02" not in await (await blob.download_blob()).readall()

        async with host(folder, azurite, environ):
            await until(rewritten)
            assert calls() == []
