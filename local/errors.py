"""Errors of the command line; each message tells the user what is wrong, and `advice` what to do.

LocalError
├── ProcessDied       a process of the stack ended or did not become ready
├── NotRunning        the command needs a stack and none is running
├── NoAnswer          the app did not answer: it may be gone, or the network
└── RequestFailed     the app answered with a problem document
"""


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


class NoAnswer(LocalError):
    """A request got no answer; whether the app has carried it out is unknown."""


class RequestFailed(LocalError):
    """The app answered with status 400 or higher; `code` is the one in the problem document."""

    def __init__(self, message: str, *, status: int, code: str, advice: str = "") -> None:
        super().__init__(message, advice)
        self.status = status
        self.code = code


def as_problem(error: LocalError) -> dict[str, dict[str, str | int]]:
    """An error for programs, with the code of the app's problem document if it has one."""
    problem: dict[str, str | int] = {"message": str(error), "advice": error.advice}
    if isinstance(error, RequestFailed):
        problem |= {"status": error.status, "code": error.code}
    return {"error": problem}
