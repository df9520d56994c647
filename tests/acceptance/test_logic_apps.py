"""Callers without code of their own: Logic Apps, Power Automate, and clients made for Durable Functions."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec
import pytest
from openai import OpenAI

from local.client import Client
from local.demo import QUESTIONS
from local.paths import ROOT, SAMPLES
from local.stack.stack import Options, Stack
from shared.http.shapes.hooks import HookView
from shared.http.shapes.runs import RunAccepted, RunEnded, RunFinished
from tests.acceptance import storage
from tests.acceptance.chat_server import ChatServer
from tests.acceptance.logic_apps import Callbacks, Connector, DurableClient, Json, LogicApp, WorkflowFailed, evaluated
from tests.forked import forked

KEY = "the-key/of+the=app"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
FLOWS = ROOT / "infra" / "samples"
PNG = b"\x89PNG\r\n\x1a\n"

HTTP: Json = {
    "type": "Http",
    "inputs": {
        "method": "POST",
        "uri": "@concat(parameters('appUrl'), '/api/runs')",
        "queries": {"code": "@parameters('functionKey')"},
        "headers": {"Content-Type": "application/json"},
        "body": {"question": "@triggerBody()?['question']", "collection": "@triggerBody()?['collection']"},
    },
}
WEBHOOK: Json = {
    "type": "HttpWebhook",
    "inputs": {
        "subscribe": {
            **HTTP["inputs"],
            "body": {"question": "@triggerBody()['question']", "callback_url": "@listCallbackUrl()"},
        },
        "unsubscribe": {},
    },
}
GET_RUN: Json = {
    "type": "Http",
    "inputs": {
        "method": "GET",
        "uri": "@{parameters('appUrl')}/api/runs/@{body('Ask')['data']['id']}",
        "queries": {"code": "@parameters('functionKey')"},
    },
    "runAfter": {"Ask": ["Succeeded"]},
}


@dataclass
class Waits:
    """Records the seconds that a caller would wait, and waits only a moment."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        time.sleep(0.05)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture(scope="module")
def callbacks() -> Iterator[Callbacks]:
    with Callbacks() as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]) -> Iterator[Stack]:
    """A stack that needs function keys, as in Azure, and may call back to this machine. The samples are indexed."""
    folder = Path(tmp_path_factory.mktemp("guarded"))
    environ = {
        **plain_environ,
        "FUNCTIONS_KEY": KEY,
        "FUNCTIONS_MASTER_KEY": "master",
        "CALLBACK_HOSTS": "127.0.0.1",
        "CALLBACK_ALLOW_PRIVATE": "true",
        "CALLBACK_SECRET": SECRET,
    }
    stack = Stack(Options(data=folder / "data", logs=folder / "logs"), environ=environ)
    stack.host.command.append("--auth")
    with forked(stack), Client(stack.app_url, storage=stack.azurite.connection_string) as client:
        names = ("monitoring-guide.pdf", "server-metrics-february.csv")
        for name in names:
            client.drop(SAMPLES / name, name)

        def indexed() -> bool:
            documents = get(f"{stack.app_url}/api/documents").json()["documents"]
            return [document["status"] for document in documents] == ["indexed"] * len(names)

        storage.wait_until(indexed)
        yield stack


@pytest.fixture
def held(chat_server: ChatServer) -> Iterator[ChatServer]:
    """The model of `slow_stack`, which does not answer until the test ends."""
    chat_server.hold()
    yield chat_server
    chat_server.release()


def get(url: str) -> httpx2.Response:
    return httpx2.get(url, headers={"x-functions-key": KEY}, trust_env=False)


def as_described(payload: Json, type: Any) -> Any:
    """The part of the payload that the described type has; the whole payload, if the description is complete."""
    return json.loads(msgspec.json.encode(msgspec.convert(payload, type)))


def workflow(stack: Stack, callbacks: Callbacks, waits: Waits, definition: Json, **options: Any) -> LogicApp:
    parameters = {"appUrl": stack.app_url, "functionKey": KEY}
    return LogicApp(definition, parameters=parameters, wait=waits, callbacks=callbacks, **options)


# ---- the asynchronous pattern ----------------------------------------------------------------------------------------


def test_an_http_action_waits_until_the_run_has_ended(guarded: Stack, callbacks: Callbacks, waits: Waits) -> None:
    flow = workflow(guarded, callbacks, waits, {"actions": {"Ask": HTTP}}).run({"question": QUESTIONS[0]})
    ask = flow.outputs["Ask"]
    assert (ask["statusCode"], ask["body"]["status"], ask["body"]["runtimeStatus"]) == (200, "completed", "Completed")
    assert ask["body"]["citations"]
    assert ask["body"]["output"] == ask["body"]["answer"]
    assert waits.seconds
    assert all(1 <= seconds <= 30 for seconds in waits.seconds)


