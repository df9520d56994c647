"""Embeddings and counts of tokens, through the SDK; every body is checked against the OpenAPI document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import openai
import pytest
from openai import AsyncOpenAI
from starlette.applications import Starlette

from local.openai_emulator.search import tokens
from tests.local.openai_emulator.client import client_of, create


@pytest.fixture
async def client(emulator: Starlette) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(emulator, checked=True, strict=False) as client:  # its type of an embedding has no base64
        yield client


async def embedded(client: AsyncOpenAI, given: Any, **options: Any) -> Any:
    found = await client.embeddings.create(model="text-embedding-3-small", input=given, **options)
    return np.array([one.embedding for one in found.data])


async def test_texts_and_their_tokens_have_the_same_vectors(client: AsyncOpenAI) -> None:
    texts = ["The pump is broken.", "Fish with potatoes", "A defective pump"]
    vectors = await embedded(client, texts)  # the SDK asks for base64
    assert vectors.shape == (3, 256)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[1]
    ids = [tokens.encoding("cl100k_base").encode_ordinary(text) for text in texts]
    assert np.allclose(await embedded(client, ids), vectors)
    assert np.allclose(await embedded(client, ids[0], encoding_format="float"), vectors[:1], atol=1e-6)
    assert np.allclose(await embedded(client, texts[0]), vectors[:1])


async def test_fewer_dimensions_are_unit_vectors_too(client: AsyncOpenAI) -> None:
    (vector,) = await embedded(client, "The pump is broken.", dimensions=64)
    assert vector.shape == (64,)
    assert np.isclose(np.linalg.norm(vector), 1, atol=1e-5)


@pytest.mark.parametrize("given", ["", [], [""], [[]], [10**9], [-1], "word " * 9000, {"a": 1}, [1, "a"]])
async def test_bad_inputs_are_refused(client: AsyncOpenAI, given: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="input"):
        await client.embeddings.create(model="m", input=given)


async def test_a_prompt_is_counted_without_being_kept(client: AsyncOpenAI) -> None:
    few = await client.responses.input_tokens.count(model="m", input="Hello?")
    many = await client.responses.input_tokens.count(model="m", input="Hello? " * 50, instructions="Be short.")
    assert 0 < few.input_tokens < many.input_tokens
    made = await create(client, input="Hello?")
    assert made.usage is not None
    assert made.usage.input_tokens == few.input_tokens
