"""A process that acts as the Functions host for Microsoft's Python runtime: it loads the app and runs each function.

    python -m tests.local.functions_host.runtime_driver <folder of the runtime> <folder of the app>

Storage and the model service come from the environment. Prints one JSON object: the functions that the runtime indexed
and the result of each invocation.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient, TextBase64DecodePolicy

GUIDE = b"# Limits\n\nThe warning limit for response time is 350 ms. The critical limit is 900 ms.\n"
CSV = b"server,response_ms\nweb-01,10\nweb-01,20\nweb-02,40\n"
DOCUMENTS = {"ops/guide v1.md": GUIDE, "ops/100% ünïcödé.csv": CSV}
LOOKS_MAX = 600


class StatusResult(SimpleNamespace):
    Failure = 0
    Success = 1


class Protos:
    """Stand-ins for the protocol messages: any name is a class whose instances have the given attributes."""

    StatusResult = StatusResult
    BindingInfo = type("BindingInfo", (SimpleNamespace,), {"in": 0, "out": 1, "inout": 2, "undefined": 0})

    def __getattr__(self, name: str) -> type:
        if name == "TypedData":
            raise AttributeError(name)
        return type(name, (SimpleNamespace,), {})


class OneOf(SimpleNamespace):
    """A message with one field that is set."""

    def WhichOneof(self, _: str) -> str:
        return next(iter(set(vars(self)) - {"name"}))


class Runtime:
    """Microsoft's runtime with one app loaded."""

    def __init__(self, app: Path) -> None:
        import azure_functions_runtime as runtime  # type: ignore[import-not-found]
        from azure_functions_runtime import native_invocation
        from azure_functions_runtime.bindings.datumdef import Datum  # type: ignore[import-not-found]

        self._runtime = runtime
        self._native = native_invocation
        self.Datum = Datum
        self._app = app
        self._ids: dict[str, str] = {}
        self._count = 0

    async def load(self) -> list[str]:
        self._runtime.start_threadpool_executor()
        init = SimpleNamespace(capabilities={}, function_app_directory=str(self._app))
        request = SimpleNamespace(
            request=SimpleNamespace(worker_init_request=init), properties={"host": "127.0.0.1", "protos": Protos()}
        )
        answer = await self._runtime.worker_init_request(request)
        if answer.result.status != StatusResult.Success:
            raise RuntimeError(f"{answer.result.exception.message}\n{answer.result.exception.stack_trace}")
        metadata = await self._runtime.functions_metadata_request(None)
        self._ids = {found.name: found.function_id for found in metadata.function_metadata_results}
        return sorted(self._ids)

    async def call(self, function: str, parameter: str, value: Any, kind: str) -> Any:
        """Run a function without protocol messages, and return its return value."""
        self._count += 1
        datum = self.Datum(value, kind)
        ok, returned, _, _, trace = await self._native.invocation_request_native(
            str(self._count), self._ids[function], [(parameter, datum)], {}
        )
        if not ok:
            raise RuntimeError(f"{function}: {trace}")
        return returned

    async def call_with_blob(self, function: str, parameter: str, container: str, name: str) -> None:
        """Run a function that binds a blob client: the extension creates the client from a reference to the blob."""
        self._count += 1
        where = {"Connection": "AzureWebJobsStorage", "ContainerName": container, "BlobName": name}
        reference = SimpleNamespace(
            version="1.0",
            source="AzureStorageBlobs",
            content_type="application/json",
            content=json.dumps(where).encode(),
        )
        invocation = SimpleNamespace(
            invocation_id=str(self._count),
            function_id=self._ids[function],
            input_data=[OneOf(name=parameter, data=OneOf(model_binding_data=reference))],
            trigger_metadata={},
            trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
            retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
        )
        answer = await self._runtime.invocation_request(
            SimpleNamespace(request=SimpleNamespace(invocation_request=invocation))
        )
        if answer.result.status != StatusResult.Success:
            raise RuntimeError(f"{function}: {answer.result.exception.stack_trace}")