def test_a_key_in_a_header_is_not_repeated_for_location(guarded: Stack, callbacks: Callbacks, waits: Waits) -> None:
    inputs = {
        **HTTP["inputs"],
        "queries": None,
        "headers": {"Content-Type": "application/json", "x-functions-key": KEY},
    }
    with pytest.raises(WorkflowFailed, match="401"):
        workflow(guarded, callbacks, waits, {"actions": {"Ask": {**HTTP, "inputs": inputs}}}).run({"question": "Why?"})


def test_without_the_asynchronous_pattern_a_flow_polls(guarded: Stack, callbacks: Callbacks, waits: Waits) -> None:
    ask = {**HTTP, "operationOptions": "DisableAsyncPattern"}
    look = {
        "type": "Http",
        "inputs": {"method": "GET", "uri": "@outputs('Ask')['headers']['location']"},
        "runAfter": {"Ask": ["Succeeded"]},
    }
    flow = workflow(guarded, callbacks, waits, {"actions": {"Look": look, "Ask": ask}}).run({"question": "Why?"})
    assert flow.outputs["Ask"]["statusCode"] == 202
    assert flow.outputs["Look"]["body"]["id"] == flow.outputs["Ask"]["body"]["id"]


def test_an_invalid_question_fails_the_action(guarded: Stack, callbacks: Callbacks, waits: Waits) -> None:
    with pytest.raises(WorkflowFailed, match="collection_not_found"):
        flow = workflow(guarded, callbacks, waits, {"actions": {"Ask": HTTP}})
        flow.run({"question": "Why?", "collection": "nowhere"})
    assert waits.seconds == []


def test_an_expired_run_ends_the_wait(slow_stack: Stack, held: ChatServer, callbacks: Callbacks, waits: Waits) -> None:
    ask = {**HTTP, "inputs": {**HTTP["inputs"], "body": {"question": "How long?", "max_seconds": 1}}}
    flow = workflow(slow_stack, callbacks, waits, {"actions": {"Ask": ask}}).run({})
    body = flow.outputs["Ask"]["body"]
    assert (flow.outputs["Ask"]["statusCode"], body["status"], body["runtimeStatus"]) == (200, "expired", "Failed")
    assert body["error"]["code"] == "expired"


# ---- webhooks --------------------------------------------------------------------------------------------------------


def test_a_webhook_action_is_called_back_once(guarded: Stack, callbacks: Callbacks, waits: Waits) -> None:
    definition = {"actions": {"Ask": WEBHOOK, "Get": GET_RUN}}
    flow = workflow(guarded, callbacks, waits, definition).run({"question": QUESTIONS[0]})
    notice = msgspec.convert(flow.outputs["Ask"]["body"], RunFinished)
    assert notice.data.status == "completed"
    assert flow.outputs["Get"]["statusCode"] == 200
    assert flow.outputs["Get"]["body"]["id"] == notice.data.id
    assert waits.seconds == []


def test_a_connector_made_from_the_apps_definition(guarded: Stack, callbacks: Callbacks) -> None:
    definition = httpx2.get(f"{guarded.app_url}/api/swagger.json", trust_env=False).json()
    connector = Connector(definition, key=KEY)
    url = callbacks.new()
    location = connector.subscribe(url)
    assert location.startswith(f"{guarded.app_url}/api/hooks/hook_")
    assert storage.names(guarded, "state", "hooks/") == [f"hooks/{location.rpartition('/')[2]}.json"]

    run_id = connector.call("StartRun", {"question": QUESTIONS[0]}).json()["id"]
    headers, body = callbacks.next(url)
    with OpenAI(api_key="none", webhook_secret=SECRET) as client:
        client.webhooks.verify_signature(body, headers)
    notice = msgspec.json.decode(body, type=RunFinished)
    assert (notice.data.id, notice.data.status) == (run_id, "completed")
    assert json.loads(body).keys() <= connector.notification_fields()
    assert connector.call("GetRun", id=run_id).json()["answer"]
    assert run_id in {run["id"] for run in connector.call("ListRuns", limit=5, status="completed").json()["runs"]}

    connector.unsubscribe(location)
    assert storage.names(guarded, "state", "hooks/") == []
    connector.unsubscribe(location)  # unsubscribing again is not an error
    other = callbacks.new()
    connector.call("StartRun", {"question": "Is anybody told?", "callback_url": other})
    callbacks.next(other)
    assert callbacks.waiting(url) == 0
    connector.close()


def test_a_hook_needs_the_key(guarded: Stack, callbacks: Callbacks) -> None:
    body = {"callback_url": callbacks.new()}
    url = f"{guarded.app_url}/api/hooks"
    assert httpx2.post(url, json=body, trust_env=False).status_code == 401
    made = httpx2.post(url, params={"code": KEY}, json=body, trust_env=False)
    msgspec.json.decode(made.content, type=HookView)
    assert made.status_code == 201
    gone = httpx2.delete(made.headers["Location"], trust_env=False)  # the URL contains the key
    assert gone.status_code == 204


