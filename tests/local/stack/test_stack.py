"""The stack of three real processes: its state when ready, and what happens when a process ends."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueSasPermissions, QueueServiceClient, generate_queue_sas

from local.errors import LocalError, ProcessDied
from local.functions_host.settings import STORAGE
from local.functions_host.storage import PUBLISHED_KEY, Storage
from local.settings import Service
from local.stack.azurite import ACCOUNT, Azurite
from local.stack.provision import provision
from local.stack.stack import Options, Stack, answers_200

OWN = Service(base_url="https://mine.openai.azure.com/openai/v1/", api_key="secret", model="gpt-4.1-mini")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]) -> Iterator[Stack]:
    """Started as users start it, unlike the one that other tests share."""
    folder = tmp_path_factory.mktemp("stack")
    with Stack(Options(data=folder / "data", logs=folder / "logs"), environ=plain_environ) as running:
        yield running


@pytest.mark.acceptance
def test_a_ready_stack_is_healthy_and_provisioned(stack: Stack) -> None:
    assert answers_200(stack.app_url.removeprefix("http://"), "/api/health")
    assert answers_200(stack.emulator_url.removeprefix("http://"), "/healthz")
    with BlobServiceClient.from_connection_string(stack.azurite.connection_string) as blobs:
        assert {"documents", "answers", "state"} <= {container.name for container in blobs.list_containers()}
    with QueueServiceClient.from_connection_string(stack.azurite.connection_string) as queues:
        names = {queue.name for queue in queues.list_queues()}
    assert {"runs", "runs-poison", "indexing", "indexing-poison", "document-events", "document-events-poison"} <= names


@pytest.mark.acceptance
@pytest.mark.parametrize("name", ["emulator", "functions host"])
def test_a_killed_process_is_found_and_can_be_restarted(stack: Stack, name: str) -> None:
    process = next(process for process in stack.processes if process.name == name)
    os.kill(process.pid, signal.SIGKILL)
    deadline_s = time.monotonic() + 60
    while stack.ended_process() is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert stack.ended_process() is process
    stack.start_again(process)
    assert stack.ended_process() is None
    assert answers_200(stack.app_url.removeprefix("http://"), "/api/health")


@pytest.mark.acceptance
def test_a_stack_whose_process_fails_to_start_leaves_nothing_running(
    tmp_path: Path, plain_environ: dict[str, str]
) -> None:
    stack = Stack(Options(data=tmp_path / "data", logs=tmp_path / "logs"), environ=plain_environ)
    stack.host.command = [*stack.host.command, "--no-such-option"]
    with pytest.raises(ProcessDied, match=r"(?s)functions host ended with exit code 2.*--no-such-option"):
        stack.start()
    assert not any(process.alive for process in stack.processes)


def test_a_configured_service_replaces_the_emulator(tmp_path: Path, plain_environ: dict[str, str]) -> None:
    stack = Stack(Options(data=tmp_path, logs=tmp_path, service=OWN), environ=plain_environ)
    assert [process.name for process in stack.processes] == ["azurite", "functions host"]
    assert stack.host.environ is not None
    assert stack.host.environ["OPENAI_API_KEY"] == "secret"


def test_missing_core_tools_raise(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="Core Tools"):
        Stack(Options(data=tmp_path, logs=tmp_path, host="func"), environ={"PATH": str(tmp_path)})


def test_with_core_tools_the_blob_trigger_scans(tmp_path: Path) -> None:
    func = tmp_path / "func"
    func.write_text("#!/bin/sh\n")
    func.chmod(0o755)
    stack = Stack(Options(data=tmp_path, logs=tmp_path, host="func"), environ={"PATH": str(tmp_path)})
    assert stack.host.command == [str(func), "start", "--python", "--port", str(stack.ports["host"])]
    assert stack.host.environ is not None
    assert stack.host.environ["BLOB_SOURCE"] == "LogsAndContainerScan"


def test_provisioning_twice_changes_nothing(azurite: Azurite) -> None:
    provision(azurite.connection_string)
    provision(azurite.connection_string)


def test_azurite_refuses_its_published_key(azurite: Azurite) -> None:
    """Any web page could sign requests with it, such as a message to a queue."""
    message = b"<QueueMessage><MessageText>e30=</MessageText></QueueMessage>"
    until = datetime.now(UTC) + timedelta(hours=1)
    sas = {"permission": QueueSasPermissions(add=True), "expiry": until}
    page = {"Content-Type": "text/plain", "Origin": "http://evil.example"}
    rebound = {**page, "Host": f"{ACCOUNT}.evil.example:{azurite.ports[1]}"}
    server = azurite.queue_endpoint.removesuffix(f"/{ACCOUNT}")
    with QueueServiceClient.from_connection_string(azurite.connection_string) as queues:
        queue = queues.create_queue("forged")
        for key, status in ((PUBLISHED_KEY, 403), (queues.credential.account_key, 201)):
            signed = generate_queue_sas(ACCOUNT, "forged", account_key=key, **sas)
            for url, headers in ((azurite.queue_endpoint, page), (server, rebound)):
                url = f"{url}/forged/messages?{signed}"
                assert httpx2.post(url, content=message, headers=headers, trust_env=False).status_code == status
        assert queue.get_queue_properties().approximate_message_count == 2


def test_each_azurite_has_a_key_of_its_own_and_keeps_it_with_its_data(tmp_path: Path) -> None:
    one, again, other = (
        Azurite(log=tmp_path / "log", location=tmp_path / name).connection_string for name in ("a", "a", "b")
    )
    assert one == again
    assert len({one, other, Azurite(log=tmp_path / "log").connection_string}) == 3
    assert (tmp_path / "a" / "account.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700


def test_a_page_of_a_listed_origin_may_upload(azurite: Azurite) -> None:
    def preflight(origin: str) -> int:
        headers = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
        return httpx2.request(
            "OPTIONS", f"{azurite.blob_endpoint}/documents/a", headers=headers, trust_env=False
        ).status_code

    provision(azurite.connection_string, origins={"http://localhost:3000"})
    assert (preflight("http://localhost:3000"), preflight("http://evil.example")) == (200, 403)
    provision(azurite.connection_string)
    assert preflight("http://localhost:3000") == 403


def test_an_origin_that_stands_for_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="CORS_ORIGINS"):
        Stack(Options(data=tmp_path, logs=tmp_path), environ={"CORS_ORIGINS": "*"})


def test_development_storage_is_the_azurite_of_the_stack() -> None:
    storage = Storage({STORAGE: "UseDevelopmentStorage=true", "AZURITE_ACCOUNTS": "devstoreaccount1:b3du"})
    assert "AccountKey=b3du;" in storage.connection_string(None)
    assert PUBLISHED_KEY in Storage({STORAGE: "UseDevelopmentStorage=true"}).connection_string(None)


@pytest.mark.acceptance
def test_what_a_stack_writes_is_private(stack: Stack) -> None:
    folders = (stack.options.data, stack.options.logs)
    written = [path for folder in folders for path in (folder, *folder.rglob("*")) if not path.is_symlink()]
    assert [path for path in written if path.stat().st_mode & 0o077] == []
    assert stack.admin_key not in "".join(process.log.read_text(errors="replace") for process in stack.processes)


@pytest.mark.acceptance
def test_the_admin_key_opens_host_and_emulator(stack: Stack) -> None:
    key = stack.running().admin_key
    for url, header in (
        (f"{stack.app_url}/admin/host/status", "x-functions-key"),
        (f"{stack.emulator_url}/admin/faults", "api-key"),
    ):
        assert httpx2.get(url, headers={header: key}, trust_env=False).status_code == 200
        assert httpx2.get(url, headers={header: "local"}, trust_env=False).status_code == 401


def test_azurite_with_a_location_keeps_its_data_and_ports(tmp_path: Path) -> None:
    azurite = Azurite(log=tmp_path / "log", location=tmp_path / "data")
    with azurite, BlobServiceClient.from_connection_string(azurite.connection_string) as blobs:
        blobs.create_container("kept")
    before = azurite.ports
    with azurite, BlobServiceClient.from_connection_string(azurite.connection_string) as blobs:
        assert [container.name for container in blobs.list_containers()] == ["kept"]
    assert azurite.ports == before
