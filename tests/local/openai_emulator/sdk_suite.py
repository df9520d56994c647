"""Runs the SDK's own API tests against the emulator: `python -m tests.local.openai_emulator.sdk_suite FOLDER LOG`.

The tests send ids that do not exist (`file-abc123`), because they are made for a mock without a memory. This module, a
proxy before the emulator, replaces each by the id of a fresh object, and repairs parameters that the service refuses
too. FOLDER: the unpacked source distribution of the pinned `openai`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.openai_emulator.agent.conversation import Called, Prompt
from local.openai_emulator.agent.model import CallFunctions, Say, Step
from local.openai_emulator.server import serve

SUITE = """
test_vector_stores.py vector_stores test_files.py test_uploads.py uploads test_containers.py containers
test_conversations.py conversations test_responses.py responses beta/test_assistants.py beta/test_threads.py
beta/threads test_embeddings.py chat test_models.py test_batches.py
"""
# what the emulator answers with 501 or 400 and names in COVERAGE.md
DROPPED = {
    "responses": """
        prompt conversation moderation context_management background_options prompt_cache_options access_programs image
        multi_agent
    """,
    "threads": "response_format",
    "assistants": "response_format",
    "chat": "moderation",
    "containers": "skills",
}
CALL = CallFunctions(calls=(Called(call_id="call_1", name="f", arguments="{}"),))


class Scripted:
    """Calls a function for the model "calls", waits for "waits", and answers all others."""

    name = "scripted"
    about: Mapping[str, str] = MappingProxyType({})

    async def step(self, prompt: Prompt) -> Step:
        if prompt.model == "calls":
            return Step(move=CALL)
        if prompt.model == "waits":
            await asyncio.sleep(600)
        return Step(move=Say(text="Yes."))


class Objects:
    """Makes the objects that requests name."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def post(self, path: str, body: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        answer = await self._http.post(path, **(options or {"json": body or {}}))
        assert answer.status_code < 300, (path, answer.text)
        made: dict[str, Any] = answer.json()
        return made

    async def file(self, *, content: bytes = b"Hello.", purpose: str = "assistants") -> str:
        made = await self.post("/files", files={"file": ("a.txt", content)}, data={"purpose": purpose})
        return str(made["id"])

    async def batch_input(self) -> str:
        call = {"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": {"model": "m", "input": "Hello?"}}
        return await self.file(content=json.dumps(call).encode(), purpose="batch")

    async def store(self) -> str:
        return str((await self.post("/vector_stores"))["id"])

    async def run(self, thread_id: str, model: str) -> str:
        assistant = await self.post("/assistants", {"model": model, "tools": [FUNCTION]})
        run = await self.post(f"/threads/{thread_id}/runs", {"assistant_id": assistant["id"]})
        while model != "waits" and run["status"] in ("queued", "in_progress"):
            await asyncio.sleep(0.01)
            run = (await self._http.get(f"/threads/{thread_id}/runs/{run['id']}")).json()
        return str(run["id"])


FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
Maker = Callable[[Objects, dict[str, str], str], Awaitable[str]]


async def _thread(objects: Objects, _: dict[str, str], __: str) -> str:
    return str((await objects.post("/threads"))["id"])


async def _message(objects: Objects, known: dict[str, str], _: str) -> str:
    path = f"/threads/{known['threads']}/messages"
    return str((await objects.post(path, {"role": "user", "content": "Hello?"}))["id"])


async def _run(objects: Objects, known: dict[str, str], rest: str) -> str:
    model = "waits" if rest == "cancel" else "calls" if rest == "submit_tool_outputs" else "answers"
    return await objects.run(known["threads"], model)


async def _step(objects: Objects, known: dict[str, str], _: str) -> str:
    path = f"/threads/{known['threads']}/runs/{known['runs']}/steps"
    return str((await objects._http.get(path)).json()["data"][0]["id"])


async def _store_file(objects: Objects, known: dict[str, str], _: str) -> str:
    file_id, path = await objects.file(), f"/vector_stores/{known['vector_stores']}/files"
    await objects.post(path, {"file_id": file_id})
    while (await objects._http.get(f"{path}/{file_id}")).json()["status"] == "in_progress":
        await asyncio.sleep(0.01)
    return file_id


async def _batch(objects: Objects, known: dict[str, str], _: str) -> str:
    path = f"/vector_stores/{known['vector_stores']}/file_batches"
    return str((await objects.post(path, {"file_ids": [await objects.file()]}))["id"])


