"""What can go wrong in the sandbox.

SandboxError
 ├── SandboxUnavailable   isolation can't be had on this machine: answer every tool call with this, run nothing
 ├── SessionEnded         this session's process is gone: open a new one
 └── FileRefused          a file that may not be put into or read from a session
"""

from __future__ import annotations


class SandboxError(Exception):
    """Any error of the sandbox."""


class SandboxUnavailable(SandboxError):
    """Code can't be isolated here. `str()` says what is missing and how to mend it."""


class SessionEnded(SandboxError):
    """The session's process is gone."""


class FileRefused(SandboxError):
    """The file's name, kind or size is not allowed. `str()` is a sentence."""
