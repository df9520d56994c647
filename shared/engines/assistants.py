"""The Assistants engine: the tutorial's own API, for servers that still speak it.

OpenAI and Azure retired it on 2026-08-26; the local emulator speaks it, and so can any compatible server. A run of
ours is a run there, known as `<thread id>/<run id>`; a thread of ours is a thread there.

Source: https://platform.openai.com/docs/assistants/migration
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import openai
from openai import AsyncOpenAI, omit
from openai.types.beta.threads import (
    FileCitationAnnotation,
    FilePathAnnotation,
    ImageFileContentBlock,
    TextContentBlock,
)
from openai.types.beta.threads import Message as ServiceMessage
from openai.types.beta.threads import Run as ServiceRun
from openai.types.beta.threads.runs import (
    CodeInterpreterToolCall,
    FileSearchToolCall,
    RunStep,
    ToolCallsStepDetails,
)

from shared.engines.base import Annotation, Ask, Call, Look, MadeFile, Output
from shared.engines.client import read_bounded, translated
from shared.engines.stores import Passage
from shared.errors import ChainLost, ServiceBusy, ServiceError, ServiceMissing
from shared.models.runs import Activity, Failure, Usage

if TYPE_CHECKING:
    from openai.types.beta import AssistantToolParam

NAME = "assistant-functions"
MADE_BY = {"made_by": NAME}
RETRYABLE = frozenset({"server_error", "rate_limit_exceeded"})
START_TIMEOUT_S = 25.0
ACTIVE = frozenset({"queued", "in_progress", "requires_action", "cancelling"})
RETIRED = (
    "The service does not have the Assistants API, which OpenAI and Azure retired on 2026-08-26. Set ENGINE=responses, "
    "or OPENAI_BASE_URL to a server that still speaks it."
)


class AssistantsEngine:
    name = "assistants"
    filters = False  # its file search takes none

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client
        self._beta = client.beta
        self._assistant_id: str | None = None

    async def start(self, ask: Ask) -> str:
        try:
            return await self._start(ask, await self._assistant(ask.model))
        except ChainLost:
            raise
        except ServiceMissing:  # the assistant, perhaps: somebody has deleted it
            self._assistant_id = None
            return await self._start(ask, await self._assistant(ask.model))

    async def _start(self, ask: Ask, assistant_id: str) -> str:
        if ask.previous:
            return await self._go_on(assistant_id, ask, ask.previous)
        # What is told of earlier goes when this run is forgotten.
        messages: list[Any] = [
            {"role": role, "content": text, "metadata": {"run_id": ask.run_id}}
            for role, text in (*ask.history, ("user", ask.question))
        ]
        with _asking("starting the run"):
            run = await self._beta.threads.create_and_run(
                assistant_id=assistant_id,
                thread={"messages": messages, "tool_resources": _resources(ask), "metadata": {**MADE_BY}},
                **_choices(ask),
            )
            return f"{run.thread_id}/{run.id}"

    async def answer_calls(self, engine_run: str, ask: Ask, outputs: Mapping[str, str]) -> str:
        thread_id, run_id = _ids(engine_run)
        given: list[Any] = [{"tool_call_id": call_id, "output": output} for call_id, output in outputs.items()]
        try:
            with _asking("handing in outputs"):
                await self._beta.threads.runs.submit_tool_outputs(run_id, thread_id=thread_id, tool_outputs=given)
        except ServiceError:
            # Handed in already, by a process that died before it could say so?
            if any(call.call_id in outputs for call in _calls(await self._run(engine_run))):
                raise
        return engine_run

    async def look(self, engine_runs: Sequence[str]) -> Look:
        engine_run = engine_runs[-1]
        run = await self._run(engine_run)
        steps = await self._steps(run)
        activity = tuple(_activities(steps))
        if run.status in ("queued", "in_progress", "cancelling"):
            return Look(status="queued" if run.status == "queued" else "in_progress", activity=activity)
        if run.status == "requires_action":
            return Look(status="requires_action", calls=_calls(run), activity=activity)
        messages = await self._messages(run)
        names = {file_id: await self._filename(file_id) for file_id in _named_by_id(messages)}
        return Look(
            status=_status(run),
            activity=activity,
            output=output_of(run, steps, messages, names),
            failure=_failure(run),
            completed_at=datetime.fromtimestamp(run.completed_at, UTC) if run.completed_at else None,
        )

    async def cancel(self, engine_run: str) -> None:
        thread_id, run_id = _ids(engine_run)
        with _asking("cancelling the run"):
            try:
                await self._beta.threads.runs.cancel(run_id, thread_id=thread_id)
            except openai.BadRequestError:  # it has ended by itself
                return

    async def forget(self, engine_runs: Sequence[str]) -> None:
        for engine_run in engine_runs:
            with suppress(ServiceMissing):
                await self._forget(await self._run(engine_run))

    async def _forget(self, run: ServiceRun) -> None:
        """The files its code made, then its messages, then the thread when nothing else is in it."""
        ours = (run.metadata or {}).get("run_id")
        kept = 0
        with _asking("deleting the run"):
            for file_id in _made_ids(await self._steps(run), await self._messages(run)):
                with suppress(openai.NotFoundError):
                    await self._client.files.delete(file_id)
            for message in [message async for message in self._beta.threads.messages.list(run.thread_id, limit=100)]:
                if message.run_id == run.id or (ours and (message.metadata or {}).get("run_id") == ours):
                    with suppress(openai.NotFoundError):
                        await self._beta.threads.messages.delete(message.id, thread_id=run.thread_id)
                else:
                    kept += 1
            if not kept:
                await self._beta.threads.delete(run.thread_id)

    async def download(self, file: MadeFile) -> bytes:
        with translated(f"fetching {file.filename}"):
            async with self._client.files.with_streaming_response.content(file.file_id) as response:
                return await read_bounded(response.iter_bytes(), file.filename)

    # ---- requests ------------------------------------------------------------------------------------------------

    async def _assistant(self, model: str) -> str:
        """The one assistant that all runs are made with; what differs between them is sent along with each."""
        if self._assistant_id is None:
            with _asking("looking for the assistant", names_nothing=True):
                async for assistant in self._beta.assistants.list(limit=100):
                    if (assistant.metadata or {}).get("made_by") == NAME:
                        self._assistant_id = assistant.id
                        break
                else:
                    made = await self._beta.assistants.create(model=model, name=NAME, metadata={**MADE_BY})
                    self._assistant_id = made.id
        return self._assistant_id

    async def _go_on(self, assistant_id: str, ask: Ask, previous: str) -> str:
        """Three requests; one that was made before a crash is not made again."""
        threads = self._beta.threads
        try:
            thread_id, _ = _ids(previous)
            with _asking("continuing the thread"):
                await threads.update(thread_id, tool_resources=_resources(ask))
                last = (await threads.runs.list(thread_id, limit=1, order="desc")).data
                if last and (last[0].metadata or {}).get("run_id") == ask.run_id:
                    return f"{thread_id}/{last[0].id}"
                if last and last[0].status in ACTIVE:
                    await self._make_way(last[0])
                said = (await threads.messages.list(thread_id, limit=1, order="desc")).data
                if not (said and (said[0].metadata or {}).get("run_id") == ask.run_id):
                    await threads.messages.create(
                        thread_id, role="user", content=ask.question, metadata={"run_id": ask.run_id}
                    )
        except ServiceMissing as exc:
            raise ChainLost(exc.message) from exc
        with _asking("starting the run"):
            run = await threads.runs.create(thread_id, assistant_id=assistant_id, **_choices(ask))
            return f"{thread_id}/{run.id}"

    async def _make_way(self, run: ServiceRun) -> None:
        """A thread takes nothing while a run of its goes on: stop one that nobody waits for any more, and come back."""
        if run.status != "cancelling":
            await self.cancel(f"{run.thread_id}/{run.id}")
        raise ServiceBusy("The thread's run before this one has not ended at the service.", retry_after_s=1.0)

    async def _run(self, engine_run: str) -> ServiceRun:
        thread_id, run_id = _ids(engine_run)
        with _asking("looking at the run"):
            return await self._beta.threads.runs.retrieve(run_id, thread_id=thread_id)

    async def _steps(self, run: ServiceRun) -> list[RunStep]:
        with _asking("looking at the run's steps"):
            listing = self._beta.threads.runs.steps.list(
                run.id,
                thread_id=run.thread_id,
                include=["step_details.tool_calls[*].file_search.results[*].content"],
                order="asc",
                limit=100,
            )
            return [step async for step in listing]

    async def _messages(self, run: ServiceRun) -> list[ServiceMessage]:
        with _asking("reading the answer"):
            listing = self._beta.threads.messages.list(run.thread_id, run_id=run.id, order="asc", limit=100)
            return [message async for message in listing if message.role == "assistant"]

    async def _filename(self, file_id: str) -> str:
        """Of a picture or a citation: the message only has its id."""
        try:
            with translated("looking at a file"):
                return (await self._client.files.retrieve(file_id)).filename.rsplit("/", 1)[-1]
        except ServiceMissing:
            return ""


@contextmanager
def _asking(what: str, *, names_nothing: bool = False) -> Iterator[None]:
    """As `translated`. 410 means that the whole API is gone; so does 404 where nothing is named that could be."""
    with translated(what):
        try:
            yield
        except openai.APIStatusError as exc:
            if exc.status_code == 410 or (exc.status_code == 404 and names_nothing):
                raise ServiceError(RETIRED, code="assistants_api_retired") from exc
            raise


def _ids(engine_run: str) -> tuple[str, str]:
    """Thread and run. Raises ServiceMissing: it is a run of another engine."""
    thread_id, _, run_id = engine_run.partition("/")
    if not thread_id or not run_id:
        raise ServiceMissing(f"{engine_run} is no run of the Assistants API.")
    return thread_id, run_id


def _resources(ask: Ask) -> Any:
    resources: dict[str, Any] = {}
    if ask.stores:
        resources["file_search"] = {"vector_store_ids": list(ask.stores)}
    if ask.code_interpreter:
        resources["code_interpreter"] = {"file_ids": list(ask.file_ids)}
    return resources


def _choices(ask: Ask) -> dict[str, Any]:
    """What a run is made with in place of what its assistant has."""
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
        "temperature": omit if ask.temperature is None else ask.temperature,
        "max_completion_tokens": omit if ask.max_output_tokens is None else ask.max_output_tokens,
        "metadata": {"run_id": ask.run_id, **MADE_BY},
        "timeout": START_TIMEOUT_S,
    }


# ---- what the service says, in our words. Pure. ------------------------------------------------------------------


def _status(run: ServiceRun) -> Literal["completed", "incomplete", "failed", "cancelled"]:
    return run.status if run.status in ("completed", "incomplete", "cancelled") else "failed"


def _calls(run: ServiceRun) -> tuple[Call, ...]:
    asked = run.required_action.submit_tool_outputs.tool_calls if run.required_action else ()
    return tuple(Call(call_id=call.id, name=call.function.name, arguments=call.function.arguments) for call in asked)


def _failure(run: ServiceRun) -> Failure | None:
    if run.last_error:
        code: str = run.last_error.code
        return Failure(code=code, message=run.last_error.message, retryable=code in RETRYABLE)
    if run.status == "incomplete":
        reason = run.incomplete_details.reason if run.incomplete_details else None
        # The two APIs have two words for the same.
        code = {"max_completion_tokens": "max_output_tokens"}.get(reason or "", reason or "incomplete")
        return Failure(code=code, message=f"The model stopped early: {code}.")
    if run.status == "expired":
        return Failure(code="expired", message="The run expired at the service.", retryable=True)
    if run.status == "failed":
        return Failure(code="failed", message="The service gave no reason.", retryable=True)
    return None


def _activities(steps: Sequence[RunStep]) -> Iterator[Activity]:
    for step in steps:
        if isinstance(step.step_details, ToolCallsStepDetails):
            for call in step.step_details.tool_calls:
                yield Activity(type=call.type, status=step.status)
        else:
            yield Activity(type="message", status=step.status)


def _tool_calls(steps: Sequence[RunStep]) -> Iterator[Any]:
    for step in steps:
        if isinstance(step.step_details, ToolCallsStepDetails):
            yield from step.step_details.tool_calls


def _blocks(messages: Sequence[ServiceMessage]) -> Iterator[Any]:
    for message in messages:
        yield from message.content


def _notes(messages: Sequence[ServiceMessage]) -> Iterator[FileCitationAnnotation | FilePathAnnotation]:
    for block in _blocks(messages):
        if isinstance(block, TextContentBlock):
            yield from block.text.annotations


def _named_by_id(messages: Sequence[ServiceMessage]) -> set[str]:
    """The files of which a message says the id and not the name."""
    pictures = {block.image_file.file_id for block in _blocks(messages) if isinstance(block, ImageFileContentBlock)}
    return pictures | {n.file_citation.file_id for n in _notes(messages) if isinstance(n, FileCitationAnnotation)}


def _made_ids(steps: Sequence[RunStep], messages: Sequence[ServiceMessage]) -> set[str]:
    """The files that code made, as far as the service tells."""
    shown = {block.image_file.file_id for block in _blocks(messages) if isinstance(block, ImageFileContentBlock)}
    named = {note.file_path.file_id for note in _notes(messages) if isinstance(note, FilePathAnnotation)}
    drawn = {
        output.image.file_id
        for call in _tool_calls(steps)
        if isinstance(call, CodeInterpreterToolCall)
        for output in call.code_interpreter.outputs
        if output.type == "image" and output.image.file_id
    }
    return shown | named | drawn


def output_of(
    run: ServiceRun, steps: Sequence[RunStep], messages: Sequence[ServiceMessage], names: Mapping[str, str]
) -> Output:
    """Join the run's messages. `names`: file name of each picture and cited file by its id."""
    text = ""
    annotations: list[Annotation] = []
    named: list[MadeFile] = []
    shown: list[MadeFile] = []
    for block in _blocks(messages):
        if isinstance(block, ImageFileContentBlock):
            file_id = block.image_file.file_id
            shown.append(MadeFile(container_id="", file_id=file_id, filename=_picture(names[file_id], file_id)))
        elif isinstance(block, TextContentBlock):
            text += "\n\n" if text else ""
            bare, found, files = _without_placeholders(block, len(text), names)
            text += bare
            annotations += found
            named += files
    calls = list(_tool_calls(steps))
    return Output(
        text=text,
        annotations=tuple(annotations),
        passages=tuple(_passages(calls)),
        made=(*named, *shown),  # a picture that the text names is shown beside it, too
        usage=_usage(run, calls),
        model=run.model,
        metadata={k: v for k, v in (run.metadata or {}).items() if k not in ("run_id", "made_by")},
    )


