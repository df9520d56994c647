"""Embeddings: `/embeddings`, from the sentence vectors that file search uses, whatever model is asked for.

Source: https://developers.openai.com/api/reference/resources/embeddings
"""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field, StrictInt, StrictStr
from starlette.requests import Request
from starlette.routing import BaseRoute

from local.openai_emulator.errors import invalid
from local.openai_emulator.http import wire

_MOST_INPUTS = 2048
_MOST_TOKENS = 8192  # of one input, as in the services
Tokens = Annotated[list[StrictInt], Field(min_length=1)]


class CreateEmbeddings(wire.RequestBody):
    input: (
        StrictStr
        | Annotated[list[StrictStr], Field(min_length=1, max_length=_MOST_INPUTS)]
        | Tokens
        | Annotated[list[Tokens], Field(min_length=1, max_length=_MOST_INPUTS)]
    )
    model: Annotated[str, Field(min_length=1)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None


class Embedding(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str  # base64 of little-endian 32-bit floats


class Usage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """Wire: `CreateEmbeddingResponse`; the SDK's type has no base64."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


class Embeddings:
    def routes(self) -> list[BaseRoute]:
        return [wire.route("POST", "/embeddings", self._create)]

    async def _create(self, request: Request) -> EmbeddingList:
        asked = await wire.read_body(request, CreateEmbeddings)
        return await asyncio.to_thread(_embedded, asked)


def _embedded(asked: CreateEmbeddings) -> EmbeddingList:
    from local.openai_emulator.search import embeddings, tokens

    texts = texts_of(asked.input)
    sizes = [tokens.count(text) for text in texts]
    for text, size in zip(texts, sizes, strict=True):
        if not text or size > _MOST_TOKENS:
            what = f"at most {_MOST_TOKENS} tokens, got {size}" if text else "a text that is not empty"
            raise invalid(f"Invalid 'input': expected {what}.", param="input")
    vectors = embeddings.embed(texts)
    if asked.dimensions is not None:
        if asked.dimensions > embeddings.DIMENSIONS:
            message = f"This emulator's vectors have {embeddings.DIMENSIONS} dimensions at most."
            raise invalid(message, param="dimensions")
        vectors = vectors[:, : asked.dimensions]
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    data = [
        Embedding(
            index=index,
            embedding=base64.b64encode(vector.astype("<f4").tobytes()).decode()
            if asked.encoding_format == "base64"
            else [float(one) for one in vector],
        )
        for index, vector in enumerate(vectors)
    ]
    return EmbeddingList(data=data, model=asked.model, usage=Usage(prompt_tokens=sum(sizes), total_tokens=sum(sizes)))


def texts_of(asked: str | list[str] | list[int] | list[list[int]]) -> list[str]:
    """The texts to embed. Token ids are those of cl100k_base, the vocabulary of the services' embedding models.

    Raises:
        ApiError: 400, there is no such token.
    """
    from local.openai_emulator.search import tokens

    if isinstance(asked, str):
        return [asked]
    inputs = [asked] if asked and isinstance(asked[0], int) else asked
    try:
        return [one if isinstance(one, str) else tokens.decode(one, name="cl100k_base") for one in inputs]  # type: ignore[arg-type]
    except (KeyError, OverflowError) as exc:
        raise invalid(f"Invalid 'input': there is no token {exc}.", param="input") from exc
