"""Folders on this machine."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
INSTALLED = ROOT / ".local"  # Azurite, Node.js and test tools; ignored by git, safe to delete
LOCAL = Path(os.environ.get("LOCAL_STATE") or INSTALLED)  # data, logs and reports; tests set LOCAL_STATE
LOGS = LOCAL / "logs"
TRACE = LOGS / "trace.jsonl"  # the spans of the app with TELEMETRY=file
SAMPLES = ROOT / "samples"


def shown(path: Path) -> str:
    """A path as text, relative to the current folder if it is inside."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


# How the user can call this command line, with the virtual environment active or not.
COMMAND = f"{'python' if os.environ.get('VIRTUAL_ENV') else shown(Path(sys.executable))} -m local"
# A restart from another terminal would lose the settings of the first.
AGAIN = "to restart the stack with its settings, press Ctrl-C in the terminal of `make up` and run it there again"
