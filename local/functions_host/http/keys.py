"""Access keys. They are required only with `--auth`: Azure requires them, `func start` does not.

Source: https://learn.microsoft.com/azure/azure-functions/function-keys-how-to
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from local.functions_host.http.asgi import Request

logger = logging.getLogger(__name__)

GENERATED = ("FUNCTIONS_KEY", "FUNCTIONS_MASTER_KEY")
OF_A_FUNCTION = "FUNCTIONS_KEY_"  # + the function's name
SYSTEM_KEYS = {"blobs_extension": "FUNCTIONS_BLOBS_KEY", "eventgrid_extension": "FUNCTIONS_EVENTGRID_KEY"}


class Access(Enum):
    """What a request may do."""

    ALLOWED = 200
    UNKNOWN = 401  # no key, or one that does not exist
    FORBIDDEN = 403  # a valid key of another kind


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The keys of an app.

    Attributes:
        function: Opens every function.
        master: Opens everything.
        system: Name of a system key -> key; each opens one webhook.
        own: Name of a function, in lower case -> its own key.
    """

    function: str
    master: str
    system: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, values: Mapping[str, str]) -> Keys:
        """Read the keys from settings; a missing function or master key is one that nobody knows.

        The settings are `FUNCTIONS_KEY`, `FUNCTIONS_MASTER_KEY`, `FUNCTIONS_BLOBS_KEY`, `FUNCTIONS_EVENTGRID_KEY`, and
        `FUNCTIONS_KEY_<function>` for the own key of a function. Without its key, a webhook opens for the master key.
        """
        keys = {name: values.get(name) or secrets.token_urlsafe(32) for name in GENERATED}
        for name in GENERATED:
            if not values.get(name):
                logger.warning("%s is not set: set it, else no request with it is accepted", name)
        return cls(
            function=keys["FUNCTIONS_KEY"],
            master=keys["FUNCTIONS_MASTER_KEY"],
            system={name: values[setting] for name, setting in SYSTEM_KEYS.items() if values.get(setting)},
            own={
                name.removeprefix(OF_A_FUNCTION).lower(): key
                for name, key in values.items()
                if name.startswith(OF_A_FUNCTION) and key
            },
        )

    def for_function(self, request: Request, function: str, level: str) -> Access:
        """Whether a request may call a function of the auth level `anonymous`, `function` or `admin`."""
        key = key_of(request)
        if level == "anonymous" or equal_keys(key, self.master):
            return Access.ALLOWED
        own = self.own.get(function.lower(), "")
        opens = level == "function" and (equal_keys(key, self.function) or equal_keys(key, own))
        return Access.ALLOWED if opens else Access.UNKNOWN

    def for_admin(self, request: Request) -> Access:
        """Whether a request may use the admin endpoint."""
        return self.for_webhook(request, system_key="")

    def for_webhook(self, request: Request, *, system_key: str) -> Access:
        """Whether a request may use the webhook with the system key of a name."""
        key = key_of(request)
        if equal_keys(key, self.master) or equal_keys(key, self.system.get(system_key, "")):
            return Access.ALLOWED
        known = any(equal_keys(key, other) for other in (self.function, *self.system.values()))
        return Access.FORBIDDEN if known else Access.UNKNOWN


def key_of(request: Request) -> str:
    """The key that a request names. With the header, the query is not looked at."""
    header = request.first_headers.get("x-functions-key")
    return request.first_values.get("code", "") if header is None else header


def equal_keys(one: str, other: str) -> bool:
    return bool(one and other) and hmac.compare_digest(one.encode(), other.encode())
