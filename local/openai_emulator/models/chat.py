"""A real model behind any OpenAI-compatible chat-completions endpoint.

File search and Python are offered to the model as functions. Each passage found has a marker such as [3], and the
instructions ask the model to cite passages by their markers. Markers in the answer are replaced by citations.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from types import SimpleNamespace
from typing import Any

import openai

from local.openai_emulator.agent.conversation import Prompt
from local.openai_emulator.agent.model import ModelError, Say, Step, Usage
from local.openai_emulator.errors import ApiError
from local.openai_emulator.models.chat_answers import calls_of, moves, say, shown, text_of
from local.openai_emulator.models.chat_messages import messages, offered_tools, tool_choice

MAX_TOKENS = 4096  # of one answer, unless the caller sets a limit: some models would go on for ever
_SHORTER_CHARS = (4000, 1000, 200)  # of each tool result, when the prompt is too long for the model
_LONGEST_MARK = 100
_TAGS = ("<think>", "<thinking>", "<reasoning>", "</think>", "<tool_call>")


class ChatModel:
    """A model at a chat-completions endpoint; implements `Model` and `StreamingModel`."""

    def __init__(self, url: str, model: str, key: str | None = None) -> None:
        """`url`: the base URL, `http://127.0.0.1:11434/v1`."""
        self.name = model
        self.about: Mapping[str, str] = {"answered_by": f"{model} (chat completions)"[:512]}
        self._client = openai.AsyncOpenAI(base_url=url, api_key=key or "none", max_retries=2)
        self._limit_name = "max_tokens"  # newer models of OpenAI want "max_completion_tokens"

    async def close(self) -> None:
        await self._client.close()

    async def step(self, prompt: Prompt) -> Step:
        return self._read(await self._ask(prompt), prompt)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[str | Step, None]:
        """The answer as the endpoint writes it, without thoughts and marks; see `StreamingModel`."""
        written = Written()
        said = ""
        try:
            async for chunk in await self._ask(prompt, stream=True, stream_options={"include_usage": True}):
                written.add(chunk)
                if not written.calls:
                    ready = ready_text(written.text, prompt)
                    if len(ready) > len(said) and ready.startswith(said):
                        yield ready[len(said) :]
                        said = ready
        except openai.APIError as exc:
            raise self._error(exc) from exc
        yield self._read(written.completion(), prompt)

    # ---- passing on --------------------------------------------------------------------------------------------

    async def pass_on(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a chat-completions request as it is; see `PassesOn`."""
        try:
            completion = await self._client.chat.completions.create(**self._split(body))
        except openai.APIError as exc:
            raise _api_error(exc) from exc
        passed: dict[str, Any] = completion.to_dict(mode="json", exclude_unset=True)
        return passed

    async def pass_on_streamed(self, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        try:
            async for chunk in await self._client.chat.completions.create(**self._split(body)):
                yield chunk.to_dict(mode="json", exclude_unset=True)
        except openai.APIError as exc:
            raise _api_error(exc) from exc

    def _split(self, body: Mapping[str, Any]) -> dict[str, Any]:
        named = {"messages": body["messages"], "stream": bool(body.get("stream"))}
        rest = {name: value for name, value in body.items() if name not in (*named, "model", "store", "metadata")}
        return {**named, "model": self.name, "extra_body": rest}

    # ---- asking ------------------------------------------------------------------------------------------------

    async def _ask(self, prompt: Prompt, **options: Any) -> Any:
        """Ask; where the prompt is too long for the model, again with shorter tool results, or without old turns."""
        asked: dict[str, Any] = {"model": self.name, "messages": messages(prompt), **_options(prompt), **options}
        while True:
            asked["extra_body"] = {self._limit_name: max(prompt.max_output_tokens or MAX_TOKENS, 1)}
            try:
                return await self._client.chat.completions.create(**asked)
            except openai.APIStatusError as exc:
                if is_too_long(exc) and (less := _less(asked["messages"], prompt)) is not None:
                    asked["messages"] = less
                elif self._limit_name == "max_tokens" and "max_completion_tokens" in exc.message:
                    self._limit_name = "max_completion_tokens"
                else:
                    raise self._error(exc) from exc
            except openai.APIError as exc:
                raise self._error(exc) from exc
            except ValueError as exc:
                raise ModelError("server_error", f"The model '{self.name}' did not answer with JSON.") from exc

    def _error(self, exc: openai.APIError) -> ModelError:
        """`server_error` and `rate_limit_exceeded` are for what asking again can mend; all else is not."""
        message = f"The model '{self.name}' could not answer: {exc.message}"
        if is_final(exc):
            return ModelError("invalid_prompt", message)
        if isinstance(exc, openai.RateLimitError):
            return ModelError("rate_limit_exceeded", exc.message)
        return ModelError("server_error", message)

    # ---- answers -----------------------------------------------------------------------------------------------

    def _read(self, completion: Any, prompt: Prompt) -> Step:
        choices = getattr(completion, "choices", None)
        if not choices or getattr(choices[0], "message", None) is None:
            raise ModelError("server_error", f"The model '{self.name}' answered without a choice.")
        message, reason = choices[0].message, choices[0].finish_reason
        usage = _usage(completion.usage)
        if calls := calls_of(message):
            first, *more = moves(calls, prompt)
            return Step(move=first, more=tuple(more), usage=usage)
        text = shown(text_of(message.content)) or getattr(message, "refusal", None) or ""
        if reason == "content_filter":
            return Step(move=Say(text=text, filtered=True), usage=usage)
        if not text.strip() and reason != "length":
            raise ModelError("server_error", f"The model '{self.name}' returned an empty answer.")
        return Step(move=say(text, prompt, cut_off=reason == "length"), usage=usage)


def _api_error(exc: openai.APIError) -> ApiError:
    status = exc.status_code if isinstance(exc, openai.APIStatusError) else 502
    return ApiError(status, exc.message, type=exc.type or "server_error", param=exc.param, code=exc.code)


def _options(prompt: Prompt) -> dict[str, Any]:
    tools = offered_tools(prompt)
    options: dict[str, Any] = {"tools": tools} if tools else {}
    if tools and (choice := tool_choice(prompt)) != "auto":
        options["tool_choice"] = choice
    if tools and not prompt.parallel_tool_calls:
        options["parallel_tool_calls"] = False
    if prompt.temperature is not None:
        options["temperature"] = prompt.temperature
    if prompt.response_format is not None:
        options["response_format"] = dict(prompt.response_format)
    return options


def is_too_long(exc: openai.APIStatusError) -> bool:
    """Whether the prompt is longer than the model's context, in the words of OpenAI, vLLM, llama.cpp and Ollama."""
    if exc.status_code not in (400, 413, 500):
        return False
    words = f"{exc.code} {exc.message}".lower()
    return "context" in words and any(one in words for one in ("length", "size", "window", "exceed", "too long"))


def is_final(exc: openai.APIError) -> bool:
    """Whether asking the same again cannot help."""
    if exc.code == "insufficient_quota":
        return True
    status = getattr(exc, "status_code", None)
    if status is None or status in (408, 409, 425, 429):
        return False
    return status < 500 or (isinstance(exc, openai.APIStatusError) and is_too_long(exc))


def shortened(chat: list[dict[str, Any]], most_chars: int) -> list[dict[str, Any]]:
    """The messages with each tool result cut to its first characters."""
    note = "\n(shortened)"
    return [
        {**one, "content": one["content"][:most_chars] + note}
        if one["role"] == "tool" and len(one["content"]) > most_chars + len(note)
        else one
        for one in chat
    ]


def shorter_messages(chat: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The messages with shorter tool results; None if they are short already."""
    return next((less for most in _SHORTER_CHARS if (less := shortened(chat, most)) != chat), None)


def without_oldest(chat: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The messages without the older half of the turns, but with those of the system; None if there is one turn."""
    turns = [place for place, one in enumerate(chat) if one["role"] == "user"]
    if len(turns) < 2:
        return None
    first = turns[(len(turns) + 1) // 2]
    return [one for place, one in enumerate(chat) if place >= first or one["role"] == "system"]


def _less(chat: list[dict[str, Any]], prompt: Prompt) -> list[dict[str, Any]] | None:
    return shorter_messages(chat) or (without_oldest(chat) if prompt.truncates else None)


# ---- streams -----------------------------------------------------------------------------------------------------


class Written:
    """What has come of a streamed answer."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: dict[int, SimpleNamespace] = {}
        self._refusal = ""
        self._reason: str | None = None
        self._usage: Any = None

    def add(self, chunk: Any) -> None:
        self._usage = getattr(chunk, "usage", None) or self._usage
        choice = next(iter(getattr(chunk, "choices", None) or ()), None)
        if choice is None:
            return
        self._reason = choice.finish_reason or self._reason
        self.text += text_of(getattr(choice.delta, "content", None))
        self._refusal += getattr(choice.delta, "refusal", None) or ""
        for number, call in enumerate(getattr(choice.delta, "tool_calls", None) or ()):
            place = call.index if call.index is not None else number
            kept = self.calls.setdefault(place, SimpleNamespace(id="", function=SimpleNamespace(name="", arguments="")))
            kept.id = call.id or kept.id
            if call.function is not None:
                kept.function.name += call.function.name or ""
                given = call.function.arguments
                kept.function.arguments += given if isinstance(given, str) else json.dumps(given) if given else ""

    def completion(self) -> Any:
        """The same as an answer that was not streamed."""
        calls = [self.calls[place] for place in sorted(self.calls)]
        message = SimpleNamespace(content=self.text, refusal=self._refusal, tool_calls=calls)
        choice = SimpleNamespace(message=message, finish_reason=self._reason or "stop")
        return SimpleNamespace(choices=[choice], usage=self._usage)


def ready_text(text: str, prompt: Prompt) -> str:
    """The beginning of the answer that what comes later cannot change."""
    begins = min(_open_mark(text, "[", "]"), _open_mark(text, "【", "】"), _open_tag(text))
    clean = shown(text[:begins]) if "<" in text[:begins] else text[:begins]
    return say(clean.rstrip(), prompt, cut_off=True).text if clean.strip() else ""


def _open_mark(text: str, begin: str, end: str) -> int:
    """Where a mark begins that may go on in the text to come; the length of the text if none does."""
    place = text.rfind(begin)
    is_open = place >= 0 and end not in text[place:] and len(text) - place <= _LONGEST_MARK
    return place if is_open else len(text)


def _open_tag(text: str) -> int:
    """The same for the tags of thoughts and of calls."""
    place = text.rfind("<")
    return place if place >= 0 and any(tag.startswith(text[place:]) for tag in _TAGS) else len(text)


def _usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    prompt_details, completion_details = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_tokens=(prompt_details.cached_tokens if prompt_details else None) or 0,
        reasoning_tokens=(completion_details.reasoning_tokens if completion_details else None) or 0,
    )
