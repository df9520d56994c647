"""Where things stand on this machine."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
INSTALLED = ROOT / ".local"  # Azurite and Node.js; made here, ignored by git, safe to delete
LOCAL = Path(os.environ.get("LOCAL_STATE") or INSTALLED)  # data, logs and reports; tests have one of their own
LOGS = LOCAL / "logs"
SAMPLES = ROOT / "samples"


def shown(path: Path) -> str:
    """A path as one would type it in this folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


# The command line as one would type it here, with the virtual environment active or not.
COMMAND = f"{'python' if os.environ.get('VIRTUAL_ENV') else shown(Path(sys.executable))} -m local"
