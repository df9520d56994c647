"""The interface between the agent loop and a model.

The loop (`loop.py`) calls `Model.step` repeatedly. The model returns one `Step`: search files, run Python, call
functions of the caller, or answer. The loop runs the tool, appends the result to the conversation and calls `step`
again, until the model answers or calls functions.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from local.openai_emulator.agent.conversation import Called, Cite, OutputFile, Prompt

# ---- moves -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Search:
    queries: tuple[str, ...]  # 1..5


@dataclass(frozen=True, kw_only=True)
class RunCode:
    code: str


@dataclass(frozen=True, kw_only=True)
class CallFunctions:
    calls: tuple[Called, ...]  # their `output` is None


@dataclass(frozen=True, kw_only=True)
class Misuse:
    """A call that cannot be carried out: no such tool, or arguments without a meaning. The model is told so.

    `called.output`: what the model did wrong, for the model.
    """

    called: Called


@dataclass(frozen=True, kw_only=True)
class Show:
    """`text[start:end]` names a file that code created, such as a chart (wire: `container_file_citation`)."""

    start: int
    end: int
    file: OutputFile


@dataclass(frozen=True, kw_only=True)
class Say:
    text: str
    citations: tuple[Cite, ...] = ()
    shows: tuple[Show, ...] = ()
    cut_off: bool = False  # the output limit was reached: the response becomes `incomplete`
    refused: bool = False  # the text says why there is no answer in the format that the caller wants
    filtered: bool = False  # the model's content filter stopped the answer: the response becomes `incomplete`


Tooling = Search | RunCode | CallFunctions | Misuse


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Token usage as reported by the model; the loop counts tokens if the model reports none."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Step:
    """The model's next move and its token usage. `more`: the further calls of a model that calls several tools."""

    move: Tooling | Say
    more: tuple[Tooling, ...] = ()
    usage: Usage | None = None


class ModelError(Exception):
    """The model failed. `code`: a `ResponseError.code` such as server_error or rate_limit_exceeded."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Model(Protocol):
    """A model. It is stateless: its only input is the prompt."""

    name: str  # "builtin", or the name of the model at the endpoint
    about: Mapping[str, str]  # added to the response's metadata, such as {"answered_by": "builtin offline model ..."}

    async def step(self, prompt: Prompt) -> Step:
        """Decide what to do next.

        Raises:
            ModelError: the model failed; the response becomes `failed`.
        """
        ...


@runtime_checkable
class StreamingModel(Protocol):
    """A model that can also hand out its answer while it writes it."""

    def stream(self, prompt: Prompt) -> AsyncGenerator[str | Step, None]:
        """Like `Model.step`: the texts of which the answer consists so far, and last the step.

        Raises:
            ModelError: the model failed.
        """
        ...


def takes_images(model: Model) -> bool:
    """Whether images can be sent to a model; one at an endpoint may still refuse them."""
    return model.name != "builtin"
