"""The acceptance tests run against any host of this app, by its URL and a key: here against our own, as a stranger."""

import os
import re
import subprocess
import sys

import pytest

from local.paths import ROOT
from local.stack.stack import Options, Stack
from tests.acceptance.host import KEY, URL
from tests.forked import forked

FUNCTION_KEY = "acceptance-key-of-another-host"
MAIN_FILES = ("test_main_job.py", "test_bad_input.py", "test_resources.py", "test_documents.py", "test_lifecycle.py")
WITHIN_S = 1_800


@pytest.mark.long
def test_the_acceptance_tests_run_by_url_and_key(
    tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("other-host")
    stack = Stack(
        Options(data=folder / "data", logs=folder / "logs"), environ={**plain_environ, "FUNCTIONS_KEY": FUNCTION_KEY}
    )
    stack.host.command.append("--auth")
    with forked(stack):
        printed = run_acceptance_tests(stack.app_url, key=FUNCTION_KEY)
        assert re.search(r"\d+ failed|\d+ error", printed) is None, printed
        assert int(re.findall(r"(\d+) passed", printed)[0]) >= 50, printed
        assert "It needs the processes of the local stack" in printed
        assert "It reads the storage account" in printed
        without_key = run_acceptance_tests(stack.app_url, key="", only="an_unknown_run")
        assert f"answers 401. Set {KEY} to a function key" in without_key


def run_acceptance_tests(url: str, *, key: str, only: str = "") -> str:
    """What pytest printed."""
    files = [f"tests/acceptance/{name}" for name in MAIN_FILES]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *files, "-k", only],
        cwd=ROOT,
        env={**os.environ, URL: url, KEY: key},
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )
    return done.stdout + done.stderr
