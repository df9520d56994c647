"""Events to a custom topic, received by a server that checks them as Event Grid does."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from shared.errors import ServiceBusy, ServiceError
from shared.push.eventgrid import Topic

AT = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
KEY = "a-key-of-the-topic"


class EventGrid(ThreadingHTTPServer):
    """Accepts batches of CloudEvents with one key. Returns the statuses in `answers` first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[int] = []
        self.events: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api/events"


class Handler(BaseHTTPRequestHandler):
    server: EventGrid

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status = self.server.answers.pop(0) if self.server.answers else 200
        if self.headers.get("aeg-sas-key") != KEY:
            status = 401
        if not self.headers["content-type"].startswith("application/cloudevents-batch+json"):
            status = 400
        if status == 200:
            self.server.events += json.loads(body)
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def grid() -> Iterator[EventGrid]:
    with EventGrid() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
async def topic(grid: EventGrid) -> AsyncIterator[Topic]:
    made = Topic(grid.url, key=KEY, client_id=None)
    yield made
    await made.close()


async def publish(topic: Topic) -> None:
    data = {"path": "hr/dööör.md", "status": "indexed"}
    await topic.publish("document.indexed", id="msg_1", subject="documents/hr/dööör.md", at=AT, data=data)


async def test_an_event_in_the_format_of_event_grid(topic: Topic, grid: EventGrid) -> None:
    await publish(topic)
    [event] = grid.events
    assert (event["type"], event["source"], event["id"]) == (
        "AssistantFunctions.DocumentIndexed",
        "/assistant-functions",
        "msg_1",
    )
    assert (event["subject"], event["specversion"]) == ("documents/hr/dööör.md", "1.0")
    assert datetime.fromisoformat(event["time"]) == AT
    assert event["data"]["path"] == "hr/dööör.md"


@pytest.mark.parametrize(("status", "error"), [(429, ServiceBusy), (503, ServiceBusy), (413, ServiceError)])
async def test_an_error_status_is_translated(
    topic: Topic, grid: EventGrid, status: int, error: type[Exception]
) -> None:
    grid.answers = [status]
    with pytest.raises(error) as caught:
        await publish(topic)
    assert isinstance(caught.value, ServiceBusy) == (error is ServiceBusy)
    assert KEY not in str(caught.value)


async def test_a_wrong_key_is_retried_because_new_roles_and_keys_take_minutes(grid: EventGrid) -> None:
    topic = Topic(grid.url, key="wrong", client_id=None)
    with pytest.raises(ServiceBusy):
        await publish(topic)
    await topic.close()


async def test_an_unreachable_topic_is_busy() -> None:
    topic = Topic("http://127.0.0.1:9/api/events", key=KEY, client_id=None)
    with pytest.raises(ServiceBusy):
        await publish(topic)
    await topic.close()
