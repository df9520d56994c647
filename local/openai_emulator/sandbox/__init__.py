"""Code interpreter sessions: isolated Python processes with pandas, NumPy, SciPy and matplotlib.

The sandbox chooses the best tier that proves itself at start, by trying what it promises to stop (`check.py`):

| tier | where | what holds a session |
|---|---|---|
| 1 | Linux with user namespaces | bubblewrap (`jail.py`), seccomp, limits, the watchdog |
| 2 | Linux without: default Docker, Ubuntu 24.04 | Landlock (`guard.py`), seccomp, limits, the watchdog |
| 3 | macOS, Windows, old kernels | a separate process (`plain.py`): the built-in model's own code only |

| stopped | tier 1 | tier 2 | tier 3 |
|---|---|---|---|
| reading and writing this machine's files | not there | refused; code learns whether a path exists | no |
| the network, other processes, more rights | yes | yes | no |
| memory, processes, descriptors of a session | yes | yes | limits of each process, where the system has them |
| the disk | file systems of limited size | measured several times a second | no |
| modes, owners, times of files | not there | changes do nothing | no |
| work between two cells | stopped | stopped | no |

Outside models' code never runs in tier 3, unless `EMULATOR_UNSAFE_CODE=1`. What a run leaves behind is bounded by
`containers/budget.py` in every tier.

In tiers 1 and 2, sessions are forked from one process that has done the imports, into new namespaces or behind a guard:
this is fast, and what they share is in memory once. Where that does not prove itself, each does its own imports.

On this machine: `sandbox` (sessions) -> `tiers` -> `cage`, `plain` -> `forked` -> `process` (start and kill) -> `jail`,
`guard`, `seccomp`, `interpreter` (what is allowed); `session` runs cells, `folder` reads files, `watchdog` measures.
Inside a session: `runner`, `cells`, `charts`; what forks it: `forkserver`.
"""

from local.openai_emulator.sandbox.errors import FileRefused, SandboxError, SandboxUnavailable, SessionEnded
from local.openai_emulator.sandbox.limits import Limits
from local.openai_emulator.sandbox.sandbox import Sandbox
from local.openai_emulator.sandbox.session import Outcome, Session, SessionFile
from local.openai_emulator.sandbox.tiers import Tier

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
    "Tier",
]
