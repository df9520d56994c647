"""A local stack for one measurement: new data, free ports, deleted afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.client import Client, Json
from local.settings import environ_with_dotenv
from local.stack.stack import Options, Stack


@contextmanager
def fresh_stack() -> Iterator[tuple[Stack, Client]]:
    """Start a stack in a temporary folder and yield it with a client; settings come from the environment and `.env`."""
    with tempfile.TemporaryDirectory() as folder:
        options = Options(data=Path(folder) / "data", logs=Path(folder) / "logs")
        with (
            Stack(options, environ=environ_with_dotenv()) as stack,
            Client(stack.app_url, storage=stack.azurite.connection_string) as client,
        ):
            yield stack, client


def upload_and_wait(client: Client, path: str, content: bytes, *, within_s: float = 120) -> Json:
    """Upload a document and wait for its final status.

    Raises:
        AssertionError: it has none within `within_s`.
    """
    etag = client.drop_bytes(content, path)
    final = client.wait_indexed({path: etag}, on_final=lambda _: None, within_s=within_s)
    assert path in final, f"{path} has no final status within {within_s:.0f} s."
    return final[path]
