"""Kills a process at every step of an exchange of data, and of the recovery from that: `python ... FOLDER`.

A step is a call of the file system that Python's audit hooks report. Prints how many kills there were.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from local.openai_emulator.http import data_folder

OLD = {"emulator.db": "old", "files/a": "a of old", "gone": "1"}
NEW = {"emulator.db": "new", "files/a": "a of new", "containers/c": "c"}
_STEPS = ("os.", "shutil.", "open")


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def state(folder: Path) -> dict[str, str]:
    """The data, without the snapshots."""
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    return {name: text for name, text in files.items() if not name.startswith("snapshots/")}


def killed_at(step: int, action: Callable[[], None]) -> bool:
    """Do it in a child that is killed before its step of that number; False if it ended before."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or status == 0, "the action failed"
        return os.WIFSIGNALED(status)
    seen = 0

    def count(event: str, _: object) -> None:
        nonlocal seen
        if event == "os.kill":
            return
        seen += event.startswith(_STEPS)
        if seen > step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    try:
        action()
    except BaseException:
        os._exit(1)
    os._exit(0)


def check(folder: Path, action: Callable[[Path], None], allowed: list[dict[str, str]]) -> int:
    """Kill the action at each step, and the recovery at each of its steps: one of the allowed states is left."""
    before, work, killed = folder / "before", folder / "work", folder / "killed"
    kills, seen = 0, list[object]()
    while _fresh(before, work) and killed_at(kills, lambda: action(work)):
        kills += 1
        found = sorted((str(one), one.read_text() if one.is_file() else "") for one in work.rglob("*"))
        if found in seen:
            continue
        seen.append(found)
        _fresh(work, killed)
        recoveries, again = 0, True
        while again:
            _fresh(killed, work)
            again = killed_at(recoveries, lambda: data_folder.recover(work))
            data_folder.recover(work)
            left = state(work)
            assert left in allowed, (kills, recoveries, left)
            assert sorted(one.name for one in (work / "snapshots").iterdir()) == ["one"], (kills, recoveries)
            assert state(work / "snapshots/one") in (NEW, OLD), (kills, recoveries)
            recoveries += 1
    return kills


def _fresh(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(source, target))


def main(folder: Path) -> None:
    write(folder / "before", OLD)
    write(folder / "before/snapshots/one", NEW)
    kills = [
        check(folder, lambda data: data_folder.exchange(data, data / "snapshots/one"), [OLD, NEW]),
        check(folder, lambda data: data_folder.exchange(data, None), [OLD, {}]),
        check(folder, lambda data: data_folder.copy(data, data / "snapshots/one"), [OLD]),
    ]
    sys.stdout.write(f"{kills}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
