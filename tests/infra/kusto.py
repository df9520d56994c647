"""Microsoft's language service for Kusto queries, in `.local/kusto`. `python -m tests.infra.kusto` installs it.

To update the lock file, which names no registry: `npm install --package-lock-only --omit-lockfile-registry-resolved`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from local.errors import LocalError
from local.paths import INSTALLED, ROOT
from tests.infra.tools import INFRA
from tests.openapi.npm_tools import INSTALL_TIMEOUT_S, toolchain

PACKAGE = Path(__file__).with_name("npm")  # package.json and its lock file
TOOLS = INSTALLED / "kusto"
SERVICE = TOOLS / "node_modules" / "@kusto" / "language-service-next"
PAGES = (ROOT / "README.md", INFRA / "README.md", *sorted((ROOT / "docs").glob("*.md")))


def queries() -> dict[str, str]:
    """Every query of infra/ and of the documentation: files, blocks of code, and arguments of `az`."""
    found = {str(path.relative_to(ROOT)): path.read_text() for path in sorted((INFRA / "queries").glob("*.kql"))}
    for page in PAGES:
        text = page.read_text()
        blocks = [*re.findall(r"```(?:kql|kusto)\n(.*?)```", text, flags=re.S)]
        blocks += re.findall(r"--analytics-query '([^']+)'", text)
        found |= {f"{page.relative_to(ROOT)} {n}": block for n, block in enumerate(blocks, start=1)}
    return found


def faults(given: Mapping[str, str]) -> dict[str, list[str]]:
    """The errors of each query that has some."""
    result = subprocess.run(
        [toolchain().node, str(Path(__file__).with_name("kusto.js")), str(SERVICE)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return {name: messages for name, messages in json.loads(result.stdout).items() if messages}


def install() -> None:
    """Run `npm ci` in TOOLS.

    Raises:
        LocalError: Node.js could not be installed.
        subprocess.CalledProcessError: npm failed; its messages are on the terminal.
    """
    node = toolchain()
    shutil.rmtree(TOOLS, ignore_errors=True)
    shutil.copytree(PACKAGE, TOOLS)
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    path = os.pathsep.join([str(Path(node.node).parent), os.environ.get("PATH", "")])
    subprocess.run(
        [*node.npm, "ci", *quiet],
        cwd=TOOLS,
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
        sys.exit(f"Error: the language service could not be installed: {exc}")
