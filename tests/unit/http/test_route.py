"""Routes over real requests and responses of azure-functions: runs, problems, health."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import azure.functions as func
import pytest
from openai import AsyncOpenAI

from shared.engines.base import Look, MadeFile, Output
from shared.engines.webhooks import ServiceWebhooks
from shared.errors import (
    BlobChanged,
    BlobMissing,
    Busy,
    NotFound,
    ServiceBusy,
    ServiceError,
    SettingError,
    StorageError,
    TooLarge,
    WrongMediaType,
)
from shared.health import Check
from shared.http import about as api
from shared.http.documents import list_documents
from shared.http.hooks import subscribe
from shared.http.reconcile import get_report, reconcile
from shared.http.route import answer, problem
from shared.http.runs import get_chart, get_run, run_url, start_run
from shared.services import Services
from shared.settings import Settings
from tests.unit.test_settings import LEAST
from tests.unit.world import World

URL = "https://app.azurewebsites.net/api/runs"


async def all_well() -> list[Check]:
    return []


@pytest.fixture
def services(world: World) -> Callable[[], Services]:
    return lambda: replace(
        world.app,
        settings=Settings.from_environ(LEAST),
        webhooks=ServiceWebhooks(AsyncOpenAI(api_key="none"), secret=None),
        check_health=all_well,
    )


def request(url: str = URL, *, method: str = "GET", body: bytes = b"", **route_params: str) -> func.HttpRequest:
    query = dict(pair.partition("=")[::2] for pair in url.partition("?")[2].split("&") if pair)
    headers = {"Content-Type": "application/json"}
    return func.HttpRequest(method=method, url=url, headers=headers, params=query, route_params=route_params, body=body)


def json_of(response: func.HttpResponse) -> Any:
    return json.loads(response.get_body())


@pytest.mark.parametrize("key", ["", "?code=s3cr%2Bet%3D%3D", "?x=1&code=s3cr%2Bet%3D%3D&y=2"])
async def test_a_run_over_http(world: World, services: Callable[[], Services], key: str) -> None:
    world.engine.script = [Look(status="in_progress")]
    world.engine.files = {"cfile_1": b"\x89PNG"}
    made = MadeFile(container_id="cntr_1", file_id="cfile_1", filename="a.png")
    world.engine.output = Output(text="Forty-two.", made=(made,))
    kept = "?code=s3cr%2Bet%3D%3D" if key else ""

    started = await answer(services, request(URL + key, method="POST", body=b'{"question": "Why?"}'), start_run)
    run = json_of(started)
    where = f"{URL}/{run['id']}"
    assert started.status_code == 202
    assert (started.headers["Location"], run["url"]) == (where + kept, where + kept)
    assert int(started.headers["Retry-After"]) >= 1
    assert started.mimetype == "application/json"
    assert run["status"] == "in_progress"

    going_on = await answer(services, request(where + key, id=run["id"]), get_run)
    assert going_on.status_code == 202
    assert going_on.headers["Location"] == where + kept
    assert int(going_on.headers["Retry-After"]) >= 1

    await world.finish()
    done = await answer(services, request(where + key, id=run["id"]), get_run)
    body = json_of(done)
    assert done.status_code == 200
    assert (body["status"], body["answer"], body["markdown"]) == ("completed", "Forty-two.", world.markdown(run["id"]))
    assert body["charts"][0]["url"] == f"{where}/charts/1{kept}"

    chart = await answer(services, request(where, id=run["id"], n="1"), get_chart)
    assert (chart.status_code, chart.mimetype, chart.get_body()) == (200, "image/png", b"\x89PNG")
    for n in ("0", "2", "01", "x", "../1", "1 "):
        missing = await answer(services, request(where, id=run["id"], n=n), get_chart)
        assert (missing.status_code, json_of(missing)["code"]) == (404, "chart_not_found")


@pytest.mark.parametrize(
    "url",
    [
        "https://runs.example/api/runs",
        "https://runs-prod.azurewebsites.net/api/runs",
        "http://localhost:7071/api/runs",
        "https://h/runs-app/api/runs",
    ],
)
def test_the_url_of_a_run_is_on_the_host_of_the_request(url: str) -> None:
    assert run_url(url, "run_1", "") == f"{url}/run_1"
    assert run_url(f"{url}/run_1?code=a%2Fb", "run_1", "/cancel") == f"{url}/run_1/cancel"


@pytest.mark.parametrize(
    "key", ["", "?code=s3cr%2Bet", "?CODE=s3cr%2Bet", "?x=1&Code=s3cr%2Bet", "?code=&CODE=s3cr%2Bet"]
)
@pytest.mark.parametrize("api", ["/API", "/api", "/Runs/documents/hooks/api"])
async def test_every_location_can_be_followed_whatever_the_case_of_the_route(
    world: World, services: Callable[[], Services], api: str, key: str
) -> None:
    """Routes and the name of the key ignore case, and so does what is made from the URL of a request."""
    root = f"https://app.azurewebsites.net{api}"
    kept = "?code=s3cr%2Bet" if key else ""

    def located(response: func.HttpResponse) -> str:
        where: str = response.headers["Location"]
        assert where.endswith(kept)
        return where.removesuffix(kept)

    started = await answer(services, request(f"{root}/Runs{key}", method="POST", body=b'{"question": "?"}'), start_run)
    run = json_of(started)
    assert located(started) == f"{root}/runs/{run['id']}"
    looked = await answer(services, request(f"{root}/RUNS/{run['id']}{key}", id=run["id"]), get_run)
    assert located(looked) == f"{root}/runs/{run['id']}"
    assert json_of(looked)["terminatePostUri"] == f"{root}/runs/{run['id']}/cancel{kept}"

    hook = b'{"callback_url": "https://receiver.example/hook"}'
    subscribed = await answer(services, request(f"{root}/Hooks/{key}", method="POST", body=hook), subscribe)
    assert located(subscribed) == f"{root}/hooks/{json_of(subscribed)['id']}"

    ordered = await answer(services, request(f"{root}/Documents/RECONCILE/{key}", method="POST"), reconcile)
    report = json_of(ordered)["id"]
    assert located(ordered) == f"{root}/reports/{report}"
    polled = await answer(services, request(f"{root}/REPORTS/{report}{key}", id=report), get_report)
    assert located(polled) == f"{root}/reports/{report}"


async def test_a_log_line_has_its_ids_in_the_message(caplog: pytest.LogCaptureFixture) -> None:
    """The Functions host passes on the message alone."""

    def services() -> Services:
        raise StorageError("The queue 'runs' cannot be reached.")

    await answer(services, request(), list_documents)
    (record,) = caplog.records
    assert record.getMessage() == (
        "http.storage_unavailable route=list_documents detail=\"The queue 'runs' cannot be reached.\""
    )
    assert record.exc_info


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (NotFound("No.", code="run_not_found"), 404, "run_not_found", None),
        (Busy("No.", code="thread_busy"), 409, "thread_busy", None),
        (TooLarge("No."), 413, "body_too_large", None),
        (WrongMediaType("No."), 415, "wrong_media_type", None),
        (SettingError("OPENAI_MODEL is missing."), 500, "setting_missing", None),
        (ServiceError("No."), 502, "service_error", None),
        (ServiceBusy("No.", retry_after_s=7.2), 503, "service_busy", "7"),
        (ServiceBusy("No."), 503, "service_busy", "5"),
        (StorageError("No."), 503, "storage_unavailable", "5"),
        (BlobMissing("No."), 503, "storage_unavailable", "5"),
        (BlobChanged("No."), 503, "storage_unavailable", "5"),
    ],
)
def test_problems(error: Any, status: int, code: str, retry_after: str | None) -> None:
    response = problem(error)
    body = json_of(response)
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert (body["status"], body["code"], body["detail"]) == (status, code, error.message)
    assert body["type"].endswith(code)
    assert body["title"] != "Error"
    assert response.headers.get("Retry-After") == retry_after


async def test_a_missing_setting_is_a_problem_that_names_it() -> None:
    def services() -> Services:
        raise SettingError("The setting OPENAI_MODEL is missing.")

    response = await answer(services, request(), list_documents)
    assert (response.status_code, json_of(response)["detail"]) == (500, "The setting OPENAI_MODEL is missing.")


async def test_unknown_runs(services: Callable[[], Services]) -> None:
    for run_id in ("run_" + "0" * 24, "run_1", "../x"):
        for route in (get_run, get_chart):
            response = await answer(services, request(id=run_id, n="1"), route)
            assert (response.status_code, json_of(response)["code"]) == (404, "run_not_found")


async def test_documents_over_http(world: World, services: Callable[[], Services]) -> None:
    await world.drop("ops/a.md")
    await world.drop("b.png")
    response = await answer(services, request(), list_documents)
    listed = {document["path"]: document for document in json_of(response)["documents"]}
    assert response.status_code == 200
    assert (listed["ops/a.md"]["status"], listed["ops/a.md"]["collection"]) == ("indexed", "ops")
    assert listed["b.png"]["reason"]["code"] == "unsupported_file"
    only = await answer(services, request(f"{URL}?collection=ops"), list_documents)
    assert [document["path"] for document in json_of(only)["documents"]] == ["ops/a.md"]
    bad = await answer(services, request(f"{URL}?collection=a/b"), list_documents)
    assert (bad.status_code, json_of(bad)["code"]) == (400, "invalid_collection")


async def test_bad_input_stores_nothing(world: World, services: Callable[[], Services]) -> None:
    for body in (b"{", b"{}", b'{"question": ""}', b'{"question": "Why?", "thread_id": "thread_' + b"0" * 24 + b'"}'):
        response = await answer(services, request(method="POST", body=body), start_run)
        assert 400 <= response.status_code < 500
        assert response.mimetype == "application/problem+json"
    assert world.state.names() == []
    assert world.queue.messages == []


def test_health_needs_no_settings() -> None:
    response = api.health()
    assert (response.status_code, json_of(response)["status"]) == (200, "ok")
