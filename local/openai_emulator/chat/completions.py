"""Chat completions: `/chat/completions`, by the built-in model or passed on to the endpoint of the chosen one.

Source: https://developers.openai.com/api/reference/resources/chat
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Protocol, runtime_checkable

from openai.types.chat import ChatCompletionDeleted
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from local.openai_emulator.agent.loop import count
from local.openai_emulator.agent.model import CallFunctions, Model, ModelError, Say, Step
from local.openai_emulator.chat.requests import CreateCompletion, check, prompt_of
from local.openai_emulator.errors import ApiError, not_found
from local.openai_emulator.http import wire
from local.openai_emulator.http.azure import chunks_with_filters, is_dated, with_filters
from local.openai_emulator.http.streams import Event, EventStream
from local.openai_emulator.responses.emitter import pieces
from local.openai_emulator.store import Body, Store

KIND = "chat_completion"
MESSAGE_KIND = "chat_completion_message"


@runtime_checkable
class PassesOn(Protocol):
    """A model at an endpoint that takes the request as it is."""

    async def pass_on(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ApiError: the endpoint's error."""
        ...

    def pass_on_streamed(self, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Raises ApiError: the endpoint's error."""
        ...


class UpdateCompletion(wire.RequestBody):
    metadata: wire.Metadata | None


class ChatCompletions:
    def __init__(self, *, store: Store, model: Model, clock: Callable[[], float]) -> None:
        self._store = store
        self._model = model
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        return [
            wire.route("POST", "/chat/completions", self._create),
            wire.route("GET", "/chat/completions", self._list),
            wire.route("GET", "/chat/completions/{completion_id}", self._retrieve),
            wire.route("POST", "/chat/completions/{completion_id}", self._update),
            wire.route("DELETE", "/chat/completions/{completion_id}", self._delete),
            wire.route("GET", "/chat/completions/{completion_id}/messages", self._messages),
        ]

    async def _create(self, request: Request) -> Response:
        asked = await wire.read_body(request, CreateCompletion)
        check(asked)
        body = asked.model_dump(mode="json", exclude_unset=True, by_alias=True)
        body.setdefault("model", request.path_params.get("deployment", self._model.name))
        azures = is_dated(request)
        if asked.stream and isinstance(self._model, PassesOn):
            return await _stream(self._model.pass_on_streamed(body), azures=azures)
        completion = await self._completion(asked, body)
        if asked.store:
            self._keep(completion, asked)
        if asked.stream:
            return await _stream(_chunks(completion, asked), azures=azures)
        return JSONResponse(with_filters(completion) if azures else completion)

    async def _completion(self, asked: CreateCompletion, body: Mapping[str, Any]) -> dict[str, Any]:
        if isinstance(self._model, PassesOn):
            return await self._model.pass_on({key: one for key, one in body.items() if key not in ("store", "stream")})
        prompt = prompt_of(asked)
        try:
            step = await self._model.step(prompt)
        except ModelError as exc:
            raise ApiError(500, exc.message, type="server_error", code=exc.code) from exc
        usage = step.usage or count(prompt, step)
        choice = {"logprobs": None, **_choice(step)}
        return {
            "id": wire.new_id("chatcmpl-"),
            "object": "chat.completion",
            "created": int(self._clock()),
            "model": body["model"],
            "choices": [{"index": index, **choice} for index in range(asked.n or 1)],
            "usage": {
                "prompt_tokens": usage.input_tokens,
                "completion_tokens": usage.output_tokens,
                "total_tokens": usage.input_tokens + usage.output_tokens,
                "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": usage.reasoning_tokens,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            },
            "service_tier": "default",
        }

    # ---- stored completions ------------------------------------------------------------------------------------

    def _keep(self, completion: Body, asked: CreateCompletion) -> None:
        kept = {**completion, "metadata": asked.metadata or {}}
        with self._store.together():
            self._store.put(KIND, completion["id"], kept)
            for number, message in enumerate(asked.messages):
                body = {"id": f"{completion['id']}-{number}", "refusal": None, **message}
                self._store.put(MESSAGE_KIND, body["id"], body, parent=completion["id"])

    async def _list(self, request: Request) -> wire.ListPage:
        model = request.query_params.get("model")
        return wire.listed(self._store.page(KIND, wire.paging(request), where=("model", model) if model else None))

    async def _retrieve(self, request: Request) -> JSONResponse:
        return JSONResponse(self._get(request))

    async def _update(self, request: Request) -> JSONResponse:
        asked = await wire.read_body(request, UpdateCompletion)
        body = {**self._get(request), "metadata": asked.metadata or {}}
        self._store.put(KIND, body["id"], body)
        return JSONResponse(body)

    async def _delete(self, request: Request) -> ChatCompletionDeleted:
        completion_id = self._get(request)["id"]
        self._store.delete(KIND, completion_id)
        self._store.delete_children(MESSAGE_KIND, completion_id)
        return ChatCompletionDeleted(id=completion_id, deleted=True, object="chat.completion.deleted")

    async def _messages(self, request: Request) -> wire.ListPage:
        return wire.listed(self._store.page(MESSAGE_KIND, wire.paging(request), parent=self._get(request)["id"]))

    def _get(self, request: Request) -> Body:
        completion_id = request.path_params["completion_id"]
        body = self._store.get(KIND, completion_id)
        if body is None:
            raise not_found("chat completion", completion_id)
        return body


def _choice(step: Step) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    if isinstance(step.move, Say):
        reason = "length" if step.move.cut_off else "stop"
        part = "refusal" if step.move.refused else "content"
        return {"message": {**message, part: step.move.text}, "finish_reason": reason}
    if not isinstance(step.move, CallFunctions):
        raise ApiError(500, "The model called a tool that chat completions do not have.", type="server_error")
    calls = [
        {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in step.move.calls
    ]
    return {"message": {**message, "tool_calls": calls}, "finish_reason": "tool_calls"}


# ---- streams -----------------------------------------------------------------------------------------------------


async def _stream(chunks: AsyncIterator[dict[str, Any]], *, azures: bool) -> EventStream:
    """Waits for the first chunk, so that an error of the model is an HTTP error. `azures`: see `is_dated`."""
    first = await anext(chunks, None)

    async def all_chunks() -> AsyncIterator[dict[str, Any]]:
        async with aclosing(chunks) as rest:  # type: ignore[type-var]
            if first is not None:
                yield first
            async for chunk in rest:
                yield chunk

    async def events() -> AsyncIterator[Event]:
        async with aclosing(chunks_with_filters(all_chunks()) if azures else all_chunks()) as whole:  # type: ignore[type-var]
            async for chunk in whole:
                yield "", chunk

    return EventStream(events(), named=False, done="")


async def _chunks(completion: dict[str, Any], asked: CreateCompletion) -> AsyncIterator[dict[str, Any]]:
    """A completion in chunks, in the order of the service: role, content or calls, end, usage."""
    options = asked.stream_options
    with_usage = options is not None and options.include_usage
    kept = ("id", "created", "model", "service_tier")
    head: dict[str, Any] = {name: value for name, value in completion.items() if name in kept}
    head["object"] = "chat.completion.chunk"
    for choice in completion["choices"]:
        for delta, reason in _deltas(choice):
            one = {"index": choice["index"], "delta": delta, "logprobs": None, "finish_reason": reason}
            noise = {"obfuscation": secrets.token_urlsafe(8)} if options is None or options.include_obfuscation else {}
            yield {**head, "choices": [one], **({"usage": None} if with_usage else {}), **noise}
    if with_usage:
        yield {**head, "choices": [], "usage": completion["usage"]}


def _deltas(choice: dict[str, Any]) -> list[tuple[dict[str, Any], str | None]]:
    message = choice["message"]
    calls = message.get("tool_calls") or []
    deltas: list[tuple[dict[str, Any], str | None]] = [
        ({"role": "assistant", "content": None if message["content"] is None else "", "refusal": None}, None)
    ]
    for part in ("content", "refusal"):
        deltas += [({part: piece}, None) for piece in pieces(message[part] or "")]
    for index, call in enumerate(calls):
        begun = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        deltas.append(({"tool_calls": [begun]}, None))
        for piece in pieces(call["function"]["arguments"]):
            deltas.append(({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, None))
    return [*deltas, ({}, choice["finish_reason"])]
