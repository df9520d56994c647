"""`status`, `down` and the texts of `up`: they tell what is so, and no advice loses the user's settings."""

import dataclasses
import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from local import demo, up
from local.errors import LocalError
from local.stack.model import Model
from local.stack.record import Running
from local.stack.stack import Stack
from local.terminal import Terminal
from tests.local.hanging import answering, hanging, storage_at

GONE = Model(name="qwen3", url="http://127.0.0.1:1/v1", through_emulator=True)


def shown_by_status(found: Running, monkeypatch: pytest.MonkeyPatch) -> tuple[str, LocalError]:
    """What `status` prints for a running stack, and its error."""
    monkeypatch.setattr(up, "running", lambda: found)
    file = io.StringIO()
    with pytest.raises(LocalError) as caught:
        up.status(Terminal(Console(file=file, width=200, color_system=None)))
    return file.getvalue(), caught.value


def fake(url: str, **changes: object) -> Running:
    """A stack whose parts are all at one address."""
    service = up.Service.emulated(url)
    plain = Running(
        pid=os.getpid(),
        app_url=url,
        storage=storage_at(url),
        admin_key="of-this-start",
        service=service,
        pids={"azurite": os.getpid(), "emulator": os.getpid(), "functions host": os.getpid()},
        urls={"azurite": url, "emulator": url, "functions host": url},
        started_at="2026-11-22T12:00:00+00:00",
        model=Model.of(service, {}),
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_storage_that_hangs_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    with hanging() as silent, answering(200) as url:
        text, error = shown_by_status(fake(url, storage=storage_at(silent)), monkeypatch)
    assert [line.split()[1] for line in text.splitlines() if "azurite" in line] == ["NOT"]
    assert "Not everything is healthy" in str(error)


def test_the_advice_to_restart_keeps_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    with hanging() as silent, answering(200) as url:
        _, error = shown_by_status(fake(url, storage=storage_at(silent)), monkeypatch)
    assert "make down" not in error.advice
    assert "with its settings" in error.advice


def test_a_model_that_is_not_reached_is_an_error_of_status(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200) as url:
        text, error = shown_by_status(fake(url, model=GONE), monkeypatch)
    assert "qwen3 at http://127.0.0.1:1/v1, called by the emulator (NOT reached" in text
    assert "builtin" not in text
    assert "does not answer" in str(error)


def test_the_demo_asks_no_model_that_is_not_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "DEMO", tmp_path)
    file = io.StringIO()
    with answering(200) as url:
        monkeypatch.setattr(demo, "running", lambda: fake(url, model=GONE))
        with pytest.raises(LocalError, match="does not answer"):
            demo.demo(Terminal(Console(file=file, width=200, color_system=None)))
    assert "NOT reached" in file.getvalue()
    assert "Dropping" not in file.getvalue()


def test_a_running_stack_records_its_model(stack: Stack) -> None:
    assert str(stack.running().model) == "builtin, the emulator's own"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([], ""),
        (["A"], "; it ran with A, set in its terminal: set them there again, or in `.env`"),
        (["A", "B", "C"], "; it ran with A, B and C, set in its terminal: set them there again, or in `.env`"),
    ],
)
def test_down_names_the_settings_that_a_new_start_needs(given: list[str], text: str) -> None:
    assert up.with_settings(given) == text


@pytest.mark.parametrize(
    ("sandbox", "line"),
    [
        ({"status": "available", "tier": "bubblewrap"}, "tier bubblewrap, available"),
        ({"tier": 2, "isolation": "Landlock", "reason": "no user namespaces"}, "tier 2, Landlock, no user namespaces"),
        ({"status": "unavailable", "message": "no bwrap"}, "unavailable, no bwrap"),
        (None, ""),
        ("on", ""),
    ],
)
def test_the_sandbox_in_a_line(sandbox: object, line: str) -> None:
    assert up.sandbox_line(sandbox) == line
