"""The `tools` and `tool_choice` of a request: checked, with the service's defaults, and as the model gets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from openai.types.responses import FileSearchTool, FunctionTool
from openai.types.responses.tool import CodeInterpreter, CodeInterpreterContainerCodeInterpreterToolAuto

from local.openai_emulator.agent.conversation import DataFile, Toolbox
from local.openai_emulator.errors import invalid, not_implemented
from local.openai_emulator.http import wire

STORES_MAX = 2  # not documented; reported in https://github.com/dimagi/open-chat-studio/pull/3815

Tool = FileSearchTool | CodeInterpreter | FunctionTool

_TOOLS: Mapping[str, type[FileSearchTool] | type[CodeInterpreter] | type[FunctionTool]] = {
    "file_search": FileSearchTool,
    "code_interpreter": CodeInterpreter,
    "function": FunctionTool,
}


def read_tools(asked: Sequence[Mapping[str, Any]] | None) -> list[Tool]:
    """The tools of a request, with the service's defaults filled in."""
    return [_read_tool(tool, f"tools[{number}]") for number, tool in enumerate(asked or ())]


def _read_tool(asked: Mapping[str, Any], within: str) -> Tool:
    kind = str(asked.get("type"))
    if kind not in _TOOLS:
        raise not_implemented(f"the tool '{kind}'", param=f"{within}.type")
    tool = wire.parse(asked, _TOOLS[kind], within=within)
    if isinstance(tool, FileSearchTool):
        return _file_search(tool, within)
    if isinstance(tool, CodeInterpreter):
        if isinstance(tool.container, str):
            return tool
        network = tool.container.network_policy
        if (network is not None and network.type != "disabled") or getattr(tool.container, "skills", None):
            raise not_implemented("network access and skills in containers", param=f"{within}.container")
    return tool


def _file_search(tool: FileSearchTool, within: str) -> FileSearchTool:
    if not tool.vector_store_ids:
        raise invalid("At least one vector store is needed.", param=f"{within}.vector_store_ids")
    if len(tool.vector_store_ids) > STORES_MAX:
        raise invalid(
            f"Invalid '{within}.vector_store_ids': maximum of {STORES_MAX} vector stores allowed.",
            param=f"{within}.vector_store_ids",
            code="integer_above_max_value",
        )
    limit = tool.max_num_results if tool.max_num_results is not None else 20
    if not 1 <= limit <= 50:
        raise invalid("Expected 1 to 50 results.", param=f"{within}.max_num_results")
    ranking = tool.ranking_options
    threshold = (ranking.score_threshold if ranking else None) or 0.0
    if not 0 <= threshold <= 1:
        raise invalid("Expected a score between 0 and 1.", param=f"{within}.ranking_options.score_threshold")
    ranker = (ranking.ranker if ranking else None) or "auto"
    return FileSearchTool.model_validate(
        {
            **wire.dump(tool),
            "filters": wire.dump(tool.filters) if tool.filters else None,
            "max_num_results": limit,
            "ranking_options": {"ranker": ranker, "score_threshold": threshold},
        }
    )


def uploaded_file_ids(tool: CodeInterpreter) -> Sequence[str]:
    container = tool.container
    return container.file_ids or () if isinstance(container, CodeInterpreterContainerCodeInterpreterToolAuto) else ()


def toolbox(tools: Sequence[Tool], choice: str | Mapping[str, Any] | None, data_files: tuple[DataFile, ...]) -> Toolbox:
    """The tools that the model may use. `choice` restricts them, or demands a call."""
    chosen = [tool for tool in tools if _chosen(tool, choice)]
    return Toolbox(
        file_search=any(isinstance(tool, FileSearchTool) for tool in chosen),
        code_interpreter=any(isinstance(tool, CodeInterpreter) for tool in chosen),
        data_files=data_files,
        must_call=_demanded(choice) if chosen else "",
        functions=tuple(
            {
                "name": tool.name,
                "description": tool.description or "",
                "parameters": tool.parameters or {"type": "object", "properties": {}},
                "strict": tool.strict,
            }
            for tool in chosen
            if isinstance(tool, FunctionTool)
        ),
    )


def _demanded(choice: str | Mapping[str, Any] | None) -> str:
    """The call that a choice demands, as in `Toolbox.must_call`."""
    if isinstance(choice, Mapping):
        if choice.get("type") == "allowed_tools":
            return "any" if choice.get("mode") == "required" else ""
        return str(choice.get("name") or choice.get("type"))
    return "any" if choice == "required" else ""


def _chosen(tool: Tool, choice: str | Mapping[str, Any] | None) -> bool:
    if choice is None or isinstance(choice, str):
        return choice != "none"
    if choice.get("type") == "allowed_tools":
        return any(_chosen(tool, one) for one in choice.get("tools", ()))
    same_name = not isinstance(tool, FunctionTool) or tool.name == choice.get("name")
    return tool.type == choice.get("type") and same_name
