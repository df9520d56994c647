"""What a request needs: a function key, or a sign-in with Entra that the platform checks before the app sees it.

The platform's sign-in (App Service authentication) knows no function keys, and the Functions host knows no sign-in: it
asks for a key all the same. So with a sign-in in front of them, the routes want no key. The setting alone does not make
them anonymous: the platform must say, too, that its sign-in is on.

Source: https://learn.microsoft.com/azure/app-service/reference-app-settings#authentication--authorization
"""

from __future__ import annotations

from collections.abc import Mapping

import azure.functions as func


def auth_level(environ: Mapping[str, str]) -> func.AuthLevel:
    """The level of every route that does not name one itself."""
    client_id, is_on = environ.get("ENTRA_CLIENT_ID"), environ.get("WEBSITE_AUTH_ENABLED") or ""
    signed_in = bool(client_id) and is_on.strip().lower() == "true"
    return func.AuthLevel.ANONYMOUS if signed_in else func.AuthLevel.FUNCTION
