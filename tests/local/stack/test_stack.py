"""The stack of three real processes: its state when ready, and what happens when a process ends."""

import os
import signal
import time
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.errors import LocalError, ProcessDied
from local.settings import Service
from local.stack.azurite import Azurite
from local.stack.provision import provision
from local.stack.stack import Options, Stack, answers_200

OWN = Service(base_url="https://mine.openai.azure.com/openai/v1/", api_key="secret", model="gpt-4.1-mini")


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
    deadline_s = time.monotonic() + 10
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


def test_azurite_with_a_location_keeps_its_data_and_ports(tmp_path: Path) -> None:
    azurite = Azurite(log=tmp_path / "log", location=tmp_path / "data")
    with azurite, BlobServiceClient.from_connection_string(azurite.connection_string) as blobs:
        blobs.create_container("kept")
    before = azurite.ports
    with azurite, BlobServiceClient.from_connection_string(azurite.connection_string) as blobs:
        assert [container.name for container in blobs.list_containers()] == ["kept"]
    assert azurite.ports == before