async def _item(objects: Objects, known: dict[str, str], _: str) -> str:
    item = {"type": "message", "role": "user", "content": "Hello?"}
    return str((await objects.post(f"/conversations/{known['conversations']}/items", {"items": [item]}))["first_id"])


async def _response(objects: Objects, _: dict[str, str], rest: str) -> str:
    body = {"model": "waits" if rest == "cancel" else "m", "input": "Hello?", "background": rest == "cancel"}
    return str((await objects.post("/responses", body))["id"])


async def _container_file(objects: Objects, known: dict[str, str], _: str) -> str:
    path = f"/containers/{known['containers']}/files"
    return str((await objects.post(path, files={"file": ("a.txt", b"Hello.")}))["id"])


async def _upload(objects: Objects, _: dict[str, str], __: str) -> str:
    body = {"bytes": 5, "filename": "a.txt", "mime_type": "text/plain", "purpose": "assistants"}
    return str((await objects.post("/uploads", body))["id"])


async def _batches(objects: Objects, _: dict[str, str], __: str) -> str:
    body = {"completion_window": "24h", "endpoint": "/v1/responses", "input_file_id": await objects.batch_input()}
    return str((await objects.post("/batches", body))["id"])


async def _completion(objects: Objects, _: dict[str, str], __: str) -> str:
    # the SDK's type of a stored message has no other role than this one
    body = {"model": "m", "messages": [{"role": "assistant", "content": "Hello."}], "store": True}
    return str((await objects.post("/chat/completions", body))["id"])


def _simple(path: str, body: dict[str, Any] | None = None) -> Maker:
    async def make(objects: Objects, _: dict[str, str], __: str) -> str:
        return str((await objects.post(path, body))["id"])

    return make


async def _file(objects: Objects, _: dict[str, str], __: str) -> str:
    return await objects.file()


async def _model(_: Objects, __: dict[str, str], ___: str) -> str:
    return "ft:gpt-4o-mini:acemeco:suffix:abc123"


MAKERS: dict[str, Maker] = {
    "files": _file,
    "vector_stores": _simple("/vector_stores"),
    "vector_stores/files": _store_file,
    "vector_stores/file_batches": _batch,
    "assistants": _simple("/assistants", {"model": "m"}),
    "threads": _thread,
    "threads/messages": _message,
    "threads/runs": _run,
    "threads/runs/steps": _step,
    "responses": _response,
    "conversations": _simple("/conversations"),
    "conversations/items": _item,
    "containers": _simple("/containers", {"name": "c"}),
    "containers/files": _container_file,
    "uploads": _upload,
    "chat/completions": _completion,
    "batches": _batches,
    "models": _model,
}
NOT_IDS = {("threads", "runs"), ("responses", "input_tokens"), ("responses", "compact"), ("chat", "completions")}


async def mapped_path(objects: Objects, path: str) -> tuple[str, dict[str, str]]:
    """The path with ids of fresh objects, and these ids by the name of their family."""
    parts, known, kind, place = path.strip("/").split("/"), dict[str, str](), "", 0
    while place < len(parts):
        if parts[place] == "chat":
            kind, place = "chat/completions", place + 2
        else:
            kind, place = f"{kind}/{parts[place]}".strip("/"), place + 1
        if place < len(parts) and kind in MAKERS and (parts[place - 1], parts[place]) not in NOT_IDS:
            rest = parts[place + 1] if place + 1 < len(parts) else ""
            parts[place] = known[kind.rpartition("/")[2]] = await MAKERS[kind](objects, known, rest)
            place += 1
    return "/" + "/".join(parts), known


async def mapped_body(objects: Objects, body: Any, family: str, known: dict[str, str]) -> Any:
    """The body with ids of fresh objects, without what the service refuses in such a request."""
    if isinstance(body, list):
        return [await mapped_body(objects, one, "", known) for one in body]
    if not isinstance(body, dict):
        return body
    mapped = {}
    for name, value in body.items():
        if name in DROPPED.get(family, "").split():
            continue
        mapped[name] = await _value(objects, name, value, known)
    return mapped


