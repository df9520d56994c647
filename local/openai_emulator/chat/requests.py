"""The body of `POST /chat/completions`, checked, and as a prompt of the agent's models.

Source: https://developers.openai.com/api/reference/resources/chat/subresources/completions/methods/create
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from pydantic import ConfigDict, Field

from local.openai_emulator.agent.conversation import Called, Event, Prompt, Said, Toolbox, turn_start
from local.openai_emulator.errors import invalid, not_implemented
from local.openai_emulator.http import wire
from local.openai_emulator.tools.strict_schemas import check_format_schema, check_function_schema

KNOWN = {*CompletionCreateParamsBase.__annotations__, "stream"}  # other names are refused, as by the service


class StreamOptions(wire.RequestBody):
    include_usage: bool = False
    include_obfuscation: bool = True


class CreateCompletion(wire.RequestBody):
    model_config = ConfigDict(extra="allow")  # the rest is passed on to the model's endpoint

    model: str | None = None  # may be left out where the path names a deployment
    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    store: bool | None = None
    metadata: wire.Metadata | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None


def check(asked: CreateCompletion) -> None:
    """Raises ApiError 400."""
    for name in asked.model_extra or ():
        if name not in KNOWN:
            raise invalid(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    if asked.stream_options is not None and not asked.stream:
        raise invalid(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    _check_format(asked)
    for number, message in enumerate(asked.messages):
        if message.get("role") not in ("system", "developer", "user", "assistant", "tool", "function"):
            raise invalid(f"Invalid value: '{message.get('role')}'.", param=f"messages[{number}].role")


def prompt_of(asked: CreateCompletion) -> Prompt:
    """The request as a prompt for a model without an endpoint of its own.

    Raises:
        ApiError: 400 for a malformed conversation, 501 for images and audio.
    """
    events = events_of(asked.messages)
    return Prompt(
        model=asked.model or "",
        instructions="",
        events=tuple(events),
        turn_starts_at=turn_start(events, 0),
        tools=Toolbox(functions=functions_of(asked.tools) if asked.tool_choice != "none" else ()),
        temperature=asked.temperature,
        max_output_tokens=asked.max_completion_tokens or asked.max_tokens,
        parallel_tool_calls=asked.parallel_tool_calls is not False,
        response_format=None if _format_kind(asked) == "text" else asked.response_format,
    )


def _format_kind(asked: CreateCompletion) -> str:
    return str((asked.response_format or {}).get("type", "text"))


def _check_format(asked: CreateCompletion) -> None:
    kind = _format_kind(asked)
    if kind not in ("text", "json_object", "json_schema"):
        raise invalid(f"Invalid value: '{kind}'.", param="response_format.type")
    named = (asked.response_format or {}).get("json_schema")
    if kind == "json_schema" and not (isinstance(named, dict) and named.get("name")):
        missing = "response_format.json_schema" if not isinstance(named, dict) else "response_format.json_schema.name"
        raise invalid(f"Missing required parameter: '{missing}'.", param=missing, code="missing_required_parameter")
    if isinstance(named, dict) and named.get("strict") is True:
        check_format_schema(str(named["name"]), named.get("schema"), param="response_format", code=None)


def functions_of(tools: Sequence[Mapping[str, Any]] | None) -> tuple[Mapping[str, Any], ...]:
    functions = []
    for number, tool in enumerate(tools or ()):
        function = tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, dict) or not function.get("name"):
            raise invalid("Expected a function with a name.", param=f"tools[{number}]")
        if function.get("strict") is True:
            within = f"tools[{number}].function.parameters"
            check_function_schema(str(function["name"]), function.get("parameters"), param=within)
        defaults = {"description": "", "parameters": {"type": "object", "properties": {}}, "strict": None}
        functions.append({**defaults, **{key: one for key, one in function.items() if one is not None}})
    return tuple(functions)


def events_of(messages: Sequence[Mapping[str, Any]]) -> list[Event]:
    events: list[Event] = []
    waiting: dict[str, Called] = {}
    for number, message in enumerate(messages):
        within = f"messages[{number}]"
        if message["role"] in ("tool", "function"):
            call = waiting.pop(str(message.get("tool_call_id")), None)
            if call is None:
                text = "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                raise invalid(text, param=f"{within}.role", code=None)
            events.append(Called(**{**call.__dict__, "output": text_of(message.get("content"), within)}))
            continue
        if (text := text_of(message.get("content"), within)) or not message.get("tool_calls"):
            events.append(Said(role=message["role"], text=text))
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            waiting[str(call.get("id"))] = Called(
                call_id=str(call.get("id")), name=str(function.get("name")), arguments=str(function.get("arguments"))
            )
    if waiting:
        names = ", ".join(waiting)
        text = f"An assistant message with 'tool_calls' must be followed by tool messages: missing for {names}."
        raise invalid(text, param="messages", code=None)
    return events


def text_of(content: Any, within: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise invalid("Expected a string or a list of content parts.", param=f"{within}.content")
    for number, part in enumerate(content):
        if part.get("type") == "image_url":
            message = "Invalid content type. image_url is only supported by certain models."
            raise invalid(message, param=f"{within}.content[{number}].type", code=None)
        if part.get("type") not in ("text", "refusal"):
            what = f"content of type '{part.get('type')}' with the built-in model"
            raise not_implemented(what, param=f"{within}.content[{number}].type")
    return "".join(str(part.get("text", part.get("refusal", ""))) for part in content)
