"""No request, however odd, gets a 5xx or an answer outside the description. The long run is `make bench ONLY=fuzz`."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from bench.fuzz import fuzz
from local.stack.stack import Options, Stack

pytestmark = pytest.mark.aside

EXAMPLES = 6  # per operation, on top of those that schemathesis makes of each limit and type


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]) -> Iterator[Stack]:
    """The requests leave runs, documents and assistants behind, which no other test should meet."""
    folder = tmp_path_factory.mktemp("fuzz")
    with Stack(Options(data=folder / "data", logs=folder / "logs"), environ=plain_environ) as running:
        yield running


def test_hostile_requests_get_what_is_described(own_stack: Stack, tmp_path: Path) -> None:
    report, printed = fuzz(own_stack.app_url, tmp_path, "--max-examples", str(EXAMPLES), "--generation-deterministic")
    assert report["exit_code"] == 0, printed
    assert report["complete"]
    assert report["failures"] == report["errors"] == []
    assert report["operations"]["tested"] == report["operations"]["total"]
    assert report["test_cases"]["generated"] >= 500
    for operation in ("POST /runs", "POST /threads", "PUT /assistants/{name}", "PUT /documents/{path}"):
        rates = report["valid_rates"][operation].values()
        assert sum(rate["accepted"] for rate in rates) >= 3, operation  # what was sent came past the checks


@pytest.mark.parametrize(("name", "key"), [("openapi.json", "openapi"), ("swagger.json", "swagger")])
def test_the_descriptions_are_served_to_anybody(own_stack: Stack, name: str, key: str) -> None:
    response = httpx2.get(f"{own_stack.app_url}/api/{name}", trust_env=False)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json()[key] in ("3.1.0", "2.0")
    assert own_stack.app_url.removeprefix("http://") in response.text
