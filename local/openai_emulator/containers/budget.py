"""How much of what code writes is kept, and which of it: for one run, for one container and for all of them.

Without a budget, code fills the disk and the memory of this machine: a sparse file costs its session nothing, but each
kept file is a copy on this machine's disk, and each image becomes text inside an answer.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Files are counted with their apparent or their allocated size, whichever is larger."""

    run_files: int = 100
    run_bytes: int = 128 * MIB
    container_files: int = 500
    container_bytes: int = 256 * MIB  # less than a new session's /mnt/data, which gets these files again
    all_files: int = 10_000
    all_bytes: int = 2048 * MIB
    run_images: int = 20  # shown inside an answer
    run_image_bytes: int = 16 * MIB
    container_image_bytes: int = 64 * MIB  # shown since the container was made
    all_image_bytes: int = 512 * MIB  # of all containers that exist
    sessions: int = 8  # alive at a time; the one that was not used for longest ends, its files are kept


@dataclass(frozen=True, kw_only=True)
class Used:
    """What the other containers have kept, and the images that this one and all of them have shown."""

    other_files: int = 0
    other_bytes: int = 0
    container_image_bytes: int = 0
    all_image_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Choice:
    keep: tuple[str, ...] = ()  # names of written files
    images: frozenset[str] = frozenset()  # those of `keep` that are shown as images
    prune: tuple[str, ...] = ()  # names of kept files that make room
    notes: tuple[str, ...] = field(default=())  # sentences for the model about what was left out


def choose(
    written: Mapping[str, int], *, kept: Mapping[str, int], gone: Collection[str], used: Used, budget: Budget
) -> Choice:
    """Decide what to keep of a run.

    Args:
        written: Name -> bytes of the files that the run created or changed.
        kept: Name -> bytes of the files that earlier runs of the container made, oldest first.
        gone: Those of them that are no longer in the session.
    """
    wanted = sorted(written, key=lambda name: (not is_image(name), written[name], name))
    keep = _first(wanted, written, files=budget.run_files, size_bytes=budget.run_bytes)
    rewritten = set(keep)
    by_age = sorted((name for name in kept if name not in rewritten), key=lambda name: name not in gone)  # stable
    keep, prune, why = _fit(keep, written, {name: kept[name] for name in by_age}, used, budget)
    notes = []
    kept_now = set(keep)
    if left := [name for name in wanted if name not in kept_now]:
        why = why or f"a run may leave {budget.run_files:,} files and {_mib(budget.run_bytes)}"
        notes.append(f"{_count(left, 'file')} not kept, such as {left[-1]!r}: {why}.")
    if prune:
        room = f"a container may hold {budget.container_files:,} files and {_mib(budget.container_bytes)}"
        notes.append(f"{_count(prune, 'older file')} removed to make room, such as {prune[0]!r}: {room}.")
    pictures = [name for name in keep if is_image(name)]
    images = set(_first(pictures, written, files=budget.run_images, size_bytes=_image_room(used, budget)))
    if unseen := [name for name in pictures if name not in images]:
        limits = f"{budget.run_images:,} images and {_mib(budget.run_image_bytes)} a run"
        limits += f", {_mib(budget.container_image_bytes)} a container"
        notes.append(f"{_count(unseen, 'image')} not shown, such as {unseen[0]!r}: an answer shows {limits}.")
    return Choice(keep=tuple(sorted(keep)), images=frozenset(images), prune=prune, notes=tuple(notes))


def _first(names: Sequence[str], sizes: Mapping[str, int], *, files: int, size_bytes: int) -> list[str]:
    """Those names, in order, that fit together."""
    chosen: list[str] = []
    for name in names:
        if len(chosen) == files:
            break
        if sizes[name] <= size_bytes:
            chosen.append(name)
            size_bytes -= sizes[name]
    return chosen


def _fit(
    keep: list[str], written: Mapping[str, int], kept: Mapping[str, int], used: Used, budget: Budget
) -> tuple[list[str], tuple[str, ...], str]:
    """Fit new files and older ones into the container and beside the others: what to keep, to prune, and why not all.

    `kept`: older files that the run did not write, first those to prune first.
    """
    room_files = min(budget.container_files, budget.all_files - used.other_files)
    room_bytes = min(budget.container_bytes, budget.all_bytes - used.other_bytes)
    chosen = _first(keep, written, files=max(room_files, 0), size_bytes=max(room_bytes, 0))
    files, size_bytes = len(chosen) + len(kept), sum(written[name] for name in chosen) + sum(kept.values())
    prune = []
    for name, size in kept.items():
        if files <= room_files and size_bytes <= room_bytes:
            break
        prune.append(name)
        files, size_bytes = files - 1, size_bytes - size
    why = ""
    if len(chosen) < len(keep):
        why = f"all containers together may hold {budget.all_files:,} files and {_mib(budget.all_bytes)}"
        if room_files == budget.container_files and room_bytes == budget.container_bytes:
            why = f"a container may hold {budget.container_files:,} files and {_mib(budget.container_bytes)}"
    return chosen, tuple(prune), why


def _image_room(used: Used, budget: Budget) -> int:
    room = min(
        budget.run_image_bytes,
        budget.container_image_bytes - used.container_image_bytes,
        budget.all_image_bytes - used.all_image_bytes,
    )
    return max(room, 0)


def is_image(name: str) -> bool:
    return (mimetypes.guess_type(name)[0] or "").startswith("image/")


def _count(names: Sequence[str], noun: str) -> str:
    return f"1 {noun} was" if len(names) == 1 else f"{len(names):,} {noun}s were"


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / MIB:,.4g} MiB"
