"""Access keys: which key opens what, and what is answered without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.functions_host.functions.trace import http_trace, new_trace
from local.functions_host.http.keys import Keys
from tests.local.functions_host.apps import client, host, write_app

APP = """
    @app.route(route="open", auth_level="ANONYMOUS")
    def open_(req: func.HttpRequest) -> str:
        return "in"

    @app.route(route="locked", methods=["GET"], auth_level="FUNCTION")
    def locked(req: func.HttpRequest) -> str:
        return "in"

    @app.route(route="other", auth_level="FUNCTION")
    def other(req: func.HttpRequest) -> str:
        return "in"

    @app.route(route="admins", auth_level="ADMIN")
    def admins(req: func.HttpRequest) -> str:
        return "in"

    @app.event_grid_trigger(arg_name="event")
    def on_event(event: func.EventGridEvent) -> None: ...
"""
KEYS = {
    "FUNCTIONS_KEY": "one",
    "FUNCTIONS_MASTER_KEY": "all",
    "FUNCTIONS_EVENTGRID_KEY": "events",
    "FUNCTIONS_BLOBS_KEY": "blobs",
    "FUNCTIONS_KEY_locked": "own",
}
EVENTS = "/runtime/webhooks/EventGrid?functionName=on_event"


@pytest.mark.parametrize(
    ("url", "header", "status"),
    [
        ("/api/open?code=wrong", None, 200),
        ("/api/locked", None, 401),
        ("/api/locked?code=", None, 401),
        ("/api/locked?code=wrong", None, 401),
        ("/api/locked?code=one", None, 200),
        ("/api/locked?CODE=one", None, 200),
        ("/api/locked", "one", 200),
        ("/api/locked", "all", 200),
        ("/api/locked", "own", 200),
        ("/api/other", "own", 401),
        ("/api/locked", "blobs", 401),
        ("/api/locked?code=wrong", "one", 200),
        ("/api/locked?code=one", "wrong", 401),
        ("/api/locked?code=one", "", 401),
        ("/api/locked?code=wrong&code=one", None, 401),
        ("/api/nothing", None, 404),
        ("/api/admins", "one", 401),
        ("/api/admins", "all", 200),
        ("/admin/host/ping", None, 200),
        ("/admin/warmup", None, 200),
        ("/admin/nothing", None, 404),
        ("/admin", None, 404),
        ("/admin/host/status", None, 401),
        ("/admin/host/status", "own", 401),
        ("/admin/host/status", "one", 403),
        ("/admin/host/status", "all", 200),
        ("/admin/functions/LOCKED", "all", 200),
        ("/admin/functions/locked/status", "all", 200),
        ("/admin/functions/nothing", "all", 404),
        ("/admin/host/systemkeys/blobs_extension", "all", 200),
        (EVENTS, None, 401),
        (EVENTS, "one", 403),
        (EVENTS, "blobs", 403),
        (EVENTS, "events", 400),
        (EVENTS, "all", 400),
        ("/runtime/webhooks/nothing", None, 401),
        ("/runtime/webhooks/nothing", "all", 404),
    ],
)
async def test_a_key_opens_what_it_opens_on_the_real_host(
    tmp_path: Path, url: str, header: str | None, status: int
) -> None:
    """The webhook answers 400 where a key opens it: the request has no type of event."""
    headers = {} if header is None else {"x-functions-key": header}
    async with host(write_app(tmp_path / "app", APP), environ=KEYS, auth=True) as running, client(running) as http:
        answer = await http.get(url, headers=headers)
    assert answer.status_code == status
    is_internal = not url.startswith("/api/")
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 and is_internal else None)


async def test_a_wrong_method_is_not_found_without_a_key(tmp_path: Path) -> None:
    async with host(write_app(tmp_path / "app", APP), environ=KEYS, auth=True) as running, client(running) as http:
        assert (await http.post("/api/locked")).status_code == 404
        assert (await http.post("/admin/host/status")).status_code == 404
        assert (await http.put(EVENTS)).status_code == 404


@pytest.mark.parametrize(
    ("function", "body", "status"),
    [
        ("on_event", '{"input": "no event"}', 202),
        ("locked", '{"input": ""}', 202),
        ("locked", "{}", 202),
        ("locked", "", 400),
        ("locked", "null", 400),
        ("locked", '{"input": {}}', 400),
        ("nothing", "{}", 404),
        ("nothing", "{", 400),
    ],
)
async def test_a_function_is_started_by_hand_whatever_its_input(
    tmp_path: Path, function: str, body: str, status: int
) -> None:
    headers = {"x-functions-key": "all", "content-type": "application/json"}
    async with host(write_app(tmp_path / "app", APP), environ=KEYS, auth=True) as running, client(running) as http:
        answer = await http.post(f"/admin/functions/{function}", content=body, headers=headers)
    assert (answer.status_code, answer.content) == (status, b"")


def test_with_application_insights_an_invocation_has_a_trace() -> None:
    """An HTTP function gets the caller's trace with a new span, any other function a new trace."""
    settings = {"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=0"}
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    headers = {"traceparent": f"00-{trace}-{span}-01", "tracestate": "a=b"}
    found = http_trace(headers, settings)
    assert found.trace_parent.startswith(f"00-{trace}-")
    assert found.trace_parent.endswith("-01")
    assert span not in found.trace_parent
    assert found.trace_state == "a=b"
    assert http_trace({"traceparent": "garbage"}, settings).trace_parent.endswith("-00")
    assert new_trace("f", settings).attributes == {"OperationName": "f"}
    assert http_trace(headers, {}).trace_parent == new_trace("f", {}).trace_parent == ""


def test_a_key_that_is_not_set_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    keys = Keys.from_settings({})
    assert "FUNCTIONS_MASTER_KEY is not set" in caplog.text
    assert keys.master
    assert keys.master not in caplog.text
    assert keys.function not in caplog.text
