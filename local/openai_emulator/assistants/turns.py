"""Prepares a run from its thread: the prompt and the tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from openai.types.beta import assistant_tool
from openai.types.beta.threads import Run
from openai.types.responses import FileSearchTool
from openai.types.responses.tool import CodeInterpreter

from local.openai_emulator.agent.conversation import Event, OutputFile, Prompt, Ran, turn_start
from local.openai_emulator.agent.loop import event_texts
from local.openai_emulator.agent.tools import ToolBroken
from local.openai_emulator.assistants.messages import Messages
from local.openai_emulator.assistants.resources import Resources, code_file_ids, store_ids
from local.openai_emulator.assistants.run_records import RunRecords
from local.openai_emulator.assistants.threads import Threads
from local.openai_emulator.containers.containers import Containers
from local.openai_emulator.containers.workspace import Workspace
from local.openai_emulator.errors import ApiError
from local.openai_emulator.files.files import Files
from local.openai_emulator.http import wire
from local.openai_emulator.tools.hosted import HostedTools
from local.openai_emulator.tools.input import Tool, read_tools, toolbox
from local.openai_emulator.vector_stores.stores import VectorStores


class RunTools(HostedTools):
    """The hosted tools of a run: files that code creates also become files of `/files`."""

    def __init__(
        self, *, files: Files, stores: VectorStores, searches: Sequence[FileSearchTool], workspace: Workspace | None
    ) -> None:
        super().__init__(stores=stores, searches=searches, workspace=workspace)
        self._files = files
        ranking = next((tool.ranking_options for tool in searches if tool.ranking_options), None)
        self.ranking = {
            "ranker": "auto",  # the only ranking
            "score_threshold": (ranking.score_threshold if ranking else None) or 0.0,
        }

    async def run(self, code: str) -> Ran:
        ran = await super().run(code)
        return replace(ran, files=tuple([await self._publish(file) for file in ran.files]))

    async def _publish(self, made: OutputFile) -> OutputFile:
        assert self._workspace is not None
        try:
            file = await self._files.keep(self._workspace.path(made), filename=made.filename)
        except (ApiError, OSError) as exc:
            raise ToolBroken(f"The file '{made.filename}' could not be kept: {exc}") from exc
        return replace(made, file_id=file.id)


@dataclass(frozen=True, kw_only=True)
class RunTurn:
    prompt: Prompt
    history: tuple[Event, ...]  # the events of the prompt from before this run
    tools: RunTools


class AssistantTurns:
    def __init__(
        self,
        *,
        files: Files,
        stores: VectorStores,
        containers: Containers,
        threads: Threads,
        messages: Messages,
        records: RunRecords,
    ) -> None:
        self._files = files
        self._stores = stores
        self._containers = containers
        self._threads = threads
        self._messages = messages
        self._records = records

    def prepare(self, run: Run) -> RunTurn:
        """Build the prompt and the tools.

        Raises:
            ApiError: a vector store of the run does not exist or has expired.
        """
        body = self._records.body(run.thread_id, run.id)
        both: tuple[Resources, Resources] = (body["resources"], self._threads.resources(run.thread_id))
        stores = [store_id for resources in both for store_id in store_ids(resources)]
        tools = response_tools(run.tools, stores)
        searches = [tool for tool in tools if isinstance(tool, FileSearchTool)]
        for tool in searches:
            self._stores.check_searchable(tool.vector_store_ids)
        workspace = None
        if any(isinstance(tool, CodeInterpreter) for tool in tools):
            workspace = self._workspace(run.thread_id, [id for resources in both for id in code_file_ids(resources)])
        history, turn_starts_at = recent(
            self._messages.history(run.thread_id),
            turn_message_id=body["turn_message_id"],
            last_messages=run.truncation_strategy.last_messages if run.truncation_strategy else None,
            max_tokens=run.max_prompt_tokens,
        )
        left = None
        if run.max_completion_tokens is not None:
            left = max(run.max_completion_tokens - self._records.usage(run).output_tokens, 0)
        return RunTurn(
            history=tuple(history),
            prompt=Prompt(
                model=run.model,
                instructions=run.instructions,
                events=(*history, *self._records.events(run)),
                turn_starts_at=turn_start(history, turn_starts_at),
                tools=toolbox(tools, _choice(run), workspace.data_files if workspace else ()),
                temperature=run.temperature,
                max_output_tokens=left,
                parallel_tool_calls=run.parallel_tool_calls,
                response_format=_format(run),
            ),
            tools=RunTools(files=self._files, stores=self._stores, searches=searches, workspace=workspace),
        )

    def _workspace(self, thread_id: str, file_ids: Sequence[str]) -> Workspace:
        return Workspace(
            containers=self._containers,
            files=self._files,
            container_id=self._threads.container_id(thread_id),
            file_ids=[file_id for file_id in file_ids if self._exists(file_id)],
        )

    def _exists(self, file_id: str) -> bool:
        """False for a deleted file: the thread continues without it."""
        try:
            self._files.get(file_id)
        except ApiError:
            return False
        return True


def response_tools(tools: Sequence[assistant_tool.AssistantTool], stores: Sequence[str]) -> list[Tool]:
    """A run's tools in the format of the Responses API; file search only if there is a vector store."""
    converted: list[dict[str, Any]] = []
    for tool in tools:
        if tool.type == "code_interpreter":
            converted.append({"type": "code_interpreter", "container": {"type": "auto"}})
        elif tool.type == "function":
            given = {"description": None, "parameters": None, "strict": None, **wire.dump(tool.function)}
            converted.append({"type": "function", **given})
        elif stores:
            converted.append(_file_search(wire.dump(tool).get("file_search") or {}, stores))
    return read_tools(converted)


