"""The body of `POST /responses`, checked, and its input items as events of the conversation.

Source: https://developers.openai.com/api/reference/resources/responses/methods/create
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from openai.types.responses import (
    ResponseCodeInterpreterToolCall,
    ResponseCompactionItem,
    ResponseFileSearchToolCall,
    ResponseFunctionToolCallItem,
    ResponseFunctionToolCallOutputItem,
    ResponseInputMessageItem,
    ResponseOutputMessage,
    ResponseReasoningItem,
)
from pydantic import BaseModel, Field

from local.openai_emulator.agent.conversation import (
    AttachedFile,
    AttachedImage,
    Called,
    Cite,
    Event,
    Ran,
    Said,
    Searched,
)
from local.openai_emulator.errors import ApiError, invalid, not_implemented
from local.openai_emulator.http import wire
from local.openai_emulator.responses.attachments import Attached
from local.openai_emulator.responses.compaction import events_of
from local.openai_emulator.responses.items import Item
from local.openai_emulator.search.passage import Passage
from local.openai_emulator.tools.strict_schemas import check_format_schema, check_function_schema

_NOT_IMPLEMENTED = (
    "prompt",
    "moderation",
    "context_management",
    "background_options",
    "prompt_cache_options",
    "access_programs",
    "image",
)

Include = Literal[
    "file_search_call.results",
    "code_interpreter_call.outputs",
    # accepted without an effect: no such items occur here
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]


class TextFormat(wire.RequestBody):
    type: str = "text"
    name: str | None = None
    description: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class TextConfig(wire.RequestBody):
    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class StreamOptions(wire.RequestBody):
    include_obfuscation: bool = True


class CreateResponse(wire.RequestBody):
    model: Annotated[str, Field(min_length=1)]
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    background: bool | None = None
    store: bool | None = None
    stream: bool | None = None
    include: list[Include] | None = None
    metadata: wire.Metadata | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    max_tool_calls: Annotated[int, Field(ge=0)] | None = None
    max_output_tokens: Annotated[int, Field(ge=16)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    text: TextConfig | None = None
    # accepted and returned, without an effect
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Any] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    service_tier: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    stream_options: StreamOptions | None = None
    conversation: str | dict[str, Any] | None = None
    # answered with 501
    prompt: Any = None
    moderation: Any = None
    context_management: Any = None
    background_options: Any = None
    access_programs: Any = None
    image: Any = None
    prompt_cache_options: Any = None


class CountTokens(wire.RequestBody):
    """The body of `POST /responses/input_tokens`."""

    model: str | None = None
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    tools: list[dict[str, Any]] | None = None
    conversation: str | dict[str, Any] | None = None
    # without an effect on the count
    tool_choice: Any = None
    text: Any = None
    reasoning: Any = None
    parallel_tool_calls: bool | None = None
    truncation: Literal["auto", "disabled"] | None = None
    personality: Any = None

    def as_response(self) -> CreateResponse:
        return CreateResponse(
            model=self.model or "any",
            input=self.input,
            instructions=self.instructions,
            previous_response_id=self.previous_response_id,
            tools=self.tools,
            conversation=self.conversation,
        )


class CompactConversation(wire.RequestBody):
    """The body of `POST /responses/compact`."""

    model: Annotated[str, Field(min_length=1)]
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    # without an effect
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: Any = None
    service_tier: str | None = None
    image: Any = None

    def as_response(self) -> CreateResponse:
        return CreateResponse(
            model=self.model,
            input=self.input,
            instructions=self.instructions,
            previous_response_id=self.previous_response_id,
        )


def check(asked: CreateResponse) -> None:
    """Check the parameters.

    Raises:
        ApiError: 501 for what only the emulator lacks, 400 for what the service refuses too.
    """
    for name in _NOT_IMPLEMENTED:
        if getattr(asked, name) is not None:
            raise not_implemented(f"the parameter '{name}' of responses", param=name)
    if asked.text and asked.text.format:
        check_format(asked.text.format)
    for number, tool in enumerate(asked.tools or ()):
        if tool.get("type") == "function" and tool.get("strict") is True:
            check_function_schema(str(tool.get("name")), tool.get("parameters"), param=f"tools[{number}].parameters")
    if asked.background and asked.store is False:
        raise invalid("Background mode requires 'store' to be true.", param="store")
    if asked.conversation is not None and asked.previous_response_id is not None:
        message = "Mutually exclusive parameters: 'previous_response_id' and 'conversation'."
        raise invalid(message, param="conversation", code="mutually_exclusive_parameters")
    if not asked.input and asked.previous_response_id is None and asked.conversation is None:
        raise invalid("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")


def check_format(asked: TextFormat) -> None:
    """Raises ApiError 400."""
    if asked.type not in ("text", "json_object", "json_schema"):
        raise invalid(f"Invalid value: '{asked.type}'.", param="text.format.type")
    if asked.type == "json_schema" and (not asked.name or asked.schema_ is None):
        missing = "text.format.schema" if asked.name else "text.format.name"
        raise invalid(f"Missing required parameter: '{missing}'.", param=missing, code="missing_required_parameter")
    if asked.type == "json_schema" and asked.strict:
        check_format_schema(str(asked.name), asked.schema_, param="text.format.schema", code="invalid_json_schema")


def chat_format(asked: TextFormat | None) -> dict[str, Any] | None:
    """A text format as `response_format` of chat completions; None for plain text."""
    if asked is None or asked.type == "text":
        return None
    if asked.type == "json_object":
        return {"type": "json_object"}
    fields = {"name": asked.name, "description": asked.description, "schema": asked.schema_, "strict": asked.strict}
    return {"type": "json_schema", "json_schema": {key: one for key, one in fields.items() if one is not None}}


# ---- input items -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Input:
    made: tuple[Item, ...]  # their bodies as in `GET /responses/{id}/input_items`
    events: tuple[Event, ...]


def read_input(
    asked: str | Sequence[Mapping[str, Any]] | None,
    history: Sequence[Event],
    *,
    find: Callable[[str], Item | None] = lambda _: None,
    attached: Attached | None = None,
    may_wait: bool = False,
) -> Input:
    """Parse the input items and convert them to events. A function's output is joined with its call.

    Args:
        asked: The input of a request.
        history: The conversation so far.
        find: Returns a kept item by its id.
        attached: The contents of the files and images in the items.
        may_wait: Whether the output of a call may come later.

    Raises:
        ApiError: 400 for a malformed item, an output without its call, or a call without its output; 501 for items
            that the emulator does not implement.
    """
    if isinstance(asked, str):
        asked = [{"role": "user", "content": asked}]
    made: list[Item] = []
    waiting = {event.call_id: event for event in settled(history) if isinstance(event, Called) and event.output is None}
    for number, raw in enumerate(asked or ()):
        item = _input_item(raw, f"input[{number}]", find, attached or {})
        if raw.get("type") == "function_call_output":
            call = waiting.pop(str(raw.get("call_id")), None)
            if call is None:
                message = f"No tool call found for function call output with call_id {raw.get('call_id')}."
                raise invalid(message, param="input", code=None)
            assert isinstance(item.event, Called)
            item = replace(item, event=replace(call, output=item.event.output))
        elif isinstance(item.event, Called) and item.event.output is None:
            waiting[item.event.call_id] = item.event
        made.append(item)
    if waiting and not may_wait:
        raise invalid(f"No tool output found for function call {next(iter(waiting))}.", param="input", code=None)
    return Input(made=tuple(made), events=settled(events_of(made)))


def _input_item(raw: Mapping[str, Any], within: str, find: Callable[[str], Item | None], attached: Attached) -> Item:
    """An item with its event. The kept item is used for a reference, and for a tool call sent back without results."""
    kept = find(raw["id"]) if isinstance(raw.get("id"), str) else None
    if raw.get("type") == "item_reference":
        if kept is None:
            raise invalid(f"Item with id '{raw.get('id')}' not found.", param=within, code=None)
        return kept
    item = _read_item(raw, within)
    event = _event(item, within, attached)
    hides = isinstance(item, ResponseFileSearchToolCall | ResponseCodeInterpreterToolCall)
    return Item(body=wire.dump(item), event=kept.event if hides and event is None and kept is not None else event)


def settled(events: Iterable[Event]) -> tuple[Event, ...]:
    """The conversation with each function call once: with its output, if it has one by now."""
    events = tuple(events)
    done = {event.call_id for event in events if isinstance(event, Called) and event.output is not None}
    return tuple(
        event for event in events if not (isinstance(event, Called) and event.output is None and event.call_id in done)
    )


_ITEMS: Mapping[str, tuple[str, type[BaseModel]]] = {
    "function_call": ("fc_", ResponseFunctionToolCallItem),
    "function_call_output": ("fco_", ResponseFunctionToolCallOutputItem),
    "file_search_call": ("fs_", ResponseFileSearchToolCall),
    "code_interpreter_call": ("ci_", ResponseCodeInterpreterToolCall),
    "reasoning": ("rs_", ResponseReasoningItem),
    "compaction": ("cmp_", ResponseCompactionItem),
}


def _read_item(raw: Mapping[str, Any], within: str) -> BaseModel:
    kind = raw.get("type", "message")
    if kind == "message":
        return _read_message(raw, within)
    if kind not in _ITEMS:
        raise not_implemented(f"the input item '{kind}'", param=f"{within}.type")
    prefix, model = _ITEMS[kind]
    given = {key: value for key, value in raw.items() if value is not None}
    return wire.parse({"id": wire.new_id(prefix), "status": "completed", **given}, model, within=within)


def _read_message(raw: Mapping[str, Any], within: str) -> BaseModel:
    role = raw.get("role")
    own = "output_text" if role == "assistant" else "input_text"
    content = raw.get("content")
    if isinstance(content, str):
        content = [{"type": own, "text": content}]
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise invalid("Expected a string or a list of content parts.", param=f"{within}.content")
    parts = [_read_part(part, own, f"{within}.content[{number}]") for number, part in enumerate(content)]
    body = {"id": raw.get("id") or wire.new_id("msg_"), "type": "message", "role": role, "status": "completed"}
    model = ResponseOutputMessage if role == "assistant" else ResponseInputMessageItem
    return wire.parse({**body, "content": parts}, model, within=within)


def _read_part(part: Mapping[str, Any], own: str, within: str) -> dict[str, Any]:
    kind = part.get("type", own)
    if kind in ("input_file", "input_image") and own == "input_text":
        return {**({"detail": "auto"} if kind == "input_image" else {}), **part}
    if kind not in ("input_text", "output_text", "text", "refusal"):
        raise not_implemented(f"input content of type '{kind}'", param=f"{within}.type")
    text = part.get("refusal" if kind == "refusal" else "text")
    if own == "input_text":
        return {"type": own, "text": text}
    return {"type": own, "text": text, "annotations": part.get("annotations") or [], "logprobs": []}


def _event(item: BaseModel, within: str, attached: Attached) -> Event | None:
    """An item as an event; None for reasoning, which no model here can read, and for tool calls without results."""
    if isinstance(item, ResponseInputMessageItem):
        inside = [attached.get(f"{within}.content[{number}]") for number in range(len(item.content))]
        return Said(
            role=item.role,
            text="".join(getattr(part, "text", "") for part in item.content),
            files=tuple(one for one in inside if isinstance(one, AttachedFile)),
            images=tuple(one for one in inside if isinstance(one, AttachedImage)),
        )
    if isinstance(item, ResponseOutputMessage):
        return _message_event(item)
    if isinstance(item, ResponseFileSearchToolCall) and item.results is not None:
        return _search_event(item)
    if isinstance(item, ResponseCodeInterpreterToolCall) and item.outputs is not None:
        logs = "".join(output.logs for output in item.outputs if output.type == "logs")
        return Ran(code=item.code or "", logs=logs)
    if isinstance(item, ResponseFunctionToolCallItem):
        return Called(call_id=item.call_id, name=item.name, arguments=item.arguments)
    if isinstance(item, ResponseFunctionToolCallOutputItem):
        return Called(call_id=item.call_id or "", name="", arguments="", output=_output_text(item, within))
    return None


def _message_event(message: ResponseOutputMessage) -> Said:
    text, citations = "", []
    for part in message.content:
        if part.type != "output_text":
            continue
        citations += [
            Cite(position=len(text) + note.index, file_id=note.file_id, filename=note.filename)
            for note in part.annotations
            if note.type == "file_citation"
        ]
        text += part.text
    return Said(role="assistant", text=text, citations=tuple(citations))


def _search_event(call: ResponseFileSearchToolCall) -> Searched:
    passages = (
        Passage(
            file_id=result.file_id or "",
            filename=result.filename or "",
            text=result.text or "",
            score=result.score or 0.0,
            attributes=result.attributes or {},
        )
        for result in call.results or ()
    )
    return Searched(queries=tuple(call.queries), passages=tuple(passages))


def _output_text(item: ResponseFunctionToolCallOutputItem, within: str) -> str:
    if isinstance(item.output, str):
        return item.output
    texts = [part.text for part in item.output if part.type == "input_text"]
    if len(texts) != len(item.output):
        raise not_implemented("images and files as the output of a function", param=f"{within}.output")
    return "".join(texts)


def previous_not_found(response_id: str) -> ApiError:
    return invalid(
        f"Previous response with id '{response_id}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )
