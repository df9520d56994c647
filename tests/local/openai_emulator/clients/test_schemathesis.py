"""Schemathesis makes objects, and asks for them, as OpenAI's document describes: no violation, no server error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from local.openai_emulator.server import serve
from local.openai_emulator.settings import Settings
from tests.local.openai_emulator.clients.packages import environment, run
from tests.local.openai_emulator.openapi import DOCUMENT, document

FAMILIES = "assistants|threads|vector_stores|files|uploads|conversations|responses|containers|embeddings|batches|models"
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "8")
_NULL_AT_THE_SERVICE = ("expires_after", "user")  # as in `openapi.py`


def readable(schema: Any) -> Any:
    """The document in the words of OpenAPI 3.1, with answers of success only: it describes no errors."""
    if isinstance(schema, list):
        return [readable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: readable(one) for key, one in schema.items() if key != "nullable"}
    if schema.get("nullable") is True:
        plain = {"anyOf": [plain, {"type": "null"}]}
    if isinstance(plain.get("required"), list):
        plain["required"] = list(dict.fromkeys(plain["required"]))
    if isinstance(plain.get("responses"), dict) and "operationId" in plain:
        plain["responses"] = {code: one for code, one in plain["responses"].items() if code.startswith("2")}
    if isinstance(plain.get("properties"), dict):
        for name in _NULL_AT_THE_SERVICE:
            if name in plain["properties"]:
                plain["properties"][name] = {"anyOf": [plain["properties"][name], {"type": "null"}]}
    return plain


@pytest.mark.long
@pytest.mark.skipif(not DOCUMENT.exists(), reason="needs OpenAI's OpenAPI document")
async def test_schemathesis_finds_no_violation(tmp_path: Path) -> None:
    python = await environment("schemathesis", "schemathesis==4.32.5")
    described = tmp_path / "openapi.json"
    described.write_text(json.dumps(readable(document())))
    async with serve(Settings(api_key="key")) as url:
        code, output = await run(
            *(python.with_name("schemathesis"), "run", described, "--url", f"{url}/v1"),
            *("--header", "Authorization: Bearer key", "--include-path-regex", f"^/({FAMILIES})"),
            *("--phases", "stateful", "--max-examples", EXAMPLES, "--seed", "1"),
            *("--checks", "response_schema_conformance,not_a_server_error", "--request-timeout", "120"),
            folder=tmp_path,
        )
    assert "Stateful" in output, output[-3000:]
    assert code == 0, output[-6000:]
