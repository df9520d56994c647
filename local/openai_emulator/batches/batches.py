"""Batches: `/batches`, a file of requests to other endpoints, carried out one after another in the background.

Outputs are appended to files that become files of `/files` at the end. A batch that was running when the emulator
stopped goes on at the next start, after the requests whose output is there.
Source: https://developers.openai.com/api/reference/resources/batches
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

from openai.types import Batch
from pydantic import BaseModel
from starlette.requests import Request
from starlette.routing import BaseRoute

from local.openai_emulator.errors import ApiError, invalid, not_found
from local.openai_emulator.files.files import FileExpiry, Files
from local.openai_emulator.http import wire
from local.openai_emulator.store import Body, Store
from local.openai_emulator.tasks import Tasks

logger = logging.getLogger(__name__)

KIND = "batch"
_DAY_S = 86_400
_MOST_REQUESTS = 50_000
_RUNNING = ("validating", "in_progress", "finalizing", "cancelling")
Call = Callable[[str, dict[str, Any]], Awaitable[tuple[int, dict[str, Any]]]]


class CreateBatch(wire.RequestBody):
    input_file_id: str
    endpoint: Literal["/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/chat/completions"]
    completion_window: Literal["24h"]
    metadata: wire.Metadata | None = None
    output_expires_after: FileExpiry | None = None


class Line(BaseModel):
    """One line of the input file."""

    custom_id: str
    method: Literal["POST"]
    url: str
    body: dict[str, Any]


class Batches:
    def __init__(self, *, store: Store, folder: Path, files: Files, call: Call, clock: Callable[[], float]) -> None:
        """`call`: sends a body to a path of this API; returns the status and the body of the answer."""
        self._store = store
        self._folder = folder
        self._files = files
        self._call = call
        self._clock = clock
        self._tasks = Tasks[str]()
        folder.mkdir(parents=True, exist_ok=True)

    def routes(self) -> list[BaseRoute]:
        return [
            wire.route("POST", "/batches", self._create),
            wire.route("GET", "/batches", self._list),
            wire.route("GET", "/batches/{batch_id}", self._retrieve),
            wire.route("POST", "/batches/{batch_id}/cancel", self._cancel),
        ]

    def resume(self) -> None:
        """Go on with the batches that an earlier process left unfinished; of others it may have left outputs here."""
        unfinished = {body["id"] for body in self._store.all(KIND, status=_RUNNING)}
        for path in self._folder.iterdir():
            if path.name.rpartition("_")[0] not in unfinished:
                path.unlink()
        for body in self._store.all(KIND, status=_RUNNING):
            if body["status"] == "cancelling":
                self._end(body, "cancelled")
            else:
                self._tasks.start(body["id"], self._run, body["id"])

    async def close(self) -> None:
        await self._tasks.close()

    # ---- the API -----------------------------------------------------------------------------------------------

    async def _create(self, request: Request) -> Batch:
        asked = await wire.read_body(request, CreateBatch)
        file = self._files.get(asked.input_file_id)
        if file.purpose != "batch":
            raise invalid(f"A file of purpose '{file.purpose}' cannot be a batch.", param="input_file_id")
        now = int(self._clock())
        body: Body = {
            "id": wire.new_id("batch_"),
            "object": "batch",
            "endpoint": asked.endpoint,
            "input_file_id": asked.input_file_id,
            "completion_window": asked.completion_window,
            "status": "validating",
            "created_at": now,
            "expires_at": now + _DAY_S,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": asked.metadata or {},
        }
        self._store.put(KIND, body["id"], body)
        self._tasks.start(body["id"], self._run, body["id"])
        return Batch.model_validate(body)

    async def _list(self, request: Request) -> wire.ListPage:
        return wire.listed(self._store.page(KIND, wire.paging(request)))

    async def _retrieve(self, request: Request) -> Batch:
        return Batch.model_validate(self._get(request.path_params["batch_id"]))

    async def _cancel(self, request: Request) -> Batch:
        body = self._get(request.path_params["batch_id"])
        if body["status"] not in _RUNNING:
            raise invalid(f"Cannot cancel a batch with status '{body['status']}'.", code=None)
        if body["status"] != "cancelling":
            body = self._change(body["id"], status="cancelling", cancelling_at=int(self._clock()))
            await self._tasks.stop(body["id"])
            self._end(self._get(body["id"]), "cancelled")
        return Batch.model_validate(body)

    def _get(self, batch_id: str) -> Body:
        body = self._store.get(KIND, batch_id)
        if body is None:
            raise not_found("batch", batch_id)
        return body

    def _change(self, batch_id: str, **fields: Any) -> Body:
        body = {**self._get(batch_id), **fields}
        self._store.put(KIND, batch_id, body)
        return body

    # ---- running -----------------------------------------------------------------------------------------------

    async def _run(self, batch_id: str) -> None:
        body = self._get(batch_id)
        try:
            lines = await asyncio.to_thread(read_lines, self._files.path(body["input_file_id"]), body["endpoint"])
        except (BadLine, OSError) as exc:
            number = exc.line if isinstance(exc, BadLine) else None
            error = {"code": "invalid_json_line", "line": number, "message": str(exc), "param": None}
            errors = {"object": "list", "data": [error]}
            self._change(batch_id, status="failed", failed_at=int(self._clock()), errors=errors)
            return
        done, failed = (self._count(batch_id, name) for name in ("output", "error"))
        counts = {"total": len(lines), "completed": done, "failed": failed}
        started_at = body.get("in_progress_at") or int(self._clock())
        self._change(batch_id, status="in_progress", in_progress_at=started_at, request_counts=counts)
        for line in lines[done + failed :]:
            status, answer = await self._call(line.url, line.body)
            name = "completed" if status < 400 else "failed"
            await asyncio.to_thread(self._append, batch_id, line, status, answer)
            counts = {**counts, name: counts[name] + 1}
            self._change(batch_id, request_counts=counts)
        self._end(self._change(batch_id, status="finalizing", finalizing_at=int(self._clock())), "completed")

    def _path(self, batch_id: str, name: str) -> Path:
        return self._folder / f"{batch_id}_{name}.jsonl"

    def _count(self, batch_id: str, name: str) -> int:
        """The number of outputs written by an earlier process; half a line at the end is cut off."""
        path = self._path(batch_id, name)
        if not path.exists():
            return 0
        whole = path.read_bytes()
        whole = whole[: whole.rfind(b"\n") + 1]
        path.write_bytes(whole)
        return whole.count(b"\n")

    def _append(self, batch_id: str, line: Line, status: int, answer: dict[str, Any]) -> None:
        response = {"status_code": status, "request_id": wire.new_id("req_"), "body": answer}
        output = {"id": wire.new_id("batch_req_"), "custom_id": line.custom_id, "response": response, "error": None}
        with self._path(batch_id, "output" if status < 400 else "error").open("a") as file:
            file.write(json.dumps(output) + "\n")

    def _end(self, body: Body, status: str) -> None:
        fields: dict[str, Any] = {"status": status, f"{status}_at": int(self._clock())}
        written = {name: path for name in ("output", "error") if (path := self._path(body["id"], name)).exists()}
        with self._store.together():  # a crash leaves the outputs here, or a batch that has ended
            for name, path in written.items():
                file = self._files.adopt(path, filename=path.name, purpose="batch_output", lives_s=None)
                fields[f"{name}_file_id"] = file.id
            self._change(body["id"], **fields)
        for path in written.values():
            path.unlink()
        logger.info("batch.ended", extra={"batch_id": body["id"], "status": status})


class BadLine(Exception):
    """A line of the input is no request to the batch's endpoint. `line`: its number, from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def read_lines(path: Path, endpoint: str) -> list[Line]:
    """The requests of a file. Blocks.

    Raises:
        BadLine: a line is malformed, for another endpoint, or has a custom id for the second time; or there are none,
            or too many.
    """
    lines: list[Line] = []
    seen: set[str] = set()
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.strip():
                continue
            try:
                line = wire.parse(json.loads(raw), Line)
            except (ValueError, RecursionError, ApiError) as exc:
                raise BadLine(number, f"This line is not a valid request: {exc}") from exc
            if line.url != endpoint:
                raise BadLine(number, f"The url '{line.url}' is not the batch's endpoint '{endpoint}'.")
            if line.custom_id in seen:
                raise BadLine(number, f"The custom_id '{line.custom_id}' was used before.")
            seen.add(line.custom_id)
            lines.append(line)
            if len(lines) > _MOST_REQUESTS:
                raise BadLine(number, f"A batch holds at most {_MOST_REQUESTS:,} requests.")
    if not lines:
        raise BadLine(1, "The file holds no request.")
    return lines
