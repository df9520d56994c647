"""Every operation gets hostile strings in its path, query, headers and body: no exception, no 5xx, and a known code."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import azure.functions as func
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI

from shared.engines.webhooks import ServiceWebhooks
from shared.http.openapi import problems_of
from shared.http.route import Operation, answer
from shared.http.table import OPERATIONS
from tests.unit.http.test_openapi import HANDLERS
from tests.unit.world import SECRET, World

HOSTILE = [
    "", " ", "\x00", "\x1b[2J", "\r\n", "\u2028", "\u202e", "\ufeff", "\ufffe", "\uffff", "\ud800", "\udfff\ud800",
    "../x", "..%2Fx", "a/../b", "%00", "%ff", "%", "{}", "[]", "null", "true", "NaN", "-1", "0", "00", "1e999",
    "9" * 400, "9" * 5_000, "0" * 5_000, "٣", "a" * 1_025, "é" * 600, "\U0001f600", "<script>", "'; --", "${x}", "$(x)",
    "run_" + "0" * 24, "thread_" + "0" * 24, "hook_" + "0" * 24, "rec_" + "0" * 24, "AAAA", "c/a.md", "default",
    "https://receiver.example/x", "http://127.0.0.1/", "https://[::1", "text/plain; charset=\x00", "application/json",
]  # fmt: skip
texts = st.sampled_from(HOSTILE) | st.text(max_size=20)
numbers = st.sampled_from([0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 1.5, 1e308])
values = st.recursive(
    texts | numbers | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
OPEN = ("GetHealth", "GetOpenapi", "GetSwagger")  # answered without the app


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def bodies(op: Operation) -> st.SearchStrategy[bytes]:
    raw = st.sampled_from(
        [b"", b"[" * 50_000, deep(900), deep(70), b'"\\ud800"', b"\xff", b"\xef\xbb\xbf{}", b"{", b"null", b"9" * 5_000]
    )
    fields = getattr(op.body, "__struct_fields__", ())
    made = st.dictionaries(st.sampled_from(fields), values, max_size=4) if fields else values
    return raw | made.map(lambda body: json.dumps(body).encode())


def target(op: Operation, given: dict[str, str]) -> tuple[str, dict[str, str], dict[str, str], dict[str, str]]:
    """URL, query, route parameters and headers of a request."""
    of = {
        where: {p.name: given[p.name] for p in op.parameters if p.where == where}
        for where in ("path", "query", "header")
    }
    query = "&".join(f"{name}={quote(value, safe='', errors='replace')}" for name, value in of["query"].items())
    return f"https://app.example/api/{op.id}?{query}", of["query"], of["path"], of["header"]


@pytest.mark.aside
@pytest.mark.parametrize("op", [op for op in OPERATIONS if op.id not in OPEN], ids=lambda op: op.id)
@settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_request_breaks_an_operation(world: World, op: Operation, data: st.DataObject) -> None:
    strings = data.draw(st.fixed_dictionaries({parameter.name: texts for parameter in op.parameters}), label="strings")
    media = data.draw(st.sampled_from(["application/json", "multipart/form-data; boundary=x"]) | texts, label="type")
    body = data.draw(bodies(op), label="body") if op.body else b""
    url, params, route_params, headers = target(op, strings)
    webhooks = ServiceWebhooks(AsyncOpenAI(api_key="none"), secret=SECRET)
    services = replace(world.app, webhooks=webhooks, upload_urls=_NoUrls())
    request = func.HttpRequest(
        method=op.method,
        url=url,
        headers={"Content-Type": media, **headers},
        params=params,
        route_params=route_params,
        body=body,
    )
    response = asyncio.run(answer(lambda: services, request, HANDLERS[op.handler]))
    assert response.status_code < 500, response.get_body()
    if response.status_code >= 400:
        problem = msgspec.json.decode(response.get_body())
        assert response.mimetype == "application/problem+json"
        assert problem["code"] in problems_of(op)[response.status_code], "the description names it"


class _NoUrls:
    async def create(self, path: str) -> Any:
        """As for a container that refuses: what comes before is tested here."""
        from shared.errors import BadRequest

        raise BadRequest("No URL.", code="invalid_path")
