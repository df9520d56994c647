"""The HTTP routes of runs and run steps: `/threads/runs` and `/threads/{id}/runs`."""

from __future__ import annotations

from collections.abc import Callable

from openai.types.beta.threads import Run
from openai.types.beta.threads.runs import RunStep
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute

from local.openai_emulator.agent.model import Model
from local.openai_emulator.assistants import run_records, run_steps
from local.openai_emulator.assistants.assistants import Assistants, changed_resources
from local.openai_emulator.assistants.messages import Messages
from local.openai_emulator.assistants.resources import ToolResources
from local.openai_emulator.assistants.run_input import (
    CreateRun,
    CreateThread,
    CreateThreadAndRun,
    SubmitToolOutputs,
    new_run,
)
from local.openai_emulator.assistants.runs import Runs
from local.openai_emulator.assistants.thread_routes import ThreadRoutes
from local.openai_emulator.assistants.threads import Threads
from local.openai_emulator.errors import invalid
from local.openai_emulator.http import wire
from local.openai_emulator.http.streams import EventStream

_POLL_AFTER_MS = 200  # the SDK's poll helpers wait this long between two requests


class ModifyRun(wire.RequestBody):
    metadata: wire.Metadata | None = None


class RunRoutes:
    def __init__(
        self,
        *,
        runs: Runs,
        assistants: Assistants,
        threads: Threads,
        messages: Messages,
        thread_routes: ThreadRoutes,
        resources: ToolResources,
        model: Model,
        clock: Callable[[], float],
    ) -> None:
        self._runs = runs
        self._assistants = assistants
        self._threads = threads
        self._messages = messages
        self._thread_routes = thread_routes
        self._resources = resources
        self._model = model
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        runs = "/threads/{thread_id}/runs"
        return [
            wire.route("POST", "/threads/runs", self._create_with_thread),
            wire.route("POST", runs, self._create),
            wire.route("GET", runs, self._list),
            wire.route("GET", runs + "/{run_id}", self._retrieve),
            wire.route("POST", runs + "/{run_id}", self._modify),
            wire.route("POST", runs + "/{run_id}/cancel", self._cancel),
            wire.route("POST", runs + "/{run_id}/submit_tool_outputs", self._submit),
            wire.route("GET", runs + "/{run_id}/steps", self._list_steps),
            wire.route("GET", runs + "/{run_id}/steps/{step_id}", self._retrieve_step),
        ]

    # ---- runs --------------------------------------------------------------------------------------------------

    async def _create(self, request: Request) -> wire.Answer:
        thread_id = request.path_params["thread_id"]
        self._threads.get(thread_id)
        _include(request)
        asked = await wire.read_body(request, CreateRun)
        asked.check()
        if (active := await self._runs.active(thread_id)) is not None:
            raise invalid(f"Thread {thread_id} already has an active run {active.id}.", code=None)
        assistant = self._assistants.get(asked.assistant_id)
        self._messages.check(asked.additional_messages or (), before=self._threads.resources(thread_id))
        for message in asked.additional_messages or ():
            self._messages.add(thread_id, message)
        run = new_run(asked, assistant, about=self._model.about, now=int(self._clock()))
        run.thread_id = thread_id
        stream = self._stream(run) if asked.stream else None
        run = self._runs.start(run, resources=wire.dump(assistant)["tool_resources"])
        return stream or run

    def _stream(self, run: Run) -> EventStream:
        """The events of a run from now on. A client that goes away does not stop the run, as at the service."""
        return EventStream(self._runs.events.open(run.id).follow(), done="done")

    async def _create_with_thread(self, request: Request) -> wire.Answer:
        asked = await wire.read_body(request, CreateThreadAndRun)
        asked.check()
        assistant = self._assistants.get(asked.assistant_id)
        self._resources.check(asked.tool_resources)
        resources = wire.dump(assistant)["tool_resources"]
        if asked.tool_resources:
            resources = changed_resources(resources, asked.tool_resources)
        thread = self._thread_routes.create_thread(asked.thread or CreateThread())
        run = new_run(asked, assistant, about=self._model.about, now=int(self._clock()))
        run.thread_id = thread.id
        stream = self._stream(run) if asked.stream else None
        self._runs.events.add(run.id, "thread.created", thread)
        run = self._runs.start(run, resources=resources)
        return stream or run

    async def _list(self, request: Request) -> wire.ListPage:
        thread = self._threads.get(request.path_params["thread_id"])
        await self._runs.expire(thread.id)
        return wire.listed(self._runs.records.page(thread.id, wire.paging(request)), run_records.read_run)

    async def _retrieve(self, request: Request) -> JSONResponse:
        run = await self._run(request)
        unfinished = run.status in ("queued", "in_progress", "cancelling")
        headers = {"openai-poll-after-ms": str(_POLL_AFTER_MS)} if unfinished else None
        return JSONResponse(wire.dump(run), headers=headers)

    async def _modify(self, request: Request) -> Run:
        asked = await wire.read_body(request, ModifyRun)
        run = await self._run(request)
        if "metadata" not in asked.model_fields_set:
            return run
        return self._runs.records.change(run, metadata=asked.metadata or {})

    async def _cancel(self, request: Request) -> Run:
        return self._runs.cancel(await self._run(request))

    async def _submit(self, request: Request) -> wire.Answer:
        asked = await wire.read_body(request, SubmitToolOutputs)
        run = await self._run(request)
        self._runs.check_outputs(run, asked.tool_outputs)
        stream = self._stream(run) if asked.stream else None
        run = self._runs.submit(run, asked.tool_outputs)
        return stream or run

    async def _run(self, request: Request) -> Run:
        """The run of the path; a run past its `expires_at` is expired first."""
        thread = self._threads.get(request.path_params["thread_id"])
        await self._runs.expire(thread.id)
        return self._runs.records.get(thread.id, request.path_params["run_id"])

    # ---- their steps -------------------------------------------------------------------------------------------

    async def _list_steps(self, request: Request) -> wire.ListPage:
        run = await self._run(request)
        include = _include(request)
        page = self._runs.steps.page(run.id, wire.paging(request))
        return wire.listed(page, lambda body: run_steps.read_step(body, include))

    async def _retrieve_step(self, request: Request) -> RunStep:
        run = await self._run(request)
        return self._runs.steps.get(run.id, request.path_params["step_id"], include=_include(request))


def _include(request: Request) -> list[str]:
    include = wire.query_list(request, "include")
    for one in include:
        if one != run_steps.RESULT_CONTENT:
            raise invalid(f"Invalid value for 'include': '{one}'.", param="include")
    return include
