"""Translates runs, steps and messages of the Assistants API to the types of the app. No requests are made here.

Source: https://platform.openai.com/docs/api-reference/runs
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

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

from shared.engines.base import Annotation, Call, MadeFile, Output
from shared.engines.stores import Passage
from shared.models.runs import Activity, Failure, Usage

RETRYABLE = frozenset({"server_error", "rate_limit_exceeded"})  # error codes for which a retry can help


def status_of(run: ServiceRun) -> Literal["completed", "incomplete", "failed", "cancelled"]:
    return run.status if run.status in ("completed", "incomplete", "cancelled") else "failed"


def calls_of(run: ServiceRun) -> tuple[Call, ...]:
    calls = run.required_action.submit_tool_outputs.tool_calls if run.required_action else ()
    return tuple(Call(call_id=call.id, name=call.function.name, arguments=call.function.arguments) for call in calls)


def failure_of(run: ServiceRun) -> Failure | None:
    if run.last_error:
        code: str = run.last_error.code
        return Failure(code=code, message=run.last_error.message, retryable=code in RETRYABLE)
    if run.status == "incomplete":
        reason = run.incomplete_details.reason if run.incomplete_details else None
        # The code that the Responses API has for it.
        code = {"max_completion_tokens": "max_output_tokens"}.get(reason or "", reason or "incomplete")
        return Failure(code=code, message=f"The model stopped early: {code}.")
    if run.status == "expired":
        return Failure(code="expired", message="The run expired at the service.", retryable=True)
    if run.status == "failed":
        return Failure(code="failed", message="The service gave no reason.", retryable=True)
    return None


def activities_of(steps: Sequence[RunStep]) -> Iterator[Activity]:
    for step in steps:
        if isinstance(step.step_details, ToolCallsStepDetails):
            for call in step.step_details.tool_calls:
                yield _called(call, step.status)
        else:
            yield Activity(type="message", status=step.status)


def _called(call: Any, status: str) -> Activity:
    """This API does not tell what file search looked for."""
    if call.type == "function":
        return Activity(type=call.type, status=status, name=call.function.name)
    if call.type != "code_interpreter":
        return Activity(type=call.type, status=status)
    logs = [output.logs for output in call.code_interpreter.outputs or () if output.type == "logs"]
    return Activity(
        type=call.type, status=status, code=call.code_interpreter.input or None, output="\n".join(logs) or None
    )


def _tool_calls(steps: Sequence[RunStep]) -> Iterator[Any]:
    for step in steps:
        if isinstance(step.step_details, ToolCallsStepDetails):
            yield from step.step_details.tool_calls


def _blocks(messages: Sequence[ServiceMessage]) -> Iterator[Any]:
    for message in messages:
        yield from message.content


def _annotations(messages: Sequence[ServiceMessage]) -> Iterator[FileCitationAnnotation | FilePathAnnotation]:
    for block in _blocks(messages):
        if isinstance(block, TextContentBlock):
            yield from block.text.annotations


def ids_without_name(messages: Sequence[ServiceMessage]) -> set[str]:
    """Pictures and cited files: messages contain their ids, but not their names."""
    pictures = {block.image_file.file_id for block in _blocks(messages) if isinstance(block, ImageFileContentBlock)}
    return pictures | {n.file_citation.file_id for n in _annotations(messages) if isinstance(n, FileCitationAnnotation)}


def created_ids(steps: Sequence[RunStep], messages: Sequence[ServiceMessage]) -> set[str]:
    """The files that code interpreter created: those that the messages and the steps name."""
    shown = {block.image_file.file_id for block in _blocks(messages) if isinstance(block, ImageFileContentBlock)}
    named = {note.file_path.file_id for note in _annotations(messages) if isinstance(note, FilePathAnnotation)}
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
    """Join the run's messages to one text.

    Args:
        names: File id -> name, for pictures and cited files.
    """
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
        made=(*named, *shown),  # a picture that the text names may be in both
        usage=_usage(run, calls),
        model=run.model,
        metadata={k: v for k, v in (run.metadata or {}).items() if k not in ("run_id", "made_by", "app")},
    )


def _picture(filename: str, file_id: str) -> str:
    return filename if "." in filename else f"{filename or file_id}.png"


def _usage(run: ServiceRun, calls: Sequence[Any]) -> Usage:
    """A thread has one container, so a run with code counts as one session. The service does not name it."""
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
    """Remove placeholders such as `【4:0†source】` from a text. Each becomes an annotation at its position.

    Args:
        offset: The length of the text before this block.
    """
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
            # The API has no attributes here. Some servers send them, which saves a request.
            attributes = (result.model_extra or {}).get("attributes") or {}
            if text:
                yield Passage(
                    file_id=result.file_id,
                    filename=result.file_name,
                    text=text,
                    score=result.score,
                    attributes=attributes,
                )
