"""The pictures of the page and of the terminal in `docs/pictures`, made from the running app.

`python -m docs.make_pictures` starts a stack with the samples, works with the page in Chromium and with `chat`, and
writes PNGs.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

from local.client import Client
from local.commands.chat import chat
from local.commands.lines import PROMPT
from local.commands.pictures import Charts
from local.paths import ROOT
from local.stack.stack import Options, Stack
from local.terminal import Terminal
from tests.local.browser.chromium import Page, chromium

FOLDER = ROOT / "docs" / "pictures"
SAMPLES = ROOT / "samples"
FILES = ("monitoring-guide.pdf", "monthly-metrics.csv", "q4-incident-report.md")
MAX_BYTES = 150_000
QUESTION = "What are the recommended alert thresholds for HTTP monitoring?"
COLUMNS = 100
DESKTOP, PHONE = (1100, 760), (390, 780)


async def pictures(app: str) -> None:
    async with chromium() as page:
        await page.size(*DESKTOP)
        await page.scheme("light")
        await page.open(f"{app}/#documents")
        await page.until("document.querySelector('.drop')")
        await page.choose_files("input[type=file]", [SAMPLES / name for name in FILES])
        await page.until(f"document.querySelectorAll('tbody .indexed').length === {len(FILES)}")
        await page.until(f"document.querySelectorAll('.uploads .indexed').length === {len(FILES)}")
        await show(page, "documents")
        await page.click("Ask", within="header")
        await ask(page, QUESTION, "article .sources")
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


class Typed:
    """What a user types in the terminal, which shows it."""

    def __init__(self, console: Console, *lines: str) -> None:
        self._console = console
        self._lines = iter(lines)

    def read(self) -> str:
        line = next(self._lines)
        self._console.print(Text.assemble((PROMPT, "bold green"), line))
        return line


def chatted(app: str) -> str:
    """A chat as SVG, with the fonts of the machine."""
    console = Console(
        file=io.StringIO(),
        record=True,
        force_terminal=True,
        force_interactive=False,  # no spinner
        color_system="truecolor",
        width=COLUMNS,
        highlight=False,
        markup=False,
    )
    with Client(app, storage=None) as client, tempfile.TemporaryDirectory() as folder:
        typed = Typed(console, "/files", QUESTION, "/cost", "/quit")
        chat(Terminal(console), client, typed, collection=None, thread_id=None, charts=Charts(Path(folder)))
    svg = console.export_svg(title="python -m local chat")
    return re.sub(r"@font-face\s*{[^}]*}", "", svg)


async def terminal_picture(svg: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chat.svg"
        file.write_text(svg, encoding="utf-8")
        async with chromium() as page:
            await page.call("Page.navigate", url=file.as_uri())
            await page.until("document.readyState === 'complete' && Boolean(document.querySelector('svg'))")
            box = await page.run("(({width, height}) => [width, height])(document.rootElement.viewBox.baseVal)")
            await page.size(round(box[0]), round(box[1]))
            await show(page, "terminal")


async def ask(page: Page, question: str, answered: str) -> None:
    await page.type("form.question textarea", question)
    await page.press("Enter", code=13)
    await page.until(f"document.querySelector({answered!r}) && !document.querySelector('[aria-busy=true]')")


async def show(page: Page, name: str) -> None:
    path = FOLDER / f"{name}.png"
    await page.picture(path)
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    if (size := path.stat().st_size) > MAX_BYTES:
        raise SystemExit(f"{path} has {size:,} bytes; {MAX_BYTES:,} are allowed.")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with Stack(Options(data=data / "data", logs=data / "logs"), environ=dict(os.environ)) as stack:
            asyncio.run(pictures(stack.app_url))
            asyncio.run(terminal_picture(chatted(stack.app_url)))  # `chat` handles signals, in the main thread only


if __name__ == "__main__":
    main()
