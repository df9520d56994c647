"""Assistants: `/assistants`.

Source: https://learn.microsoft.com/azure/ai-services/openai/assistants-reference
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from openai.types.beta import Assistant, AssistantDeleted
from pydantic import Field
from starlette.requests import Request
from starlette.routing import BaseRoute

from local.openai_emulator.assistants.resources import CreateResources, ModifyResources, Resources, ToolResources
from local.openai_emulator.errors import invalid, not_found
from local.openai_emulator.http import wire
from local.openai_emulator.store import Body, Store
from local.openai_emulator.tools.strict_schemas import check_format_schema, check_function_schema

KIND = "assistant"

Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(ge=0, le=1)]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
ResponseFormat = Literal["auto"] | dict[str, Any]


class CodeInterpreterParam(wire.RequestBody):
    type: Literal["code_interpreter"]


class FileSearchRanking(wire.RequestBody):
    score_threshold: Annotated[float, Field(ge=0, le=1)]
    ranker: Literal["auto", "default_2024_08_21"] = "auto"  # no effect: there is one ranking


class FileSearchOptions(wire.RequestBody):
    max_num_results: Annotated[int, Field(ge=1, le=50)] = 20
    ranking_options: FileSearchRanking | None = None


class FileSearchParam(wire.RequestBody):
    type: Literal["file_search"]
    file_search: FileSearchOptions | None = None


class FunctionDefinition(wire.RequestBody):
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionParam(wire.RequestBody):
    type: Literal["function"]
    function: FunctionDefinition


ToolParam = Annotated[CodeInterpreterParam | FileSearchParam | FunctionParam, Field(discriminator="type")]
ToolParams = Annotated[tuple[ToolParam, ...], Field(max_length=128)]


class _Settings(wire.RequestBody):
    name: Annotated[str, Field(max_length=256)] | None = None
    description: Annotated[str, Field(max_length=512)] | None = None
    instructions: Annotated[str, Field(max_length=256_000)] | None = None
    tools: ToolParams = ()
    metadata: wire.Metadata | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: ReasoningEffort | None = None  # accepted without an effect


class CreateAssistant(_Settings):
    model: Annotated[str, Field(min_length=1)]
    tool_resources: CreateResources | None = None


class ModifyAssistant(_Settings):
    model: Annotated[str, Field(min_length=1)] | None = None
    tool_resources: ModifyResources | None = None


class Assistants:
    def __init__(self, *, store: Store, resources: ToolResources, clock: Callable[[], float]) -> None:
        self._store = store
        self._resources = resources
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        return [
            wire.route("POST", "/assistants", self._create),
            wire.route("GET", "/assistants", self._list),
            wire.route("GET", "/assistants/{assistant_id}", self._retrieve),
            wire.route("POST", "/assistants/{assistant_id}", self._modify),
            wire.route("DELETE", "/assistants/{assistant_id}", self._delete),
        ]

    def get(self, assistant_id: str) -> Assistant:
        """Raises ApiError 404."""
        return _read(self._body(assistant_id))

    def _body(self, assistant_id: str) -> Body:
        body = self._store.get(KIND, assistant_id)
        if body is None:
            raise not_found("assistant", assistant_id)
        return body

    def _put(self, fields: Mapping[str, Any], made: list[str]) -> Assistant:
        """`made`: the vector stores that are deleted with the assistant."""
        assistant = Assistant.model_validate(fields)
        self._store.put(KIND, assistant.id, {"assistant": wire.dump(assistant), "made": made})
        return assistant

    async def _create(self, request: Request) -> Assistant:
        asked = await wire.read_body(request, CreateAssistant)
        check_format(asked.response_format)
        check_functions(asked.tools)
        self._resources.check(asked.tool_resources)
        resources, made = self._resources.make(asked.tool_resources, days=None)
        return self._put(
            {
                "id": wire.new_id("asst_"),
                "object": "assistant",
                "created_at": int(self._clock()),
                "name": asked.name,
                "description": asked.description,
                "model": asked.model,
                "instructions": asked.instructions,
                "tools": dump_tools(asked.tools),
                "tool_resources": resources,
                "metadata": asked.metadata or {},
                "temperature": 1.0 if asked.temperature is None else asked.temperature,
                "top_p": 1.0 if asked.top_p is None else asked.top_p,
                "response_format": asked.response_format or "auto",
            },
            made,
        )

    async def _list(self, request: Request) -> wire.ListPage:
        return wire.listed(self._store.page(KIND, wire.paging(request)), _read)

    async def _retrieve(self, request: Request) -> Assistant:
        return self.get(request.path_params["assistant_id"])

    async def _modify(self, request: Request) -> Assistant:
        assistant_id = request.path_params["assistant_id"]
        self.get(assistant_id)
        asked = await wire.read_body(request, ModifyAssistant)
        check_format(asked.response_format)
        check_functions(asked.tools)
        self._resources.check(asked.tool_resources)
        body = self._body(assistant_id)
        return self._put({**body["assistant"], **_changes(asked, body["assistant"]["tool_resources"])}, body["made"])

    async def _delete(self, request: Request) -> AssistantDeleted:
        assistant_id = request.path_params["assistant_id"]
        made = self._body(assistant_id)["made"]
        self._store.delete(KIND, assistant_id)
        await self._resources.drop_stores(made)
        return AssistantDeleted(id=assistant_id, object="assistant.deleted", deleted=True)


def _read(body: Body) -> Assistant:
    return Assistant.model_validate(body["assistant"])


def _changes(asked: ModifyAssistant, resources: Resources) -> dict[str, Any]:
    """The fields that a request changes; null resets a field to its default."""
    fields: dict[str, Any] = {
        "name": asked.name,
        "description": asked.description,
        "instructions": asked.instructions,
        "tools": dump_tools(asked.tools),
        "metadata": asked.metadata or {},
        "temperature": 1.0 if asked.temperature is None else asked.temperature,
        "top_p": 1.0 if asked.top_p is None else asked.top_p,
        "response_format": asked.response_format or "auto",
        "tool_resources": changed_resources(resources, asked.tool_resources),
    }
    if asked.model is not None:
        fields["model"] = asked.model
    return {name: value for name, value in fields.items() if name in asked.model_fields_set}


def changed_resources(before: Resources, asked: ModifyResources | None) -> Resources:
    """Replace the resources of each tool that the request names; null removes all."""
    return {**before, **asked.model_dump(mode="json", exclude_none=True)} if asked else {}


def dump_tools(tools: ToolParams) -> list[dict[str, Any]]:
    """The tools as the client sent them: without defaults, and without nulls, which mean the default."""
    return [_without_nulls(tool.model_dump(mode="json", exclude_unset=True), depth=2) for tool in tools]


def _without_nulls(given: dict[str, Any], *, depth: int) -> dict[str, Any]:
    """Only down to `depth`, the tool's own options: in the JSON schema of a function, null has a meaning."""
    return {
        name: _without_nulls(value, depth=depth - 1) if isinstance(value, dict) and depth > 1 else value
        for name, value in given.items()
        if value is not None
    }


def check_format(asked: ResponseFormat | None) -> None:
    """Raises ApiError 400 for an unknown format."""
    if isinstance(asked, dict) and asked.get("type") not in ("text", "json_object", "json_schema"):
        raise invalid(f"Invalid value: '{asked.get('type')}'.", param="response_format.type")
    if isinstance(asked, dict) and asked["type"] == "json_schema":
        schema = asked.get("json_schema")
        if not isinstance(schema, dict) or not isinstance(schema.get("name"), str):
            raise invalid(
                "Missing required parameter: 'response_format.json_schema.name'.",
                param="response_format.json_schema",
                code="missing_required_parameter",
            )
        if schema.get("strict") is True:
            check_format_schema(schema["name"], schema.get("schema"), param="response_format", code=None)


def check_functions(tools: ToolParams | None) -> None:
    """Raises ApiError 400 for a strict function with a schema that the service does not take."""
    for number, tool in enumerate(tools or ()):
        if isinstance(tool, FunctionParam) and tool.function.strict:
            function, within = tool.function, f"tools[{number}].function.parameters"
            check_function_schema(function.name, function.parameters, param=within)
