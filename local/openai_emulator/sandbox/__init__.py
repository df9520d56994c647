"""Code interpreter sessions: isolated Python processes with pandas, NumPy, SciPy and matplotlib."""

from local.openai_emulator.sandbox.errors import FileRefused, SandboxError, SandboxUnavailable, SessionEnded
from local.openai_emulator.sandbox.limits import Limits
from local.openai_emulator.sandbox.sandbox import Sandbox
from local.openai_emulator.sandbox.session import Outcome, Session, SessionFile

__all__ = [
    "FileRefused",
    "Limits",
    "Outcome",
    "Sandbox",
    "SandboxError",
    "SandboxUnavailable",
    "Session",
    "SessionEnded",
    "SessionFile",
]
