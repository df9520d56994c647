"""Errors of the command line; each message tells the user what is wrong, and `advice` what to do.

LocalError
├── ProcessDied       a process of the stack ended or did not become ready
├── NotRunning        the command needs a stack and none is running
└── RequestFailed     the app answered with a problem document
"""

from local.paths import COMMAND


class LocalError(Exception):
    """The message says what is wrong, `advice` what to do; one sentence each."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class ProcessDied(LocalError):
    """A process ended by itself or was not ready in time; the message contains its last log lines."""


class NotRunning(LocalError):
    """No stack is running on this machine."""

    def __init__(self) -> None:
        super().__init__("No local stack is running.", "Start one in another terminal with `make up`.")


class RequestFailed(LocalError):
    """The app answered with status 400 or higher; `code` is the one in the problem document."""

    def __init__(self, message: str, *, status: int, code: str) -> None:
        super().__init__(message, f"`{COMMAND} status` shows whether everything is healthy." if status >= 500 else "")
        self.status = status
        self.code = code
