"""The generators that npm installs: openapi-typescript and the TypeScript compiler, in `.local/openapi-tools/npm`.

`python -m tests.openapi.npm_tools` installs them, with the Node.js that local/stack/node.py finds or installs. To
update the lock file, which names no registry: `npm install --package-lock-only --omit-lockfile-registry-resolved`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from local.errors import LocalError
from local.paths import INSTALLED
from local.stack.node import Toolchain, installed_node, node_on_path

PACKAGE = Path(__file__).with_name("npm")  # package.json and its lock file
TOOLS = INSTALLED / "openapi-tools" / "npm"
INSTALL_TIMEOUT_S = 600


def toolchain() -> Toolchain:
    return node_on_path() or installed_node(lambda _: None)


def command(package: str, script: str) -> list[str]:
    """The command that runs a script of an installed package."""
    return [toolchain().node, str(TOOLS / "node_modules" / package / script)]


def install(package: Path = PACKAGE, tools: Path = TOOLS) -> None:
    """Run `npm ci` in the folder `tools`, with the lock file of the folder `package`.

    Raises:
        LocalError: Node.js could not be installed.
        subprocess.CalledProcessError: npm failed; its messages are on the terminal.
    """
    node = toolchain()
    shutil.rmtree(tools, ignore_errors=True)
    shutil.copytree(package, tools)
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    path = os.pathsep.join([str(Path(node.node).parent), os.environ.get("PATH", "")])
    subprocess.run(
        [*node.npm, "ci", *quiet],
        cwd=tools,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=INSTALL_TIMEOUT_S,
    )


if __name__ == "__main__":
    try:
        install()
    except (LocalError, subprocess.SubprocessError) as exc:
        sys.exit(f"Error: the generators of npm could not be installed: {exc}")
