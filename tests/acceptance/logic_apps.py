"""Emulates callers of the app: Logic Apps workflows, a custom connector, and a client of Durable Functions.

The workflow language is covered as far as samples and tests use it; anything else fails. The HTTP behaviour is that of
Logic Apps: after a 202 it follows `Location`, which must be absolute, after `Retry-After` seconds or 20. Each further
202 must have a `Location`; any other status ends the wait. These requests do not repeat the headers of the first one. A
webhook action subscribes with its own callback URL, waits for one POST to it, and then unsubscribes.

Sources: https://learn.microsoft.com/azure/logic-apps/logic-apps-create-api-app,
https://learn.microsoft.com/azure/logic-apps/logic-apps-workflow-actions-triggers,
https://learn.microsoft.com/azure/logic-apps/workflow-definition-language-functions-reference,
https://learn.microsoft.com/connectors/custom-connectors/create-webhook-trigger
"""

import base64
import json
import queue
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2

Json = dict[str, Any]
Wait = Callable[[float], None]

DEFAULT_WAIT_S = 20.0
CALLBACK_WITHIN_S = 60.0
POLLS_MAX = 400


class WorkflowFailed(Exception):
    """An action failed, or the definition uses something that this engine does not support."""


class Callbacks:
    """An HTTP server that makes callback URLs and keeps the requests to them."""

    def __init__(self) -> None:
        self._posts: dict[str, queue.Queue[tuple[dict[str, str], bytes]]] = {}
        self._numbers = count(1)
        posts = self._posts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                known = self.path in posts
                if known:
                    posts[self.path].put(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(200 if known else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def new(self) -> str:
        """A new callback URL, with a signature in its query as in Logic Apps."""
        path = f"/workflows/w/runs/r{next(self._numbers)}?api-version=2016-06-01&sig=do-not-tell"
        self._posts[path] = queue.Queue()
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def next(self, url: str, *, within_s: float = CALLBACK_WITHIN_S) -> tuple[dict[str, str], bytes]:
        """Headers (names in lower case) and body of the next POST. Raises WorkflowFailed when there is none in time."""
        parts = urlsplit(url)
        try:
            return self._posts[f"{parts.path}?{parts.query}"].get(timeout=within_s)
        except queue.Empty:
            raise WorkflowFailed(f"There was no callback within {within_s} s.") from None

    def waiting(self, url: str) -> int:
        """The number of POSTs that `next` has not returned yet."""
        parts = urlsplit(url)
        return self._posts[f"{parts.path}?{parts.query}"].qsize()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class LogicApp:
    """One run of a workflow definition.

    Args:
        wait: Called instead of waiting, with the seconds that Logic Apps would wait.
        connections: Replaces all managed connectors: gets the inputs of an ApiConnection action, returns its body.

    Attributes:
        outputs: `body`, `headers` and `statusCode` of each HTTP action that has ended, by name.
        ended: `Succeeded`, or the status and code of a Terminate action.
    """

    def __init__(
        self,
        definition: Json,
        *,
        parameters: Json,
        wait: Wait,
        callbacks: Callbacks,
        connections: Callable[[Json], Any] = lambda inputs: None,
    ) -> None:
        self._definition = definition
        self._wait = wait
        self._callbacks = callbacks
        self._connections = connections
        self._callback_url = ""
        self._http = httpx2.Client(timeout=60, trust_env=False)
        self.outputs: dict[str, Json] = {}
        self.ended = ""
        self._variables: Json = {}
        self._items: Json = {}
        self._functions: dict[str, Callable[..., Any]] = {
            "parameters": lambda name: parameters[name],
            "triggerBody": lambda: self._trigger_body,
            "body": lambda name: self.outputs[name]["body"],
            "outputs": lambda name: self.outputs[name],
            "variables": lambda name: self._variables[name],
            "items": lambda name: self._items[name],
            "listCallbackUrl": lambda: self._callback_url,
            "concat": lambda *texts: "".join(str(text) for text in texts),
            "replace": lambda text, old, new: text.replace(old, new),
            "coalesce": lambda *values: next((value for value in values if value is not None), None),
            "base64": lambda content: base64.b64encode(
                content.encode() if isinstance(content, str) else content
            ).decode(),
        }

    def run(self, trigger_body: Any) -> Self:
        """Run all actions. Raises WorkflowFailed."""
        self._trigger_body = trigger_body
        with self._http:
            self._run_all(self._definition["actions"])
        self.ended = self.ended or "Succeeded"
        return self

    def _run_all(self, actions: Json) -> None:
        left = dict(actions)
        while left and not self.ended:
            ready = [name for name, action in left.items() if not action.get("runAfter", {}).keys() & left.keys()]
            if not ready:
                raise WorkflowFailed(f"{sorted(left)} wait for each other.")
            action = left.pop(ready[0])
            run = getattr(self, f"_run_{action['type'].lower()}", None)
            if run is None:
                raise WorkflowFailed(f"This engine does not support actions of the type {action['type']}.")
            run(ready[0], action)

    def _value(self, template: Any) -> Any:
        return evaluated(template, self._functions)

    # ---- HTTP ----------------------------------------------------------------------------------------------------

    def _run_http(self, name: str, action: Json) -> None:
        response = self._send(self._value(action["inputs"]))
        polls = 0
        while response.status_code == 202 and action.get("operationOptions") != "DisableAsyncPattern":
            location = response.headers.get("Location", "")
            if urlsplit(location).scheme not in ("http", "https"):
                raise WorkflowFailed(f"{name}: a 202 without an absolute Location: {location!r}")
            if (polls := polls + 1) > POLLS_MAX:
                raise WorkflowFailed(f"{name}: still 202 after {POLLS_MAX} polls.")
            self._wait(float(response.headers.get("Retry-After") or DEFAULT_WAIT_S))
            response = self._http.get(location)
        self._end(name, response)

    def _run_httpwebhook(self, name: str, action: Json) -> None:
        self._callback_url = self._callbacks.new()
        inputs = action["inputs"]
        subscribed = self._send(self._value(inputs["subscribe"]))
        if not subscribed.is_success:
            raise WorkflowFailed(f"{name}: {subscribed.status_code} {subscribed.text}")
        headers, body = self._callbacks.next(self._callback_url)
        self.outputs[name] = {"statusCode": 200, "headers": headers, "body": json.loads(body)}
        if inputs.get("unsubscribe", {}).get("uri"):
            self._send(self._value(inputs["unsubscribe"]))

    def _run_apiconnection(self, name: str, action: Json) -> None:
        body = self._connections(self._value(action["inputs"]))
        self.outputs[name] = {"statusCode": 200, "headers": {}, "body": body}

    def _send(self, inputs: Json) -> httpx2.Response:
        body = inputs.get("body")
        content = json.dumps(body) if isinstance(body, dict | list) else body
        return self._http.request(
            inputs["method"],
            inputs["uri"],
            params=inputs.get("queries"),
            headers=inputs.get("headers"),
            content=content,
        )

    def _end(self, name: str, response: httpx2.Response) -> None:
        is_json = "json" in response.headers.get("Content-Type", "")
        body = response.json() if is_json else response.content
        self.outputs[name] = {"statusCode": response.status_code, "headers": dict(response.headers), "body": body}
        if response.status_code >= 400:
            raise WorkflowFailed(f"{name}: {response.status_code} {response.text}")

    # ---- control and variables -----------------------------------------------------------------------------------

    def _run_initializevariable(self, name: str, action: Json) -> None:
        for variable in action["inputs"]["variables"]:
            self._variables[variable["name"]] = self._value(variable.get("value"))

    def _run_appendtoarrayvariable(self, name: str, action: Json) -> None:
        inputs = action["inputs"]
        self._variables[inputs["name"]] = [*self._variables[inputs["name"]], self._value(inputs["value"])]

    def _run_foreach(self, name: str, action: Json) -> None:
        for item in self._value(action["foreach"]):
            self._items[name] = item
            self._run_all(action["actions"])

    def _run_if(self, name: str, action: Json) -> None:
        tests = [self._value(test["equals"]) for test in action["expression"]["and"]]
        holds = all(left == right for left, right in tests)
        self._run_all(action["actions"] if holds else action.get("else", {}).get("actions", {}))

    def _run_terminate(self, name: str, action: Json) -> None:
        inputs = self._value(action["inputs"])
        self.ended = f"{inputs['runStatus']}: {inputs.get('runError', {}).get('code', '')}"


# ---- expressions -------------------------------------------------------------------------------------------------

TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(-?\d+)|(\w+)|(\?\[|[\[\](),]))")


def evaluated(template: Any, functions: dict[str, Callable[..., Any]]) -> Any:
    """A template with its expressions replaced: `@f('x')?['y']` by a value, `@{...}` inside a string by a string."""
    if isinstance(template, dict):
        return {key: evaluated(value, functions) for key, value in template.items()}
    if isinstance(template, list):
        return [evaluated(value, functions) for value in template]
    if not isinstance(template, str):
        return template
    if template.startswith("@") and not template.startswith(("@@", "@{")):
        return Expression(template[1:], functions).value()
    text = re.sub(r"@\{(.*?)\}", lambda match: str(Expression(match[1], functions).value()), template)
    return text[1:] if text.startswith("@@") else text


class Expression:
    """Calls, literals and look-ups: `coalesce(body('Ask')?['error']?['code'], 'unknown')`."""

    def __init__(self, text: str, functions: dict[str, Callable[..., Any]]) -> None:
        self._text = text
        self._functions = functions
        self._at = 0

    def value(self) -> Any:
        """Raises WorkflowFailed: the expression cannot be parsed, or polls up a missing key without `?`."""
        value = self._operand()
        if self._text[self._at :].strip():
            raise WorkflowFailed(f"Syntax error at character {self._at}: {self._text}")
        return value

    def _next(self) -> re.Match[str]:
        match = TOKEN.match(self._text, self._at)
        if match is None:
            raise WorkflowFailed(f"Syntax error at character {self._at}: {self._text}")
        self._at = match.end()
        return match

    def _peek(self) -> str | None:
        match = TOKEN.match(self._text, self._at)
        return match[4] if match else None

    def _operand(self) -> Any:
        token = self._next()
        text, number, name, _ = token.groups()
        if text is not None:
            value: Any = text.replace("''", "'")
        elif number is not None:
            value = int(number)
        elif name in self._functions:
            value = self._functions[name](*self._arguments())
        else:
            raise WorkflowFailed(f"This engine does not support the function {token[0]!r}.")
        while (sign := self._peek()) in ("[", "?["):
            self._next()
            key = self._operand()
            self._next()
            value = self._looked_up(value, key, may_be_absent=sign == "?[")
        return value

    def _arguments(self) -> list[Any]:
        if self._next()[4] != "(":
            raise WorkflowFailed(f"A call needs its arguments: {self._text}")
        arguments: list[Any] = []
        while self._peek() != ")":
            if arguments:
                self._next()
            arguments.append(self._operand())
        self._next()
        return arguments

    def _looked_up(self, value: Any, key: Any, *, may_be_absent: bool) -> Any:
        try:
            return value[key]
        except (KeyError, IndexError, TypeError):
            if may_be_absent:
                return None
            raise WorkflowFailed(f"There is no {key!r} in {self._text}.") from None


# ---- custom connector --------------------------------------------------------------------------------------------


class Connector:
    """A custom connector made from an OpenAPI 2.0 definition, and from nothing else."""

    def __init__(self, definition: Json, *, key: str) -> None:
        self._definition = definition
        (scheme,) = definition["securityDefinitions"].values()
        host, base = definition["host"], definition["basePath"]
        self._http = httpx2.Client(
            base_url=f"{definition['schemes'][0]}://{host}{base}",
            headers={scheme["name"]: key},
            timeout=60,
            trust_env=False,
        )

    def call(self, operation_id: str, body: Json | None = None, **parameters: Any) -> httpx2.Response:
        """Call an operation as a flow does."""
        path, method, operation = self._find(lambda op: op.get("operationId") == operation_id)
        places = {parameter["name"]: parameter["in"] for parameter in operation["parameters"]}
        query = {name: value for name, value in parameters.items() if places[name] == "query"}
        url = path.format(**{name: value for name, value in parameters.items() if places[name] == "path"})
        response = self._http.request(method, url, params=query, json=body)
        assert str(response.status_code) in operation["responses"], (operation_id, response.status_code, response.text)
        return response

    def subscribe(self, callback_url: str) -> str:
        """Subscribe to the connector's only trigger. Returns the URL to delete for unsubscribing."""
        path, method, operation = self._find(lambda op: "x-ms-trigger" in op)
        (body,) = (parameter for parameter in operation["parameters"] if parameter["in"] == "body")
        schema = self._definition["definitions"][body["schema"]["$ref"].rpartition("/")[2]]
        sent = {
            name: callback_url if field.get("x-ms-notification-url") else field["default"]
            for name, field in schema["properties"].items()
            if field.get("x-ms-notification-url") or "default" in field
        }
        response = self._http.request(method, path, json=sent)
        assert response.status_code == 201, response.text
        return response.headers["Location"]

    def unsubscribe(self, location: str) -> None:
        """Power Automate does this when a flow is turned off."""
        assert self._http.delete(location).is_success

    def notification_fields(self) -> set[str]:
        """The fields of a notification that a flow can use."""
        for path in self._definition["paths"].values():
            if content := path.get("x-ms-notification-content"):
                schema = self._definition["definitions"][content["schema"]["$ref"].rpartition("/")[2]]
                return set(schema["properties"])
        raise AssertionError("No path has x-ms-notification-content.")

    def close(self) -> None:
        self._http.close()

    def _find(self, fits: Callable[[Json], bool]) -> tuple[str, str, Json]:
        found = [
            (path, method.upper(), operation)
            for path, methods in self._definition["paths"].items()
            for method, operation in methods.items()
            if not method.startswith("x-") and fits(operation)
        ]
        (only,) = found
        return only


# ---- Durable Functions -------------------------------------------------------------------------------------------


class DurableClient:
    """A client made for Durable Functions: it uses the fields of the payloads, and no other URL than the first.

    Source: https://learn.microsoft.com/azure/azure-functions/durable/durable-functions-http-api
    """

    ONGOING = frozenset({"Pending", "Running", "Suspended", "ContinuedAsNew"})
    ENDED = frozenset({"Completed", "Failed", "Canceled", "Terminated"})

    def __init__(self, *, wait: Wait) -> None:
        self._wait = wait
        self._http = httpx2.Client(timeout=60, trust_env=False)

    def start(self, url: str, body: Json) -> Json:
        """Start an orchestration. Returns its management payload."""
        response = self._http.post(url, json=body)
        assert response.status_code == 202, response.text
        payload: Json = response.json()
        assert response.headers["Location"] == payload["statusQueryGetUri"]
        return payload

    def status(self, payload: Json) -> Json:
        """Get the status once."""
        response = self._http.get(payload["statusQueryGetUri"])
        status: Json = response.json()
        assert status["runtimeStatus"] in (self.ONGOING if response.status_code == 202 else self.ENDED)
        assert status["instanceId"] == payload["id"]
        return status

    def wait(self, payload: Json) -> Json:
        """Poll until the orchestration has ended."""
        for _ in range(POLLS_MAX):
            if (status := self.status(payload))["runtimeStatus"] in self.ENDED:
                return status
            self._wait(1)
        raise AssertionError(f"{payload['id']} has not ended after {POLLS_MAX} polls.")

    def terminate(self, payload: Json) -> None:
        """Ask for the termination of the orchestration."""
        assert self._http.post(payload["terminatePostUri"]).is_success

    def purge(self, payload: Json) -> int:
        """Delete the history. Returns the HTTP status of the instance afterwards."""
        assert self._http.delete(payload["purgeHistoryDeleteUri"]).is_success
        return self._http.get(payload["statusQueryGetUri"]).status_code

    def close(self) -> None:
        self._http.close()
