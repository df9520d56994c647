"""Tests on real processes. Each test uses its own collection (a folder in `documents`).

A stack that waits for work costs processor time. So each ends when its test process goes on to another folder.
"""

import base64
import itertools
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.client import Client
from local.stack.stack import Options, Stack
from tests.acceptance.api import Api
from tests.acceptance.chat_server import ChatServer
from tests.acceptance.host import URL, Host, other_host
from tests.forked import forked

counter = itertools.count(1)
prefix = f"test-{secrets.token_hex(3)}"  # another host may hold the documents of earlier tests

CALLBACK_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
WEBHOOK_SECRET = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    elsewhere = other_host()
    for item in items:
        if "acceptance" not in item.path.parts:
            continue
        item.add_marker(pytest.mark.acceptance)
        fixtures = set(getattr(item, "fixturenames", ()))
        if elsewhere and ("host" not in fixtures or fixtures & {"stack", "slow_stack"}):
            item.add_marker(pytest.mark.skip(f"It needs the processes of the local stack, and {URL} is set."))


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]) -> Iterator[Stack]:
    """As the one in `tests/conftest.py`."""
    folder = Path(tmp_path_factory.mktemp("stack"))
    with forked(Stack(Options(data=folder / "data", logs=folder / "logs"), environ=plain_environ)) as running:
        yield running


@pytest.fixture(scope="package")
def host(request: pytest.FixtureRequest) -> Host:
    """The host that `TEST_HOST_URL` names, else that of the local stack."""
    if elsewhere := other_host():
        elsewhere.check()
        return elsewhere
    stack: Stack = request.getfixturevalue("stack")
    return Host(url=stack.app_url, storage=stack.azurite.connection_string)


@pytest.fixture
def api(host: Host) -> Iterator[Api]:
    made = Api(host.url, key=host.key)
    yield made
    made.http.close()


@pytest.fixture
def client(host: Host) -> Iterator[Client]:
    with Client(host.url, storage=host.storage, key=host.key) as client:
        yield client


@pytest.fixture
def collection(host: Host) -> Iterator[str]:
    name = f"{prefix}-{next(counter)}"
    yield name
    if other_host():
        host.request("DELETE", f"collections/{name}")


@pytest.fixture
def drop(client: Client) -> Callable[..., dict[str, dict[str, object]]]:
    """Uploads files (path -> content) and waits until each has a final status. Returns path -> document."""

    def dropped(files: dict[str, bytes]) -> dict[str, dict[str, object]]:
        etags = {path: client.drop_bytes(content, path) for path, content in files.items()}
        final = client.wait_indexed(etags, on_final=lambda _: None, within_s=600)
        assert final.keys() == files.keys(), [d for d in client.documents() if d["path"] in files]
        return final

    return dropped


@pytest.fixture(scope="session")
def chat_server() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


@pytest.fixture(scope="package")
def slow_stack(
    tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str], chat_server: ChatServer
) -> Iterator[Stack]:
    """A stack with `chat_server` as its model: a test decides how long a run takes. The sweep runs often."""
    folder = Path(tmp_path_factory.mktemp("slow"))
    environ = {
        **plain_environ,
        "EMULATOR_MODEL_URL": chat_server.url,
        "EMULATOR_MODEL": "slow",
        "SWEEP_SCHEDULE": "*/2 * * * * *",
        "CALLBACK_HOSTS": "127.0.0.1",
        "CALLBACK_ALLOW_PRIVATE": "true",
        "CALLBACK_SECRET": CALLBACK_SECRET,
        "OPENAI_WEBHOOK_SECRET": WEBHOOK_SECRET,
    }
    with forked(Stack(Options(data=folder / "data", logs=folder / "logs"), environ=environ)) as running:
        yield running


@pytest.fixture
def slow_client(slow_stack: Stack, chat_server: ChatServer) -> Iterator[Client]:
    chat_server.hold()
    with Client(slow_stack.app_url, storage=slow_stack.azurite.connection_string) as client:
        yield client
    chat_server.release()
