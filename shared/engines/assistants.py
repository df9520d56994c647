"""The Assistants engine, for servers that still have the Assistants API.

OpenAI and Azure retired the API on 2026-08-26; the local emulator has it, and any compatible server can. A run or
thread of the app is a run or thread of the service. An engine run is identified by `<thread id>/<run id>`, a thread
that was made for a run by `<thread id>/`.

Threads cannot be listed, but the runs of a thread can. So the thread is made first and its id is on record before the
run is started there: a start that is repeated finds the run of the first one by its metadata. All that can be lost is
an empty thread, when the answer to its creation is.

Source: https://platform.openai.com/docs/assistants/migration
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import openai
from openai import AsyncOpenAI, omit
from openai.types.beta.threads import Message as ServiceMessage
from openai.types.beta.threads import Run as ServiceRun
from openai.types.beta.threads.runs import RunStep

from shared.engines.assistants_output import (
    activities_of,
    calls_of,
    created_ids,
    failure_of,
    ids_without_name,
    output_of,
    status_of,
)
from shared.engines.base import Ask, Look, MadeFile, bounded
from shared.engines.client import read_bounded, translated
from shared.engines.steering import Steering, of_assistants
from shared.errors import ChainLost, ServiceBusy, ServiceError, ServiceMissing

if TYPE_CHECKING:
    from openai.types.beta import AssistantToolParam

NAME = "assistant-functions"
MADE_BY = {"made_by": NAME}
START_TIMEOUT_S = 25.0
ACTIVE = frozenset({"queued", "in_progress", "requires_action", "cancelling"})
RETIRED = (
    "The service does not have the Assistants API, which OpenAI and Azure retired on 2026-08-26. Set ENGINE=responses, "
    "or OPENAI_BASE_URL to a server that still has it."
)


class AssistantsEngine:
    name = "assistants"
    filters = False  # the API has no filters for file search

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client
        self._beta = client.beta
        self._steering = Steering()
        self._assistant_id: str | None = None

    async def prepare(self, ask: Ask) -> str | None:
        if ask.place or ask.previous:
            return ask.place
        with _translated("creating a thread", has_id=False):
            thread = await self._beta.threads.create(metadata={**MADE_BY, "run_id": ask.run_id, "app": ask.app})
            return f"{thread.id}/"

    async def start(self, ask: Ask) -> str:
        place = ask.previous or ask.place or await self.prepare(ask) or ""
        try:
            return await self._start(place, ask, await self._assistant(ask.model))
        except ChainLost:
            raise
        except ServiceMissing:  # the assistant may have been deleted: create a new one
            self._assistant_id = None
            return await self._start(place, ask, await self._assistant(ask.model))

    async def answer_calls(self, engine_run: str, ask: Ask, outputs: Mapping[str, str]) -> str:
        thread_id, run_id = _ids(engine_run)
        submitted: list[Any] = [{"tool_call_id": call_id, "output": output} for call_id, output in outputs.items()]
        try:
            with _translated("submitting tool outputs"):
                await self._beta.threads.runs.submit_tool_outputs(run_id, thread_id=thread_id, tool_outputs=submitted)
        except ServiceError:
            # A process that crashed may have submitted them before. It is an error only if the run still waits.
            if any(call.call_id in outputs for call in calls_of(await self._run(engine_run))):
                raise
        return engine_run

    async def look(self, engine_runs: Sequence[str]) -> Look:
        engine_run = engine_runs[-1]
        run = await self._run(engine_run)
        steps = await self._steps(run)
        activity = bounded(activities_of(steps))
        if run.status in ("queued", "in_progress", "cancelling"):
            return Look(status="queued" if run.status == "queued" else "in_progress", activity=activity)
        if run.status == "requires_action":
            return Look(status="requires_action", calls=calls_of(run), activity=activity)
        messages = await self._messages(run)
        names = {file_id: await self._filename(file_id) for file_id in ids_without_name(messages)}
        return Look(
            status=status_of(run),
            activity=activity,
            output=output_of(run, steps, messages, names),
            failure=failure_of(run),
            completed_at=datetime.fromtimestamp(run.completed_at, UTC) if run.completed_at else None,
        )

    async def cancel(self, engine_run: str) -> None:
        thread_id, run_id = _ids(engine_run)
        with _translated("cancelling the run"):
            try:
                await self._beta.threads.runs.cancel(run_id, thread_id=thread_id)
            except openai.BadRequestError:  # it has ended meanwhile
                return

    async def forget(
        self, engine_runs: Sequence[str], *, run_id: str = "", place: str | None = None, containers: Sequence[str] = ()
    ) -> None:
        for engine_run in engine_runs:
            with suppress(ServiceMissing):
                await self._forget(await self._run(engine_run))
        if place and run_id:
            with suppress(ServiceMissing):
                await self._forget_in(_thread_id(place), run_id)

    async def _forget_in(self, thread_id: str, run_id: str) -> None:
        """Delete what a thread has of a run of the app, also when the record of that run does not name it."""
        for run in await self._runs_of(thread_id, run_id):
            if run.status in ACTIVE:
                await self.cancel(f"{thread_id}/{run.id}")
            await self._forget(run)
        with _translated("deleting the run"):
            await self._clear(thread_id, run_id, None)

    async def _forget(self, run: ServiceRun) -> None:
        """Delete the files that its code created, its messages, and the thread if no other messages are left."""
        with _translated("deleting the run"):
            for file_id in created_ids(await self._steps(run), await self._messages(run)):
                with suppress(openai.NotFoundError):
                    await self._client.files.delete(file_id)
            await self._clear(run.thread_id, (run.metadata or {}).get("run_id"), run.id)

    async def _clear(self, thread_id: str, run_id: str | None, service_run_id: str | None) -> None:
        """Delete the messages of a run, and the thread if no other messages are left."""
        kept = 0
        for message in [message async for message in self._beta.threads.messages.list(thread_id, limit=100)]:
            by_run = service_run_id and message.run_id == service_run_id
            if by_run or (run_id and (message.metadata or {}).get("run_id") == run_id):
                with suppress(openai.NotFoundError):
                    await self._beta.threads.messages.delete(message.id, thread_id=thread_id)
            else:
                kept += 1
        if not kept:
            await self._beta.threads.delete(thread_id)

    async def download(self, file: MadeFile) -> bytes:
        with translated(f"downloading {file.filename}"):
            async with self._client.files.with_streaming_response.content(file.file_id) as response:
                return await read_bounded(response.iter_bytes(), file.filename)

    # ---- requests ------------------------------------------------------------------------------------------------

    async def _assistant(self, model: str) -> str:
        """The id of the one assistant for all runs; the run itself overrides model, instructions and tools."""
        if self._assistant_id is None:
            with _translated("listing the assistants", has_id=False):
                async for assistant in self._beta.assistants.list(limit=100):
                    if (assistant.metadata or {}).get("made_by") == NAME:
                        self._assistant_id = assistant.id
                        break
                else:
                    made = await self._beta.assistants.create(model=model, name=NAME, metadata={**MADE_BY})
                    self._assistant_id = made.id
        return self._assistant_id

    async def _start(self, place: str, ask: Ask, assistant_id: str) -> str:
        """Add the question to the thread and start a run. Safe to repeat after a crash: finds the messages or the run.

        Raises:
            ChainLost: the thread of `ask.previous` does not exist any more.
        """
        threads = self._beta.threads
        try:
            thread_id = _thread_id(place)
            with _translated("continuing the thread"):
                runs = (await threads.runs.list(thread_id, limit=20, order="desc")).data
                if own := [run for run in runs if (run.metadata or {}).get("run_id") == ask.run_id]:
                    return f"{thread_id}/{own[0].id}"
                await threads.update(thread_id, tool_resources=_resources(ask))
                if runs and runs[0].status in ACTIVE:
                    await self._free_thread(runs[0])
                await self._add_messages(thread_id, ask)
        except ServiceMissing as exc:
            if ask.previous and not await self._has_thread(place):
                raise ChainLost(exc.message) from exc
            raise
        return f"{thread_id}/{await self._begin(thread_id, assistant_id, ask)}"

    async def _begin(self, thread_id: str, assistant_id: str, ask: Ask) -> str:
        """Create the run, again without each parameter that the service refuses."""
        while True:
            parameters = _parameters(ask, self._steering.of(ask))
            try:
                with _translated("starting the run"):
                    runs = self._beta.threads.runs
                    run: ServiceRun = await runs.create(thread_id, assistant_id=assistant_id, **parameters)
                    return run.id
            except ServiceError as exc:
                if not self._steering.drop(ask, exc):
                    raise

    async def _add_messages(self, thread_id: str, ask: Ask) -> None:
        """Add the history and the question, after those of them that an earlier start has added."""
        # `forget` finds the messages of a run by this metadata, including its history.
        metadata = {"run_id": ask.run_id}
        messages = self._beta.threads.messages
        wanted = [*ask.history, ("user", ask.question)]
        newest = (await messages.list(thread_id, limit=min(len(wanted), 100), order="desc")).data
        added = sum((message.metadata or {}).get("run_id") == ask.run_id for message in newest)
        for role, text in wanted[added:]:
            await messages.create(
                thread_id, role="assistant" if role == "assistant" else "user", content=text, metadata=metadata
            )

    async def _runs_of(self, thread_id: str, run_id: str) -> list[ServiceRun]:
        """The runs of a thread that the service has for one run of the app, newest first."""
        with _translated("listing the runs of the thread"):
            listing = self._beta.threads.runs.list(thread_id, limit=100, order="desc")
            return [run async for run in listing if (run.metadata or {}).get("run_id") == run_id]

    async def _has_thread(self, place: str) -> bool:
        try:
            with _translated("retrieving the thread"):
                await self._beta.threads.retrieve(_thread_id(place))
        except ServiceMissing:
            return False
        return True

    async def _free_thread(self, run: ServiceRun) -> None:
        """A thread accepts no message while it has an active run. Nothing waits for that run any more: cancel it.

        Raises:
            ServiceBusy: always: the caller retries until the run has ended.
        """
        if run.status != "cancelling":
            await self.cancel(f"{run.thread_id}/{run.id}")
        raise ServiceBusy("The previous run of the thread has not ended at the service.", retry_after_s=1.0)

    async def _run(self, engine_run: str) -> ServiceRun:
        thread_id, run_id = _ids(engine_run)
        with _translated("retrieving the run"):
            return await self._beta.threads.runs.retrieve(run_id, thread_id=thread_id)

    async def _steps(self, run: ServiceRun) -> list[RunStep]:
        with _translated("listing the steps of the run"):
            listing = self._beta.threads.runs.steps.list(
                run.id,
                thread_id=run.thread_id,
                include=["step_details.tool_calls[*].file_search.results[*].content"],
                order="asc",
                limit=100,
            )
            return [step async for step in listing]

    async def _messages(self, run: ServiceRun) -> list[ServiceMessage]:
        with _translated("reading the answer"):
            listing = self._beta.threads.messages.list(run.thread_id, run_id=run.id, order="asc", limit=100)
            return [message async for message in listing if message.role == "assistant"]

    async def _filename(self, file_id: str) -> str:
        """The name of a file that a message identifies only by its id; "" when the file does not exist any more."""
        try:
            with translated("retrieving a file"):
                return (await self._client.files.retrieve(file_id)).filename.rsplit("/", 1)[-1]
        except ServiceMissing:
            return ""


@contextmanager
def _translated(what: str, *, has_id: bool = True) -> Iterator[None]:
    """As `translated`, and report a server without the Assistants API: status 410, or 404 for a path without an id."""
    with translated(what):
        try:
            yield
        except openai.APIStatusError as exc:
            if exc.status_code == 410 or (exc.status_code == 404 and not has_id):
                raise ServiceError(RETIRED, code="assistants_api_retired") from exc
            raise


def _ids(engine_run: str) -> tuple[str, str]:
    """Thread id and run id. Raises ServiceMissing when `engine_run` is of another engine."""
    thread_id, _, run_id = engine_run.partition("/")
    if not thread_id or not run_id:
        raise ServiceMissing(f"{engine_run} is not a run of the Assistants API.")
    return thread_id, run_id


def _thread_id(place: str) -> str:
    """Of an engine run or of a thread that was made for one. Raises ServiceMissing when it is of another engine."""
    thread_id, slash, _ = place.partition("/")
    if not thread_id or not slash:
        raise ServiceMissing(f"{place} is not a thread of the Assistants API.")
    return thread_id


def _resources(ask: Ask) -> Any:
    resources: dict[str, Any] = {}
    if ask.stores:
        resources["file_search"] = {"vector_store_ids": list(ask.stores)}
    if ask.code_interpreter:
        resources["code_interpreter"] = {"file_ids": list(ask.file_ids)}
    return resources


def _parameters(ask: Ask, steering: dict[str, str | float]) -> dict[str, Any]:
    """The parameters of a run; they override those of the assistant."""
    tools: list[AssistantToolParam] = []
    if ask.stores:
        tools.append({"type": "file_search"})
    if ask.code_interpreter:
        tools.append({"type": "code_interpreter"})
    for function in ask.functions:
        described = {
            "name": function.name,
            "description": function.description,
            "parameters": dict(function.parameters),
        }
        tools.append({"type": "function", "function": described})  # type: ignore[typeddict-item]
    return {
        "model": ask.model,
        "instructions": ask.instructions,
        "tools": tools,
        **of_assistants(steering),
        "max_completion_tokens": omit if ask.max_output_tokens is None else ask.max_output_tokens,
        "metadata": {"run_id": ask.run_id, **MADE_BY, "app": ask.app},
        "timeout": START_TIMEOUT_S,
    }
