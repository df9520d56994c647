"""The whole emulator with nothing replaced: SDK, HTTP, search, sandbox and builtin model."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI

from local.openai_emulator import models
from local.openai_emulator.models.chat import ChatModel
from local.openai_emulator.models.offline.builtin import BuiltinModel
from local.openai_emulator.server import serve
from local.openai_emulator.settings import Settings
from local.paths import ROOT
from tests.local.openai_emulator.client import create, ended

RECORDED = ROOT / "../shared/data/recorded_openai"


async def test_a_document_is_asked_and_a_table_is_drawn() -> None:
    async with serve() as url, AsyncOpenAI(api_key="x", base_url=f"{url}/openai/v1/") as client:
        guide = await client.files.create(
            file=("guide.md", b"# Pumps\n\nPumps must be inspected every 14 days.\n"), purpose="assistants"
        )
        store = await client.vector_stores.create(name="documents")
        await client.vector_stores.files.create_and_poll(guide.id, vector_store_id=store.id)
        search: Any = {"type": "file_search", "vector_store_ids": [store.id]}
        queued = await create(client, input="How often must pumps be inspected?", tools=[search], background=True)
        answer: Any = await ended(client, queued.id, include=["file_search_call.results"])
        assert answer.status == "completed"
        assert "14 days" in answer.output_text
        assert {note.file_id for note in answer.output[-1].content[0].annotations} == {guide.id}
        assert "answered_by" in answer.metadata
        assert answer.usage.input_tokens > answer.usage.output_tokens > 0

        table = await client.files.create(
            file=("sales.csv", b"region,sales\nnorth,10\nsouth,25\neast,5\n"), purpose="assistants"
        )
        code: Any = {"type": "code_interpreter", "container": {"type": "auto", "file_ids": [table.id]}}
        chart: Any = await create(client, input="Draw a bar chart of sales by region.", tools=[code])
        assert chart.status == "completed"
        assert chart.output[0].type == "code_interpreter_call"
        (note,) = chart.output[-1].content[0].annotations
        png = await client.containers.files.content.retrieve(note.file_id, container_id=note.container_id)
        assert png.read().startswith(b"\x89PNG")


def test_the_settings_choose_the_model() -> None:
    assert isinstance(models.from_settings(Settings.from_environ({})), BuiltinModel)
    environ = {"EMULATOR_MODEL_URL": "http://127.0.0.1:1/v1", "EMULATOR_MODEL": "tiny", "EMULATOR_MODEL_KEY": "k"}
    chosen = models.from_settings(Settings.from_environ(environ))
    assert isinstance(chosen, ChatModel)
    assert chosen.name == "tiny"


@pytest.mark.skipif(not RECORDED.exists(), reason="needs the recorded bodies")
async def test_a_response_has_every_field_of_a_recorded_one() -> None:
    """Recorded from the real service; `billing` is OpenAI's own, `prompt_cache_retention` came and went."""
    async with serve() as url, AsyncOpenAI(api_key="x", base_url=f"{url}/v1/") as client:
        raw = await client.responses.with_raw_response.create(model="m", input="Hello?")
        ours = json.loads(raw.content)
    for recorded in recorded_responses():
        missing = recorded.keys() - ours.keys() - {"billing", "prompt_cache_retention"}
        assert not missing
        assert recorded["usage"].keys() <= ours["usage"].keys()
        assert {type(recorded[key]) for key in ("text", "reasoning", "metadata")} == {dict}


def recorded_responses() -> Iterator[dict[str, Any]]:
    import base64
    import re

    for cassette in RECORDED.glob("*.yaml.gz"):
        text = gzip.decompress(cassette.read_bytes()).decode()
        for block in re.findall(r"string: !!binary \|\n((?:      +\S+\n)+)", text):
            body = base64.b64decode("".join(block.split()))
            if body.startswith(b"{") and (found := json.loads(body)).get("object") == "response":
                yield found
