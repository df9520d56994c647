"""Other commands find the running stack, and ignore the record of one that died."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from local.errors import LocalError, NotRunning
from local.paths import ROOT
from local.settings import Service
from local.stack.model import Model
from local.stack.record import Record, Running, ask_to_stop, is_held, running

RUNNING = Running(
    pid=1,
    app_url="http://127.0.0.1:7071",
    storage="AccountName=a;AccountKey=of-this-folder",
    admin_key="of-this-start",
    service=Service.emulated("http://127.0.0.1:8787"),
    pids={"azurite": 2},
    urls={"azurite": "http://127.0.0.1:10000"},
    started_at="2026-11-22T12:00:00+00:00",
    model=Model(name="qwen3", url="http://127.0.0.1:11434/v1", through_emulator=True),
    given=["EMULATOR_MODEL_URL"],
)


def test_a_record_is_valid_while_it_is_locked(tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    record = Record(path)
    with pytest.raises(NotRunning):  # still starting
        running(path)
    record.write(RUNNING)
    assert running(path) == RUNNING
    record.close()
    with pytest.raises(NotRunning):
        running(path)


def test_only_its_user_may_read_a_record(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    path = folder / "stack.json"
    path.write_text("")
    path.chmod(0o644)
    record = Record(path)
    record.write(RUNNING)
    assert (folder.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)
    record.close()


def test_the_key_of_a_real_service_is_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other commands take it from the environment, if that still names the same service."""
    path = tmp_path / "stack.json"
    own = Service(base_url="https://mine.openai.azure.com/openai/v1/", api_key="sk-very-secret", model="gpt")
    record = Record(path)
    record.write(dataclasses.replace(RUNNING, service=own))
    assert "sk-very-secret" not in path.read_text()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", own.base_url)
    assert running(path).service == own
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.example/v1/")
    assert running(path).service == dataclasses.replace(own, api_key="")
    record.close()


def test_only_one_stack_can_run(tmp_path: Path) -> None:
    record = Record(tmp_path / "stack.json")
    with pytest.raises(LocalError, match="already running"):
        Record(tmp_path / "stack.json")
    record.close()


def test_another_process_can_ask_the_stack_to_stop_once(tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    record = Record(path)
    assert not record.stop_asked
    ask_to_stop(path)
    assert record.stop_asked
    record.close()
    again = Record(path)
    assert not again.stop_asked
    again.close()


def test_the_record_of_a_dead_stack_is_stale(tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    code = f"""
from pathlib import Path
from local.stack.record import Record
from tests.local.stack.test_record import RUNNING
record = Record(Path({str(path)!r}))
record.write(RUNNING)
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert path.read_text()
    assert not is_held(path)
    with pytest.raises(NotRunning, match="No local stack"):
        running(path)


def test_without_a_record_no_stack_runs(tmp_path: Path) -> None:
    with pytest.raises(NotRunning) as caught:
        running(tmp_path / "missing" / "stack.json")
    assert "make up" in caught.value.advice