class Host:
    """The host's work around the runtime: HTTP requests and queue messages."""

    def __init__(self, runtime: Runtime, storage: str) -> None:
        self._runtime = runtime
        self.blobs = BlobServiceClient.from_connection_string(storage)
        self._queues = QueueServiceClient.from_connection_string(storage)

    def close(self) -> None:
        self.blobs.close()
        self._queues.close()

    async def http(
        self,
        function: str,
        path: str,
        *,
        method: str = "GET",
        body: bytes = b"",
        params: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Call an HTTP function; return status, headers and body."""
        text = self._runtime.Datum
        request = {
            "method": text("POST" if body and method == "GET" else method, "string"),
            "url": text(f"https://app.example/api/{path}{'&' if '?' in path else '?'}code=key", "string"),
            "headers": {"content-type": text("application/json", "string")},
            "params": {name: text(value, "string") for name, value in (params or {}).items()},
            "query": {"code": text("key", "string")},
            "body": text(body, "bytes"),
        }
        answer = (await self._runtime.call(function, "req", request, "http")).value
        headers = {name.lower(): datum.value for name, datum in answer["headers"].items()}
        return int(answer["status_code"].value), headers, answer["body"].value

    async def message(self, function: str, message: Mapping[str, Any]) -> None:
        await self._runtime.call(function, "msg", json.dumps(message), "string")

    async def deliver(self, queue: str, function: str) -> None:
        """Deliver every message of a queue until it is empty, without waiting for visibility timeouts."""
        client = self._queues.get_queue_client(queue, message_decode_policy=TextBase64DecodePolicy())
        with client:
            for _ in range(LOOKS_MAX):
                if message := await asyncio.to_thread(client.receive_message):
                    await self._runtime.call(function, "msg", message.content, "string")
                    client.delete_message(message)
                elif client.get_queue_properties().approximate_message_count == 0:
                    return
                else:
                    await asyncio.sleep(0.1)
        raise RuntimeError(f"The queue {queue} does not become empty.")


async def drive(host: Host, runtime: Runtime) -> dict[str, Any]:
    """Call each function once, in the order in which a document and a run need them."""
    report: dict[str, Any] = {}
    status, _, body = await host.http("health", "health")
    report["health"] = [status, json.loads(body)]
    for name, content in DOCUMENTS.items():
        host.blobs.get_blob_client("documents", name).upload_blob(content)
        await runtime.call_with_blob("index_document", "blob", "documents", name)
    await host.deliver("indexing", "check_indexing")
    status, _, body = await host.http("list_documents", "documents")
    report["list_documents"] = [status, json.loads(body)]

    question = {"question": "What is the average response_ms by server? Create a chart of it.", "collection": "ops"}
    status, headers, body = await host.http("start_run", "runs", body=json.dumps(question).encode())
    run = json.loads(body)
    report["start_run"] = [status, headers, run]
    for timer in ("sweep_runs", "sweep_documents", "reconcile_documents"):
        await runtime.call(timer, "timer", json.dumps({"IsPastDue": False}), "json")
    await host.deliver("runs", "advance_run")
    path = f"runs/{run['id']}"
    status, _, body = await host.http("get_run", path, params={"id": run["id"]})
    report["get_run"] = [status, json.loads(body)]
    status, headers, body = await host.http("get_chart", f"{path}/charts/1", params={"id": run["id"], "n": "1"})
    report["get_chart"] = [status, headers, body[:8].hex()]

    report["others"] = await call_the_others(host, run)
    gone = next(iter(DOCUMENTS))
    host.blobs.get_blob_client("documents", gone).delete_blob()
    await host.message("remove_document", {"subject": f"/blobServices/default/containers/documents/blobs/{gone}"})
    await host.message("fail_document", {"BlobName": gone, "ContainerName": "documents"})
    await host.message("fail_indexing", {"do": "look", "path": gone})
    await host.message("fail_run", {"run_id": run["id"], "generation": 0})
    _, _, body = await host.http("list_documents", "documents")
    report["after_removal"] = [document["path"] for document in json.loads(body)["documents"]]
    return report


async def call_the_others(host: Host, run: Mapping[str, Any]) -> dict[str, Any]:
    """Call the other HTTP functions; return function -> status and code or id of the answer."""
    found: dict[str, Any] = {}

    async def call(function: str, where: str, method: str, body: Any = b"", **params: str) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, headers, answer = await host.http(function, where, method=method, body=content, params=params)
        found[function] = status
        return json.loads(answer) if answer and "json" in headers["content-type"] else None

    here = {"id": run["id"]}
    outputs = {"tool_outputs": [{"call_id": "call_1", "output": "x"}]}
    await call("list_runs", "runs", "GET")
    await call("get_events", f"runs/{run['id']}/events", "GET", **here)
    await call("cancel_run", f"runs/{run['id']}/cancel", "POST", **here)
    await call("hand_in_outputs", f"runs/{run['id']}/tool_outputs", "POST", outputs, **here)
    await call("delete_run", f"runs/{run['id']}", "DELETE", **here)
    thread = {"id": (await call("create_thread", "threads", "POST", {}))["id"]}
    await call("get_thread", "threads/x", "GET", **thread)
    await call("list_messages", "threads/x/messages", "GET", **thread)
    await call("delete_thread", "threads/x", "DELETE", **thread)
    await call("put_assistant", "assistants/brief", "PUT", {"instructions": "Be brief."}, name="brief")
    await call("get_assistant", "assistants/brief", "GET", name="brief")
    await call("list_assistants", "assistants", "GET")
    await call("delete_assistant", "assistants/brief", "DELETE", name="brief")
    hook = await call("subscribe", "hooks", "POST", {"callback_url": "http://127.0.0.1:9/hook"})
    await call("list_hooks", "hooks", "GET")
    await host.message(
        "send_callback", {"webhook_id": "msg_1", "body": {"type": "run.finished"}, "hook_id": hook["id"], "attempt": 9}
    )
    await host.message("fail_callback", {"webhook_id": "msg_1", "body": {"type": "run.finished"}, "attempt": 2})
    await call("unsubscribe", "hooks/x", "DELETE", id=hook["id"])
    await call("service_event", "webhooks/openai", "POST", {"type": "response.completed"})
    await call("put_document", "documents/c/a.md", "PUT", b"Some words.", path="c/a.md")
    await call_those_of_documents(call, host)
    await call("get_openapi", "openapi.json", "GET")
    await call("get_swagger", "swagger.json", "GET")
    await call("deep_health", "health/deep", "GET")
    await call("get_page", "", "GET", file="app.js")
    return found


async def call_those_of_documents(call: Callable[..., Awaitable[Any]], host: Host) -> None:
    await call("read_document", "documents/c/a.md", "GET", path="c/a.md")
    await call("get_content", "documents/content?path=c/a.md", "GET")
    await call("get_text", "documents/text?path=c/a.md", "GET")
    await call("head_content", "documents/c/a.md/content", "HEAD", path="c/a.md/content")
    await call("create_upload", "documents/upload?path=c/b.md", "POST")
    await call("retry_document", "documents/c/a.md", "POST", path="c/a.md")
    await call("search", "search", "POST", {"query": "average", "collection": "ops"})
    await call("list_collections", "collections", "GET")
    await call("get_collection", "collections/ops", "GET", name="ops")
    await call("put_collection", "collections/ops", "PUT", {"expires_days": None}, name="ops")
    report = await call("reconcile", "documents/reconcile", "POST")
    await call("get_report", "reports/x", "GET", id=report["id"])
    await call("delete_document", "documents/c/a.md", "DELETE", path="c/a.md")
    await call("delete_below", "documents", "DELETE")
    await call("delete_collection", "collections/none", "DELETE", name="none")
    await call("list_receipts", "receipts", "GET")
    await host.message("fail_removal", {"subject": "/blobServices/default/containers/documents/blobs/c/a.md"})
    await host.deliver("indexing", "check_indexing")


async def main(runtime_folder: str, app: str) -> None:
    sys.path.append(runtime_folder)
    sys.path.insert(0, app)
    runtime = Runtime(Path(app))
    functions = await runtime.load()
    host = Host(runtime, os.environ["AzureWebJobsStorage"])  # noqa: SIM112
    try:
        report = await drive(host, runtime)
    finally:
        host.close()
    sys.stdout.write(json.dumps({"functions": functions, **report}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
