"""What keeps the host from starting.

HostError
├── AppRefused      function_app.py cannot be indexed; like the real worker, one bad function refuses the whole app
└── SettingMissing  a setting that a binding or the host itself needs is not there
"""


class HostError(Exception):
    """The host cannot run this app; the message says why and names what to change."""


class AppRefused(HostError):
    """The app cannot be loaded or one of its functions is wrong."""


class SettingMissing(HostError):
    """A setting that a binding or the host itself needs is not there."""