async def _value(objects: Objects, name: str, value: Any, known: dict[str, str]) -> Any:
    if name == "input_file_id":
        return await objects.batch_input()
    if name == "file_id" and isinstance(value, str):
        return await objects.file()
    if name == "file_ids" and isinstance(value, list):
        return [await objects.file() for _ in value]
    if name == "vector_store_ids" and isinstance(value, list):
        return [await objects.store() for _ in value]
    if name == "assistant_id":
        return (await objects.post("/assistants", {"model": "m"}))["id"]
    if name == "previous_response_id" and value is not None:
        return await _response(objects, {}, "")
    if name == "part_ids":
        form = {"files": {"data": ("data", b"Hello")}}
        return [(await objects.post(f"/uploads/{known['uploads']}/parts", **form))["id"] for _ in value]
    if name == "tool_outputs" and known.get("runs"):
        return [{"tool_call_id": "call_1", "output": "1"}]
    return await mapped_body(objects, value, "", known)


async def missing(objects: Objects, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Parameters that the service wants, but the SDK does not."""
    if path.endswith("/file_batches") and not body.get("files") and not body.get("file_ids"):
        return {"file_ids": [await objects.file()]}
    if re.fullmatch(r"/containers/\w+/files", path) and not body:
        return {"file_id": await objects.file()}
    return {}


def repaired(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Values that the service refuses too: bounds, and parameters that exclude each other."""
    if path.endswith("/file_batches") and body.get("files") and body.get("file_ids"):
        body = {name: value for name, value in body.items() if name == "files"}
    if isinstance(body.get("expires_after"), dict) and body["expires_after"].get("minutes") == 0:
        body["expires_after"]["minutes"] = 1
    if path == "/responses/compact" and not body.get("previous_response_id"):
        # the SDK's type of the result has no messages of the user
        body = {"input": [{"role": "assistant", "content": "Hello."}], **body}
    if path == "/responses":
        body = {"model": "m", "input": "Hello?", **body}
    for one in (body, body.get("thread") or {}):
        search = (one.get("tool_resources") or {}).get("file_search") or {}
        if search.get("vector_store_ids"):
            search.pop("vector_stores", None)
    bounds = {"max_output_tokens": 16, "max_prompt_tokens": 256, "max_completion_tokens": 256, "max_tokens": 1}
    for name, least in bounds.items():
        if isinstance(body.get(name), int):
            body[name] = max(body[name], least)
    if not body.get("stream"):
        body.pop("stream_options", None)
    if path == "/uploads":
        body["bytes"] = 5  # what a part of this module holds
    if path.endswith("/complete"):
        body.pop("md5", None)
    return body


def proxy(upstream: str) -> Starlette:
    http = httpx2.AsyncClient(base_url=f"{upstream}/v1", headers={"authorization": "Bearer x"}, timeout=60)
    objects = Objects(http)

    async def forward(request: Request) -> Response:
        path, known = await mapped_path(objects, request.url.path)
        query = [(name, value) for name, value in request.query_params.multi_items() if name not in ("after", "before")]
        query = [(name, "1" if (name, value) == ("limit", "0") else value) for name, value in query]
        content = await request.body()
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
        if "json" in headers.get("content-type", ""):
            body = json.loads(content or b"{}")
            body = await mapped_body(objects, body, path.split("/")[1], known)
            body |= await missing(objects, path, body)
            content = json.dumps(repaired(path, body)).encode()
        answer = await http.request(request.method, path, params=query, content=content, headers=headers)
        if answer.status_code >= 400:
            sys.stderr.write(f"{request.method} {path} {content[:600]!r} {answer.status_code} {answer.text[:300]}\n")
        framing = ("content-length", "content-encoding", "transfer-encoding")
        kept = {name: value for name, value in answer.headers.items() if name not in framing}
        return Response(answer.content, status_code=answer.status_code, headers=kept)

    return Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST", "DELETE"])])


async def run(folder: Path, log: Path, *selected: str) -> int:
    """Run the suite, or the selected files; pytest's output goes to `log`. Returns its exit code."""
    import uvicorn

    async with serve(model=Scripted()) as url:
        config = uvicorn.Config(proxy(url), port=0, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        environ = {**os.environ, "TEST_API_BASE_URL": f"http://127.0.0.1:{port}", "DEFER_PYDANTIC_BUILD": "false"}
        tests = [f"tests/api_resources/{name}" for name in selected or SUITE.split()]
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--tb=line",
            "-o",
            "addopts=",
            *tests,
        ]
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=folder, env=environ, stdout=output, stderr=asyncio.subprocess.STDOUT
            )
            await process.wait()
        server.should_exit = True
        await serving
    return process.returncode or 0


def count_passed(output: str) -> int:
    found = re.search(r"(\d+) passed", output)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(run(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])))