def _picture(filename: str, file_id: str) -> str:
    return filename if "." in filename else f"{filename or file_id}.png"


def _usage(run: ServiceRun, calls: Sequence[Any]) -> Usage:
    """A thread has one container, which the service does not name."""
    code_calls = sum(isinstance(call, CodeInterpreterToolCall) for call in calls)
    usage = run.usage
    return Usage(
        input_tokens=usage.prompt_tokens if usage else 0,
        output_tokens=usage.completion_tokens if usage else 0,
        total_tokens=usage.total_tokens if usage else 0,
        file_search_calls=sum(isinstance(call, FileSearchToolCall) for call in calls),
        code_interpreter_calls=code_calls,
        code_interpreter_sessions=int(code_calls > 0),
    )


def _without_placeholders(
    block: TextContentBlock, offset: int, names: Mapping[str, str]
) -> tuple[str, list[Annotation], list[MadeFile]]:
    """Citations stand in the text as `【4:0†source】`: take them out, and mark where they stood."""
    text, annotations, files, removed = block.text.value, [], [], 0
    for note in sorted(block.text.annotations, key=lambda note: note.start_index):
        start, end = note.start_index - removed, note.end_index - removed
        if isinstance(note, FileCitationAnnotation):
            text = text[:start] + text[end:]
            removed += end - start
            file_id = note.file_citation.file_id
            annotations.append(Annotation(position=offset + start, file_id=file_id, filename=names[file_id]))
        elif isinstance(note, FilePathAnnotation):
            files.append(
                MadeFile(
                    container_id="",
                    file_id=note.file_path.file_id,
                    filename=re.split(r"[/\\]", note.text)[-1],
                    start=offset + start,
                    end=offset + end,
                )
            )
    return text, annotations, files


def _passages(calls: Sequence[Any]) -> Iterator[Passage]:
    for call in calls:
        if not isinstance(call, FileSearchToolCall):
            continue
        for result in call.file_search.results or ():
            text = "\n".join(part.text for part in result.content or () if part.text)
            # Attributes are not part of this API; a server that sends them all the same saves a lookup.
            attributes = (result.model_extra or {}).get("attributes") or {}
            if text:
                yield Passage(
                    file_id=result.file_id,
                    filename=result.file_name,
                    text=text,
                    score=result.score,
                    attributes=attributes,
                )
