"""A Chromium that a test drives over the DevTools protocol.

Source: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.local.browser.attacker import CHROMIUM

WITHIN_S = 90
LEFT = (  # what Chromium says of a script whose document has gone
    "Inspected target navigated or closed",
    "Execution context was destroyed.",
    "Cannot find default execution context",
)


class Navigated(AssertionError):
    """The page went to another document while a script ran in it."""


class Page:
    """One tab.

    Attributes:
        problems: Uncaught exceptions, errors on the console, and refusals of the Content-Security-Policy.
        dialogs: The texts of alert, confirm and prompt; each is answered with `prompt_text`.
        requested: The URL of every request.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.problems: list[str] = []
        self.dialogs: list[str] = []
        self.requested: list[str] = []
        self.prompt_text = ""

    async def read(self) -> None:
        async for message in self._socket:
            got = json.loads(message.data)
            if waiting := self._waiting.pop(got.get("id", 0), None):
                if not waiting.done():
                    waiting.set_result(got)
            else:
                await self._note(got.get("method", ""), got.get("params", {}))

    async def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and params["entry"]["source"] in ("security", "violation"):
            self.problems.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"])
            answer = {"accept": True, "promptText": self.prompt_text}
            await self._socket.send_json(
                {"id": next(self._ids), "method": "Page.handleJavaScriptDialog", "params": answer}
            )

    async def call(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        got = await asyncio.wait_for(self._waiting[number], WITHIN_S)
        if got.get("error", {}).get("message") in LEFT:
            raise Navigated(method, got)
        assert "error" not in got, (method, got)
        return got["result"]

    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression, which may be a promise."""
        got = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression is true, and return its value; an element is an empty dict."""
        deadline_s = time.monotonic() + WITHIN_S
        while (value := await self._run_once_there(script)) in (None, False, 0, ""):
            if time.monotonic() > deadline_s:
                text = await self.run("document.body.innerText")
                raise AssertionError(f"{script} did not become true. {self.problems} The page:\n{text}")
            await asyncio.sleep(0.05)
        return value

    async def _run_once_there(self, script: str) -> Any:
        """As `run`; None if the page is just going to another document."""
        try:
            return await self.run(script)
        except Navigated:
            return None

    async def reload(self) -> None:
        """Reload, and wait for the new document: until then, the old one would still answer."""
        await self.run("window.isLeft = true")
        await self.call("Page.reload")
        await self.until("!window.isLeft && document.readyState === 'complete'")

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href.startsWith('http')")

    async def click(self, text: str, *, within: str = "body") -> None:
        """Click the last visible button or link with this text or label."""
        script = f"""[...document.querySelectorAll({json.dumps(within)})].flatMap((e) =>
            [...e.querySelectorAll('button, a, summary')]).filter((e) => e.checkVisibility() && !e.disabled &&
            (e.innerText.trim() === {json.dumps(text)} || e.ariaLabel === {json.dumps(text)})).at(-1)"""
        await self.until(f"Boolean({script})")
        await self.run(f"{script}.click()")

    async def type(self, selector: str, text: str) -> None:
        await self.until(f"Boolean(document.querySelector({json.dumps(selector)}))")
        await self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        await self.call("Input.insertText", text=text)

    async def press(self, key: str, *, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    async def choose_files(self, selector: str, files: list[Path]) -> None:
        """Give files to a file input."""
        found = await self.call("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")
        object_id = found["result"]["objectId"]
        await self.call("DOM.setFileInputFiles", files=[str(file) for file in files], objectId=object_id)

    async def drop(self, selector: str, paths: list[Path]) -> None:
        """Drag files and folders from the desktop onto an element, and let them go."""
        element = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = await self.run(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({element})")
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            await self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    async def size(self, width: int, height: int, *, phone: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )

    async def scheme(self, name: str) -> None:
        """Light or dark."""
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    async def offline(self, is_off: bool) -> None:
        await self._network(is_off, upload_bytes_per_s=-1)

    async def slow_upload(self, *, bytes_per_s: int) -> None:
        await self._network(True, upload_bytes_per_s=-1)  # requests that succeed after it have the new speed
        await self._network(False, upload_bytes_per_s=bytes_per_s)

    async def _network(self, is_off: bool, *, upload_bytes_per_s: int) -> None:
        """Returns when it holds: Chromium answers before its network process has the setting."""
        await self.call(
            "Network.emulateNetworkConditions",
            offline=is_off,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=upload_bytes_per_s,
        )
        answered, failed = ("false", "true") if is_off else ("true", "false")
        await self.until(f"fetch(location.pathname, {{cache: 'no-store'}}).then(() => {answered}, () => {failed})")

    async def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"]))


@contextmanager
def browser() -> Iterator[str]:
    """A Chromium process; yields the address of its DevTools, `http://127.0.0.1:PORT`."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder}"]
        options += ["--disable-extensions", "--disable-component-update", "--disable-background-networking"]
        command = [CHROMIUM, *options, "--remote-debugging-port=0", "--no-proxy-server", "about:blank"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                port_file = Path(folder) / "DevToolsActivePort"
                deadline_s = time.monotonic() + WITHIN_S
                while not (port_file.exists() and len(port_file.read_text().split()) == 2):
                    assert time.monotonic() < deadline_s, "Chromium did not start"
                    time.sleep(0.02)
                yield f"http://127.0.0.1:{port_file.read_text().split()[0]}"
            finally:
                process.kill()


@asynccontextmanager
async def tab(devtools: str) -> AsyncIterator[Page]:
    """An empty tab with a profile of its own: no cookie and no storage of another tab."""
    async with aiohttp.ClientSession(devtools) as session:
        async with session.get("/json/version") as answer:
            of_browser = urlsplit((await answer.json())["webSocketDebuggerUrl"]).path
        async with connected(session, of_browser) as control:
            profile = await control.call("Target.createBrowserContext", disposeOnDetach=True)
            target = await control.call("Target.createTarget", url="about:blank", **profile)
            async with connected(session, f"/devtools/page/{target['targetId']}") as page:
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await page.call(f"{domain}.enable")
                yield page
            await control.call("Target.disposeBrowserContext", **profile)


@asynccontextmanager
async def connected(session: aiohttp.ClientSession, path: str) -> AsyncIterator[Page]:
    async with session.ws_connect(path, max_msg_size=0) as socket:
        page = Page(socket)
        reader = asyncio.create_task(page.read())
        yield page
        reader.cancel()


@asynccontextmanager
async def chromium() -> AsyncIterator[Page]:
    """A tab of a browser of its own."""
    with browser() as devtools:
        async with tab(devtools) as page:
            yield page
