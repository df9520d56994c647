"""Routes want a key, unless setting and platform both say that people sign in."""

from __future__ import annotations

import azure.functions as func
import pytest

from shared.http.access import auth_level

CLIENT = {"ENTRA_CLIENT_ID": "11111111-1111-1111-1111-111111111111"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, func.AuthLevel.FUNCTION),
        (CLIENT, func.AuthLevel.FUNCTION),
        (CLIENT | {"WEBSITE_AUTH_ENABLED": "False"}, func.AuthLevel.FUNCTION),
        ({"ENTRA_CLIENT_ID": "", "WEBSITE_AUTH_ENABLED": "True"}, func.AuthLevel.FUNCTION),
        ({"WEBSITE_AUTH_ENABLED": "True"}, func.AuthLevel.FUNCTION),
        (CLIENT | {"WEBSITE_AUTH_ENABLED": "True"}, func.AuthLevel.ANONYMOUS),
        (CLIENT | {"WEBSITE_AUTH_ENABLED": "true "}, func.AuthLevel.ANONYMOUS),
    ],
    ids=str,
)
def test_the_level(environ: dict[str, str], expected: func.AuthLevel) -> None:
    assert auth_level(environ) is expected
