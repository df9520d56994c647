"""The command line, run as a process with a state folder of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.paths import ROOT
from local.stack.record import is_held
from local.up import count_documents

Run = Callable[..., "subprocess.CompletedProcess[str]"]
WITHIN_S = 120


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]) -> dict[str, str]:
    """An environment without a running stack and without a configured model service."""
    return {**plain_environ, "LOCAL_STATE": str(tmp_path_factory.mktemp("state")), "OPENAI_BASE_URL": ""}


@pytest.fixture(scope="module")
def run(environ: dict[str, str]) -> Run:
    """Runs one command until it ends."""

    def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "local", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environ, input=text, capture_output=True, text=True, timeout=WITHIN_S, check=False
        )

    return run


@pytest.fixture(scope="module")
def up(environ: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A ready `python -m local up`."""
    log = Path(environ["LOCAL_STATE"], "up.log")
    with (
        log.open("w") as output,
        subprocess.Popen([sys.executable, "-m", "local", "up"], cwd=ROOT, env=environ, stdout=output) as process,
    ):
        try:
            wait_for(lambda: "Ctrl-C here stops everything" in log.read_text(), process)
            yield process
        finally:
            process.terminate()


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str] | None" = None) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not condition():
        assert process is None or process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@pytest.mark.parametrize("command", [["ask", "What?"], ["chat"], ["status"], ["down"], ["cleanup"]], ids=lambda c: c[0])
def test_without_a_stack_the_error_names_make_up(run: Run, command: list[str]) -> None:
    done = run(*command)
    assert done.returncode == 1
    assert "No local stack is running." in done.stdout
    assert "make up" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", [[], ["nonsense"], ["ask"], ["up", "--host", "moon"]], ids=" ".join)
def test_wrong_usage_is_explained(run: Run, command: list[str]) -> None:
    done = run(*command)
    assert done.returncode == 2
    assert "usage: python -m local" in done.stderr


def test_documents_are_counted() -> None:
    of = [(f"c{n}", "indexed") for n in range(1, 11) for _ in range(n)] + [("c1", "failed")]
    documents = [{"collection": collection, "status": status} for collection, status in of]
    assert count_documents(documents) == {
        "documents": "55 indexed, 1 failed",
        "collections": "c10 10, c9 9, c8 8, c7 7, c6 6, c5 5, c4 4, c3 3, and 2 more",
    }
    assert count_documents([]) == {"documents": "none", "collections": "none"}


@pytest.mark.acceptance
def test_a_session(run: Run, up: "subprocess.Popen[str]", environ: dict[str, str]) -> None:
    """up, status, demo on it, ask, chat, cleanup, down."""
    status = run("status")
    assert status.returncode == 0, status.stdout
    assert status.stdout.count("healthy") == 3

    second = run("up")
    assert (second.returncode, "already running" in second.stdout) == (1, True)

    demo = run("demo")
    assert demo.returncode == 0, demo.stdout
    assert "Using the stack that is up" in demo.stdout
    assert "indexed" in run("status").stdout
    assert all(character.isprintable() or character == "\n" for character in demo.stdout)
    report = json.loads(Path(environ["LOCAL_STATE"], "demo", "report.json").read_text())
    assert report["stack_ready_s"] is None
    assert [question["status"] for question in report["questions"]] == ["completed"] * 3

    ask = run("ask", "What is the warning threshold for the availability of HTTP?")
    assert ask.returncode == 0, ask.stdout
    assert "monitoring-guide.pdf" in ask.stdout

    refused = run("ask", "What?", "--collection", "no-such-collection")
    assert (refused.returncode, "Traceback" in refused.stdout) == (1, False)

    chat = run("chat", text="How long was the outage on 28 November?\n\nexit\n")
    assert chat.returncode == 0, chat.stdout
    assert "tokens" in chat.stdout
    assert "--thread thread_" in chat.stdout

    listed = run("cleanup", "--dry-run")
    assert listed.returncode == 0, listed.stdout
    assert "$0.00 a day" in listed.stdout
    cleaned = run("cleanup")
    assert "Deleted" in cleaned.stdout, cleaned.stdout
    again = run("cleanup", "--dry-run")
    assert "vector stores   0" in again.stdout, again.stdout
    assert "records         0" in again.stdout, again.stdout

    down = run("down")
    assert down.returncode == 0, down.stdout
    assert up.wait(WITHIN_S) == 0
    assert not is_held(Path(environ["LOCAL_STATE"], "stack.json"))


@pytest.mark.acceptance
def test_ctrl_c_while_it_starts_leaves_nothing_running(environ: dict[str, str], tmp_path: Path) -> None:
    own = {**environ, "LOCAL_STATE": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-m", "local", "up"], cwd=ROOT, env=own, stdout=subprocess.PIPE) as process:
        wait_for((tmp_path / "logs" / "host.log").exists, process)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(WITHIN_S) == 130
    assert not running_in(tmp_path)


def running_in(folder: Path) -> list[str]:
    """Command lines of running processes that contain a folder's path."""
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in lines if str(folder) in line and "defunct" not in line]
