"""HTTP functions: the host behaves as the real host does."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import httpx2
import pytest

from local.functions_host import serving
from tests.local.functions_host.apps import ADMIN, calls, client, host, until, write_app

APP = """
    import contextvars, json, threading

    def text(value):
        return func.HttpResponse(json.dumps(value), mimetype="application/json")

    @app.route(route="b/{id}", methods=["GET"], auth_level="ANONYMOUS")
    def z_second(req: func.HttpRequest) -> func.HttpResponse:
        return text("z_second")

    @app.route(route="b/{name}", methods=["GET", "DELETE"], auth_level="ANONYMOUS")
    async def a_first(req: func.HttpRequest) -> func.HttpResponse:
        return text("a_first")

    @app.route(route="b/{id}", methods=["POST"], auth_level="ANONYMOUS")
    def posts(req: func.HttpRequest) -> func.HttpResponse:
        return text("posts")

    @app.route(auth_level="ANONYMOUS")
    def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        return text({
            "method": req.method, "url": req.url, "headers": dict(req.headers), "params": dict(req.params),
            "body": req.get_body().decode(), "name": context.function_name, "id": context.invocation_id,
            "trace": context.trace_context.trace_parent, "thread": threading.current_thread().name,
        })

    @app.route(route="give/{what}", auth_level="ANONYMOUS")
    async def give(req: func.HttpRequest):
        match req.route_params["what"]:
            case "text": return "plain"
            case "none": return None
            case "dict": return {"a": 1}
            case "bytes": return b"a"
            case "tuple": return ("a", 200)
            case "error": raise RuntimeError("secret")
            case "empty": return func.HttpResponse(status_code=204)
            case "made":
                answer = func.HttpResponse(b"\\x00\\x01", status_code=202, mimetype="application/octet-stream")
                answer.headers["Location"] = "http://elsewhere/1"
                answer.headers.add("Set-Cookie", "a=1; Path=/")
                answer.headers.add("Set-Cookie", "b=2")
                return answer

    @app.route(route="locked", auth_level="FUNCTION")
    def locked(req: func.HttpRequest) -> str:
        return "in"

    @app.route(route="admins", auth_level="ADMIN")
    def admins(req: func.HttpRequest) -> str:
        return "in"
"""

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app with HTTP functions."""
    return write_app(tmp_path / "app", APP)


async def test_the_first_matching_route_by_function_name_wins(app: Path) -> None:
    """`a_first` is tried before `z_second`; a request with another method goes to the next function that allows it."""
    async with host(app) as running, client(running) as http:
        assert (await http.get("/api/b/1")).json() == "a_first"
        assert (await http.post("/api/b/1")).json() == "posts"
        assert (await http.get("/API/B/1")).json() == "a_first"


async def test_a_wrong_method_is_not_found(app: Path) -> None:
    async with host(app) as running, client(running) as http:
        response = await http.put("/api/b/1")
        assert (response.status_code, response.content) == (404, b"")
        assert (await http.get("/b/1")).status_code == 404


async def test_the_function_gets_the_request_as_from_the_worker(app: Path) -> None:
    """Values of the same name are joined, empty ones of the query dropped; header names are in lower case.

    The default route is the function's name. Without Application Insights, there is no trace.
    """
    headers = [("X-Thing", "1"), ("X-Thing", "2"), ("X-Empty", ""), ("traceparent", "00-ab-cd-01"), *JSON.items()]
    async with host(app) as running, client(running) as http:
        got = (await http.post("/api/echo?a=1&A=2&b=%C3%BC&c=&d", headers=headers, content="body")).json()
    assert got["method"] == "POST"
    assert got["url"] == "http://host.test/api/echo?a=1&A=2&b=%C3%BC&c=&d"
    assert got["headers"]["x-thing"].replace(" ", "") == "1,2"
    assert got["headers"]["x-empty"] == ""
    assert got["params"] == {"a": "1,2", "b": "ü"}
    assert (got["body"], got["name"], got["trace"]) == ("body", "echo", "")
    assert len(got["id"]) == 36
    assert got["thread"].startswith("function")


async def test_the_return_value_becomes_the_response(app: Path) -> None:
    async with host(app) as running, client(running) as http:
        plain = await http.get("/api/give/text")
        assert (plain.status_code, plain.text) == (200, "plain")
        assert plain.headers["content-type"] == "text/plain; charset=utf-8"
        assert (await http.get("/api/give/empty")).status_code == 204
        made = await http.get("/api/give/made")
    assert (made.status_code, made.content) == (202, b"\x00\x01")
    assert made.headers["location"] == "http://elsewhere/1"
    assert made.headers.get_list("set-cookie") == ["a=1; domain=; path=/", "b=2; domain=; path="]


