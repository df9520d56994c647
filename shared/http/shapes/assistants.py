"""DOC."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from shared.http.fields import (
    COLLECTION_MAX_CHARS,
    FUNCTIONS_MAX,
    SECONDS_MAX,
    shown,
)
from shared.http.shapes.base import Body
from shared.http.shapes.runs import ADVANCED
from shared.models.runs import (
    Assistant,
)


class AssistantBody(Body, frozen=True):
    """How questions are to be answered. What is left out is the app's choice."""

    model: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | None, Meta(description="A model deployment's name.")
    ] = None
    instructions: Annotated[
        Annotated[str, Meta(max_length=32_000)] | None, Meta(description="What the model is told before the question.")
    ] = None
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None, Meta(description="How much chance there is in the answer."), ADVANCED
    ] = None
    max_output_tokens: Annotated[
        Annotated[int, Meta(ge=16, le=1_000_000)] | None, Meta(description="An answer is cut off there."), ADVANCED
    ] = None
    collection: Annotated[
        str | None,
        Meta(description="For questions that name none."),
        shown(minLength=1, maxLength=COLLECTION_MAX_CHARS),
    ] = None
    file_search: Annotated[bool, Meta(description="Whether it searches the documents.")] = True
    code_interpreter: Annotated[bool, Meta(description="Whether it computes and draws charts.")] = True
    functions: Annotated[
        list[str], Meta(max_length=FUNCTIONS_MAX, description="The app's own functions that it may call.")
    ] = []
    max_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=SECONDS_MAX)] | None, Meta(description="For runs that name none."), ADVANCED
    ] = None


class AssistantPage(msgspec.Struct, frozen=True, kw_only=True):
    assistants: list[Assistant]
