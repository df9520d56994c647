"""Errors that keep the host from starting.

HostError
├── AppRefused      function_app.py cannot be loaded; as in the real worker, one wrong function rejects the whole app
└── SettingMissing  a binding or the host needs a setting that does not exist
"""


class HostError(Exception):
    """The host cannot run this app; the message says why and what to change."""


class AppRefused(HostError):
    """The app cannot be loaded or one of its functions is wrong."""


class SettingMissing(HostError):
    """A binding or the host needs a setting that does not exist."""
