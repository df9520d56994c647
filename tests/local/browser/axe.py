"""axe-core, which looks for faults of accessibility; in `.local/browser-tools`, for tests only.

`python -m tests.local.browser.axe` installs it. To update the lock file, which names no registry:
`npm install --package-lock-only --omit-lockfile-registry-resolved`.

Source: https://github.com/dequelabs/axe-core/blob/develop/doc/API.md
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from local.errors import LocalError
from local.paths import INSTALLED
from tests.local.browser.chromium import Page
from tests.openapi.npm_tools import install

PACKAGE = Path(__file__).with_name("npm")  # package.json and its lock file
TOOLS = INSTALLED / "browser-tools"
AXE = TOOLS / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = """
(async () => (await axe.run(document, {resultTypes: ["violations"], iframes: false})).violations
  .filter((each) => ["serious", "critical"].includes(each.impact))
  .flatMap((each) => each.nodes.map((node) => `${each.id}: ${node.html} ${node.failureSummary}`)))()
"""


async def serious_faults(page: Page) -> list[str]:
    """What a page has of serious and critical faults."""
    if not await page.run("Boolean(window.axe)"):
        await page.run(f"{AXE.read_text()};0")
    found: list[str] = await page.run(SERIOUS)
    return found


if __name__ == "__main__":
    try:
        install(PACKAGE, TOOLS)
    except (LocalError, subprocess.SubprocessError) as exc:
        sys.exit(f"Error: axe-core could not be installed: {exc}")