def _file_search(options: dict[str, Any], stores: Sequence[str]) -> dict[str, Any]:
    ranking = options.get("ranking_options") or {}
    return {
        "type": "file_search",
        "vector_store_ids": list(dict.fromkeys(stores)),
        "max_num_results": options.get("max_num_results"),
        "ranking_options": {"ranker": "auto", "score_threshold": ranking.get("score_threshold", 0.0)},
    }


def _format(run: Run) -> dict[str, Any] | None:
    asked = wire.dump(run)["response_format"]
    return asked if isinstance(asked, dict) and asked["type"] != "text" else None


def _choice(run: Run) -> str | dict[str, Any]:
    choice = wire.dump(run)["tool_choice"]
    if isinstance(choice, dict):
        return {"type": choice["type"], **choice.get("function", {})}
    return str(choice)


def recent(
    history: Sequence[tuple[str, Sequence[Event]]],
    *,
    turn_message_id: str | None,
    last_messages: int | None,
    max_tokens: int | None,
) -> tuple[list[Event], int]:
    """The part of the history that goes into the prompt, and the index at which the new turn begins in it.

    Args:
        history: (message id, events) of each message, oldest first.
        turn_message_id: First message of the new turn.
        last_messages: Keep only this many messages.
        max_tokens: Drop the oldest messages beyond this size, but no message of the new turn.
    """
    ids = [message_id for message_id, _ in history]
    turn = ids.index(turn_message_id) if turn_message_id in ids else len(ids)
    kept = list(history)[-last_messages:] if last_messages else list(history)
    turn = max(turn - (len(ids) - len(kept)), 0)
    if max_tokens is not None:
        sizes = [_tokens(events) for _, events in kept]
        while turn and sum(sizes) > max_tokens:
            kept, sizes, turn = kept[1:], sizes[1:], turn - 1
    before = [event for _, events in kept[:turn] for event in events]
    now = [event for _, events in kept[turn:] for event in events]
    return [*before, *now], len(before)


def _tokens(events: Sequence[Event]) -> int:
    from local.openai_emulator.search import tokens

    return sum(tokens.count(text) for event in events for text in event_texts(event))