@pytest.mark.parametrize("what", ["none", "dict", "bytes", "tuple", "error"])
async def test_an_error_or_a_wrong_return_value_is_a_500_without_a_body(
    app: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the traceback and one line for the invocation."""
    async with host(app) as running, client(running) as http:
        response = await http.get(f"/api/give/{what}")
    assert (response.status_code, response.content) == (500, b"")
    [record] = [record for record in caplog.records if "Executed 'Functions.give' (Failed" in record.message]
    assert record.exc_info


async def test_each_invocation_is_logged_once(app: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with host(app) as running, client(running) as http:
        await http.get("/api/give/text")
    lines = [record.message for record in caplog.records if record.message.startswith("Executed")]
    assert len(lines) == 1
    assert lines[0].startswith("Executed 'Functions.give' (Succeeded, Id=")


@pytest.mark.parametrize(("prefix", "path"), [("", "/b/1"), ("v1/things", "/v1/things/b/1")])
async def test_host_json_sets_the_route_prefix(tmp_path: Path, prefix: str, path: str) -> None:
    folder = write_app(tmp_path / "app", APP, host_json={"extensions": {"http": {"routePrefix": prefix}}})
    async with host(folder) as running, client(running) as http:
        assert (await http.get(path)).json() == "a_first"
        assert (await http.get("/api/b/1")).status_code == 404


async def test_without_auth_no_function_needs_a_key(app: Path) -> None:
    async with host(app) as running, client(running) as http:
        assert (await http.get("/api/locked")).text == "in"
        assert (await http.get("/api/admins")).text == "in"


async def test_sync_functions_run_in_a_thread_pool_and_async_functions_on_the_loop(tmp_path: Path) -> None:
    """Two sync calls wait for each other; this ends only if they run in two threads."""
    folder = write_app(
        tmp_path / "app",
        """
        import threading
        barrier = threading.Barrier(2, timeout=120)

        @app.route(route="meet", auth_level="ANONYMOUS")
        def meet(req: func.HttpRequest) -> str:
            barrier.wait()
            return "met"

        @app.route(route="loop", auth_level="ANONYMOUS")
        async def loop(req: func.HttpRequest) -> str:
            calls.append(asyncio.get_running_loop())
            return threading.current_thread().name
        """,
    )
    async with host(folder) as running, client(running) as http:
        answers = await asyncio.gather(http.get("/api/meet"), http.get("/api/meet"))
        assert [answer.text for answer in answers] == ["met", "met"]
        assert (await http.get("/api/loop")).text == "MainThread"
        assert calls() == [asyncio.get_running_loop()]


async def test_a_setting_limits_the_threads_of_the_pool(tmp_path: Path) -> None:
    folder = write_app(
        tmp_path / "app",
        """
        import threading

        @app.route(route="name", auth_level="ANONYMOUS")
        def name(req: func.HttpRequest) -> str:
            calls.append(threading.current_thread().name)
            return "ok"
        """,
    )
    async with host(folder, environ={"PYTHON_THREADPOOL_THREAD_COUNT": "1"}) as running, client(running) as http:
        await asyncio.gather(*(http.get("/api/name") for _ in range(5)))
        assert len(set(calls())) == 1


async def test_the_app_is_served_on_a_port(app: Path) -> None:
    async with host(app) as running, serving(running.asgi) as url, httpx2.AsyncClient(base_url=url) as http:
        response = await http.get("/api/give/text")
        assert response.text == "plain"
        assert (await http.head("/api/give/text")).content == b""
        assert (await http.get("/")).status_code == 200


async def test_the_admin_endpoint_runs_a_function(tmp_path: Path) -> None:
    folder = write_app(
        tmp_path / "app",
        """
        @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
        def tick(timer: func.TimerRequest) -> None:
            calls.append(timer.past_due)

        @app.route(route="page", auth_level="ANONYMOUS")
        def page(req: func.HttpRequest) -> str:
            return "page"
        """,
    )
    async with host(folder) as running, client(running) as http:
        assert (await http.post("/admin/functions/TICK", json={"input": ""}, headers=ADMIN)).status_code == 202
        assert await until(calls) == [False]
        assert (await http.post("/admin/functions/nobody", json={"input": ""}, headers=ADMIN)).status_code == 404
        assert (await http.post("/admin/functions/tick", content="{", headers=ADMIN | JSON)).status_code == 400
        assert json.loads((await http.get("/admin/host/status", headers=ADMIN)).content)["state"] == "Running"
