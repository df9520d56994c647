"""Hooks of schemathesis: in each request, one hostile value takes the place of a valid one.

The other values stay valid: a request is not refused for another reason. Which value goes where depends only on the
number of the request. Each request that was sent is written to the file in `HOSTILE_LOG`, as a line of JSON.

Source: https://schemathesis.readthedocs.io/en/stable/reference/hooks/
"""

import itertools
import json
import os
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import schemathesis

# No lone surrogates: no client can send them. tests/unit/http has them.
STRINGS = [
    "\x00", "a\x00b", "\x1b[2J", "\r\nX-Injected: 1", "\n", "\x7f", "\x85", "\u2028", "\u202e\u2066", "\u200b",
    "\ufeff", "\ufffd", "\ufffe", "\uffff", "\ufdd0", "\U0001f600", "\U000e0041", "e\u0301" * 50, "٣", "..",
    "../../etc/passwd",
    "..\\..\\x", "..%2f..%2fx", "%2f", "%00", "%ff", "%", "%u0041", "a//b", "/", "C:\\x", "'", '"', "' OR '1'='1",
    "'; DROP--",
    "<script>alert(1)</script>", "]]>", "&#0;", "{{7*7}}", "${jndi:ldap://x}", "$(reboot)", "`id`", "; ls", "| cat",
    "-rf",
    "x" * 3_000, "é" * 1_500, "", " ", "null", "true", "[]", "{}", "NaN", "1e999", "-1", "00", "007", "0x10",
    "9" * 400, "1_0",
    "2**63", "run_" + "0" * 24, "default", "*", 'W/"x"', "2026-13-45T25:61:61Z", "http://127.0.0.1:1/",
    "file:///etc/passwd",
    "https://[::1", "a,b", "a=b&c=d", "#", "?", "a;b", "\t",
]  # fmt: skip
RAW = ["%2f", "%2F..%2F", "%00", "%ff", "%c3%28", "%ed%a0%80", "%", "%zz", "%u0041", "%252f", "a;b", "a=b&path=c", "+"]
NUMBERS = [0, -1, 2**31, 2**63, 2**64, 10**400, -(10**400), 1.5, 1e308, True, None, [], {}, [[[[]]]]]
HEADERS = [
    ("Content-Type", 'text/plain; charset="'), ("Content-Type", "\xff"), ("Content-Type",
    "application/json; charset=x"),
    ("Content-Type", "multipart/form-data; boundary="), ("Content-Encoding", "gzip"), ("Content-Encoding", "\x01"),
    ("Accept", "\x7f"), ("Accept", "x" * 5_000), ("Accept-Encoding", "x" * 5_000), ("If-Match", "\xff"),
    ("If-Match", "*"),
    ("If-None-Match", 'W/"'), ("If-Modified-Since", "never"), ("Range", "bytes=-1,5-,a"), ("Expect", "x"),
    ("X-HTTP-Method-Override", "DELETE"), ("X-Original-URL", "/admin/host/status"), ("X-Forwarded-Host",
    "evil.example"),
    ("Forwarded", "for=\x01"), ("Cookie", "a=\x01; ;=;"), ("Idempotency-Key", "\xff"), ("Idempotency-Key", "x" * 300),
    ("x-ms-meta-a", "\xe9"), ("x-ms-meta-a-b", "1"), ("x-ms-meta-" + "x" * 300, "1"), ("traceparent", "00-x-y-z"),
    ("webhook-id", "\xff"), ("webhook-signature", "v1,\xff"), ("webhook-timestamp", "9" * 400), ("x-functions-key",
    "\xff"),
    ("Authorization", "Bearer \xff"), ("Prefer", "respond-async;\x01"), ("Content-Language", "<script>"),
]  # fmt: skip

_numbers = itertools.count()
_turns: dict[str, Iterator[int]] = defaultdict(itertools.count)
_put: dict[str, Any] = {}  # what the request on its way has; schemathesis sends one at a time


@schemathesis.hook
def before_call(_: Any, case: Any, __: Any) -> None:
    """Put a hostile value into the next place that the request has."""
    n = next(_numbers)
    has_body = isinstance(case.body, dict | list | bytes) and bool(case.body)
    others = ["query", "header", *(["path"] * bool(case.path_parameters))]
    place = "body" if has_body and n % 2 else others[n // 2 % len(others)]  # few operations have a body
    value = PUT[place](case, random.Random(n), next(_turns[place]))
    _put.update(place=place, value=value)


def _into_path(case: Any, chance: random.Random, turn: int) -> Any:
    values = [*(quote(text, safe="") for text in STRINGS if text), *RAW]
    value = values[turn % len(values)]
    case.path_parameters[chance.choice(list(case.path_parameters))] = value
    return value


def _into_query(case: Any, chance: random.Random, turn: int) -> Any:
    value = STRINGS[turn % len(STRINGS)]
    names = [*(parameter.name for parameter in case.operation.query), "path", "x"]
    case.query = {**(case.query or {}), chance.choice(names): value}
    return value


def _into_headers(case: Any, _: random.Random, turn: int) -> Any:
    name, value = HEADERS[turn % len(HEADERS)]
    case.headers[name] = value
    return f"{name}: {value}"


def _into_body(case: Any, chance: random.Random, turn: int) -> Any:
    if isinstance(case.body, bytes):
        value: Any = STRINGS[turn % len(STRINGS)]
        case.body = value.encode() + case.body
        return value
    values = [*STRINGS, *NUMBERS]
    value = values[turn % len(values)]
    container, key = chance.choice(list(_leaves(case.body)))
    container[key] = value
    return value


PUT = {"path": _into_path, "query": _into_query, "header": _into_headers, "body": _into_body}


@schemathesis.hook
def after_call(_: Any, __: Any, response: Any) -> None:
    """Note the request as it was sent."""
    sent = response.request
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body if isinstance(sent.body, bytes) else b""
    headers = [f"{_text(name)}: {_text(value)}" for name, value in sent.headers.items()]
    line = {
        **_put,
        "method": sent.method,
        "url": sent.url,
        "headers": headers,
        "body": body.decode(errors="replace"),
        "status": response.status_code,
    }
    with Path(os.environ["HOSTILE_LOG"]).open("a") as log:
        log.write(json.dumps(line) + "\n")


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Container and key of each value in a JSON value that has values."""
    for key, inner in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _leaves(inner)
