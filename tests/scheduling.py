"""Which worker of `make test` gets which file when: a worker stays in a folder, and begins with what takes longest.

The files of a folder share costly fixtures, such as a running stack; each worker that comes to the folder starts them.
`seconds.json` has about what slow files take; `make test RECORD=1` writes it anew. It decides nothing but the order.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from xdist.scheduler.loadfile import LoadFileScheduling
from xdist.workermanage import WorkerController

FILE = Path(__file__).with_name("seconds.json")
SECONDS: dict[str, int] = json.loads(FILE.read_text())  # file -> seconds
SLOW_S = 10  # faster files are not recorded
RECORD = "RECORD_SECONDS"
took_s: defaultdict[str, float] = defaultdict(float)


class FolderByFolder(LoadFileScheduling):
    """Gives out whole files: the next one of the worker's folder; else of the folder with most left to do.

    A folder in which no other worker is comes first. Within a folder, files have the order of the collection.
    """

    def _assign_work_unit(self, node: WorkerController) -> None:
        # What a crashed worker has done comes again, as a file without tests: a worker would wait on after it.
        for path in [path for path, tests in self.workqueue.items() if all(tests.values())]:
            del self.workqueue[path]
        if not self.workqueue:
            node.shutdown()
            return
        left: Counter[str] = Counter()
        for path in self.workqueue:
            left[folder_of(path)] += SECONDS.get(path, 1)
        own = self._folder_of(node)
        if own not in left:
            taken = {self._folder_of(other) for other in self.nodes if other is not node}
            own = max(left, key=lambda folder: (folder not in taken, left[folder]))
        self.workqueue.move_to_end(next(path for path in self.workqueue if folder_of(path) == own), last=False)
        super()._assign_work_unit(node)

    def _folder_of(self, node: WorkerController) -> str:
        """The folder of the worker's last file; "" if it has none yet."""
        return folder_of(next(reversed(self.assigned_work[node]), ""))


def folder_of(path: str) -> str:
    return path.rpartition("/")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FolderByFolder | None:
    return FolderByFolder(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    files = {item.path: item.path.relative_to(config.rootpath).as_posix() for item in items}
    items.sort(key=lambda item: -SECONDS.get(files[item.path], 0))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    took_s[report.nodeid.partition("::")[0]] += report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get(RECORD) and not hasattr(session.config, "workerinput"):
        slow = {path: round(seconds) for path, seconds in took_s.items() if seconds >= SLOW_S}
        FILE.write_text(f"{json.dumps(dict(sorted(slow.items(), key=lambda item: -item[1])), indent=2)}\n")
