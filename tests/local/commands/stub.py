"""A stand-in for a deployed app: it wants a key, and its runs end when the test says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

USAGE = ("input_tokens", "cached_tokens", "output_tokens", "file_search_calls", "code_interpreter_calls")
RUN_ID = "run_111111111111111111111111"
THREAD_ID = "thread_111111111111111111111111"
KEY = "a-key"
TOKEN = "a-token"


class App:
    """The state of the stand-in.

    Attributes:
        seen: Method and path of each request, in order.
        asked: The bodies of the questions.
        keys: The keys that requests brought.
        failures: Status codes of the next answers to looks at a run, before it answers as usual.
        runs_end: Whether a run ends by itself; else it ends when it is cancelled.
        looked: Set at each look at a run that has not ended.
        signs_in: Whether it redirects requests without a token to a sign-in page.
        page: What every request gets instead, as HTML.
    """

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.failures: list[int] = []
        self.runs_end = True
        self.answer = "It is 42."
        self.cancelled = False
        self.looked = Event()
        self.signs_in = False
        self.page = ""

    def run(self) -> tuple[int, dict[str, Any]]:
        base = {"id": RUN_ID, "thread_id": THREAD_ID, "steps": [], "question": "What?", "citations": [], "charts": []}
        if not (self.runs_end or self.cancelled):
            self.looked.set()
            return 202, {**base, "status": "in_progress"}
        status = "cancelled" if self.cancelled else "completed"
        answer = None if self.cancelled else self.answer
        ended = {"finished_at": "2026-01-01T00:00:01Z", "status": status, "answer": answer}
        return 200, {**base, **ended, "usage": dict.fromkeys(USAGE, 0)}

    def reply(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
        if path == "/api/runs" and method == "POST":
            self.asked.append(json.loads(body))
            self.cancelled = False
            return 202, {"id": RUN_ID, "thread_id": THREAD_ID}
        if path.endswith("/cancel"):
            self.cancelled, self.runs_end = True, True
            return 202, {}
        if path.startswith("/api/runs/"):
            return (self.failures.pop(0), {}) if self.failures else self.run()
        if path == "/api/documents":
            return 200, {"documents": [], "cursor": None}
        return 404, {"detail": f"There is no {path}.", "code": "not_found"}


@contextmanager
def deployed() -> Iterator[App]:
    """A running stand-in."""
    app = App()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            app.seen.append(f"{self.command} {self.path}")
            app.keys.append(self.headers.get("x-functions-key"))
            if app.page:
                self.send(200, app.page.encode(), "text/html")
            elif app.signs_in and not self.headers.get("Authorization"):
                self.send(302, b"", "text/html")
            elif self.headers.get("x-functions-key") != KEY and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.send(401, b"", "text/plain")
            else:
                status, value = app.reply(self.command, parts.path, parse_qs(parts.query), body)
                self.send(status, json.dumps(value).encode(), "application/json")

        def send(self, status: int, body: bytes, media_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            if status == 302:
                self.send_header("Location", "https://login.example/authorize")
            if status == 202:
                self.send_header("Location", f"{app.url}/api/runs/{RUN_ID}")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    app.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield app
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