# ---- the samples of infra/ -------------------------------------------------------------------------------------------


@dataclass
class Mail:
    """The operation of the Office 365 connector that the samples use."""

    sent: list[Json] = field(default_factory=list)

    def __call__(self, inputs: Json) -> None:
        assert (inputs["method"], inputs["path"]) == ("post", "/v2/Mail")
        self.sent.append(inputs["body"])


def sample(name: str) -> Json:
    """The definition of a sample workflow of either plan. `Mail` replaces its connections."""
    path = FLOWS / name
    if not path.exists():
        pytest.skip("infra/samples is not in this checkout")
    workflow: Json = json.loads(path.read_text())
    definition: Json = workflow.get("definition", workflow)
    return json.loads(json.dumps(definition).replace("@parameters('$connections')", "office365"))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "plan", ["logic-app-consumption/run-and-mail.json", "logic-app-standard/run-and-mail/workflow.json"]
)
def test_the_sample_that_mails_an_answer_and_its_charts(
    guarded: Stack, callbacks: Callbacks, waits: Waits, plan: str
) -> None:
    mail = Mail()
    flow = workflow(guarded, callbacks, waits, sample(plan), connections=mail)
    flow.run({"question": QUESTIONS[1], "mail_to": "team@example.com"})
    (sent,) = mail.sent
    assert sent["To"] == "team@example.com"
    assert "<pre># " in sent["Body"]
    assert sent["Attachments"]
    assert all(base64.b64decode(chart["ContentBytes"]).startswith(PNG) for chart in sent["Attachments"])


@pytest.mark.parametrize(
    "plan", ["logic-app-consumption/run-with-callback.json", "logic-app-standard/run-with-callback/workflow.json"]
)
def test_the_sample_with_a_callback(guarded: Stack, callbacks: Callbacks, waits: Waits, plan: str) -> None:
    mail = Mail()
    flow = workflow(guarded, callbacks, waits, sample(plan), connections=mail)
    flow.run({"question": QUESTIONS[0], "mail_to": "team@example.com"})
    assert flow.ended == "Succeeded"
    (sent,) = mail.sent
    assert QUESTIONS[0] in sent["Body"]


# ---- Durable Functions -----------------------------------------------------------------------------------------------


@pytest.fixture
def durable(waits: Waits) -> Iterator[DurableClient]:
    client = DurableClient(wait=waits)
    yield client
    client.close()


def test_a_client_of_durable_functions_waits_and_purges(guarded: Stack, durable: DurableClient) -> None:
    payload = durable.start(f"{guarded.app_url}/api/runs?code={quote(KEY, safe='')}", {"question": QUESTIONS[0]})
    assert as_described(payload, RunAccepted) == payload
    status = durable.wait(payload)
    assert as_described(status, RunEnded) == status
    assert status["runtimeStatus"] == "Completed"
    assert status["output"]
    assert payload["createdTime"] == status["createdTime"] <= status["lastUpdatedTime"]
    assert durable.purge(payload) == 404


def test_a_client_of_durable_functions_terminates(slow_stack: Stack, held: ChatServer, durable: DurableClient) -> None:
    payload = durable.start(f"{slow_stack.app_url}/api/runs", {"question": "Will this ever end?"})
    assert durable.status(payload)["runtimeStatus"] in ("Pending", "Running")
    durable.terminate(payload)
    assert durable.wait(payload)["runtimeStatus"] == "Terminated"


# ---- the workflow engine of these tests ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("@@at", "@at"),
        ("@body('Ask')['a']['b'][0]", 1),
        ("@body('Ask')?['x']?['y']", None),
        ("@coalesce(body('Ask')?['x'], 'it''s none')", "it's none"),
        ("x-@{body('Ask')['n']}-@{concat('a', 'b')}", "x-5-ab"),
        ({"list": ["@body('Ask')['n']", 2, None]}, {"list": [5, 2, None]}),
    ],
)
def test_expressions(template: Any, value: Any) -> None:
    body = {"a": {"b": [1]}, "n": 5}
    functions: dict[str, Callable[..., Any]] = {
        "body": lambda name: body,
        "concat": lambda *texts: "".join(texts),
        "coalesce": lambda *values: next((value for value in values if value is not None), None),
    }
    assert evaluated(template, functions) == value


@pytest.mark.parametrize("template", ["@body('Ask')['x']", "@nothing()", "@body('Ask'", "@body('Ask') x", "@"])
def test_an_invalid_expression_fails(template: str) -> None:
    with pytest.raises(WorkflowFailed):
        evaluated(template, {"body": lambda name: {}})
