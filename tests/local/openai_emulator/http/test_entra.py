"""Which tokens of Entra ID the emulator accepts."""

import base64
import json
from typing import Any

import httpx2
import pytest

from local.openai_emulator.http.entra import LEEWAY_S, token_fault
from local.openai_emulator.server import serve
from local.openai_emulator.settings import Settings

AUDIENCE = "https://ai.azure.com"
NOW_S = 1_800_000_000


def jwt(claims: Any) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.x"


@pytest.mark.parametrize(
    ("token", "fault"),
    [
        pytest.param(jwt({"aud": AUDIENCE, "exp": NOW_S + 60}), None, id="good"),
        pytest.param(jwt({"aud": AUDIENCE + "/", "exp": NOW_S + 60}), None, id="a slash more"),
        pytest.param(jwt({"aud": AUDIENCE, "exp": NOW_S - LEEWAY_S + 1}), None, id="clocks differ"),
        pytest.param(jwt({"aud": "https://cognitiveservices.azure.com", "exp": NOW_S + 60}), "audience", id="audience"),
        pytest.param(jwt({"exp": NOW_S + 60}), "audience", id="no audience"),
        pytest.param(jwt({"aud": AUDIENCE, "exp": NOW_S - LEEWAY_S - 1}), "expired", id="expired"),
        pytest.param(jwt({"aud": AUDIENCE, "exp": NOW_S + 9999, "nbf": NOW_S + LEEWAY_S + 1}), "yet", id="too early"),
        pytest.param(jwt({"aud": AUDIENCE}), "until when", id="no end"),
        pytest.param(jwt({"aud": AUDIENCE, "exp": "soon"}), "until when", id="no number"),
        pytest.param(jwt(["a", "list"]), "not a JWT", id="no claims"),
        pytest.param("a.b", "not a JWT", id="two parts"),
        pytest.param("a.%%%.c", "not a JWT", id="no base64"),
        pytest.param("local", "not a JWT", id="a key"),
    ],
)
def test_a_token_is_good_or_says_why_not(token: str, fault: str | None) -> None:
    found = token_fault(token, audience=AUDIENCE, now_s=NOW_S)
    assert (found is None) if fault is None else (found is not None and fault in found)


async def test_only_tokens_are_taken_when_asked_for_and_the_key_where_one_is_set() -> None:
    good, bad = jwt({"aud": AUDIENCE, "exp": NOW_S + 60}), jwt({"aud": "else", "exp": NOW_S + 60})
    settings = Settings.from_environ({"EMULATOR_ENTRA_AUDIENCE": AUDIENCE, "EMULATOR_API_KEY": "spare"})
    async with serve(settings, clock=lambda: NOW_S) as url, httpx2.AsyncClient(trust_env=False) as http:

        async def status(headers: dict[str, str]) -> int:
            return (await http.get(f"{url}/openai/v1/models", headers=headers)).status_code

        assert await status({"Authorization": f"Bearer {good}"}) == 200
        assert await status({"Authorization": f"Bearer {bad}"}) == 401
        assert await status({"api-key": good}) == 401
        assert await status({"api-key": "spare"}) == 200
        assert await status({}) == 401
