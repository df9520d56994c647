"""Conversations: `/conversations` and their items. A response that names one continues it.

Source: https://developers.openai.com/api/reference/resources/conversations
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from openai.types.conversations import Conversation, ConversationDeletedResource
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute

from local.openai_emulator.errors import invalid, not_found
from local.openai_emulator.http import wire
from local.openai_emulator.responses import output
from local.openai_emulator.responses.attachments import Attachments
from local.openai_emulator.responses.compaction import events_of
from local.openai_emulator.responses.input import Input, read_input
from local.openai_emulator.responses.items import Items
from local.openai_emulator.store import Body, Store

KIND = "conversation"
NewItems = Annotated[list[dict[str, Any]], Field(max_length=20)]


class CreateConversation(wire.RequestBody):
    items: NewItems | None = None
    metadata: wire.Metadata | None = None


class UpdateConversation(wire.RequestBody):
    metadata: wire.Metadata | None


class CreateItems(wire.RequestBody):
    items: NewItems


class Conversations:
    def __init__(self, *, store: Store, items: Items, attachments: Attachments, clock: Callable[[], float]) -> None:
        self._store = store
        self._attachments = attachments
        self._items = items
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        items = "/conversations/{conversation_id}/items"
        return [
            wire.route("POST", "/conversations", self._create),
            wire.route("GET", "/conversations/{conversation_id}", self._retrieve),
            wire.route("POST", "/conversations/{conversation_id}", self._update),
            wire.route("DELETE", "/conversations/{conversation_id}", self._delete),
            wire.route("POST", items, self._create_items),
            wire.route("GET", items, self._list_items),
            wire.route("GET", items + "/{item_id}", self._retrieve_item),
            wire.route("DELETE", items + "/{item_id}", self._delete_item),
        ]

    # ---- conversations -----------------------------------------------------------------------------------------

    async def _create(self, request: Request) -> Conversation:
        asked = await wire.read_body(request, CreateConversation)
        given = await self._read_items(asked.items or [], None)
        body: Body = {
            "id": wire.new_id("conv_"),
            "object": "conversation",
            "created_at": int(self._clock()),
            "metadata": asked.metadata or {},
        }
        with self._store.together():
            self._store.put(KIND, body["id"], body)
            self._items.add(body["id"], given.made)
        return Conversation.model_validate(body)

    async def _retrieve(self, request: Request) -> Conversation:
        return Conversation.model_validate(self._get(request))

    async def _update(self, request: Request) -> Conversation:
        asked = await wire.read_body(request, UpdateConversation)
        body = {**self._get(request), "metadata": asked.metadata or {}}
        self._store.put(KIND, body["id"], body)
        return Conversation.model_validate(body)

    async def _delete(self, request: Request) -> ConversationDeletedResource:
        conversation_id = self._get(request)["id"]
        with self._store.together():
            self._store.delete(KIND, conversation_id)
            self._items.delete_all(conversation_id)
        return ConversationDeletedResource(id=conversation_id, object="conversation.deleted", deleted=True)

    def _get(self, request: Request) -> Body:
        conversation_id = request.path_params["conversation_id"]
        body = self._store.get(KIND, conversation_id)
        if body is None:
            raise not_found("conversation", conversation_id)
        return body

    # ---- items -------------------------------------------------------------------------------------------------

    async def _read_items(self, asked: list[dict[str, Any]], conversation_id: str | None) -> Input:
        history = events_of(self._items.all(conversation_id)) if conversation_id else []
        attached = await self._attachments.read(asked)
        return read_input(asked, history, find=self._items.find, attached=attached, may_wait=True)

    async def _create_items(self, request: Request) -> JSONResponse:
        asked = await wire.read_body(request, CreateItems)
        conversation_id = self._get(request)["id"]
        made = (await self._read_items(asked.items, conversation_id)).made
        with self._store.together():
            self._items.add(conversation_id, made)
        ids = [item.body["id"] for item in made]
        page = wire.ListPage(
            data=[item.body for item in made],
            first_id=ids[0] if ids else "",
            last_id=ids[-1] if ids else "",
            has_more=False,
        )
        return self._shown(page, request)

    async def _list_items(self, request: Request) -> JSONResponse:
        return self._shown(wire.listed(self._items.page(self._get(request)["id"], wire.paging(request))), request)

    def _shown(self, page: wire.ListPage, request: Request) -> JSONResponse:
        shown = output.visible({"output": page.data}, wire.query_list(request, "include"))["output"]
        return JSONResponse({**wire.dump(page), "data": shown})

    async def _retrieve_item(self, request: Request) -> JSONResponse:
        conversation_id, item_id = self._get(request)["id"], request.path_params["item_id"]
        item = self._items.get(conversation_id, item_id)
        if item is None:
            raise not_found(f"item in conversation '{conversation_id}'", item_id)
        (shown,) = output.visible({"output": [item.body]}, wire.query_list(request, "include"))["output"]
        return JSONResponse(shown)

    async def _delete_item(self, request: Request) -> Conversation:
        body, item_id = self._get(request), request.path_params["item_id"]
        if not self._items.delete(body["id"], item_id):
            raise not_found(f"item in conversation '{body['id']}'", item_id)
        return Conversation.model_validate(body)


def conversation_id_of(store: Store, asked: str | dict[str, Any] | None) -> str | None:
    """The conversation that a response names.

    Raises:
        ApiError: 404, there is no such conversation; 400, it is not named by its id.
    """
    if asked is None:
        return None
    conversation_id = asked if isinstance(asked, str) else asked.get("id")
    if not isinstance(conversation_id, str):
        raise invalid("Expected the id of a conversation.", param="conversation")
    if store.get(KIND, conversation_id) is None:
        raise not_found("conversation", conversation_id)
    return conversation_id
