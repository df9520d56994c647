"""Responses: `/responses`. Each runs the agent loop in a background task and is saved after every step.

A response that was running when the emulator stopped becomes `failed` with `server_error` at the next start: its
sandbox session is lost, so it cannot be resumed.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import aclosing
from typing import Literal, get_args

from openai.types.responses import Response, ResponseError
from openai.types.responses.input_token_count_response import InputTokenCountResponse
from openai.types.responses.response import IncompleteDetails
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.responses import Response as HttpResponse
from starlette.routing import BaseRoute

from local.openai_emulator.agent.conversation import Said
from local.openai_emulator.agent.loop import (
    Saying,
    ToolFinished,
    ToolStarted,
    TurnEnded,
    count,
    event_texts,
    run_turn,
)
from local.openai_emulator.agent.model import CallFunctions, Model, ModelError, Say, Search, Step
from local.openai_emulator.errors import invalid, not_found
from local.openai_emulator.http import wire
from local.openai_emulator.http.azure import events_with_filters, is_azure, response_with_filters
from local.openai_emulator.http.streams import Event, EventLog, EventStream
from local.openai_emulator.responses import compaction
from local.openai_emulator.responses import output as response_output
from local.openai_emulator.responses.input import CompactConversation, CountTokens, CreateResponse, check
from local.openai_emulator.responses.items import Items
from local.openai_emulator.responses.replay import ResponseEvents, replayed
from local.openai_emulator.responses.turns import KIND, Turn, Turns
from local.openai_emulator.responses.webhooks import Webhooks
from local.openai_emulator.store import Body, Store
from local.openai_emulator.tasks import Tasks

logger = logging.getLogger(__name__)

ITEM_KIND = "response_input_item"
_MAX_RUNNING = 8  # further responses stay `queued`
_UNFINISHED = ("queued", "in_progress")
_ERROR_CODES = get_args(ResponseError.model_fields["code"].annotation)


class Responses:
    def __init__(
        self,
        *,
        store: Store,
        items: Items,
        turns: Turns,
        model: Model,
        webhooks: Webhooks,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._items = items
        self._turns = turns
        self._model = model
        self._webhooks = webhooks
        self._clock = clock
        self._slots = asyncio.Semaphore(_MAX_RUNNING)
        self._tasks = Tasks[str]()
        self._events = ResponseEvents(store)

    def routes(self) -> list[BaseRoute]:
        return [
            wire.route("POST", "/responses", self._create),
            wire.route("POST", "/responses/input_tokens", self._count_tokens),
            wire.route("POST", "/responses/compact", self._compact),
            wire.route("GET", "/responses/{response_id}", self._retrieve),
            wire.route("DELETE", "/responses/{response_id}", self._delete),
            wire.route("POST", "/responses/{response_id}/cancel", self._cancel),
            wire.route("GET", "/responses/{response_id}/input_items", self._input_items),
        ]

    def fail_unfinished(self) -> None:
        """Mark the responses that an earlier process left unfinished as failed."""
        for body in self._store.all(KIND, status=_UNFINISHED):
            response = Response.model_validate(body["response"])
            _fail(response, "server_error", "The emulator was restarted while this response was in progress.")
            self._put(response, body)
            self._events.fail(response, body["include"])

    async def close(self) -> None:
        """Stop the running responses without changing them; `fail_unfinished` ends them at the next start."""
        await self._tasks.close()

    # ---- the API -----------------------------------------------------------------------------------------------

    async def _create(self, request: Request) -> HttpResponse:
        asked = await wire.read_body(request, CreateResponse)
        check(asked)
        turn = await self._turns.prepare(asked)
        response = turn.response
        log = turn.emitter.log
        stream = self._stream_of(request, turn, log) if log is not None else None
        with self._store.together():
            self._begin(turn)
        self._tasks.start(response.id, self._run, turn)
        if stream is not None:
            return stream
        if not response.background:
            await self._tasks.wait([response.id])
        return _answer(request, wire.dump(response), turn.include)

    def _begin(self, turn: Turn) -> None:
        response = turn.response
        response.status = "queued" if response.background else "in_progress"
        turn.emitter.response("created")
        if response.background:
            turn.emitter.response("queued")
        self._save(turn)
        for item in turn.inputs if turn.stored else ():
            self._store.put(ITEM_KIND, item.body["id"], item.body, parent=response.id)

    def _stream_of(self, request: Request, turn: Turn, log: EventLog) -> EventStream:
        """A client that goes away ends its response, as at the service, unless it runs in the background."""

        async def stop() -> None:
            await self._tasks.stop(turn.response.id)
            if turn.response.status in _UNFINISHED:
                _interrupt(turn.response, "cancelled")
                self._save(turn)

        return EventStream(_events(request, log.follow()), gone=None if turn.response.background else stop)

    async def _retrieve(self, request: Request) -> HttpResponse:
        body = self._get(request)
        include = {*body["include"], *wire.query_list(request, "include")}
        if request.query_params.get("stream", "false") not in ("false", "0"):
            return EventStream(_events(request, await self._replay(request, include)))
        return _answer(request, body["response"], include)

    async def _replay(self, request: Request, include: set[str]) -> AsyncIterator[Event]:
        """The events after `starting_after`, also those that are still to come."""
        asked = request.query_params.get("starting_after", "-1")
        if not re.fullmatch(r"-?\d{1,9}", asked):
            raise invalid("Invalid value for 'starting_after': expected an integer.", param="starting_after")
        response_id = request.path_params["response_id"]
        log = self._events.log(response_id)
        if log is None:  # it was made without a stream
            await self._tasks.wait([response_id])
            log = replayed(Response.model_validate(self._get(request)["response"]), include)
        return log.follow(start=max(int(asked) + 1, 0))

    async def _count_tokens(self, request: Request) -> InputTokenCountResponse:
        """The size of a prompt; nothing is kept of it."""
        asked = await wire.read_body(request, CountTokens)
        prompt = (await self._turns.prepare(asked.as_response())).prompt
        counted = await asyncio.to_thread(count, prompt, Step(move=Say(text="")))
        return InputTokenCountResponse(object="response.input_tokens", input_tokens=counted.input_tokens)

    async def _compact(self, request: Request) -> JSONResponse:
        """A conversation, made shorter; nothing is kept of it."""
        asked = (await wire.read_body(request, CompactConversation)).as_response()
        check(asked)
        prompt = (await self._turns.prepare(asked)).prompt
        kept = compaction.kept(prompt.events)
        texts = "\n".join(text for event in kept for text in event_texts(event))
        used = await asyncio.to_thread(count, prompt, Step(move=Say(text=texts)))
        return JSONResponse(
            {
                "id": wire.new_id("resp_"),
                "object": "response.compaction",
                "created_at": int(self._clock()),
                "output": compaction.compacted(kept),
                "usage": wire.dump(response_output.usage(used)),
            }
        )

    async def _cancel(self, request: Request) -> JSONResponse:
        body = self._get(request)
        if not body["response"]["background"]:
            raise invalid("Cannot cancel a synchronous response.", param="response_id", code=None)
        await self._tasks.stop(body["response"]["id"])
        body = self._get(request)
        if body["status"] in _UNFINISHED:
            response = Response.model_validate(body["response"])
            _interrupt(response, "cancelled")
            body = self._put(response, body)
            self._announce(response)
        return _answer(request, body["response"], body["include"])

    async def _delete(self, request: Request) -> wire.Deleted:
        response_id = self._get(request)["response"]["id"]
        await self._tasks.stop(response_id)
        self._store.delete(KIND, response_id)
        self._store.delete_children(ITEM_KIND, response_id)
        self._items.delete_all(response_id)
        self._events.delete(response_id)
        return wire.Deleted(id=response_id, object="response")

    async def _input_items(self, request: Request) -> wire.ListPage:
        response_id = self._get(request)["response"]["id"]
        return wire.listed(self._store.page(ITEM_KIND, wire.paging(request), parent=response_id))

    def _get(self, request: Request) -> Body:
        response_id: str = request.path_params["response_id"]
        body = self._store.get(KIND, response_id)
        if body is None:
            raise not_found("response", response_id)
        return body

    def _put(self, response: Response, body: Body) -> Body:
        body = {**body, "status": response.status, "response": wire.dump(response)}
        self._store.put(KIND, response.id, body)
        return body

    def _announce(self, response: Response) -> None:
        if response.background:  # the caller of any other gets the result itself
            self._webhooks.announce(f"response.{response.status}", response.id)

    # ---- running -----------------------------------------------------------------------------------------------

    def _save(self, turn: Turn) -> None:
        if turn.stored:
            self._put(turn.response, turn.record())
            self._events.save(turn.response.id, turn.emitter.log)

    async def _run(self, turn: Turn) -> None:
        response = turn.response
        try:
            await self._run_to_end(turn)
            with self._store.together():
                self._save(turn)
                self._keep_items(turn)
            self._announce(response)
            logger.info("response.ended", extra={"response_id": response.id, "status": response.status})
        finally:
            if turn.emitter.log is not None:
                turn.emitter.log.close()
            self._events.forget(response.id)

    def _keep_items(self, turn: Turn) -> None:
        response = turn.response
        if turn.stored:
            self._items.add(response.id, turn.items())
        if response.conversation is not None and response.status in ("completed", "incomplete"):
            self._items.add(response.conversation.id, turn.items())

    async def _run_to_end(self, turn: Turn) -> None:
        response = turn.response
        try:
            async with self._slots:
                response.status = "in_progress"
                turn.emitter.response("in_progress")
                self._save(turn)
                await self._run_steps(turn)
        except ModelError as exc:
            _fail(response, exc.code, exc.message)
        except Exception:
            logger.exception("response.failed", extra={"response_id": response.id})
            _fail(response, "server_error", "The emulator had an error while processing this response; see its log.")
        if response.status == "completed":
            response.completed_at = int(self._clock())
        turn.emitter.response(str(response.status))

    async def _run_steps(self, turn: Turn) -> None:
        steps = run_turn(
            self._model,
            turn.prompt,
            turn.tools,
            max_tool_calls=turn.response.max_tool_calls,
            streamed=turn.emitter.log is not None,
        )
        async with aclosing(steps):
            async for progress in steps:
                if isinstance(progress, Saying):
                    turn.emitter.say(progress.text)
                    if turn.stored:
                        self._events.save(turn.response.id, turn.emitter.log)
                    continue
                if isinstance(progress, ToolStarted):
                    await _begin(turn, progress)
                elif isinstance(progress, ToolFinished):
                    turn.emitter.finish_tool(progress, turn.tools.image)
                    turn.did(progress.event)
                else:
                    _end(turn, progress)
                    return
                self._save(turn)


async def _begin(turn: Turn, started: ToolStarted) -> None:
    if isinstance(started.move, Search):
        turn.emitter.begin_search(started.move)
    else:
        turn.emitter.begin_code(started.move, await turn.tools.container_id())


def _end(turn: Turn, ended: TurnEnded) -> None:
    response = turn.response
    response.usage = response_output.usage(ended.usage)
    response.status = "completed"
    if ended.cut_off:
        response.status = "incomplete"
        response.incomplete_details = IncompleteDetails(reason="max_output_tokens")
    if isinstance(ended.move, Say) and ended.move.filtered:
        response.status = "incomplete"
        response.incomplete_details = IncompleteDetails(reason="content_filter")
    if isinstance(ended.move, CallFunctions):
        for call in ended.move.calls:
            turn.emitter.call(call)
            turn.did(call)
    elif ended.move is not None:
        turn.emitter.answer(ended.move)
        turn.did(Said(role="assistant", text=ended.move.text, citations=ended.move.citations))


def _fail(response: Response, code: str, message: str) -> None:
    _interrupt(response, "failed")
    response.error = ResponseError.model_validate(
        {"code": code if code in _ERROR_CODES else "server_error", "message": message}
    )


def _interrupt(response: Response, status: Literal["cancelled", "failed"]) -> None:
    """End an unfinished response; a tool call that was running becomes `incomplete`."""
    response.status = status
    for item in response.output:
        if getattr(item, "status", None) in ("in_progress", "searching", "interpreting"):
            item.status = "incomplete"  # type: ignore[union-attr]


def _answer(request: Request, response: Body, include: Collection[str]) -> JSONResponse:
    body = response_output.visible(response, include)
    return JSONResponse(response_with_filters(body) if is_azure(request) else body)


def _events(request: Request, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    return events_with_filters(events) if is_azure(request) else events
