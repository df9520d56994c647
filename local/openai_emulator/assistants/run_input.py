"""The request bodies that create a run, and the run object made from them.

Source: https://learn.microsoft.com/azure/ai-services/openai/assistants-reference-runs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from openai.types.beta import Assistant
from openai.types.beta.threads import Run
from pydantic import Field

from local.openai_emulator.assistants.assistants import (
    ReasoningEffort,
    ResponseFormat,
    Temperature,
    ToolParams,
    TopP,
    check_format,
    check_functions,
    dump_tools,
)
from local.openai_emulator.assistants.messages import CreateMessage
from local.openai_emulator.assistants.resources import CreateResources, ModifyResources
from local.openai_emulator.http import wire
from local.openai_emulator.tools.prompt import with_about

LIVES_S = 600  # an unfinished run expires after this time, also in `requires_action`


class TruncationStrategy(wire.RequestBody):
    type: Literal["auto", "last_messages"]
    last_messages: Annotated[int, Field(ge=1)] | None = None


class FunctionChoice(wire.RequestBody):
    name: str


class ToolChoice(wire.RequestBody):
    type: Literal["function", "code_interpreter", "file_search"]
    function: FunctionChoice | None = None


class _AskedRun(wire.RequestBody):
    assistant_id: str
    model: Annotated[str, Field(min_length=1)] | None = None
    instructions: Annotated[str, Field(max_length=256_000)] | None = None
    tools: ToolParams | None = None
    metadata: wire.Metadata | None = None
    temperature: Temperature | None = None
    max_prompt_tokens: Annotated[int, Field(ge=256)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=256)] | None = None
    truncation_strategy: TruncationStrategy | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    stream: bool | None = None
    # accepted without an effect
    top_p: TopP | None = None
    reasoning_effort: ReasoningEffort | None = None

    def check(self) -> None:
        """Raises ApiError 400 for a format or a function that the service does not take."""
        check_format(self.response_format)
        check_functions(self.tools)


class CreateRun(_AskedRun):
    additional_instructions: Annotated[str, Field(max_length=256_000)] | None = None
    additional_messages: tuple[CreateMessage, ...] | None = None


class CreateThread(wire.RequestBody):
    messages: tuple[CreateMessage, ...] | None = None
    metadata: wire.Metadata | None = None
    tool_resources: CreateResources | None = None


class CreateThreadAndRun(_AskedRun):
    thread: CreateThread | None = None
    tool_resources: ModifyResources | None = None  # instead of the assistant's


class ToolOutput(wire.RequestBody):
    tool_call_id: str
    output: str = ""


class SubmitToolOutputs(wire.RequestBody):
    tool_outputs: tuple[ToolOutput, ...]
    stream: bool | None = None


def new_run(asked: CreateRun | CreateThreadAndRun, assistant: Assistant, *, about: Mapping[str, str], now: int) -> Run:
    """The new run object; the caller sets `thread_id`."""
    given = wire.dump(assistant)
    more = asked.additional_instructions if isinstance(asked, CreateRun) else None
    instructions = (given["instructions"] if asked.instructions is None else asked.instructions) or ""
    return Run.model_validate(
        {
            "id": wire.new_id("run_"),
            "object": "thread.run",
            "created_at": now,
            "thread_id": "",
            "assistant_id": assistant.id,
            "status": "queued",
            "required_action": None,
            "last_error": None,
            "expires_at": now + LIVES_S,
            "started_at": None,
            "cancelled_at": None,
            "failed_at": None,
            "completed_at": None,
            "incomplete_details": None,
            "model": asked.model or assistant.model,
            "instructions": "\n".join(text for text in (instructions, more) if text),
            "tools": given["tools"] if asked.tools is None else dump_tools(asked.tools),
            "metadata": with_about(asked.metadata or {}, about),
            "usage": None,
            "temperature": given["temperature"] if asked.temperature is None else asked.temperature,
            "top_p": given["top_p"] if asked.top_p is None else asked.top_p,
            "max_prompt_tokens": asked.max_prompt_tokens,
            "max_completion_tokens": asked.max_completion_tokens,
            "truncation_strategy": _truncation(asked.truncation_strategy),
            "tool_choice": _choice(asked.tool_choice),
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "response_format": asked.response_format or given["response_format"],
        }
    )


def _truncation(asked: TruncationStrategy | None) -> dict[str, Any]:
    return asked.model_dump() if asked else {"type": "auto", "last_messages": None}


def _choice(asked: str | ToolChoice | None) -> str | dict[str, Any]:
    return asked.model_dump(exclude_none=True) if isinstance(asked, ToolChoice) else asked or "auto"
