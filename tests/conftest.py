"""Fixtures named for what they give; the real Azurite and the real processes, each once for the whole test run."""

import os
from collections.abc import Iterator

import pytest

from local.stack.azurite import Azurite
from local.stack.stack import Options, Stack

NEVER = "0 0 0 1 1 *"  # the hourly repair would come in between what tests damage and what they look for
SETTINGS_OF_THE_APP = ("OPENAI_", "EMULATOR_", "AZURE_", "AzureWebJobs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The storm begins before everything else and is looked at last: its five minutes pass meanwhile."""

    def place(item: pytest.Item) -> int:
        mark = item.get_closest_marker("storm")
        return 0 if mark is None else {"begins": -1, "ends": 1}[mark.args[0]]

    items.sort(key=place)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A running Azurite, in memory, shared by all tests: use container and queue names of your own."""
    with Azurite(log=tmp_path_factory.mktemp("azurite") / "access.log") as running:
        yield running


@pytest.fixture(scope="session")
def plain_environ() -> dict[str, str]:
    """This environment without settings of the app: no test reaches a service of the developer's own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS_OF_THE_APP)}
    return {**plain, "RECONCILE_SCHEDULE": NEVER}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]) -> Iterator[Stack]:
    """All three real processes on free ports, shared by all tests: use a collection of your own.

    A test may end a process of it with `stack.host.kill()` and must bring it back with `stack.start_again(stack.host)`.
    """
    folder = tmp_path_factory.mktemp("stack")
    with Stack(Options(data=folder / "data", logs=folder / "logs"), environ=plain_environ) as running:
        yield running
