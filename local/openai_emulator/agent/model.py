"""What a model sees and what it may do next: the contract between the agent loop and every model.

The loop (`agent.py`) asks `Model.step` again and again. The model answers with one `Step`: search the files, run
Python, hand calls to the caller's own functions, or say the answer. The loop carries the step out, appends what
came of it to the conversation and asks again, until the model says something or hands over function calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from local.openai_emulator.agent.conversation import Called, Cite, OutputFile, Prompt

# ---- what the model does next ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Search:
    queries: tuple[str, ...]  # 1..5


@dataclass(frozen=True, kw_only=True)
class RunCode:
    code: str


@dataclass(frozen=True, kw_only=True)
class CallFunctions:
    calls: tuple[Called, ...]  # output None


@dataclass(frozen=True, kw_only=True)
class Show:
    """`text[start:end]` names a file the code made, such as a chart (wire: `container_file_citation`)."""

    start: int
    end: int
    file: OutputFile


@dataclass(frozen=True, kw_only=True)
class Say:
    text: str
    citations: tuple[Cite, ...] = ()
    shows: tuple[Show, ...] = ()
    cut_off: bool = False  # the model hit its output limit: the response becomes `incomplete`


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens as the model counted them; the loop counts for a model that does not."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Step:
    """The model's next move, and what it cost."""

    move: Search | RunCode | CallFunctions | Say
    usage: Usage | None = None


class ModelError(Exception):
    """The model could not answer. `code` is a `ResponseError.code`: server_error, rate_limit_exceeded, ..."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Model(Protocol):
    """One model. Stateless: all it knows is in the prompt."""

    name: str  # "builtin" or the name of the model behind the endpoint
    about: Mapping[str, str]  # goes into the response's metadata, e.g. {"answered_by": "builtin offline model ..."}

    async def step(self, prompt: Prompt) -> Step:
        """Decide what to do next.

        Raises:
            ModelError: it could not; the response becomes `failed`.
        """
        ...
