"""The Responses engine: a run is a background response; a thread is a chain of them by `previous_response_id`.

A run with function calls takes several responses, one per round.

Starting a run twice cannot be ruled out here: the API has no list of responses and no idempotency key, so a response
whose answer was lost (a timeout, a process that died) cannot be looked up. Its webhook names it, though, and its
metadata name the run: the app then continues with it instead of starting another one, or deletes it with the run.

Sources:
    https://learn.microsoft.com/azure/ai-foundry/openai/how-to/responses
    https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from openai import AsyncOpenAI, omit
from openai.types.responses import (
    Response,
    ResponseCodeInterpreterToolCall,
    ResponseFileSearchToolCall,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputRefusal,
    ResponseOutputText,
)
from openai.types.responses.response_output_text import AnnotationContainerFileCitation, AnnotationFileCitation

from shared.engines.base import Annotation, Ask, Call, Look, MadeFile, Output, bounded
from shared.engines.client import read_bounded, translated
from shared.engines.images import content_of, with_images
from shared.engines.searching import Filters, passages_of
from shared.engines.steering import Steering, of_responses
from shared.errors import ChainLost, ServiceBusy, ServiceError, ServiceMissing
from shared.models.runs import Activity, Failure, Usage

if TYPE_CHECKING:
    from openai.types.responses import FileSearchToolParam, ResponseIncludable, ResponseInputItemParam, ToolParam

INCLUDE: list[ResponseIncludable] = ["file_search_call.results", "code_interpreter_call.outputs"]

START_TIMEOUT_S = 25.0  # a background response is created at once; shorter than runs.START_CLAIM
CHAIN_LOST = "previous_response_not_found"

# Error codes of a failed response for which a retry can help.
RETRYABLE = frozenset({"server_error", "rate_limit_exceeded", "vector_store_timeout"})

ACTIVITIES = {  # type of an output item -> type of an activity
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "function_call": "function",
    "reasoning": "reasoning",
    "message": "message",
}


class ResponsesEngine:
    name = "responses"
    filters = True

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client
        self._steering = Steering()
        self._filters = Filters()

    async def prepare(self, ask: Ask) -> str | None:
        return ask.place  # nothing that is made before makes a response findable

    async def start(self, ask: Ask) -> str:
        items: list[ResponseInputItemParam] = [{"role": _role(role), "content": text} for role, text in ask.history]
        items.append({"role": "user", "content": ask.question})
        try:
            return await self._create(ask, items, previous=ask.previous)
        except ServiceError as exc:
            # A service may answer 404 for the previous response, but also for a file or a vector store.
            missing = isinstance(exc, ServiceMissing) and ask.previous and not await self._exists(ask.previous)
            if ask.previous and (missing or exc.code == CHAIN_LOST):
                raise ChainLost(exc.message) from exc
            raise

    async def answer_calls(self, engine_run: str, ask: Ask, outputs: Mapping[str, str]) -> str:
        # A response cannot be resumed: a new one, with the outputs as input, continues it.
        items: list[ResponseInputItemParam] = [
            {"type": "function_call_output", "call_id": call_id, "output": output}
            for call_id, output in outputs.items()
        ]
        return await self._create(ask, items, previous=engine_run)

    async def look(self, engine_runs: Sequence[str]) -> Look:
        look, response = await self._retrieve(engine_runs[-1])
        if look.output is None or look.status == "requires_action":
            return look
        output, activity = await self._with_unnamed_files(response, look.output), look.activity
        for engine_run in reversed(engine_runs[:-1]):
            earlier, response = await self._retrieve(engine_run)
            activity = (*earlier.activity, *activity)
            if earlier.output:
                output = joined(await self._with_unnamed_files(response, earlier.output), output)
        return replace(look, output=output, activity=bounded(activity))

    async def forget(
        self, engine_runs: Sequence[str], *, run_id: str = "", place: str | None = None, containers: Sequence[str] = ()
    ) -> None:
        for engine_run in engine_runs:
            with suppress(ServiceMissing), translated("deleting the run"):
                await self._client.responses.delete(engine_run)
        for container_id in containers:
            with suppress(ServiceMissing), translated("deleting a container"):
                await self._client.containers.delete(container_id)

    async def _create(self, ask: Ask, items: list[ResponseInputItemParam], *, previous: str | None) -> str:
        """Create a response, again without each parameter that the service refuses."""
        while True:
            try:
                return await self._create_once(ask, items, previous=previous)
            except ServiceError as exc:
                if not (self._steering.drop(ask, exc) or self._filters.drop(ask.within, exc)):
                    raise

    async def _create_once(self, ask: Ask, items: list[ResponseInputItemParam], *, previous: str | None) -> str:
        with translated("starting the run"):
            response: Response = await self._client.responses.create(
                model=ask.model,
                input=items,
                instructions=ask.instructions,  # the service does not take them over from the previous response
                previous_response_id=previous,
                tools=_tools(ask, self._filters),
                include=INCLUDE,
                metadata={"run_id": ask.run_id, "made_by": "assistant-functions", "app": ask.app},
                **of_responses(self._steering.of(ask)),
                max_output_tokens=omit if ask.max_output_tokens is None else ask.max_output_tokens,
                background=True,
                store=True,  # else the service may delete a background response after ten minutes
                timeout=START_TIMEOUT_S,
            )
            return response.id

    async def _retrieve(self, engine_run: str) -> tuple[Look, Response]:
        with translated("retrieving the run"):
            response = await self._client.responses.retrieve(engine_run, include=INCLUDE)
            return look_of(response), response

    async def _exists(self, engine_run: str) -> bool:
        try:
            await self._retrieve(engine_run)
        except ServiceMissing:
            return False
        return True

    async def cancel(self, engine_run: str) -> None:
        with translated("cancelling the run"):
            await self._client.responses.cancel(engine_run)

    async def download(self, file: MadeFile) -> bytes:
        try:
            return await self._download(file) if file.file_id else content_of(file.url or "")
        except ServiceBusy:
            raise
        except ServiceError:  # gone, or refused to tokens: the outputs of the code may have the image
            if file.url is None:
                raise
            return content_of(file.url)

    async def _download(self, file: MadeFile) -> bytes:
        # `client.files.content` does not find files of containers.
        files = self._client.containers.files.content.with_streaming_response
        with translated(f"downloading {file.filename}"):
            async with files.retrieve(file.file_id, container_id=file.container_id) as response:
                return await read_bounded(response.iter_bytes(), file.filename)

    async def _with_unnamed_files(self, response: Response, output: Output) -> Output:
        """Add the files that the code of this response created in its containers, but that its text does not name."""
        known = {(file.container_id, file.file_id) for file in output.made}
        later: list[MadeFile] = []
        same_second: list[MadeFile] = []
        unlisted = []
        images: list[MadeFile] = []
        for container_id in output.containers:
            try:
                with translated("listing the files of a container"):
                    async for file in self._client.containers.files.list(container_id):
                        # A thread reuses its container, which then also has the files of earlier responses.
                        age_s = file.created_at - int(response.created_at)
                        if file.source == "assistant" and age_s >= 0 and (container_id, file.id) not in known:
                            name = file.path.rsplit("/", 1)[-1]
                            made = MadeFile(container_id=container_id, file_id=file.id, filename=name)
                            (later if age_s else same_second).append(made)
            except ServiceBusy:
                unlisted.append(container_id)
            except ServiceError:
                # Expired, or refused to tokens: files that the text names are still downloaded, and reported when that
                # fails; images that it does not name may be in the outputs of the code.
                images += [image for image in output.images if image.container_id == container_id]
        # Times are in seconds: such a file may be of the previous response, if that ended in this second.
        if same_second and response.previous_response_id:
            same_second = await self._without_files_of(response.previous_response_id, same_second)
        return replace(output, made=(*output.made, *same_second, *later, *images), unlisted=tuple(unlisted))

    async def _without_files_of(self, response_id: str, files: list[MadeFile]) -> list[MadeFile]:
        """The files that the text of this response does not name."""
        try:
            earlier, _ = await self._retrieve(response_id)
        except ServiceMissing:
            return files
        named = {file.file_id for file in earlier.output.made} if earlier.output else set()
        return [file for file in files if file.file_id not in named]


def _tools(ask: Ask, filters: Filters) -> list[ToolParam]:
    tools: list[ToolParam] = []
    if ask.stores:
        search: FileSearchToolParam = {
            "type": "file_search",
            "vector_store_ids": list(ask.stores),
            "max_num_results": 20,
        }
        if ask.within:
            search["filters"] = cast(Any, filters.of(ask.within))
        tools.append(search)
    if ask.code_interpreter:
        tools.append({"type": "code_interpreter", "container": {"type": "auto", "file_ids": list(ask.file_ids)}})
    tools.extend(
        {
            "type": "function",
            "name": function.name,
            "description": function.description,
            "parameters": dict(function.parameters),
            "strict": False,
        }
        for function in ask.functions
    )
    return tools


def _role(role: str) -> Literal["user", "assistant"]:
    return "assistant" if role == "assistant" else "user"


def joined(earlier: Output, later: Output) -> Output:
    """The output of a run that took several responses: the text of the last one; passages, files and usage of all."""
    sums = {f.name: getattr(earlier.usage, f.name) + getattr(later.usage, f.name) for f in fields(Usage)}
    containers = tuple(dict.fromkeys((*earlier.containers, *later.containers)))
    return replace(
        later,
        passages=(*earlier.passages, *later.passages),
        made=(*earlier.made, *later.made),
        usage=replace(Usage(**sums), code_interpreter_sessions=len(containers)),
        containers=containers,
        unlisted=tuple(dict.fromkeys((*earlier.unlisted, *later.unlisted))),
    )


def look_of(response: Response) -> Look:
    """Translate one retrieved response."""
    activity = bounded(_activity(response))
    status = response.status or "in_progress"
    if status in ("queued", "in_progress"):
        return Look(status=status, activity=activity)
    calls = tuple(
        Call(call_id=item.call_id, name=item.name, arguments=item.arguments)
        for item in response.output
        if isinstance(item, ResponseFunctionToolCall)
    )
    if calls and status == "completed":
        return Look(status="requires_action", calls=calls, activity=activity, output=_output(response))
    completed_at = response.completed_at
    return Look(
        status=status,
        activity=activity,
        output=_output(response),
        failure=_failure(response),
        completed_at=datetime.fromtimestamp(completed_at, UTC) if completed_at else None,
    )


def _activity(response: Response) -> Iterator[Activity]:
    for item in response.output:
        if kind := ACTIVITIES.get(item.type):
            yield Activity(
                type=kind,
                status=getattr(item, "status", None) or "completed",
                queries=tuple(item.queries) if isinstance(item, ResponseFileSearchToolCall) else (),
                name=item.name if isinstance(item, ResponseFunctionToolCall) else None,
                code=item.code if isinstance(item, ResponseCodeInterpreterToolCall) else None,
                output=_printed(item) if isinstance(item, ResponseCodeInterpreterToolCall) else None,
            )


def _printed(call: ResponseCodeInterpreterToolCall) -> str | None:
    logs = [output.logs for output in call.outputs or () if output.type == "logs"]
    return "\n".join(logs) or None


def _failure(response: Response) -> Failure | None:
    if response.error:
        code = response.error.code
        return Failure(code=code, message=response.error.message, retryable=code in RETRYABLE)
    if response.status == "incomplete":
        reason = response.incomplete_details.reason if response.incomplete_details else None
        return Failure(code=reason or "incomplete", message=f"The model stopped early: {reason or 'no reason given'}.")
    if response.status == "failed":
        return Failure(code="failed", message="The service gave no reason.", retryable=True)
    return None


def _output(response: Response) -> Output:
    parts = list(_text_parts(response))
    text, annotations, made = "", [], []
    for part in parts:
        text += "\n\n" if text else ""
        start = len(text)
        if isinstance(part, ResponseOutputRefusal):
            text += part.refusal
            continue
        text += part.text
        for note in part.annotations:
            if isinstance(note, AnnotationFileCitation):
                annotations.append(
                    Annotation(position=start + note.index, file_id=note.file_id, filename=note.filename)
                )
            elif isinstance(note, AnnotationContainerFileCitation):
                made.append(
                    MadeFile(
                        container_id=note.container_id,
                        file_id=note.file_id,
                        filename=note.filename,
                        start=start + note.start_index,
                        end=start + note.end_index,
                    )
                )
    searches = [item for item in response.output if isinstance(item, ResponseFileSearchToolCall)]
    code_calls = [item for item in response.output if isinstance(item, ResponseCodeInterpreterToolCall)]
    containers = tuple(dict.fromkeys(call.container_id for call in code_calls))
    files, images = with_images(made, code_calls)
    return Output(
        text=text,
        annotations=tuple(annotations),
        passages=tuple(passages_of(searches)),
        made=files,
        images=images,
        usage=_usage(response, searches=len(searches), code_calls=len(code_calls), sessions=len(containers)),
        model=response.model,
        metadata={k: v for k, v in (response.metadata or {}).items() if k not in ("run_id", "made_by", "app")},
        containers=containers,
    )


def _text_parts(response: Response) -> Iterator[ResponseOutputText | ResponseOutputRefusal]:
    for item in response.output:
        if isinstance(item, ResponseOutputMessage):
            yield from item.content


def _usage(response: Response, *, searches: int, code_calls: int, sessions: int) -> Usage:
    counted = Usage(file_search_calls=searches, code_interpreter_calls=code_calls, code_interpreter_sessions=sessions)
    if not (usage := response.usage):
        return counted
    # Older services leave out the details, although the SDK's types require them.
    cached = getattr(usage.input_tokens_details, "cached_tokens", 0) or 0
    reasoning = getattr(usage.output_tokens_details, "reasoning_tokens", 0) or 0
    return replace(
        counted,
        input_tokens=usage.input_tokens,
        cached_tokens=cached,
        output_tokens=usage.output_tokens,
        reasoning_tokens=reasoning,
        total_tokens=usage.total_tokens,
    )
