"""Checks bearer tokens of Entra ID as Azure OpenAI does, except the signature: the emulator has no signing keys.

With `EMULATOR_ENTRA_AUDIENCE=https://ai.azure.com` the emulator refuses tokens with a wrong scope and expired tokens.
Such mistakes then show up before production.
Source: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

LEEWAY_S = 300  # tolerated difference between two clocks


def token_fault(token: str, *, audience: str, now_s: float) -> str | None:
    """The reason why a token is refused; None if it is accepted.

    Args:
        token: A JWT.
        audience: The required `aud`; a trailing slash makes no difference.
        now_s: Seconds since the epoch.
    """
    claims = _claims(token)
    if claims is None:
        return "it is not a JWT"
    if str(claims.get("aud")).rstrip("/") != audience.rstrip("/"):
        return f"its audience is {claims.get('aud')!r} and must be {audience!r}"
    begins_s, ends_s = claims.get("nbf", 0), claims.get("exp")
    if not isinstance(ends_s, int | float) or not isinstance(begins_s, int | float):
        return "it does not say until when it is valid"
    if ends_s + LEEWAY_S < now_s:
        return "it has expired"
    if begins_s - LEEWAY_S > now_s:
        return "it is not valid yet"
    return None


def _claims(token: str) -> dict[str, Any] | None:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None
