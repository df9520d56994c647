"""The installation of Azurite: what it leaves out, and where npm may not write."""

import json
import os
from pathlib import Path

import pytest

from local.errors import LocalError
from local.stack import node

NPM = """#!/bin/sh
echo "cache=$npm_config_cache" >> "$LOG"
if [ -n "$FAILS" ]; then echo "npm error code $FAILS"; exit 1; fi
mkdir -p node_modules/azurite/dist/src
cd node_modules
touch azurite/dist/src/azurite.js azurite/dist/src/azurite.js.map azurite/README.md
for name in applicationinsights mysql2 tedious; do ln -s ../absent $name; done
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `.local` with an odd name, and a fake npm on PATH."""
    folder = tmp_path / "Äpfel & Birnen" / ".local"
    for name, path in {"INSTALLED": "", "AZURITE": "azurite", "OWN_NODE": "node", "OWN_CACHE": "cache/npm"}.items():
        monkeypatch.setattr(node, name, folder / path)
    monkeypatch.setattr(node, "LOGS", folder / "logs")
    for name, text in {"npm": NPM, "node": "#!/bin/sh\necho v22.1.0\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return folder


def test_azurite_is_installed_once_without_what_is_not_run(installed: Path, tmp_path: Path) -> None:
    command = node.azurite_command()
    assert command == [str(tmp_path / "node"), str(installed / "azurite" / node.ENTRY)]
    assert Path(command[1]).exists()
    modules = installed / "azurite" / "node_modules"
    assert not list(modules.rglob("*.map")) + list(modules.rglob("README.md"))
    for name in ("applicationinsights", "mysql2", "tedious"):
        assert not (modules / name).is_symlink()
        assert json.loads((modules / name / "package.json").read_text())["name"] == "absent"
    assert node.azurite_command() == command
    assert (tmp_path / "log").read_text() == "cache=\n"


@pytest.mark.parametrize("home", ["/sys/kernel/nobody", "/proc/self"])
def test_a_home_that_cannot_be_written_needs_no_cache_there(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setenv("HOME", home)
    node.azurite_command()
    assert (tmp_path / "log").read_text() == f"cache={installed / 'cache' / 'npm'}\n"


@pytest.mark.parametrize(("code", "advice"), [("ENOTFOUND", "cannot be reached"), ("ENOSPC", "The disk is full.")])
def test_a_failed_installation_leaves_nothing_and_says_why(
    installed: Path, monkeypatch: pytest.MonkeyPatch, code: str, advice: str
) -> None:
    monkeypatch.setenv("FAILS", code)
    with pytest.raises(LocalError, match=code) as caught:
        node.azurite_command()
    assert advice in caught.value.advice
    assert [path.name for path in installed.iterdir()] == ["logs"]
    monkeypatch.setenv("FAILS", "")
    assert node.azurite_command()


def test_an_interrupted_installation_is_repeated(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(node, "_shrink", interrupted)
        node.azurite_command()
    assert not (installed / "azurite").exists()
    assert Path(node.azurite_command()[1]).exists()


def test_a_link_from_another_worktree_is_replaced(installed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    installed.mkdir(parents=True)
    (installed / "azurite").symlink_to(other)
    node.azurite_command()
    assert not (installed / "azurite").is_symlink()
    assert other.exists()
