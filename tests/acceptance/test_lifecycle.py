"""All ways to start, follow, control and end a run, over HTTP with real processes."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import openai
import pytest
from standardwebhooks import Webhook

from local.stack.stack import Stack
from tests.acceptance import storage
from tests.acceptance.api import Api, Json
from tests.acceptance.chat_server import ChatServer
from tests.acceptance.conftest import CALLBACK_SECRET, WEBHOOK_SECRET
from tests.acceptance.receiver import Receiver

counter = itertools.count(1)
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@pytest.fixture
def api(slow_stack: Stack, chat_server: ChatServer) -> Iterator[Api]:
    chat_server.release()
    made = Api(slow_stack.app_url)
    yield made
    chat_server.release()
    made.http.close()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def word(chat_server: ChatServer) -> str:
    """A word that only the questions of this test have, to select the behaviour of the chat server."""
    return f"parrot{next(counter)}x"


# ---- cancel, delete, list --------------------------------------------------------------------------------------------


def test_cancel_a_running_run(api: Api, chat_server: ChatServer, slow_stack: Stack) -> None:
    chat_server.hold()
    run = api.ask("Does this ever end?")
    api.until(run, "in_progress")
    seen = api.http.post(run["terminatePostUri"])
    assert (seen.status_code, seen.json()["status"]) == (202, "cancelling")
    ended = api.until(run, "cancelled")
    assert (ended["runtimeStatus"], ended["error"]["code"]) == ("Terminated", "cancelled")
    assert storage.read_json(slow_stack, "answers", f"{run['id']}/answer.json")["status"] == "cancelled"
    assert api("POST", f"/runs/{run['id']}/cancel", 200)["status"] == "cancelled"


def test_cancel_a_queued_run(api: Api, slow_stack: Stack) -> None:
    assert slow_stack.emulator
    slow_stack.emulator.kill()
    try:
        run = api.ask("Is the service there?")
        assert run["status"] == "queued"
        assert api("POST", f"/runs/{run['id']}/cancel", 200)["status"] == "cancelled"
    finally:
        slow_stack.start_again(slow_stack.emulator)


def test_cancel_a_run_that_waits_for_outputs(api: Api, chat_server: ChatServer, word: str) -> None:
    chat_server.calls(word, [("weather", "{}")])
    run = api.ask(f"How is the {word}?", tools=[WEATHER])
    [call] = api.until(run, "requires_action")["calls"]
    assert api("POST", f"/runs/{run['id']}/cancel", 200)["status"] == "cancelled"
    late = {"tool_outputs": [{"call_id": call["call_id"], "output": "sun"}]}
    assert api.problem("POST", f"/runs/{run['id']}/tool_outputs", 409, late) == "run_ended"


def test_delete_removes_everything(api: Api, slow_stack: Stack) -> None:
    run = api.until(api.ask("What is to be forgotten?"), "completed")
    with openai.OpenAI(base_url=slow_stack.service.base_url, api_key="local") as service:
        record = storage.read_json(slow_stack, "state", f"runs/{run['id']}.json")
        [engine_run] = record["engine_runs"]
        assert service.responses.retrieve(engine_run).id == engine_run
        api("DELETE", f"/runs/{run['id']}", 204)
        with pytest.raises(openai.NotFoundError):
            service.responses.retrieve(engine_run)
    assert api.problem("GET", f"/runs/{run['id']}", 404) == "run_not_found"
    assert api.problem("DELETE", f"/runs/{run['id']}", 404) == "run_not_found"
    assert storage.names(slow_stack, "answers", run["id"]) == []
    assert storage.names(slow_stack, "state", f"runs/{run['id']}") == []


def test_delete_a_running_run(api: Api, chat_server: ChatServer, slow_stack: Stack) -> None:
    chat_server.hold()
    run = api.ask("Is this wanted?")
    api("DELETE", f"/runs/{run['id']}", 204)
    chat_server.release()
    api.until(api.ask("Is this?", thread_id=run["thread_id"]), "completed")
    assert storage.names(slow_stack, "answers", run["id"]) == []
    assert storage.names(slow_stack, "state", f"active/{run['id']}") == []


# ---- other final statuses --------------------------------------------------------------------------------------------


def end_of(api: Api, stack: Stack, run: Json, status: str, runtime_status: str) -> Json:
    """`answer.json` of a run that ends with this status. API and listing must show the same status and error."""
    api.until(run, status)
    answer = storage.read_json(stack, "answers", f"{run['id']}/answer.json")
    shown = api("GET", f"/runs/{run['id']}", 200)
    assert (shown["status"], shown["runtimeStatus"]) == (status, runtime_status)
    assert [shown[name] for name in ("status", "answer", "error")] == [
        answer[name] for name in ("status", "answer", "error")
    ]
    listed = api("GET", f"/runs?status={status}&thread_id={run['thread_id']}", 200)["runs"]
    assert [found["id"] for found in listed] == [run["id"]]
    return answer


def test_a_run_that_takes_too_long_expires(api: Api, chat_server: ChatServer, slow_stack: Stack) -> None:
    chat_server.hold()
    run = api.ask("Does this ever end?", max_seconds=1)
    answer = end_of(api, slow_stack, run, "expired", "Failed")
    why = {"code": "expired", "message": "The run did not end within 1 s.", "retryable": True}
    assert (answer["answer"], answer["error"]) == (None, why)
    [engine_run] = storage.read_json(slow_stack, "state", f"runs/{run['id']}.json")["engine_runs"]
    with openai.OpenAI(base_url=slow_stack.service.base_url, api_key="local") as service:
        assert service.responses.retrieve(engine_run).status == "cancelled"
    chat_server.release()
    api.until(api.ask("And now?", thread_id=run["thread_id"]), "completed")


def test_a_truncated_answer_is_kept(api: Api, chat_server: ChatServer, word: str, slow_stack: Stack) -> None:
    limit = 16
    words = [f"word{n}" for n in range(3 * limit)]
    chat_server.says(word, " ".join(words))
    api("PUT", "/assistants/short", 200, {"max_output_tokens": limit})
    run = api.ask(f"Tell me of {word}!", assistant="short")
    answer = end_of(api, slow_stack, run, "incomplete", "Completed")
    why = {"code": "max_output_tokens", "message": "The model stopped early: max_output_tokens.", "retryable": False}
    assert (answer["answer"], answer["error"]) == (" ".join(words[:limit]), why)
    assert answer["usage"]["output_tokens"] == limit
    whole = api.until(api.ask(f"Tell me of {word}!", thread_id=run["thread_id"]), "completed")
    assert whole["answer"] == " ".join(words)


def test_a_run_that_the_service_rejects_fails(api: Api, chat_server: ChatServer, word: str, slow_stack: Stack) -> None:
    asked = chat_server.asked
    chat_server.refuses(word, "context_length_exceeded", "That is more than this model can read.")
    run = api.ask(f"What is in {word}?")
    answer = end_of(api, slow_stack, run, "failed", "Failed")
    assert not answer["answer"]
    assert (answer["error"]["code"], answer["error"]["retryable"]) == ("invalid_prompt", False)
    assert "That is more than this model can read." in answer["error"]["message"]
    assert chat_server.asked == asked + 1
    api.until(api.ask("And this?", thread_id=run["thread_id"]), "completed")


# ---- threads, messages, assistants -----------------------------------------------------------------------------------


def test_a_thread_continues_after_the_service_has_lost_it(api: Api, slow_stack: Stack) -> None:
    first = api.until(api.ask("First?"), "completed")
    record = storage.read_json(slow_stack, "state", f"runs/{first['id']}.json")
    with openai.OpenAI(base_url=slow_stack.service.base_url, api_key="local") as service:
        service.responses.delete(record["engine_runs"][-1])
    second = api.until(api.ask("Second?", thread_id=first["thread_id"]), "completed")
    again = "the thread's messages were sent again as text"
    assert any(again in note for note in second["notes"])
    third = api.until(api.ask("Third?", thread_id=first["thread_id"]), "completed")
    assert not any(again in note for note in third["notes"])


# ---- functions -------------------------------------------------------------------------------------------------------


def test_functions_of_the_caller(api: Api, chat_server: ChatServer, word: str, slow_stack: Stack) -> None:
    chat_server.calls(word, [("weather", '{"city": "Rome"}'), ("weather", '{"city": "Oslo"}')], [("weather", "{}")])
    run = api.ask(f"How is the {word}?", tools=[WEATHER])
    waiting = api.until(run, "requires_action")
    where = f"/runs/{run['id']}/tool_outputs"
    one, two = waiting["calls"]
    assert (one["name"], json.loads(one["arguments"])) == ("weather", {"city": "Rome"})
    assert waiting["runtimeStatus"] == "Running"

    def outputs(*pairs: tuple[Json, str]) -> Json:
        return {"tool_outputs": [{"call_id": call["call_id"], "output": output} for call, output in pairs]}

    partial = api("POST", where, 202, outputs((one, "sun")))
    assert (partial["status"], partial["calls"]) == ("requires_action", [two])
    api("POST", where, 202, outputs((one, "sun")))
    assert api.problem("POST", where, 409, outputs((one, "fog"))) == "output_already_given"
    assert api.problem("POST", where, 400, outputs(({"call_id": "call_none"}, "x"))) == "unknown_call_id"
    assert api.problem("POST", where, 400, outputs((two, "a"), (two, "b"))) == "duplicate_output"
    assert api.problem("POST", where, 413, outputs((two, "x" * 300_000))) == "output_too_large"
    api("POST", where, 202, outputs((two, "snow")))

    def second_round() -> bool:
        waiting.update(api.http.get(f"/runs/{run['id']}").json())
        return waiting["status"] == "requires_action" and waiting["calls"] and waiting["calls"][0] not in (one, two)

    storage.wait_until(second_round)
    api("POST", where, 202, outputs((waiting["calls"][0], "hail")))
    ended = api.until(run, "completed")
    assert "I was told: sun, snow, hail." in ended["answer"]
    assert ended["usage"]["input_tokens"] == 30, "all three responses are counted"
    assert api.http.post(where, json=outputs((one, "sun"))).status_code == 200
    assert len(storage.read_json(slow_stack, "state", f"runs/{run['id']}.json")["engine_runs"]) == 3


def test_a_function_of_the_app(api: Api, chat_server: ChatServer, word: str) -> None:
    api("PUT", "/assistants/clock", 200, {"functions": ["current_time"]})
    chat_server.calls(
        word, [("current_time", '{"time_zone": "Asia/Tokyo"}')], [("current_time", '{"time_zone": "X/Y"}')]
    )
    run = api.until(api.ask(f"What time is {word}?", assistant="clock"), "completed")
    assert "+09:00" in run["answer"]
    assert "There is no time zone" in run["answer"]


def test_functions_of_app_and_caller_in_one_run(api: Api, chat_server: ChatServer, word: str) -> None:
    api("PUT", "/assistants/clock", 200, {"functions": ["current_time"]})
    chat_server.calls(word, [("current_time", "{}"), ("weather", "{}")])
    run = api.ask(f"Tell me of {word}!", assistant="clock", tools=[WEATHER])
    [call] = api.until(run, "requires_action")["calls"]
    assert call["name"] == "weather"
    body = {"tool_outputs": [{"call_id": call["call_id"], "output": "sun"}]}
    api("POST", f"/runs/{run['id']}/tool_outputs", 202, body)
    answer = api.until(run, "completed")["answer"]
    assert "+00:00" in answer
    assert "sun" in answer


# ---- documents, keys -------------------------------------------------------------------------------------------------


def test_an_idempotency_key_starts_one_run(api: Api, chat_server: ChatServer) -> None:
    asked = chat_server.asked
    key = {"Idempotency_Key": f"order {next(counter)}"}
    first = api("POST", "/runs", 202, {"question": "Only once?"}, **key)
    again = api("POST", "/runs", 202, {"question": "Only once?"}, **key)
    assert again["id"] == first["id"]
    assert api.problem("POST", "/runs", 409, {"question": "Another?"}, **key) == "idempotency_key_reused"
    api.until(first, "completed")
    assert chat_server.asked == asked + 1
    assert api.problem("POST", "/runs", 400, {"question": "Hi"}, Idempotency_Key="x" * 256) == "invalid_idempotency_key"


# ---- callbacks and hooks ---------------------------------------------------------------------------------------------


def unwrapped(received: Any) -> Json:
    """The event, after the `openai` SDK has verified its signature (Standard Webhooks)."""
    with openai.OpenAI(api_key="none") as sdk:
        sdk.webhooks.verify_signature(received.body, received.headers, secret=CALLBACK_SECRET)
        with pytest.raises(openai.InvalidWebhookSignatureError):
            sdk.webhooks.verify_signature(received.body + b" ", received.headers, secret=CALLBACK_SECRET)
    found: Json = json.loads(received.body)
    return found


def test_a_callback_is_delivered_and_signed(api: Api, receiver: Receiver, slow_stack: Stack) -> None:
    url = f"{receiver.url}/one?sig=do-not-tell"
    run = api.ask("Tell me later?", callback_url=url, metadata={"team": "a"})
    storage.wait_until(lambda: len(receiver.ids("/one")) == 1)
    event = unwrapped(receiver.at("/one")[0])
    assert event["type"] == "run.finished"
    assert event["data"] == {
        "id": run["id"],
        "thread_id": run["thread_id"],
        "status": "completed",
        "metadata": {"team": "a"},
    }
    assert api.until(run, "completed")["status"] == "completed"
    assert "do-not-tell" not in slow_stack.host.output()


def test_a_callback_is_retried_after_an_error(api: Api, receiver: Receiver) -> None:
    receiver.answers.append(503)
    api.ask("Tell me later?", callback_url=f"{receiver.url}/two")
    storage.wait_until(lambda: len(receiver.at("/two")) >= 2)
    one, two, *_ = receiver.at("/two")
    assert one.headers["webhook-id"] == two.headers["webhook-id"]
    assert unwrapped(two)["type"] == "run.finished"


@pytest.mark.parametrize("url", ["http://127.0.0.2/x", "https://elsewhere.example/x", "ftp://127.0.0.1/x", "", "x"])
def test_a_callback_to_another_host_is_rejected(api: Api, url: str) -> None:
    body = {"question": "Hi", "callback_url": url}
    assert api.problem("POST", "/runs", 400, body) in ("callback_not_allowed", "invalid_callback_url")
    assert api.problem("POST", "/hooks", 400, {"callback_url": url}) in ("callback_not_allowed", "invalid_callback_url")


def test_a_hook_from_subscribe_to_unsubscribe(api: Api, receiver: Receiver) -> None:
    response = api.http.post("/hooks", json={"callback_url": f"{receiver.url}/hook"})
    assert response.status_code == 201
    where = response.headers["location"]
    assert where.endswith(response.json()["id"])
    run = api.ask("Who is told?")
    storage.wait_until(lambda: len(receiver.ids("/hook")) == 1)
    assert unwrapped(receiver.at("/hook")[0])["data"]["id"] == run["id"]
    assert api.http.delete(where).status_code == 204
    api.until(api.ask("And now?", callback_url=f"{receiver.url}/after"), "completed")
    storage.wait_until(lambda: len(receiver.ids("/after")) == 1)
    assert len(receiver.ids("/hook")) == 1


# ---- the webhook of the model service --------------------------------------------------------------------------------


def test_the_webhook_of_the_model_service(api: Api, chat_server: ChatServer, slow_stack: Stack) -> None:
    """A signed event is accepted, any other is rejected."""
    run = api.until(api.ask("Who is there?"), "completed")
    [engine_run] = storage.read_json(slow_stack, "state", f"runs/{run['id']}.json")["engine_runs"]
    event = {
        "id": "evt_1",
        "object": "event",
        "type": "response.completed",
        "created_at": 1,
        "data": {"id": engine_run},
    }
    body = json.dumps(event).encode()
    headers = signed(body)
    for _ in range(2):
        assert api.http.post("/webhooks/openai", content=body, headers=headers).status_code == 204
    unknown = json.dumps({**event, "data": {"id": "resp_none"}}).encode()
    assert api.http.post("/webhooks/openai", content=unknown, headers=signed(unknown)).status_code == 204
    for bad in (
        {**headers, "webhook-signature": "v1,AAAA"},
        {**headers, "webhook-id": "evt_2"},
        {**headers, "webhook-timestamp": "1"},
        {name: value for name, value in headers.items() if name != "webhook-signature"},
    ):
        refused = api.http.post("/webhooks/openai", content=body, headers=bad)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_signature"), bad


def signed(body: bytes) -> dict[str, str]:
    """The headers that the service sends. The app verifies them with the openai SDK."""
    at = datetime.now(UTC)
    return {
        "content-type": "application/json",
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(WEBHOOK_SECRET).sign("evt_1", at, body.decode()),
    }
