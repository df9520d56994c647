"""Prepares a response from a `POST /responses`: the prompt, the tools, and the response object to fill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from openai.types.responses import FileSearchTool, Response
from openai.types.responses.response import Conversation
from openai.types.responses.tool import CodeInterpreter

from local.openai_emulator.agent.conversation import EVENTS, Event, Prompt, turn_start
from local.openai_emulator.agent.model import Model
from local.openai_emulator.containers.containers import Containers
from local.openai_emulator.containers.workspace import Workspace
from local.openai_emulator.errors import invalid
from local.openai_emulator.files.files import Files
from local.openai_emulator.http import wire
from local.openai_emulator.http.streams import EventLog
from local.openai_emulator.responses.attachments import Attachments
from local.openai_emulator.responses.compaction import events_of
from local.openai_emulator.responses.conversations import conversation_id_of
from local.openai_emulator.responses.emitter import Emitter
from local.openai_emulator.responses.input import (
    CreateResponse,
    chat_format,
    previous_not_found,
    read_input,
    settled,
)
from local.openai_emulator.responses.items import Item, Items
from local.openai_emulator.store import Body, Store
from local.openai_emulator.tools.hosted import HostedTools
from local.openai_emulator.tools.input import Tool, read_tools, toolbox, uploaded_file_ids
from local.openai_emulator.tools.prompt import with_about
from local.openai_emulator.vector_stores.stores import VectorStores

KIND = "response"


@dataclass(kw_only=True)
class Turn:
    """A response in progress. `events`: what this turn added to the conversation."""

    response: Response
    prompt: Prompt
    tools: HostedTools
    events: list[Event]
    emitter: Emitter
    inputs: Sequence[Item]
    include: Sequence[str] = ()
    stored: bool = True
    by_item: dict[str, Event] = field(default_factory=dict)  # item id of the output -> its event

    def did(self, event: Event) -> None:
        """Record the event of the last output item."""
        self.events.append(event)
        self.by_item[str(self.response.output[-1].id)] = event

    def items(self) -> list[Item]:
        """The items of the input and of the output."""
        output = [wire.dump(item) for item in self.response.output]
        return [*self.inputs, *(Item(body=body, event=self.by_item.get(body["id"])) for body in output)]

    def record(self) -> Body:
        """The fields that are stored beside the response object."""
        return {
            "include": list(self.include),
            "container_id": self.tools.known_container_id,
            "events": EVENTS.dump_python(self.events, mode="json"),
        }


class Turns:
    def __init__(
        self,
        *,
        store: Store,
        items: Items,
        attachments: Attachments,
        files: Files,
        stores: VectorStores,
        containers: Containers,
        model: Model,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._items = items
        self._attachments = attachments
        self._files = files
        self._stores = stores
        self._containers = containers
        self._model = model
        self._clock = clock

    async def prepare(self, asked: CreateResponse) -> Turn:
        """Check the request and build the turn.

        Raises:
            ApiError: an object that the request names does not exist, or a feature is not implemented.
        """
        attached = await self._attachments.read(asked.input)
        chain = self._chain(asked.previous_response_id)
        conversation_id = conversation_id_of(self._store, asked.conversation)
        history = [event for body in chain for event in EVENTS.validate_python(body["events"])]
        if conversation_id is not None:
            history = events_of(self._items.all(conversation_id))
        said = read_input(asked.input, history, find=self._items.find, attached=attached)
        events = settled([*history, *said.events])
        tools = read_tools(asked.tools)
        searches = [tool for tool in tools if isinstance(tool, FileSearchTool)]
        for tool in searches:
            self._stores.check_searchable(tool.vector_store_ids)
        workspace = self._workspace(tools, chain)
        response = self._response(asked, tools)
        if conversation_id is not None:
            response.conversation = Conversation(id=conversation_id)
        return Turn(
            response=response,
            emitter=Emitter(
                response,
                include=asked.include or (),
                log=EventLog() if asked.stream else None,
                obfuscate=asked.stream_options is None or asked.stream_options.include_obfuscation,
            ),
            prompt=Prompt(
                model=asked.model,
                instructions=asked.instructions or "",
                events=events,
                turn_starts_at=turn_start(events, len(events) - len(said.events)),
                tools=toolbox(tools, asked.tool_choice, workspace.data_files if workspace else ()),
                temperature=asked.temperature,
                max_output_tokens=asked.max_output_tokens,
                parallel_tool_calls=asked.parallel_tool_calls is not False,
                response_format=chat_format(asked.text.format if asked.text else None),
                truncates=asked.truncation == "auto",
            ),
            tools=HostedTools(stores=self._stores, searches=searches, workspace=workspace),
            events=list(said.events),
            inputs=said.made,
            include=asked.include or (),
            stored=asked.store is not False,
        )

    def _chain(self, response_id: str | None) -> list[Body]:
        """The records of the earlier responses, oldest first, back to the first deleted one."""
        if response_id is None:
            return []
        if (last := self._store.get(KIND, response_id)) is None:
            raise previous_not_found(response_id)
        if last["status"] in ("queued", "in_progress"):
            message = f"Previous response with id '{response_id}' is still {last['status']}."
            raise invalid(message, param="previous_response_id", code="previous_response_not_ready")
        chain = []
        body: Body | None = last
        while body is not None:
            chain.append(body)
            previous = body["response"]["previous_response_id"]
            body = self._store.get(KIND, previous) if previous else None
        return chain[::-1]

    def _workspace(self, tools: Sequence[Tool], chain: Sequence[Body]) -> Workspace | None:
        tool = next((tool for tool in tools if isinstance(tool, CodeInterpreter)), None)
        if tool is None:
            return None
        if isinstance(tool.container, str):
            container_id: str | None = self._containers.active(tool.container).id
        else:
            used = [body["container_id"] for body in reversed(chain) if body["container_id"]]
            container_id = next((id for id in used if self._containers.is_active(id)), None)
        return Workspace(
            containers=self._containers,
            files=self._files,
            container_id=container_id,
            file_ids=uploaded_file_ids(tool),
            memory_limit=None if isinstance(tool.container, str) else tool.container.memory_limit,
        )

    def _response(self, asked: CreateResponse, tools: Sequence[Tool]) -> Response:
        """The new response object, with the service's defaults."""
        text = asked.text.model_dump(exclude_none=True, by_alias=True) if asked.text else {}
        return Response.model_validate(
            {
                "id": wire.new_id("resp_"),
                "object": "response",
                "created_at": int(self._clock()),
                "status": "queued",
                "background": bool(asked.background),
                "error": None,
                "incomplete_details": None,
                "instructions": asked.instructions,
                "max_output_tokens": asked.max_output_tokens,
                "max_tool_calls": asked.max_tool_calls,
                "model": asked.model,
                "output": [],
                "parallel_tool_calls": asked.parallel_tool_calls is not False,
                "previous_response_id": asked.previous_response_id,
                "prompt_cache_key": asked.prompt_cache_key,
                "reasoning": {"effort": None, "summary": None, **(asked.reasoning or {})},
                "safety_identifier": asked.safety_identifier,
                "service_tier": "default",
                "store": asked.store is not False,
                "temperature": 1.0 if asked.temperature is None else asked.temperature,
                "text": {"format": {"type": "text"}, "verbosity": "medium", **text},
                "tool_choice": asked.tool_choice or "auto",
                "tools": [wire.dump(tool) for tool in tools],
                "top_logprobs": asked.top_logprobs or 0,
                "top_p": 1.0 if asked.top_p is None else asked.top_p,
                "truncation": asked.truncation or "disabled",
                "usage": None,
                "user": asked.user,
                "metadata": with_about(asked.metadata or {}, self._model.about),
            }
        )
