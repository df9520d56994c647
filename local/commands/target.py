"""Which app a command talks to: the one at `--url`, with a key or the sign-in of `az login`; else the running stack."""

import argparse
from collections.abc import Callable
from urllib.parse import urlsplit

from local.client import Client
from local.errors import LocalError


def client_of(options: argparse.Namespace) -> Client:
    """A client of the app that the options name.

    Raises:
        NotRunning: no URL was given, and no stack runs.
        LocalError: the URL or the key cannot be right.
    """
    if options.url:
        token = token_of_az_login(options.login) if options.login else None
        return Client(checked_url(options.url), storage=None, key=checked_key(options.key) or None, token=token)
    if options.login:
        raise LocalError("--login is for an app in Azure.", "Name it with --url https://NAME.azurewebsites.net.")
    from local.stack.record import running

    found = running()
    return Client(found.app_url, storage=found.storage)


def checked_url(url: str) -> str:
    """The address of an app, without the `/` at its end."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_url = False
    if not is_url or not url.isprintable() or " " in url:
        raise LocalError(f"{url} is no address of an app.", "Give one such as https://NAME.azurewebsites.net.")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def checked_key(key: str) -> str:
    """A function key without the white space around it, which a file or a copy has left there."""
    key = key.strip()
    if not (key.isascii() and (not key or key.isprintable())):
        raise LocalError("The key has characters that no function key has.", "Copy it again, or unset APP_KEY.")
    return key


def token_of_az_login(audience: str) -> Callable[[], str]:
    """What returns an access token for the app, from the Azure CLI; it asks again shortly before the token ends.

    Args:
        audience: The application id URI of the app's registration, such as `api://CLIENT_ID`.

    Source: https://learn.microsoft.com/python/api/azure-identity/azure.identity.azureclicredential
    """
    from azure.core.exceptions import AzureError
    from azure.identity import AzureCliCredential, get_bearer_token_provider

    provider = get_bearer_token_provider(AzureCliCredential(), f"{audience.rstrip('/')}/.default")

    def token() -> str:
        try:
            return provider()
        except (AzureError, ValueError) as exc:
            first_line = str(exc).partition("\n")[0]
            raise LocalError(
                f"The Azure CLI gave no token for {audience}: {first_line}",
                "Run `az login`, and check the audience; infra/README.md says how the app is registered.",
            ) from exc

    return token
