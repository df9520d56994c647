"""Fixtures for all tests: Azurite and the local stack, each started once for the whole test run."""

import inspect
import os
from collections.abc import Iterator
from functools import cache

import httpcore2
import httpx2
import pytest
from hypothesis import settings

from local.stack import stack as stack_module
from local.stack.azurite import Azurite
from local.stack.stack import Options, Stack
from tests.forked import forked
from tests.scheduling import (  # noqa: F401  hooks of pytest
    pytest_collection_modifyitems,
    pytest_runtest_logreport,
    pytest_sessionfinish,
    pytest_xdist_make_scheduler,
)

NEVER = "0 0 0 1 1 *"  # the hourly reconcile pass would repair what tests damage
SETTINGS_OF_THE_APP = ("OPENAI_", "EMULATOR_", "AZURE_", "AzureWebJobs")

# No verdict depends on how fast the machine is: not on a deadline of an example, nor on the default timeout of 5 s,
# nor on how long a stack may take to start: many start at the same time.
for phase in ("connect", "read", "write", "pool"):
    setattr(inspect.signature(httpx2.request).parameters["timeout"].default, phase, 120.0)
assert Azurite.wait_ready.__kwdefaults__
Azurite.wait_ready.__kwdefaults__["within_s"] = stack_module.READY_WITHIN_S = 600.0
httpcore2.default_ssl_context = cache(httpcore2.default_ssl_context)  # it reads all root certificates: 50 ms a client
settings.register_profile("steady", parent=settings(), deadline=None)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A running Azurite, in memory. All tests share it: a test uses its own container and queue names."""
    with Azurite(log=tmp_path_factory.mktemp("azurite") / "access.log") as running:
        yield running


@pytest.fixture(scope="session")
def plain_environ() -> dict[str, str]:
    """The environment without the app's settings: no test calls the developer's own service."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS_OF_THE_APP)}
    return {**plain, "RECONCILE_SCHEDULE": NEVER, "SWEEP_SCHEDULE": NEVER}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]) -> Iterator[Stack]:
    """The three processes of the local stack on free ports. All tests share them: a test uses its own collection.

    Host and emulator are copies of a process, see `forked.py`.

    A test can kill a process with `stack.host.kill()`; it must then call `stack.start_again(stack.host)`.
    """
    folder = tmp_path_factory.mktemp("stack")
    with forked(Stack(Options(data=folder / "data", logs=folder / "logs"), environ=plain_environ)) as running:
        yield running
