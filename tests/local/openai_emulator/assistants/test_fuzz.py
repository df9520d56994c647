"""Malformed request bodies: each gets an object of the OpenAPI document or an error, but never a 5xx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from local.openai_emulator.server import create_app
from tests.local.openai_emulator.client import ScriptedModel
from tests.local.openai_emulator.openapi import check

WORDS = st.sampled_from(
    ["auto", "text", "user", "assistant", "function", "code_interpreter", "file_search", "last_messages", "required"]
)
_KEYS = """
type text role content file_id file_ids tools function name parameters strict code_interpreter file_search description
vector_store_ids vector_stores chunking_strategy static metadata max_num_results ranking_options score_threshold ranker
last_messages tool_call_id output
"""
KEYS = st.sampled_from(_KEYS.split())
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS
    | st.text(max_size=9)
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
_FIELDS = """
assistant_id model instructions additional_instructions additional_messages tools metadata temperature top_p
max_prompt_tokens max_completion_tokens truncation_strategy tool_choice parallel_tool_calls response_format
reasoning_effort tool_resources thread messages role content attachments tool_outputs name description stream
"""
FIELDS = st.sampled_from(_FIELDS.split())
PATHS = (
    "/assistants",
    "/assistants/{assistant}",
    "/threads",
    "/threads/{thread}",
    "/threads/{thread}/messages",
    "/threads/{thread}/messages/{message}",
    "/threads/{thread}/runs",
    "/threads/{thread}/runs/{run}",
    "/threads/{thread}/runs/{run}/submit_tool_outputs",
    "/threads/runs",
)


@pytest.fixture(scope="module")
def http() -> Iterator[TestClient]:
    with TestClient(create_app(model=ScriptedModel()), headers={"api-key": "x"}) as http:
        yield http


@pytest.fixture(scope="module")
def ids(http: TestClient) -> dict[str, str]:
    thread = http.post("/v1/threads", json={"messages": [{"role": "user", "content": "x"}]}).json()["id"]
    assistant = http.post("/v1/assistants", json={"model": "m"}).json()["id"]
    run = http.post(f"/v1/threads/{thread}/runs", json={"assistant_id": assistant}).json()["id"]
    message = http.get(f"/v1/threads/{thread}/messages?order=asc").json()["data"][0]["id"]
    return {"assistant": assistant, "thread": thread, "message": message, "run": run}


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(FIELDS, VALUES, max_size=4), valid=st.booleans())
def test_every_body_is_answered(
    http: TestClient, ids: dict[str, str], path: str, body: dict[str, Any], valid: bool
) -> None:
    if valid:  # what is required stands, so that the rest is reached
        body = {**body, **_needed(path, ids)}
    answer = http.post("/v1" + path.format(**ids), json=body)
    assert answer.status_code < 500 or answer.json()["error"]["code"] == "not_implemented"
    check(answer)


def _needed(path: str, ids: dict[str, str]) -> dict[str, Any]:
    if path.endswith("/runs"):
        return {"assistant_id": ids["assistant"]}
    return {"model": "m"} if path == "/assistants" else {"role": "user", "content": "x"} if "messages" in path else {}
