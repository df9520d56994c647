"""The output items of a response, made from what the agent loop did, and the parts a caller gets to see.

Source: https://developers.openai.com/api/reference/resources/responses
"""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Callable, Collection, Mapping
from typing import Any

from openai.types.responses import (
    ResponseCodeInterpreterToolCall,
    ResponseFileSearchToolCall,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseUsage,
)

from local.openai_emulator.agent.conversation import Called, OutputFile, Ran, Searched
from local.openai_emulator.agent.loop import ToolFinished
from local.openai_emulator.agent.model import RunCode, Say, Search, Usage
from local.openai_emulator.http import wire

_LARGEST_INLINE_IMAGE_BYTES = 8 * 1024 * 1024


def search_begun(move: Search) -> ResponseFileSearchToolCall:
    return ResponseFileSearchToolCall(
        id=wire.new_id("fs_"), type="file_search_call", status="searching", queries=list(move.queries), results=None
    )


def run_begun(move: RunCode, container_id: str) -> ResponseCodeInterpreterToolCall:
    return ResponseCodeInterpreterToolCall(
        id=wire.new_id("ci_"),
        type="code_interpreter_call",
        status="interpreting",
        code=move.code,
        container_id=container_id,
        outputs=None,
    )


def search_finished(item: ResponseFileSearchToolCall, done: ToolFinished) -> ResponseFileSearchToolCall:
    assert isinstance(done.event, Searched)
    return ResponseFileSearchToolCall.model_validate(
        {
            **wire.dump(item),
            "status": "failed" if done.broken else "completed",
            "results": [
                {
                    "file_id": passage.file_id,
                    "filename": passage.filename,
                    "score": passage.score,
                    "text": passage.text,
                    "attributes": dict(passage.attributes),
                }
                for passage in done.event.passages
            ],
        }
    )


def run_finished(
    item: ResponseCodeInterpreterToolCall, done: ToolFinished, image: Callable[[OutputFile], bytes]
) -> ResponseCodeInterpreterToolCall:
    """Add the outputs. As in the service, code that raised an error is a `completed` call with a traceback.

    `image`: reads an image that the code created.
    """
    assert isinstance(done.event, Ran)
    outputs: list[dict[str, str]] = []
    if done.event.logs:
        outputs.append({"type": "logs", "logs": done.event.logs})
    for file in done.event.files:
        content = image(file) if file.is_image else b""
        if 0 < len(content) <= _LARGEST_INLINE_IMAGE_BYTES:
            outputs.append({"type": "image", "url": _data_url(file.filename, content)})
    status = "failed" if done.broken else "completed"
    return ResponseCodeInterpreterToolCall.model_validate({**wire.dump(item), "status": status, "outputs": outputs})


def _data_url(filename: str, content: bytes) -> str:
    media_type = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def message(say: Say) -> ResponseOutputMessage:
    citations: list[dict[str, Any]] = [
        {"type": "file_citation", "file_id": cite.file_id, "filename": cite.filename, "index": cite.position}
        for cite in say.citations
    ]
    shows: list[dict[str, Any]] = [
        {
            "type": "container_file_citation",
            "container_id": show.file.container_id,
            "file_id": show.file.file_id,
            "filename": show.file.filename,
            "start_index": show.start,
            "end_index": show.end,
        }
        for show in say.shows
    ]
    text: dict[str, Any] = {"type": "output_text", "text": say.text, "annotations": citations + shows, "logprobs": []}
    if say.refused:
        text = {"type": "refusal", "refusal": say.text}
    return ResponseOutputMessage.model_validate(
        {
            "id": wire.new_id("msg_"),
            "type": "message",
            "role": "assistant",
            "status": "incomplete" if say.cut_off or say.filtered else "completed",
            "content": [text],
        }
    )


def function_call(call: Called) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        id=wire.new_id("fc_"),
        type="function_call",
        status="completed",
        call_id=call.call_id,
        name=call.name,
        arguments=call.arguments,
    )


def usage(counted: Usage) -> ResponseUsage:
    return ResponseUsage.model_validate(
        {
            "input_tokens": counted.input_tokens,
            "input_tokens_details": {"cached_tokens": counted.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": counted.output_tokens,
            "output_tokens_details": {"reasoning_tokens": counted.reasoning_tokens},
            "total_tokens": counted.input_tokens + counted.output_tokens,
        }
    )


def visible(response: Mapping[str, Any], include: Collection[str]) -> dict[str, Any]:
    """A stored response without search results and code outputs, except those that `include` names."""
    hidden = {
        "file_search_call": None if "file_search_call.results" in include else "results",
        "code_interpreter_call": None if "code_interpreter_call.outputs" in include else "outputs",
    }
    output = [{**item, hidden[item["type"]]: None} if hidden.get(item["type"]) else item for item in response["output"]]
    return {**response, "output": output}
