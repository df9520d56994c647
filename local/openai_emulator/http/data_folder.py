"""Exchanges and copies the data of the emulator's folder. These functions block.

A process may be killed at any step: `recover`, at the next start, then finds the old data or the new ones, whole.
What is exchanged waits in `.incoming` until the old data are gone, then in `.arrived` until it has been moved out:
each of the two has its name only once it is complete, and each step can be taken again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

SNAPSHOTS = "snapshots"  # inside the data folder
_UNFINISHED, _INCOMING, _ARRIVED = ".incoming.part", ".incoming", ".arrived"
_OWN = (SNAPSHOTS, _UNFINISHED, _INCOMING, _ARRIVED)


def exchange(data: Path, source: Path | None) -> None:
    """Replace all data with those of a snapshot; None: with nothing."""
    unfinished = data / _UNFINISHED
    _remove(unfinished)
    if source is None:
        unfinished.mkdir()
    else:
        shutil.copytree(source, unfinished)
    unfinished.rename(data / _INCOMING)  # from here on, the new data are the valid ones
    recover(data)


def recover(data: Path) -> None:
    """Finish what a killed process began with the data and the snapshots, or undo it."""
    _remove(data / _UNFINISHED)
    if (data / _INCOMING).exists():
        for old in [one for one in _entries(data) if one.name not in _OWN]:
            _remove(old)
        (data / _INCOMING).rename(data / _ARRIVED)
    if (data / _ARRIVED).exists():
        for new in list(_entries(data / _ARRIVED)):
            new.rename(data / new.name)
        (data / _ARRIVED).rmdir()
    for beside in [one for one in _entries(data / SNAPSHOTS) if one.name.startswith(".")]:
        name = data / SNAPSHOTS / beside.stem[1:]
        if beside.suffix == ".old" and not name.exists():
            beside.rename(name)
        else:
            _remove(beside)


def copy(data: Path, target: Path) -> None:
    """Copy the data; the snapshot has its name only once it is complete, and an older one keeps it until then."""
    unfinished, old = (target.with_name(f".{target.name}.{ending}") for ending in ("part", "old"))
    for one in (unfinished, old):
        _remove(one)
    shutil.copytree(data, unfinished, ignore=lambda folder, _: _OWN if Path(folder) == data else ())
    if target.exists():
        target.rename(old)
    unfinished.rename(target)
    _remove(old)


def delete(snapshot: Path) -> None:
    """Delete a snapshot; what is left of it after a crash is none."""
    gone = snapshot.with_name(f".{snapshot.name}.gone")
    _remove(gone)
    snapshot.rename(gone)
    _remove(gone)


def _entries(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())


def _remove(one: Path) -> None:
    if one.is_dir() and not one.is_symlink():
        shutil.rmtree(one)
    else:
        one.unlink(missing_ok=True)
