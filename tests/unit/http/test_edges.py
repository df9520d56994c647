"""Requests at the edges: odd numbers, bodies, names, forms and keys get a 4xx with a code, and answers safe headers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import azure.functions as func
import pytest
from openai import AsyncOpenAI
from standardwebhooks import Webhook

from shared.engines.webhooks import ServiceWebhooks
from shared.errors import AppError
from shared.formats.filetypes import bad_path
from shared.http import about, openapi
from shared.http.documents import create_upload, delete_below, list_documents, put_document, retry_document, search
from shared.http.fields import SCHEMA_MAX_BYTES
from shared.http.hooks import service_event
from shared.http.reading import JSON_DEPTH_MAX, limit_from
from shared.http.route import Route, answer
from shared.http.runs import start_run
from shared.http.threads import create_thread
from tests.unit.world import SECRET, World

URL = "https://app.azurewebsites.net/api"
FORM = "multipart/form-data; boundary=b0undary"


Ask = Callable[..., Any]


@pytest.fixture
def ask(world: World) -> Ask:
    webhooks = ServiceWebhooks(AsyncOpenAI(api_key="none"), secret=SECRET)
    services = replace(world.app, webhooks=webhooks)

    async def ask(route: Route, *, body: bytes = b"", query: str = "", **more: Any) -> tuple[int, Any, Any]:
        request = func.HttpRequest(
            method="POST",
            url=f"{URL}/x?{query}",
            headers={"Content-Type": "application/json", **more.pop("headers", {})},
            params={},
            route_params=more,
            body=body,
        )
        response = await answer(lambda: services, request, route)
        sent = response.get_body()
        assert response.status_code < 500, sent
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        return response.status_code, json.loads(sent) if sent else None, response

    return ask


async def refusal(asked: Any) -> tuple[int, str]:
    status, body, response = await asked
    assert response.mimetype == "application/problem+json"
    assert body["detail"].endswith((".", ")"))
    return status, body["code"]


# ---- numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["0000000011000", "01", "00", "0", "9" * 5_000, "0" * 5_000 + "1", "1e2", "+5", "٣", ""]
)
async def test_a_limit_is_a_plain_number(ask: Ask, text: str) -> None:
    assert await refusal(ask(list_documents, query=f"limit={text}")) == (400, "invalid_limit")
    with pytest.raises(AppError):
        limit_from(text)


def test_limits_up_to_the_largest() -> None:
    assert [limit_from(text) for text in ("1", "20", "100")] == [1, 20, 100]
    assert limit_from("1000", most=1_000) == 1_000


# ---- JSON --------------------------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


def question(parameters: bytes) -> bytes:
    tool = b'{"type": "function", "name": "f", "parameters": ' + parameters + b"}"
    return b'{"question": "Why?", "tools": [' + tool + b"]}"


@pytest.mark.parametrize("depth", [JSON_DEPTH_MAX, 300, 700, 950, 5_000])
async def test_a_deep_schema_starts_no_run(world: World, ask: Ask, depth: int) -> None:
    body = question(b'{"type": "object", "x": ' + nested(depth) + b"}")
    status, code = await refusal(ask(start_run, body=body))
    assert (status, code) in ((400, "invalid_body"), (400, "malformed_json"))
    assert world.state.names() == []


async def test_a_schema_of_many_levels_is_taken(ask: Ask) -> None:
    status, _, _ = await ask(start_run, body=question(b'{"type": "object", "x": ' + nested(JSON_DEPTH_MAX - 5) + b"}"))
    assert status == 202


async def test_brackets_in_a_string_are_no_nesting(ask: Ask) -> None:
    text = r"\"[[[{{{" * 200
    status, _, _ = await ask(start_run, body=b'{"question": "' + text.encode() + b'"}')
    assert status == 202


async def test_a_large_schema_is_refused(world: World, ask: Ask) -> None:
    schema = {"type": "object", "description": "x" * SCHEMA_MAX_BYTES}
    body = question(json.dumps(schema).encode())
    assert await refusal(ask(start_run, body=body)) == (400, "invalid_tools")
    assert world.state.names() == []


@pytest.mark.parametrize("route", [start_run, search, create_thread, create_upload], ids=lambda route: route.__name__)
@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"filters":' * 3_000, b'{"type":' * 900 + b"1" + b"}" * 900])
async def test_deep_bodies_are_refused(world: World, ask: Ask, route: Route, body: bytes) -> None:
    status, _ = await refusal(ask(route, body=body, path="c/a.md"))
    assert status in (400, 413)


async def test_a_deep_type_of_a_filter_is_refused(ask: Ask) -> None:
    deep = b'{"query": "x", "collection": "c", "filters": {"type": ' + b"[" * 900 + b"]" * 900 + b"}}"
    assert await refusal(ask(search, body=deep)) == (400, "invalid_body")


async def test_a_byte_order_mark_is_no_part_of_the_json(ask: Ask) -> None:
    status, body, _ = await ask(start_run, body=b'\xef\xbb\xbf{"question": "Why?"}')
    assert (status, body["question"]) == (202, "Why?")


async def test_the_announced_size_is_enough_to_refuse(ask: Ask) -> None:
    headers = {"Content-Length": "100000000"}
    assert await refusal(ask(start_run, body=b"{}", headers=headers)) == (413, "body_too_large")
    assert await refusal(ask(service_event, body=b"{}", headers=headers)) == (413, "body_too_large")
    assert await refusal(ask(put_document, body=b"x", headers={"Content-Length": "9" * 5_000}, path="a.md")) == (
        413,
        "document_too_large",
    )


@pytest.mark.parametrize("media_type", ["text/plän", "\ud800", "application/jsön", "\x1b[2J", "é" * 5_000])
async def test_a_content_type_that_is_not_ascii(world: World, ask: Ask, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    assert await refusal(ask(start_run, body=b"{}", headers=headers)) == (415, "wrong_media_type")
    assert await refusal(ask(put_document, body=b"x", headers=headers, path="a.md")) == (400, "invalid_content_type")
    assert world.blobs.names() == []


# ---- the webhook of the service ----------------------------------------------------------------------------------


def signed(body: bytes, **more: str) -> dict[str, str]:
    at = datetime.now(UTC)
    signature = Webhook(SECRET).sign("evt_1", at, body.decode(errors="replace"))
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
        **more,
    }


EVENT = b'{"type": "response.completed", "data": {"id": "resp_1"}}'
WRONG = [
    b"", b"[]", b"null", b"1", b'"x"', b"{}", b"{", b'{"type": 1, "data": {}}', b'{"type": null, "data": {"id": "r"}}',
    b'{"type": "response.completed"}', b'{"type": "response.completed", "data": null}',
    b'{"type": "response.completed", "data": []}', b'{"type": "response.completed", "data": {}}',
    b'{"type": "response.completed", "data": {"id": 5}}', b'{"type": "response.completed", "data": {"id": ""}}',
    b'{"type": "response.completed", "data": {"id": "../files"}}', b"\xff", b"[" * 60_000, b"x" * 70_000,
]  # fmt: skip


@pytest.mark.parametrize("body", WRONG, ids=lambda body: ascii(body[:60]))
async def test_a_signed_event_of_another_form_is_refused(ask: Ask, body: bytes) -> None:
    status, _ = await refusal(ask(service_event, body=body, headers=signed(body)))
    assert status in (400, 413)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-signature", "v1,Ünsigned"),
        ("webhook-signature", "v1,٣"),
        ("webhook-id", "é"),
        ("webhook-timestamp", "١٢٣"),
        ("webhook-timestamp", "9" * 5_000),
        ("webhook-timestamp", "x"),
        ("webhook-signature", ""),
    ],
)
async def test_an_odd_signature_is_not_valid(ask: Ask, name: str, value: str) -> None:
    headers = {**signed(EVENT), name: value}
    assert await refusal(ask(service_event, body=EVENT, headers=headers)) == (400, "invalid_signature")


# ---- names -------------------------------------------------------------------------------------------------------

UNSEEN = [
    *map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u061c", "\u200e", "\u200f", "\u2028", "\u2029",
    *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)), "\ud800", "\udfff", "\ufdd0", "\ufdef",
    "\ufeff", "\ufffe", "\uffff", "\U0001fffe", "\U0010ffff", "\\",
]  # fmt: skip


@pytest.mark.parametrize("char", UNSEEN, ids=lambda char: f"U+{ord(char):04X}")
async def test_a_name_that_storage_cannot_list_is_refused(world: World, ask: Ask, char: str) -> None:
    path = f"c/a{char}b.md"
    assert "no control characters" in (bad_path(path) or "")
    for route in (put_document, create_upload, retry_document):
        assert await refusal(ask(route, body=b"{}", path=path)) == (400, "invalid_path")
    if char.isprintable() and char != "\ud800":
        assert await refusal(ask(put_document, body=b"x", query=f"path={path}")) == (400, "invalid_path")
    body = json.dumps({"question": "Why?", "files": [path]}).encode()
    if not "\ud800" <= char <= "\udfff":
        assert await refusal(ask(start_run, body=body)) == (400, "invalid_file")
    assert [*world.blobs.names(), *world.state.names()] == []


@pytest.mark.parametrize("text", ["c%EF%BF%BFd/", "a%1Bb/", "%E2%80%AEx/", "a%00/"])
async def test_such_a_folder_is_refused(ask: Ask, text: str) -> None:
    assert await refusal(ask(delete_below, query=f"prefix={text}")) == (400, "invalid_prefix")


GOOD = [
    "Größe & Übersicht 100% #1.md",
    "报告/第一.md",
    "\U0001f469\u200d\U0001f467.txt",
    "می\u200cخواهم.md",
    "a\u00a0b.md",
    "e\u0301.md",
]


@pytest.mark.parametrize("path", GOOD)
def test_names_of_all_languages_are_allowed(path: str) -> None:
    assert bad_path(path) is None


# ---- forms -------------------------------------------------------------------------------------------------------


def form(*parts: tuple[str, bytes]) -> bytes:
    sent = b"".join(b"--b0undary\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n" for head, content in parts)
    return sent + b"--b0undary--\r\n"


def part(filename: str, media_type: str = "text/csv") -> str:
    head = f'Content-Disposition: form-data; name="file"; filename="{filename}"'
    return f"{head}\r\nContent-Type: {media_type}" if media_type else head


FIELD = ('Content-Disposition: form-data; name="note"', b"a note")


@pytest.mark.parametrize(
    "content",
    [b"a,b\n1,2\n", b"", b"\r\n--b0undar\r\n", bytes(range(256)), b"x" * 700_000],
    ids=["csv", "empty", "almost a boundary", "all bytes", "large"],
)
async def test_the_file_of_a_form_is_stored_without_the_form(world: World, ask: Ask, content: bytes) -> None:
    status, body, _ = await ask(
        put_document, body=form(FIELD, (part("x.csv"), content)), headers={"Content-Type": FORM}, path="c/x.csv"
    )
    assert (status, body["size_bytes"]) == (201, len(content))
    assert world.blobs.content("c/x.csv") == content


BROKEN = {
    "no file": form(FIELD),
    "two files": form((part("a.csv"), b"1"), (part("b.csv"), b"2")),
    "no end": form((part("a.csv"), b"1"))[:-20],
    "no form": b"a,b\n1,2\n",
    "empty": b"",
    "many parts": form(*[FIELD] * 1_500),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("media_type", [FORM, "multipart/form-data", "multipart/form-data; boundary="])
async def test_a_form_without_exactly_one_file_is_refused(world: World, ask: Ask, body: bytes, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    assert await refusal(ask(put_document, body=body, headers=headers, path="c/x.csv")) == (400, "invalid_form")
    assert world.blobs.names() == []


async def test_a_post_with_a_form_says_how_to_send_files(world: World, ask: Ask) -> None:
    await world.drop("c/x.csv", b"a,b\n1,2\n")
    body = form((part("a.csv"), b"1"), (part("b.csv"), b"2"))
    for more in ({"path": "c/x.csv"}, {"query": "path=c/x.csv"}):
        status, problem, _ = await ask(retry_document, body=body, headers={"Content-Type": FORM}, **more)
        assert (status, problem["code"]) == (415, "wrong_media_type")
        assert "PUT" in problem["detail"]


# ---- keys and headers --------------------------------------------------------------------------------------------


async def test_a_caller_with_another_key_has_other_idempotency_keys(ask: Ask) -> None:
    async def start(key: str, **more: Any) -> tuple[int, Any]:
        headers = {"Idempotency-Key": "monday", **more.pop("headers", {})}
        status, body, _ = await ask(start_run, body=b'{"question": "%s"}' % key.encode(), headers=headers, **more)
        return status, body.get("id") or body["code"]

    status, first = await start("A?", headers={"x-functions-key": "one=="})
    assert (status, await start("A?", headers={"x-functions-key": "one=="})) == (202, (202, first))
    assert await start("A?", query="code=one%3D%3D") == (202, first)
    assert await start("B?", headers={"x-functions-key": "one=="}) == (409, "idempotency_key_reused")
    status, second = await start("B?", headers={"x-functions-key": "two"})
    assert (status, second == first) == (202, False)


def test_descriptions_are_not_sniffed_either() -> None:
    request = func.HttpRequest(method="GET", url=f"{URL}/openapi.json", params={"version": "9"}, body=b"")
    for response in (about.health(), openapi.get_openapi(request)):
        assert response.headers["X-Content-Type-Options"] == "nosniff"
