"""`add`: put files and folders into the app, and wait until each is indexed or refused."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.client import Client, Json
from local.errors import LocalError, RequestFailed
from local.terminal import Terminal

LOOK_EVERY_S = 1.0
WITHIN_S = 1800
IGNORED = {"Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Mark:
    """What shows that a file was changed."""

    size_bytes: int
    changed_ns: int


@dataclass(frozen=True)
class Changes:
    """What a folder's new state leads to: documents to put and documents to delete, by name."""

    put: tuple[str, ...]
    delete: tuple[str, ...]


def found(paths: Sequence[Path], collection: str | None = None) -> dict[str, Path]:
    """The documents that these files and folders become: name -> file.

    A folder keeps its own name, so `reports/` becomes the collection `reports`. Hidden files, links and what systems
    leave in folders are skipped.

    Raises:
        LocalError: a path does not exist, or two files would become one document.
    """
    documents: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise LocalError(f"There is no file or folder {path}.", "Check the path.")
        root = path.resolve()
        files = walk(root) if root.is_dir() else iter([root])
        for file in files:
            name = file.relative_to(root.parent).as_posix()
            name = f"{collection}/{name}" if collection else name
            if documents.setdefault(name, file) != file:
                raise LocalError(
                    f"{documents[name]} and {file} would both become the document {name}.",
                    "Add them in two commands, with --collection.",
                )
    return documents


def walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in IGNORED or path.is_symlink():
            continue
        if path.is_dir():
            yield from walk(path)
        elif path.is_file():
            yield path


def marks(documents: Mapping[str, Path]) -> dict[str, Mark]:
    """A file that is deleted meanwhile has no mark."""
    seen = {}
    for name, path in documents.items():
        try:
            stat = path.stat()
        except OSError:
            continue
        seen[name] = Mark(stat.st_size, stat.st_mtime_ns)
    return seen


def changes(added: Mapping[str, Mark], before: Mapping[str, Mark], now: Mapping[str, Mark]) -> Changes:
    """What to do after a look at a folder.

    Args:
        added: The files as they were put.
        before: The files at the look before: one that has changed since then may still be written.
        now: The files at this look.
    """
    put = tuple(name for name, mark in now.items() if added.get(name) != mark and before.get(name) == mark)
    return Changes(put=put, delete=tuple(name for name in added if name not in now))


def add(
    terminal: Terminal,
    client: Client,
    paths: Sequence[Path],
    *,
    collection: str | None = None,
    watch: bool = False,
    as_json: bool = False,
) -> int:
    """Put the files, show the status of each, and with `watch` keep the app in step until Ctrl-C. 1: one failed."""
    documents = found(paths, collection)
    if not documents and not watch:
        raise LocalError("There is no file to add.", "Hidden files and links are skipped.")
    seen = marks(documents)
    results = put(terminal, client, documents, quiet=as_json)
    if as_json:
        sys.stdout.write(json.dumps(results) + "\n")
    if watch:
        terminal.say("Watching for changes; Ctrl-C ends.", style="dim")
        keep_in_step(terminal, client, lambda: found(paths, collection), seen)
    return 0 if all(result["status"] == "indexed" for result in results) else 1


def put(terminal: Terminal, client: Client, documents: Mapping[str, Path], *, quiet: bool = False) -> list[Json]:
    """Upload files, then wait for their final status; one line for each. A file that is refused stops none."""
    etags: dict[str, str] = {}
    results: list[Json] = []

    def report(result: Json) -> None:
        results.append(result)
        if not quiet:
            reason = (result.get("reason") or {}).get("message", "")
            style = "" if result["status"] == "indexed" else "yellow"
            terminal.say(f"  {result['status']:<12} {result['path']}  {reason}".rstrip(), style=style)

    for number, (name, path) in enumerate(documents.items(), 1):
        if not quiet:
            terminal.say(f"  uploading    {name}  ({number} of {len(documents)})", style="dim")
        try:
            etags[name] = client.drop(path, name)
        except (RequestFailed, OSError) as exc:
            report({"path": name, "status": "failed", "reason": {"message": str(exc)}})
    final = client.wait_indexed(etags, on_final=report, within_s=WITHIN_S)
    for name in etags.keys() - final.keys():
        report({"path": name, "status": "indexing", "reason": {"message": "It is still being indexed."}})
    return results


def keep_in_step(
    terminal: Terminal,
    client: Client,
    look: Callable[[], dict[str, Path]],
    added: dict[str, Mark],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Put what changes and delete what disappears, until Ctrl-C. Only files that this call has seen are deleted."""
    before = dict(added)
    while True:
        pause(LOOK_EVERY_S)
        try:
            documents = look()
        except LocalError:  # the folder itself is gone: it may be on a drive that was taken away
            continue
        now = marks(documents)
        todo = changes(added, before, now)
        before = now
        if todo.put:
            put(terminal, client, {name: documents[name] for name in todo.put})
            added.update({name: now[name] for name in todo.put})
        for name in todo.delete:
            try:
                client.delete(name)
            except RequestFailed as exc:
                if exc.status != 404:
                    terminal.error(f"{name} could not be deleted: {exc}")
                    continue
            terminal.say(f"  deleted      {name}", style="dim")
            del added[name]
