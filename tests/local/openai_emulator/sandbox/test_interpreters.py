"""Wherever the interpreter lies, a session sees nothing of the folders around it, and works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local.openai_emulator.sandbox.interpreter import Interpreter
from local.paths import ROOT
from tests.long import long_but

PROGRAM = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = Path(sys.prefix, "lib", VERSION, "site-packages")
SECRET = "private.key"  # in every folder of the home

SCRIPT = """
import asyncio, os, sys
from local.openai_emulator.sandbox import Sandbox
SEEN = '''import json, os, matplotlib.pyplot as plt, pandas as pd, sqlite3, ssl
seen = [os.path.join(folder, name) for top in {tops} for folder, _, files in os.walk(top) for name in files]
pd.Series([1, 2]).plot()
print(json.dumps([name for name in seen if name.endswith('private.key')]))'''
async def main():
    sandbox = Sandbox()
    await sandbox.start()
    session = await sandbox.open()
    outcome = await session.run(SEEN.format(tops=sys.argv[1:]))
    print(outcome.logs.strip(), outcome.changed)
    await sandbox.close()
asyncio.run(main())
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    for folder in ("", ".ssh", "bin", "lib", ".local", ".local/bin", ".local/lib", ".local/share", ".pyenv/versions"):
        (home / folder).mkdir(parents=True, exist_ok=True)
        (home / folder / SECRET).write_text("secret")
    return home


def environment(folder: Path, program: Path) -> Path:
    """A virtual environment as `PROGRAM -m venv` makes it; returns its interpreter."""
    (folder / "bin").mkdir(parents=True)
    (folder / "lib" / VERSION).mkdir(parents=True)
    (folder / SECRET).write_text("secret")
    (folder / "lib" / VERSION / "site-packages").symlink_to(PACKAGES)
    (folder / "pyvenv.cfg").write_text(f"home = {program.parent}\ninclude-system-site-packages = false\n")
    (folder / "bin" / VERSION).symlink_to(program)
    (folder / "bin" / "python").symlink_to(VERSION)
    return folder / "bin" / "python"


def installation(prefix: Path) -> Path:
    """A copy of this interpreter without its packages; returns its program."""
    library = Path(os.__file__).parent
    without = shutil.ignore_patterns("site-packages", "test", "__pycache__", "idlelib", "lib2to3", "config-*")
    shutil.copytree(library, prefix / "lib" / VERSION, ignore=without, symlinks=True, dirs_exist_ok=True)
    (prefix / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy2(PROGRAM, prefix / "bin" / VERSION)
    for file in PROGRAM.parents[1].joinpath("lib").glob("libpython*"):
        shutil.copy2(file, prefix / "lib")
    return prefix / "bin" / VERSION


def linked(link: Path, target: Path) -> Path:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    return link


def uv(home: Path) -> Path:
    python = home / ".local/share/uv/python"
    installation(python / "cpython-3.99.9-linux")
    linked(python / "cpython-3.99", Path("cpython-3.99.9-linux"))
    return environment(home / "project/.venv", python / "cpython-3.99/bin" / VERSION)


def copied(home: Path) -> Path:
    """`python -m venv --copies`."""
    python = environment(home / "project/.venv", PROGRAM)
    (python.parent / VERSION).unlink()
    shutil.copy2(PROGRAM, python.parent / VERSION)
    return python


def dev_container(home: Path) -> Path:
    """An interpreter for everybody, no virtual environment, packages of `pip install --user`."""
    linked(home / ".local/lib" / VERSION / "site-packages", PACKAGES)
    return installation(home.parent / "usr-local")


def debian(home: Path) -> Path:
    system = Path("/usr/bin", VERSION)
    if not system.exists():
        pytest.skip(f"this machine has no {system}")
    return environment(home / "project/.venv", linked(home / "python3", system))


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "~/bin": lambda home: environment(home / "project/.venv", linked(home / "bin" / VERSION, PROGRAM)),
    "~/.local/bin": lambda home: environment(home / "project/.venv", linked(home / ".local/bin" / VERSION, PROGRAM)),
    "a chain of links": lambda home: environment(
        home / "project/.venv", linked(home / "a/python", linked(home / "b/c/python", PROGRAM))
    ),
    "pyenv": lambda home: environment(home / "project/.venv", installation(home / ".pyenv/versions/3.99.9")),
    "uv": uv,
    "--prefix=~": lambda home: environment(home / "project/.venv", installation(home)),
    "--prefix=~/.local": lambda home: environment(home / "project/.venv", installation(home / ".local")),
    "--copies": copied,
    "dev container": dev_container,
    "Debian": debian,
}


@pytest.mark.parametrize("layout", long_but(LAYOUTS, "~/bin", "uv", "dev container"))
def test_a_session_sees_nothing_of_the_home_and_works(home: Path, layout: str) -> None:
    """All of these also lie below /tmp, where pytest makes its folders."""
    result = run(LAYOUTS[layout](home), home)
    assert result.stdout == "[] ('figure-1.png',)\n", result.stderr[-2000:]


def test_a_link_in_tmp_does_not_break_the_sandbox(home: Path) -> None:
    link = Path("/tmp", f"sandbox-test-{os.getpid()}", VERSION)
    try:
        result = run(environment(home / "project/.venv", linked(link, PROGRAM)), home)
    finally:
        shutil.rmtree(link.parent)
    assert result.stdout == "[] ('figure-1.png',)\n", result.stderr[-2000:]


def run(python: Path, home: Path) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}
    command = [python, "-c", SCRIPT, home, home.parent]
    return subprocess.run(
        command, cwd=ROOT, env=environ | {"HOME": str(home)}, capture_output=True, text=True, check=False, timeout=300
    )


def test_no_folder_is_shown_that_is_not_the_interpreters_own() -> None:
    interpreter = Interpreter(
        program="/home/u/bin/python3.11",
        folders=("/home/u/lib/python3.11", "/home/u/lib/python3.11/lib-dynload"),
        libraries=("/home/u/lib/libpython3.11.so.1.0",),
        sites=("/home/u/.local/lib/python3.11/site-packages",),
        system_sites=False,
    )
    shown = [inside for _, inside in interpreter.mounts(lambda _: False)]
    assert shown == [
        "/home/u/bin/python3.11",
        "/home/u/lib/libpython3.11.so.1.0",
        "/home/u/lib/python3.11",
        "/venv/sites/0",
    ]
    assert json.dumps(shown).count("/home/u/") == 3
