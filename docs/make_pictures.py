"""The pictures of the page and its files in `docs/pictures`, made from the running app.

`python -m docs.make_pictures` starts a stack with the samples, works with the page in Chromium, and writes PNGs.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from local.paths import ROOT
from local.stack.stack import Options, Stack
from tests.local.browser.chromium import Page, chromium

FOLDER = ROOT / "docs" / "pictures"
SAMPLES = ROOT / "samples"
FILES = ("monitoring-guide.pdf", "monthly-metrics.csv", "q4-incident-report.md")
MAX_BYTES = 150_000
DESKTOP, PHONE = (1100, 760), (390, 780)


async def pictures(app: str) -> None:
    async with chromium() as page:
        await page.size(*DESKTOP)
        await page.scheme("light")
        await page.open(f"{app}/#documents")
        await page.until("document.querySelector('.drop')")
        await page.choose_files("input[type=file]", [SAMPLES / name for name in FILES])
        await page.until(f"document.querySelectorAll('tbody .indexed').length === {len(FILES)}")
        await show(page, "documents")
        await page.click("Ask", within="header")
        await ask(page, "What are the recommended alert thresholds for HTTP monitoring?", "article .sources")
        await show(page, "answer")
        await page.run("document.querySelector('article button.cite').click()")
        await page.until("document.querySelector('dialog iframe')")
        await asyncio.sleep(20)  # the viewer of the browser tells nobody when it has drawn
        await show(page, "citation")
        await page.click("Close")
        await ask(page, "Plot the requests per month as a chart.", "figure img[src]")
        await page.until("document.querySelector('figure img').naturalWidth > 100")
        await show(page, "chart")
        await page.scheme("dark")
        await show(page, "chart-dark")
        await page.size(*PHONE, phone=True)
        await show(page, "phone-dark")
        await page.scheme("light")
        await page.run("document.querySelector('article').scrollIntoView()")
        await show(page, "phone")


async def ask(page: Page, question: str, answered: str) -> None:
    await page.type("form.question textarea", question)
    await page.press("Enter", code=13)
    await page.until(f"document.querySelector({answered!r}) && !document.querySelector('[aria-busy=true]')")


async def show(page: Page, name: str) -> None:
    path = FOLDER / f"{name}.png"
    await page.picture(path)
    if (size := path.stat().st_size) > MAX_BYTES:
        raise SystemExit(f"{path} has {size:,} bytes; {MAX_BYTES:,} are allowed.")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with Stack(Options(data=data / "data", logs=data / "logs"), environ=dict(os.environ)) as stack:
            asyncio.run(pictures(stack.app_url))


if __name__ == "__main__":
    main()
