"""What can go wrong on a laptop, said so that the person before it can act.

LocalError
├── ProcessDied       one of the stack's processes ended or never became ready
├── NotRunning        the command needs a stack and none is up
└── RequestFailed     the app answered with a problem document
"""

from local.paths import COMMAND


class LocalError(Exception):
    """One sentence saying what is wrong and, in `advice`, one saying what to do about it."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class ProcessDied(LocalError):
    """A process ended by itself or was not ready in time; the message holds its last log lines."""


class NotRunning(LocalError):
    """No stack answers on this machine."""

    def __init__(self) -> None:
        super().__init__("No local stack is running.", "Start one in another terminal with `make up`.")


class RequestFailed(LocalError):
    """The app refused or failed a request; `code` is the problem document's."""

    def __init__(self, message: str, *, status: int, code: str) -> None:
        super().__init__(message, f"`{COMMAND} status` shows whether everything is healthy." if status >= 500 else "")
        self.status = status
        self.code = code
