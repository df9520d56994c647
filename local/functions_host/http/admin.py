"""The admin endpoint `/admin/`: tells about the host, its functions and keys, and starts functions.

Source: https://github.com/Azure/azure-functions-host (HostController, FunctionsController, KeysController)
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError
from azure.functions.meta import Datum

from local.functions_host.background import Background
from local.functions_host.functions.index import Function
from local.functions_host.functions.invocation import Invoker, TriggerInput
from local.functions_host.http.asgi import Request, Response
from local.functions_host.http.keys import Keys
from local.functions_host.http.webhooks import event_trigger_input
from local.functions_host.triggers.blobs import BlobTriggers
from local.functions_host.triggers.timers import Timer

logger = logging.getLogger(__name__)

VERSION = "4.1037.0.0"  # of the real host that this one follows
NO_STORE = [("Cache-Control", "no-store,no-cache"), ("Pragma", "no-cache")]


@dataclass(frozen=True, kw_only=True)
class AdminRoute:
    """A route of the admin endpoint; an open one needs no key."""

    give: Callable[[Request], Response]
    is_open: bool = False


class Admin:
    """Answers `/admin/...`.

    Args:
        functions: All enabled functions.
        host_id: The host's id.
        keys: The keys to tell; None if there are none.
        start: Starts a function with a text as its input.
    """

    def __init__(
        self,
        functions: Mapping[str, Function],
        *,
        host_id: str,
        keys: Keys | None,
        start: Callable[[Function, str], None],
    ) -> None:
        self._functions = {name.lower(): function for name, function in functions.items()}
        self._host_id = host_id
        self._keys = keys
        self._start = start
        self._started_s = time.monotonic()

    def find(self, method: str, path: str) -> AdminRoute | None:
        """The route of a path below `/admin/`, in lower case; None if there is none for the method."""
        if path == "host/ping" and method in {"GET", "POST"}:
            return AdminRoute(give=lambda _: Response(status=200, headers=NO_STORE), is_open=True)
        if path == "warmup" and method in {"GET", "POST"}:
            return AdminRoute(give=lambda _: Response(status=200), is_open=True)
        if method == "GET" and path == "host/status":
            return AdminRoute(give=lambda _: json_response(self._status()))
        kind, *names = path.split("/")
        if method == "GET" and kind == "host" and names and names[0] in {"keys", "functionkeys", "systemkeys"}:
            return AdminRoute(give=lambda _: self._tell_keys(*names)) if len(names) <= 2 else None
        if kind != "functions":
            return None
        return self._functions_route(method, names)

    def _functions_route(self, method: str, names: list[str]) -> AdminRoute | None:
        match (method, names):
            case ("GET", []):
                return AdminRoute(give=lambda _: json_response([about(f) for f in self._functions.values()]))
            case ("GET", [name]):
                return AdminRoute(give=lambda _: self._about(name, about))
            case ("GET", [name, "status"]):
                return AdminRoute(give=lambda _: self._about(name, lambda _: {"isDisabled": False}))
            case ("POST", [name]):
                return AdminRoute(give=lambda request: self._run(request, name))
        return None

    def _about(self, name: str, describe: Callable[[Function], dict[str, Any]]) -> Response:
        function = self._functions.get(name)
        return json_response(describe(function)) if function else Response(status=404)

    def _status(self) -> dict[str, Any]:
        uptime_ms = int((time.monotonic() - self._started_s) * 1000)
        return {
            "id": self._host_id,
            "state": "Running",
            "version": VERSION,
            "versionDetails": VERSION,
            "processUptime": uptime_ms,
        }

    def _tell_keys(self, kind: str, name: str = "") -> Response:
        keys = self._keys
        known: Mapping[str, str] = {}
        if keys:
            known = keys.system if kind == "systemkeys" else {"default": keys.function}
            if name == "_master":
                known = {"_master": keys.master}
        told = [{"name": each, "value": key} for each, key in known.items()]
        if not name:
            return json_response({"keys": told, "links": []})
        found = next((key for key in told if key["name"] == name), None)
        return json_response({**found, "links": []}) if found else Response(status=404)

    def _run(self, request: Request, name: str) -> Response:
        """Start a function and answer 202, whatever its trigger and whether the input fits it."""
        try:
            content = json.loads(request.body)
        except (ValueError, RecursionError):
            return Response(status=400)
        text = content.get("input", "") if isinstance(content, dict) else {}
        if isinstance(text, (dict, list)):
            return Response(status=400)
        function = self._functions.get(name)
        if function is None:
            return Response(status=404)
        self._start(function, text if isinstance(text, str) else "" if text is None else json.dumps(text))
        return Response(status=202)


class AdminRuns:
    """Starts functions with any trigger except HTTP."""

    def __init__(
        self, invoker: Invoker, timers: Mapping[str, Timer], blobs: BlobTriggers | None, runs: Background
    ) -> None:
        self._invoker = invoker
        self._timers = timers
        self._blobs = blobs
        self._runs = runs

    def start(self, function: Function, text: str) -> None:
        """Start a function with `text` as its input, without waiting. An input that does not fit is logged."""
        match function.trigger.type:
            case "queueTrigger":
                metadata = {"QueueTrigger": Datum(text, "string"), "DequeueCount": Datum("1", "json")}
                trigger_input = TriggerInput(
                    data=Datum(text, "string"), metadata=metadata, values={"queueTrigger": text}
                )
                self._runs.start(log_errors(self._invoker.run(function, trigger_input)))
            case "eventGridTrigger" if (event := json_object(text)) is not None:
                self._runs.start(log_errors(self._invoker.run(function, event_trigger_input(event))))
            case "timerTrigger":
                self._runs.start(self._timers[function.name].run_once())
            case "blobTrigger" if self._blobs and "/" in text:
                self._runs.start(log_errors(self._blobs.run_for_path(function, text)))
            case _:
                logger.warning("admin.input_refused", extra={"function": function.name, "input": text[:100]})


async def log_errors(work: Awaitable[object]) -> None:
    """Await `work` and log its error. The invoker has already logged errors of the function itself."""
    try:
        await work
    except AzureError as exc:
        logger.warning("host.storage_failed", extra={"error": str(exc)})
    except Exception:
        logger.debug("host.function_failed")


def json_object(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def about(function: Function) -> dict[str, Any]:
    """What the admin endpoint tells about a function."""
    bindings = [b for b in (function.trigger, *function.inputs, *function.outputs, function.returns) if b]
    return {
        "name": function.name,
        "config": {"name": function.name, "bindings": [dict(binding.options) for binding in bindings]},
        "isDisabled": False,
        "language": "python",
    }


def json_response(content: object) -> Response:
    return Response(
        status=200, body=json.dumps(content).encode(), headers=[("Content-Type", "application/json; charset=utf-8")]
    )
