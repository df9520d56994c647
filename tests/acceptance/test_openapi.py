"""No request gets a 5xx or a response that the API description does not allow. `make bench ONLY=fuzz` tests longer."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from bench.fuzz import fuzz
from local.stack.stack import Options, Stack

pytestmark = pytest.mark.aside

EXAMPLES = 6  # per operation, in addition to those that schemathesis makes for each limit and type


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]) -> Iterator[Stack]:
    """A separate stack: the requests create runs, documents and assistants, which would disturb other tests."""
    folder = tmp_path_factory.mktemp("fuzz")
    with Stack(Options(data=folder / "data", logs=folder / "logs"), environ=plain_environ) as running:
        yield running


def test_hostile_requests_get_described_responses(own_stack: Stack, tmp_path: Path) -> None:
    report, printed = fuzz(own_stack.app_url, tmp_path, "--max-examples", str(EXAMPLES), "--generation-deterministic")
    assert report["exit_code"] == 0, printed
    assert report["complete"]
    assert report["failures"] == report["errors"] == []
    assert report["operations"]["tested"] == report["operations"]["total"]
    assert report["test_cases"]["generated"] >= 500
    for operation in ("POST /runs", "POST /threads", "PUT /assistants/{name}", "PUT /documents/{path}"):
        rates = report["valid_rates"][operation].values()
        assert sum(rate["accepted"] for rate in rates) >= 3, operation  # enough requests were valid


@pytest.mark.parametrize(("name", "key"), [("openapi.json", "openapi"), ("swagger.json", "swagger")])
def test_the_descriptions_need_no_key(own_stack: Stack, name: str, key: str) -> None:
    response = httpx2.get(f"{own_stack.app_url}/api/{name}", trust_env=False)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json()[key] in ("3.1.0", "2.0")
    assert own_stack.app_url.removeprefix("http://") in response.text
