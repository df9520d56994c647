"""Errors of the host.

HostError
├── AppRefused      function_app.py cannot be loaded; as in the real worker, one wrong function rejects the whole app
└── BindingError    a binding of one function cannot work; only that function is disabled
    └── SettingMissing  it needs a setting that does not exist
"""


class HostError(Exception):
    """The host cannot run this app or function; the message says why and what to change."""


class AppRefused(HostError):
    """The app cannot be loaded or one of its functions is wrong."""


class BindingError(HostError):
    """A binding of a function cannot work, such as a schedule that is not valid."""


class SettingMissing(BindingError):
    """A binding needs a setting that does not exist."""
