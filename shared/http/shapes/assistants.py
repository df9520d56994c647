"""Bodies and answers of the routes of assistants."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.http.fields import (
    COLLECTION_MAX_CHARS,
    FUNCTIONS_MAX,
    SECONDS_MAX,
    schema_only,
)
from shared.http.shapes.base import Body
from shared.http.shapes.runs import ADVANCED
from shared.models.runs import Assistant


class AssistantBody(Body, frozen=True):
    """How an assistant answers questions. The app chooses the fields that are left out."""

    model: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | None, Meta(description="The name of a model deployment.")
    ] = None
    instructions: Annotated[
        Annotated[str, Meta(max_length=32_000)] | None,
        Meta(description="The system prompt."),
    ] = None
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(
            description="The sampling temperature; 0 gives the least random answers. Reasoning models take none: it is "
            "left out for them."
        ),
        ADVANCED,
    ] = None
    reasoning: Annotated[
        Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None,
        Meta(description="How much a reasoning model thinks; other models take none, so it is left out for them."),
        ADVANCED,
    ] = None
    verbosity: Annotated[
        Literal["low", "medium", "high"] | None,
        Meta(description="How long the answers are; models that take no such value get none."),
        ADVANCED,
    ] = None
    max_output_tokens: Annotated[
        Annotated[int, Meta(ge=16, le=1_000_000)] | None,
        Meta(description="The maximum length of an answer; a longer one is cut off."),
        ADVANCED,
    ] = None
    collection: Annotated[
        str | None,
        Meta(description="The collection of questions that name none."),
        schema_only(minLength=1, maxLength=COLLECTION_MAX_CHARS),
    ] = None
    file_search: Annotated[bool, Meta(description="Whether it can search the documents.")] = True
    code_interpreter: Annotated[bool, Meta(description="Whether it can run Python to compute and draw charts.")] = True
    functions: Annotated[
        list[str], Meta(max_length=FUNCTIONS_MAX, description="The names of the app's own functions that it can call.")
    ] = []
    max_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=SECONDS_MAX)] | None, Meta(description="For runs that name none."), ADVANCED
    ] = None


class AssistantPage(msgspec.Struct, frozen=True, kw_only=True):
    assistants: list[Assistant]
