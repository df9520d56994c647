"""Source distributions and packages of others, fetched at test time into `.local/clients`; nothing of them is kept.

A test is skipped with a message where the registry cannot be reached.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from local.paths import ROOT

FOLDER = ROOT / ".local/clients"


async def run(
    *command: str | Path, environ: dict[str, str] | None = None, folder: Path | None = None
) -> tuple[int, str]:
    """Run a command; returns its exit status, and its output with its errors."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=folder,
        env={**os.environ, **(environ or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")


async def sources(name: str, version: str) -> Path:
    """The unpacked source distribution of a package of PyPI."""
    file_name = name.replace("-", "_")
    folder = FOLDER / f"{file_name}-{version}"
    if not folder.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as fresh:  # so that the folder is there whole or not at all
            options = ("--quiet", "--no-deps", "--no-binary", name, "--dest", fresh)
            code, output = await run(sys.executable, "-m", "pip", "download", *options, f"{name}=={version}")
            archive = Path(fresh, f"{folder.name}.tar.gz")
            if code != 0 or not archive.exists():
                pytest.skip(f"the source distribution of {name} {version} cannot be downloaded here: {output[-300:]}")
            with tarfile.open(archive) as packed:
                packed.extractall(fresh, filter="data")
            Path(fresh, folder.name).rename(folder)
    return folder


async def environment(name: str, *requirements: str) -> Path:
    """The Python of a virtual environment with these packages."""
    folder = FOLDER / name
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = folder / "installed.txt"
    wanted = "\n".join(requirements)
    if not done.exists() or done.read_text() != wanted:
        code, output = await run(sys.executable, "-m", "venv", folder)
        if code == 0:
            code, output = await run(python, "-m", "pip", "install", "--quiet", *requirements)
        if code != 0:
            pytest.skip(f"{', '.join(requirements)} cannot be installed here: {output[-300:]}")
        done.write_text(wanted)
    return python


def client_environ(url: str) -> dict[str, str]:
    """The variables that point the clients of OpenAI to an emulator."""
    return {"OPENAI_BASE_URL": f"{url}/v1/", "OPENAI_API_KEY": "any", "PYTHONWARNINGS": "ignore"}


async def node_modules(*packages: str) -> Path:
    """A folder with these packages of npm."""
    folder = FOLDER / "node"
    done, wanted = folder / "installed.txt", "\n".join(packages)
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    if not done.exists() or done.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true, "type": "module"}')
        code, output = await run(npm, "install", "--silent", "--no-audit", "--no-fund", *packages, folder=folder)
        if code != 0:
            pytest.skip(f"{', '.join(packages)} cannot be installed here: {output[-300:]}")
        done.write_text(wanted)
    return folder
