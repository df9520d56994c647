"""Reads the state of the emulator with the `openai` SDK."""

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
    """Ids of the vector stores in the collection's record."""
    if not storage.names(stack, "state", f"collections/{collection}.json"):
        return []
    return list(storage.read_json(stack, "state", f"collections/{collection}.json")["stores"])


def entries(stack: Stack, collection: str) -> dict[str, str]:
    """File id -> path, for all files in the collection's vector stores."""
    with service(stack) as client:
        found = (file for store in stores_of(stack, collection) for file in client.vector_stores.files.list(store))
        return {file.id: str((file.attributes or {}).get("path")) for file in found}


def files(stack: Stack) -> dict[str, str]:
    """File id -> filename, for all files at the service."""
    with service(stack) as client:
        return {file.id: file.filename for file in client.files.list()}
