"""The emulator's own state, as a test looks into it with the `openai` SDK."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import openai

from local.stack.stack import Stack
from tests.acceptance import storage


@contextmanager
def service(stack: Stack) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=stack.service.base_url, api_key="local", max_retries=0) as client:
        yield client


def stores_of(stack: Stack, collection: str) -> list[str]:
    """The vector stores that the collection's record names."""
    if not storage.names(stack, "state", f"collections/{collection}.json"):
        return []
    return list(storage.read_json(stack, "state", f"collections/{collection}.json")["stores"])


def entries(stack: Stack, collection: str) -> dict[str, str]:
    """File id -> path of all that the collection's vector stores hold."""
    with service(stack) as client:
        found = (file for store in stores_of(stack, collection) for file in client.vector_stores.files.list(store))
        return {file.id: str((file.attributes or {}).get("path")) for file in found}


def files(stack: Stack) -> dict[str, str]:
    """File id -> name of all files there are."""
    with service(stack) as client:
        return {file.id: file.filename for file in client.files.list()}
