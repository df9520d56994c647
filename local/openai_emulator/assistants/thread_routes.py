"""The HTTP routes of threads and messages: `/threads` and `/threads/{id}/messages`.

Source: https://learn.microsoft.com/azure/ai-services/openai/assistants-reference-threads
"""

from __future__ import annotations

from openai.types.beta import Thread, ThreadDeleted
from openai.types.beta.threads import Message, MessageDeleted
from starlette.requests import Request
from starlette.routing import BaseRoute

from local.openai_emulator.assistants.assistants import changed_resources
from local.openai_emulator.assistants.messages import CreateMessage, Messages, read_message
from local.openai_emulator.assistants.resources import ModifyResources, ToolResources
from local.openai_emulator.assistants.run_input import CreateThread
from local.openai_emulator.assistants.runs import Runs
from local.openai_emulator.assistants.threads import Threads
from local.openai_emulator.errors import invalid
from local.openai_emulator.http import wire


class ModifyThread(wire.RequestBody):
    metadata: wire.Metadata | None = None
    tool_resources: ModifyResources | None = None


class ModifyMessage(wire.RequestBody):
    metadata: wire.Metadata | None = None


class ThreadRoutes:
    def __init__(self, *, threads: Threads, messages: Messages, runs: Runs, resources: ToolResources) -> None:
        self._threads = threads
        self._messages = messages
        self._runs = runs
        self._resources = resources

    def routes(self) -> list[BaseRoute]:
        messages = "/threads/{thread_id}/messages"
        return [
            wire.route("POST", "/threads", self._create),
            wire.route("GET", "/threads/{thread_id}", self._retrieve),
            wire.route("POST", "/threads/{thread_id}", self._modify),
            wire.route("DELETE", "/threads/{thread_id}", self._delete),
            wire.route("POST", messages, self._create_message),
            wire.route("GET", messages, self._list_messages),
            wire.route("GET", messages + "/{message_id}", self._retrieve_message),
            wire.route("POST", messages + "/{message_id}", self._modify_message),
            wire.route("DELETE", messages + "/{message_id}", self._delete_message),
        ]

    def create_thread(self, asked: CreateThread) -> Thread:
        """Create a thread with its first messages; on an error nothing is created.

        Raises:
            ApiError: an object that the request names does not exist, or a feature is not implemented.
        """
        code = asked.tool_resources.code_interpreter if asked.tool_resources else None
        before = {"code_interpreter": {"file_ids": list(code.file_ids)}} if code else {}
        self._resources.check(asked.tool_resources)
        self._messages.check(asked.messages or (), before=before)
        thread = self._threads.create(metadata=asked.metadata, resources=asked.tool_resources)
        for message in asked.messages or ():
            self._messages.add(thread.id, message)
        return self._threads.get(thread.id)

    # ---- threads -----------------------------------------------------------------------------------------------

    async def _create(self, request: Request) -> Thread:
        return self.create_thread(await wire.read_body(request, CreateThread))

    async def _retrieve(self, request: Request) -> Thread:
        return self._threads.get(request.path_params["thread_id"])

    async def _modify(self, request: Request) -> Thread:
        thread_id = request.path_params["thread_id"]
        self._threads.get(thread_id)
        asked = await wire.read_body(request, ModifyThread)
        self._resources.check(asked.tool_resources)
        fields: dict[str, object] = {}
        if "metadata" in asked.model_fields_set:
            fields["metadata"] = asked.metadata or {}
        if "tool_resources" in asked.model_fields_set:
            fields["tool_resources"] = changed_resources(self._threads.resources(thread_id), asked.tool_resources)
        return self._threads.change(thread_id, **fields)

    async def _delete(self, request: Request) -> ThreadDeleted:
        thread_id = request.path_params["thread_id"]
        removed = self._threads.remove(thread_id)
        await self._runs.delete_all(thread_id)
        self._messages.delete_all(thread_id)
        await self._threads.drop(removed)
        return ThreadDeleted(id=thread_id, object="thread.deleted", deleted=True)

    # ---- messages ----------------------------------------------------------------------------------------------

    async def _create_message(self, request: Request) -> Message:
        thread_id = request.path_params["thread_id"]
        self._threads.get(thread_id)
        asked = await wire.read_body(request, CreateMessage)
        if (active := await self._runs.active(thread_id)) is not None:
            raise invalid(f"Can't add messages to {thread_id} while a run {active.id} is active.", code=None)
        self._messages.check([asked], before=self._threads.resources(thread_id))
        return self._messages.add(thread_id, asked)

    async def _list_messages(self, request: Request) -> wire.ListPage:
        thread = self._threads.get(request.path_params["thread_id"])
        run_id = request.query_params.get("run_id")
        return wire.listed(self._messages.page(thread.id, wire.paging(request), run_id=run_id), read_message)

    async def _retrieve_message(self, request: Request) -> Message:
        return self._messages.get(*self._ids(request))

    async def _modify_message(self, request: Request) -> Message:
        ids = self._ids(request)
        asked = await wire.read_body(request, ModifyMessage)
        if "metadata" not in asked.model_fields_set:
            return self._messages.get(*ids)
        return self._messages.change(*ids, metadata=asked.metadata or {})

    async def _delete_message(self, request: Request) -> MessageDeleted:
        thread_id, message_id = self._ids(request)
        self._messages.delete(thread_id, message_id)
        return MessageDeleted(id=message_id, object="thread.message.deleted", deleted=True)

    def _ids(self, request: Request) -> tuple[str, str]:
        """The thread id and message id of the path; raises ApiError 404 if one does not exist."""
        thread = self._threads.get(request.path_params["thread_id"])
        message = self._messages.get(thread.id, request.path_params["message_id"])
        return thread.id, message.id
