"""Responses: `/responses`. Each runs the agent loop in a background task and is saved after every step.

A response that was running when the emulator stopped becomes `failed` with `server_error` at the next start: its
sandbox session is lost, so it cannot be resumed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Literal, get_args

from openai.types.responses import (
    Response,
    ResponseCodeInterpreterToolCall,
    ResponseError,
    ResponseFileSearchToolCall,
)
from openai.types.responses.response import IncompleteDetails
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute

from local.openai_emulator.agent.conversation import Said
from local.openai_emulator.agent.loop import ToolFinished, ToolStarted, TurnEnded, run_turn
from local.openai_emulator.agent.model import CallFunctions, Model, ModelError, RunCode, Search
from local.openai_emulator.errors import invalid, not_found, not_implemented
from local.openai_emulator.http import wire
from local.openai_emulator.responses import output as response_output
from local.openai_emulator.responses.input import CreateResponse, check
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
        self, *, store: Store, turns: Turns, model: Model, webhooks: Webhooks, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._turns = turns
        self._model = model
        self._webhooks = webhooks
        self._clock = clock
        self._slots = asyncio.Semaphore(_MAX_RUNNING)
        self._tasks = Tasks[str]()

    def routes(self) -> list[BaseRoute]:
        return [
            wire.route("POST", "/responses", self._create),
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

    async def close(self) -> None:
        """Stop the running responses without changing them; `fail_unfinished` ends them at the next start."""
        await self._tasks.close()

    # ---- the API -----------------------------------------------------------------------------------------------

    async def _create(self, request: Request) -> JSONResponse:
        asked = await wire.read_body(request, CreateResponse)
        check(asked)
        turn = self._turns.prepare(asked)
        self._save(turn)
        for item in turn.input_items if turn.stored else ():
            self._store.put(ITEM_KIND, item["id"], item, parent=turn.response.id)
        self._tasks.start(turn.response.id, self._run, turn)
        if not turn.response.background:
            await self._tasks.wait([turn.response.id])
        return JSONResponse(response_output.visible(wire.dump(turn.response), turn.include))

    async def _retrieve(self, request: Request) -> JSONResponse:
        if request.query_params.get("stream", "false") not in ("false", "0"):
            raise not_implemented("streamed responses", param="stream")
        body = self._get(request)
        include = {*body["include"], *wire.query_list(request, "include")}
        return JSONResponse(response_output.visible(body["response"], include))

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
        return JSONResponse(response_output.visible(body["response"], body["include"]))

    async def _delete(self, request: Request) -> wire.Deleted:
        response_id = self._get(request)["response"]["id"]
        await self._tasks.stop(response_id)
        self._store.delete(KIND, response_id)
        self._store.delete_children(ITEM_KIND, response_id)
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

    async def _run(self, turn: Turn) -> None:
        response = turn.response
        ids = {"response_id": response.id}
        try:
            async with self._slots:
                response.status = "in_progress"
                self._save(turn)
                await self._run_steps(turn)
        except ModelError as exc:
            _fail(response, exc.code, exc.message)
        except Exception:
            logger.exception("response.failed", extra=ids)
            _fail(response, "server_error", "The emulator had an error while processing this response; see its log.")
        if response.status == "completed":
            response.completed_at = int(self._clock())
        self._save(turn)
        self._announce(response)
        logger.info("response.ended", extra={**ids, "status": response.status})

    async def _run_steps(self, turn: Turn) -> None:
        steps = run_turn(self._model, turn.prompt, turn.tools, max_tool_calls=turn.response.max_tool_calls)
        async with aclosing(steps):
            async for progress in steps:
                if isinstance(progress, ToolStarted):
                    await _begin(turn, progress.move)
                elif isinstance(progress, ToolFinished):
                    _finish(turn, progress)
                else:
                    _end(turn, progress)
                self._save(turn)


async def _begin(turn: Turn, move: Search | RunCode) -> None:
    if isinstance(move, Search):
        turn.response.output.append(response_output.search_begun(move))
    else:
        turn.response.output.append(response_output.run_begun(move, await turn.tools.container_id()))


def _finish(turn: Turn, done: ToolFinished) -> None:
    item = turn.response.output.pop()
    if isinstance(item, ResponseFileSearchToolCall):
        turn.response.output.append(response_output.search_finished(item, done))
    elif isinstance(item, ResponseCodeInterpreterToolCall):
        turn.response.output.append(response_output.run_finished(item, done, turn.tools.image))
    turn.events.append(done.event)


def _end(turn: Turn, ended: TurnEnded) -> None:
    response = turn.response
    response.usage = response_output.usage(ended.usage)
    response.status = "completed"
    if ended.cut_off:
        response.status = "incomplete"
        response.incomplete_details = IncompleteDetails(reason="max_output_tokens")
    if isinstance(ended.move, CallFunctions):
        response.output.extend(response_output.function_call(call) for call in ended.move.calls)
        turn.events.extend(ended.move.calls)
    elif ended.move is not None:
        response.output.append(response_output.message(ended.move))
        turn.events.append(Said(role="assistant", text=ended.move.text, citations=ended.move.citations))


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
