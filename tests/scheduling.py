"""Which worker of `make test` gets which file when: those that take longest first.

`seconds.json` has about what slow files take; `make test RECORD=1` writes it anew. It decides nothing but the order.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest
from xdist.scheduler.loadfile import LoadFileScheduling
from xdist.workermanage import WorkerController

FILE = Path(__file__).with_name("seconds.json")
SECONDS: dict[str, int] = json.loads(FILE.read_text())  # file -> seconds
SLOW_S = 10  # faster files are not recorded
RECORD = "RECORD_SECONDS"
took_s: defaultdict[str, float] = defaultdict(float)


class SlowFirst(LoadFileScheduling):
    """Gives out files in the order of the collection, whole.

    A worker cannot end its last test before it has got another file: behind a slow one, that is a fast one.
    """

    def _assign_work_unit(self, node: WorkerController) -> None:
        begun = [path for path, tests in self.assigned_work.get(node, {}).items() if not all(tests.values())]
        if any(path in SECONDS for path in begun):
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> SlowFirst | None:
    return SlowFirst(config, log) if config.getoption("dist") == "loadfile" else None


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
