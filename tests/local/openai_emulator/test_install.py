"""The installed command: what it needs is declared, and what it prints can be copied."""

from __future__ import annotations

import ast
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from local.openai_emulator.__main__ import lines_to_copy
from local.paths import ROOT

EMULATOR = ROOT / "local/openai_emulator"
OWN_FILES = [ROOT / "local/callers.py", ROOT / "local/plain.py", *EMULATOR.rglob("*.py")]
# `pytest` is the caller's, who uses the fixture; the code of users may import the last one, where it is installed
NOT_NEEDED = {"pytest", "scipy"}


def project() -> dict[str, Any]:
    loaded: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return loaded


def declared() -> set[str]:
    extra = project()["project"]["optional-dependencies"]["emulator"]
    app = [line for line in (ROOT / "requirements.in").read_text().splitlines() if line and line[0] != "#"]
    return {re.split(r"[<>=;\[ ]", line)[0].lower() for line in (*extra, *app)}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_the_command_is_a_function() -> None:
    module, _, name = project()["project"]["scripts"]["openai-emulator"].partition(":")
    assert callable(getattr(import_module(module), name))


def test_the_extra_names_what_the_emulator_imports() -> None:
    names = {name for path in OWN_FILES for name in imported(path)} - {*sys.stdlib_module_names, "local"} - NOT_NEEDED
    of = packages_distributions()
    # what openai and starlette bring and stand for
    brought = {"httpx2", "pydantic", "typing_extensions"}
    missing = {name for name in names - brought if not {one.lower() for one in of.get(name, [name])} & declared()}
    assert missing == set()


def test_the_emulator_imports_no_other_part_of_local() -> None:
    parts = {
        node.module
        for path in OWN_FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("local.")
    }
    assert {part for part in parts if not part.startswith("local.openai_emulator")} == {"local.callers", "local.plain"}


@pytest.mark.parametrize(("key_is_set", "key"), [(False, "any"), (True, "$EMULATOR_API_KEY")])
def test_the_lines_are_those_of_a_shell(key_is_set: bool, key: str) -> None:
    text = lines_to_copy("http://127.0.0.1:8787", key_is_set=key_is_set, windows=False)
    words = [shlex.split(line) for line in text.splitlines()]
    assert {word[0] for word in words} == {"export"}
    assert dict(word[1].split("=", 1) for word in words) == {
        "OPENAI_BASE_URL": "http://127.0.0.1:8787/openai/v1/",
        "OPENAI_API_KEY": key,
        "AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:8787",
        "AZURE_OPENAI_API_KEY": key,
        "OPENAI_API_VERSION": "2024-10-21",
    }
    windows = lines_to_copy("http://127.0.0.1:8787", key_is_set=key_is_set, windows=True)
    assert windows.startswith("set OPENAI_BASE_URL=http://127.0.0.1:8787/openai/v1/\n")
