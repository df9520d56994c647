"""The guards of the architecture: contracts of imports, each seen failing, and the sizes of files and functions."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.paths import ROOT

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
RUFF = Path(sys.executable).with_name("ruff")
FUNCTION_MAX_LINES = 50
FILE_MAX_LINES = 450
FILES_IN_A_ROOM_MAX = 8


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the code in which an import can be planted."""
    for room in ("shared", "local"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "npm"))
    for file in ("pyproject.toml", "requirements.txt", "function_app.py"):
        shutil.copy(ROOT / file, tmp_path)
    return tmp_path


def plant(copy: Path, path: str, line: str) -> None:
    file = copy / path
    file.write_text(f"{file.read_text()}\n{line}\n")


def lint_imports(copy: Path) -> subprocess.CompletedProcess[str]:
    command = [LINT_IMPORTS, "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)


def test_the_contracts_hold(copy: Path) -> None:
    result = lint_imports(copy)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("path", "line", "contract"),
    [
        ("shared/formats/base.py", "import shared.http.about", "In shared/, imports point down"),
        ("shared/documents/record.py", "from shared.runs import runs", "In shared/, imports point down"),
        ("shared/models/ids.py", "import shared.settings", "In shared/, imports point down"),
        ("local/openai_emulator/store.py", "import shared.errors", "know nothing of the app"),
        ("local/openai_emulator/search/ranking.py", "import function_app", "know nothing of the app"),
        ("local/functions_host/host.py", "from shared import settings", "know nothing of the app"),
        ("shared/runs/answers.py", "import openai", "only engines/ imports openai"),
    ],
)
def test_a_planted_import_breaks_its_contract(copy: Path, path: str, line: str, contract: str) -> None:
    plant(copy, path, line)
    result = lint_imports(copy)
    broken = [text for text in result.stdout.splitlines() if text.endswith("BROKEN")]
    assert result.returncode != 0
    assert len(broken) == 1
    assert contract in broken[0]


def test_a_new_room_needs_a_place_in_the_layers(copy: Path) -> None:
    (copy / "shared" / "attic.py").write_text("")
    assert lint_imports(copy).returncode != 0


@pytest.mark.parametrize("line", ["import azure.storage.blob", "from azure.storage.queue import QueueClient"])
def test_a_planted_import_of_the_storage_sdk_is_refused(copy: Path, line: str) -> None:
    plant(copy, "shared/documents/record.py", line)
    command = [RUFF, "check", "--no-cache", "--select", "TID251", "--output-format", "concise", "."]
    result = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert [text.split(":")[0] for text in result.stdout.splitlines() if "TID251" in text] == [
        "shared/documents/record.py"
    ]


def python_files() -> Iterator[Path]:
    for room in ("shared", "local"):
        yield from (ROOT / room).rglob("*.py")
    yield ROOT / "function_app.py"


def test_no_file_and_no_function_is_too_long() -> None:
    long: list[str] = []
    for path in python_files():
        text = path.read_text()
        if text.count("\n") > FILE_MAX_LINES:
            long.append(f"{path.relative_to(ROOT)} has {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > FUNCTION_MAX_LINES:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {lines} lines")
    assert long == []


@pytest.mark.parametrize("room", ["shared", "local/openai_emulator"])
def test_few_files_lie_directly_in_a_room(room: str) -> None:
    assert len(list((ROOT / room).glob("*.py"))) <= FILES_IN_A_ROOM_MAX
