"""Bearer tokens of Entra ID, checked as Azure OpenAI checks them, but for the signature: no directory is at hand here.

With `EMULATOR_ENTRA_AUDIENCE=https://ai.azure.com` a token of a wrong scope, or one that was kept for too long, is
refused on a laptop and not first in production.
Source: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

LEEWAY_S = 300  # clocks differ


def token_fault(token: str, *, audience: str, now_s: float) -> str | None:
    """Why a token cannot be used; None when it can.

    Args:
        token: A JWT.
        audience: What `aud` must be, with or without a slash at its end.
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
    except (binascii.Error, ValueError):
        return None
    return claims if isinstance(claims, dict) else None
