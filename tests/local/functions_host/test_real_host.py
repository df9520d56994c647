"""The host answers as Microsoft's: recorded requests are sent to it, and the answers are compared.

The records are not in the repository: `../shared/data/real_host` beside the checkout, or the folder in REAL_HOST_DATA.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.functions_host.settings import STORAGE
from local.paths import ROOT
from local.stack.azurite import Azurite

PLACES = [ROOT.parent / "shared/data/real_host", ROOT.parent.parent / "shared/data/real_host"]  # a worktree is deeper
DATA = next((place for place in [Path(os.environ.get("REAL_HOST_DATA", "/nowhere")), *PLACES] if place.is_dir()), None)
KEYS = {"key": "FUNCTIONS_KEY", "master": "FUNCTIONS_MASTER_KEY", "blobs": "FUNCTIONS_BLOBS_KEY"}
KEYS["events"] = "FUNCTIONS_EVENTGRID_KEY"
REPLAY_WITHIN_S = 300


@pytest.fixture
def url(azurite: Azurite, tmp_path: Path) -> Iterator[str]:
    """The host with the app that tells what reached it; every key is the name of its setting."""
    command = [sys.executable, "-m", "local.functions_host", "--app", f"{DATA}/probe", "--auth", "--port", "0"]
    environ = os.environ | {STORAGE: azurite.connection_string} | {name: name.lower() for name in KEYS.values()}
    log = tmp_path / "host.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout
            ready = process.stdout.readline().split()
            assert ready, log.read_text()
            yield ready[1]
        finally:
            process.kill()


@pytest.mark.skipif(DATA is None, reason="the answers of the real host are not here: ../shared/data/real_host")
def test_every_recorded_request_is_answered_as_by_the_real_host(url: str) -> None:
    keys = [word for option, name in KEYS.items() for word in (f"--{option}", name.lower())]
    command = [sys.executable, f"{DATA}/replay.py", url, *keys]
    done = subprocess.run(command, capture_output=True, text=True, timeout=REPLAY_WITHIN_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
