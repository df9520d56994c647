"""The errors of the sandbox.

SandboxError
 ├── SandboxUnavailable   this machine cannot isolate code: report it to every tool call, run nothing
 ├── SessionEnded         the session's process has ended: open a new session
 └── FileRefused          a file that may not be copied into or read from a session
"""

from __future__ import annotations


class SandboxError(Exception):
    """Any error of the sandbox."""


class SandboxUnavailable(SandboxError):
    """This machine cannot isolate code. `str()` says why and how to fix it."""


class SessionEnded(SandboxError):
    """The session's process has ended."""


class FileRefused(SandboxError):
    """The file's name, kind or size is not allowed. `str()` is a sentence."""
