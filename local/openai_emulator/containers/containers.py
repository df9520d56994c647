"""Containers: `/containers`, the working folders of the code interpreter.

A container is a record and files on disk. Its code runs in a sandbox session, opened at the first run. If a session has
ended, a new one gets the same files but no variables, and the model is told. `budget.py` decides what is kept of the
files that code writes. A container expires 20 minutes after its last use.
Source: https://developers.openai.com/api/reference/resources/containers
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from openai.types import ContainerCreateResponse
from openai.types.containers import FileCreateResponse

from local.openai_emulator.agent.conversation import OutputFile, Ran
from local.openai_emulator.agent.tools import ToolBroken
from local.openai_emulator.containers.budget import Budget, Choice, Used, choose
from local.openai_emulator.containers.sessions import LiveSessions, OpenSession
from local.openai_emulator.errors import ApiError, invalid, not_found
from local.openai_emulator.files.files import Files
from local.openai_emulator.http import wire
from local.openai_emulator.sandbox.errors import FileRefused, SandboxError
from local.openai_emulator.store import Page, Paging, Store

if TYPE_CHECKING:
    from local.openai_emulator.sandbox import Outcome, Session


logger = logging.getLogger(__name__)

KIND = "container"
FILE_KIND = "container_file"
FOLDER = "/mnt/data"
IDLE_MINUTES = 20
FRESH = "The session of the earlier code has ended: its variables are gone, the files in /mnt/data are there."


class Containers:
    def __init__(
        self,
        *,
        store: Store,
        folder: Path,
        files: Files,
        open_session: OpenSession,
        clock: Callable[[], float],
        budget: Budget | None = None,
    ) -> None:
        self._store = store
        self._folder = folder
        self._files = files
        self._open_session = open_session
        self._clock = clock
        self._budget = budget or Budget()
        self._sessions = LiveSessions(lambda: self._open_session(), most=self._budget.sessions)
        self._ran: set[str] = set()  # containers that have had a session
        self._made: dict[str, tuple[int, int]] = {}  # files and bytes that code has made, by container
        for body in store.all(FILE_KIND):
            if body["source"] == "assistant":
                files_made, size_bytes = self._made.get(body["container_id"], (0, 0))
                self._made[body["container_id"]] = (files_made + 1, size_bytes + body["bytes"])
        self._shown: dict[str, int] = {}  # bytes of images inside answers, by container
        self._locks: dict[str, asyncio.Lock] = {}

    async def close(self) -> None:
        await self._sessions.close()

    # ---- the containers themselves -----------------------------------------------------------------------------

    async def create(
        self,
        *,
        name: str,
        file_ids: Sequence[str] = (),
        idle_minutes: int = IDLE_MINUTES,
        memory_limit: str | None = None,
    ) -> ContainerCreateResponse:
        now = int(self._clock())
        container_id = wire.new_id("cntr_")
        body = {
            "id": container_id,
            "object": "container",
            "created_at": now,
            "last_active_at": now,
            "name": name,
            "status": "running",
            "expires_after": {"anchor": "last_active_at", "minutes": idle_minutes},
            "memory_limit": memory_limit or "1g",
            "network_policy": {"type": "disabled"},
        }
        (self._folder / container_id).mkdir(parents=True)
        self._store.put(KIND, container_id, body)
        await self.add_uploaded(container_id, file_ids)
        return ContainerCreateResponse.model_validate(body)

    def get(self, container_id: str) -> ContainerCreateResponse:
        body = self._store.get(KIND, container_id)
        if body is None:
            raise not_found("container", container_id)
        return self.read(body)

    def active(self, container_id: str) -> ContainerCreateResponse:
        """Like `get`, but raises ApiError 404 also for an expired container: its files are lost."""
        container = self.get(container_id)
        if container.status == "expired":
            raise ApiError(404, f"Container is expired: '{container_id}'.", param="container_id", code="not_found")
        return container

    def is_active(self, container_id: str) -> bool:
        body = self._store.get(KIND, container_id)
        return body is not None and not self._expired(body)

    def read(self, body: dict[str, Any]) -> ContainerCreateResponse:
        return ContainerCreateResponse.model_validate(
            {**body, "status": "expired" if self._expired(body) else body["status"]}
        )

    def page(self, paging: Paging, *, name: str | None) -> Page:
        return self._store.page(KIND, paging, where=("name", name) if name else None)

    async def delete(self, container_id: str) -> None:
        async with self._lock(container_id):
            await self._empty(container_id)
            self._store.delete(KIND, container_id)
        self._locks.pop(container_id, None)

    async def sweep(self) -> None:
        """Close the sessions of expired containers and delete their files."""
        for body in self._store.all(KIND, status=["running"]):
            if self._expired(body):
                await self._expire(body["id"])

    async def _expire(self, container_id: str) -> None:
        async with self._lock(container_id):
            body = self._store.get(KIND, container_id)
            if body is None or not self._expired(body):  # deleted or used while waiting for the lock
                return
            self._store.put(KIND, container_id, {**body, "status": "expired"})
            await self._empty(container_id)
        logger.info("container.expired", extra={"container_id": container_id})

    def touch(self, container_id: str) -> None:
        body = self._store.get(KIND, container_id)
        if body is not None:
            self._store.put(KIND, container_id, {**body, "last_active_at": int(self._clock())})

    def _expired(self, body: dict[str, Any]) -> bool:
        idle_s = body["expires_after"]["minutes"] * 60
        return body["status"] == "expired" or bool(body["last_active_at"] + idle_s <= self._clock())

    async def _empty(self, container_id: str) -> None:
        await self._sessions.end(container_id)
        for of_containers in (self._made, self._shown):
            of_containers.pop(container_id, None)
        self._ran.discard(container_id)
        self._store.delete_children(FILE_KIND, container_id)
        await asyncio.to_thread(shutil.rmtree, self._folder / container_id, ignore_errors=True)

    # ---- their files -------------------------------------------------------------------------------------------

    def files(self, container_id: str) -> list[FileCreateResponse]:
        return [read_file(body) for body in self._store.all(FILE_KIND, parent=container_id)]

    def files_page(self, container_id: str, paging: Paging) -> Page:
        return self._store.page(FILE_KIND, paging, parent=container_id)

    def file(self, container_id: str, file_id: str) -> FileCreateResponse:
        body = self._store.get(FILE_KIND, file_id, parent=container_id)
        if body is None:
            raise not_found("container file", file_id)
        return read_file(body)

    def path(self, container_id: str, file_id: str) -> Path:
        """The path of the content on this machine; only for an id that `file` finds."""
        return self._folder / container_id / file_id

    def filenames(self, container_id: str) -> set[str]:
        return {filename(file) for file in self.files(container_id)}

    def missing(self, container_id: str, file_ids: Sequence[str]) -> list[str]:
        """The uploaded files among these that are not in the container yet."""
        there = {body.get("origin") for body in self._store.all(FILE_KIND, parent=container_id)}
        return [file_id for file_id in dict.fromkeys(file_ids) if file_id not in there]

    async def add_uploaded(self, container_id: str, file_ids: Sequence[str]) -> list[FileCreateResponse]:
        """Copy files of `/files` into the container, unless they are there already."""
        added = []
        for file_id in self.missing(container_id, file_ids):
            file = self._files.get(file_id)
            added.append(await self.add(container_id, self._files.path(file_id), name=file.filename, origin=file_id))
        return added

    async def add(self, container_id: str, source: Path, *, name: str, origin: str | None = None) -> FileCreateResponse:
        """Copy a file into the container; adds a number to a name that is in use."""
        file_id = wire.new_id("cfile_")
        name = free_name(name, self.filenames(container_id))
        path = self.path(container_id, file_id)
        await asyncio.to_thread(shutil.copyfile, source, path)
        session = self._sessions.get(container_id)
        if session is not None:
            try:
                await session.put(name, path)
            except SandboxError as exc:
                path.unlink()
                raise invalid(f"The file does not go into the container: {exc}", param="file") from exc
        self.touch(container_id)
        return self._record(container_id, file_id, name, source="user", origin=origin)

    async def remove(self, container_id: str, file_id: str) -> None:
        file = self.file(container_id, file_id)
        async with self._lock(container_id):
            session = self._sessions.get(container_id)
            if session is not None:
                try:
                    await session.remove(filename(file))
                except (SandboxError, OSError):  # the code has hidden it: the next session starts without it
                    await self._sessions.end(container_id)
            self._store.delete(FILE_KIND, file_id, parent=container_id)
            self.path(container_id, file_id).unlink(missing_ok=True)

    def _record(
        self, container_id: str, file_id: str, name: str, *, source: str, origin: str | None = None
    ) -> FileCreateResponse:
        before = self._store.get(FILE_KIND, file_id, parent=container_id) or {}
        body = {
            "id": file_id,
            "object": "container.file",
            "container_id": container_id,
            "created_at": int(self._clock()),
            "bytes": self.path(container_id, file_id).stat().st_size,
            "path": f"{FOLDER}/{name}",
            "source": source,
            "origin": origin or before.get("origin"),  # not part of the API: the uploaded file it was copied from
        }
        self._store.put(FILE_KIND, file_id, body, parent=container_id)
        return read_file(body)

    # ---- running code ------------------------------------------------------------------------------------------

    async def run(self, container_id: str, code: str) -> Ran:
        """Run Python in the container's session and save the files it wrote.

        Raises:
            ToolBroken: the code could not be run, or was stopped at a limit.
        """
        async with self._lock(container_id):
            self.active(container_id)
            notes = [FRESH] if container_id in self._ran and self._sessions.get(container_id) is None else []

            async def prepare(session: Session) -> None:
                self._ran.add(container_id)
                notes.extend(await self._restore(container_id, session))

            try:
                async with self._sessions.use(container_id, prepare) as session:
                    outcome = await session.run(code)
                    choice = await self._keep(container_id, session, outcome)
            except asyncio.CancelledError:
                await asyncio.shield(self._sessions.end(container_id))  # the only way to stop running code
                raise
            except Exception as exc:
                raise ToolBroken(f"The code interpreter is not available: {exc}") from exc
            self.touch(container_id)
            logs = "".join(f"[{note}]\n" for note in notes) + outcome.logs
            if choice.notes:
                logs = "\n".join(filter(None, [logs.rstrip("\n"), *(f"[{note}]" for note in choice.notes)])) + "\n"
            if outcome.timed_out or not session.alive:
                await self._sessions.end(container_id)
                raise ToolBroken(logs or "The code was stopped: it exceeded a limit of the code interpreter.")
            return Ran(code=code, logs=logs, files=self._output_files(container_id, choice), failed=outcome.failed)

    async def _restore(self, container_id: str, session: Session) -> list[str]:
        """Put the container's files into a new session; returns a sentence if some do not fit."""
        refused = []
        for file in self.files(container_id):
            try:
                await session.restore(filename(file), self.path(container_id, file.id))
            except (FileRefused, FileNotFoundError):
                refused.append(filename(file))
        if not refused:
            return []
        return [f"{len(refused)} files of the container are not in /mnt/data, which is full, such as {refused[0]!r}."]

    async def _keep(self, container_id: str, session: Session, outcome: Outcome) -> Choice:
        """Copy the files that a run created or changed out of the session, within the budget."""
        made = [file for file in self.files(container_id) if file.source == "assistant"]
        written = {
            name: size for name, size in outcome.written.items() if name.isprintable()
        }  # else no client names it
        kept = {filename(file): file.bytes for file in made}
        gone = kept.keys() - outcome.present
        used = self._used(container_id)
        choice = await asyncio.to_thread(choose, written, kept=kept, gone=gone, used=used, budget=self._budget)
        ids = {filename(file): file.id for file in self.files(container_id)}
        for name in choice.prune:
            self._store.delete(FILE_KIND, ids[name], parent=container_id)
            self.path(container_id, ids.pop(name)).unlink(missing_ok=True)
        keep = []
        for name in choice.keep:
            try:
                content = await session.read(name)
            except Exception as exc:  # too large, not a regular file, or the session has ended: skip the file
                logger.warning("container.file_not_kept", extra={"container_id": container_id, "reason": str(exc)})
                continue
            file_id = ids.get(name) or wire.new_id("cfile_")
            await asyncio.to_thread(self.path(container_id, file_id).write_bytes, content)
            self._record(container_id, file_id, name, source="assistant")
            keep.append(name)
        made = [file for file in self.files(container_id) if file.source == "assistant"]
        self._made[container_id] = (len(made), sum(file.bytes for file in made))
        shown = sum(written[name] for name in choice.images)
        self._shown[container_id] = self._shown.get(container_id, 0) + shown
        return replace(choice, keep=tuple(keep))

    def _used(self, container_id: str) -> Used:
        others = [made for one, made in self._made.items() if one != container_id]
        return Used(
            other_files=sum(files for files, _ in others),
            other_bytes=sum(size_bytes for _, size_bytes in others),
            container_image_bytes=self._shown.get(container_id, 0),
            all_image_bytes=sum(self._shown.values()),
        )

    def _output_files(self, container_id: str, choice: Choice) -> tuple[OutputFile, ...]:
        ids = {filename(file): file.id for file in self.files(container_id)}
        return tuple(
            OutputFile(file_id=ids[name], filename=name, container_id=container_id, is_image=name in choice.images)
            for name in choice.keep
        )

    def _lock(self, container_id: str) -> asyncio.Lock:
        return self._locks.setdefault(container_id, asyncio.Lock())


def read_file(body: dict[str, Any]) -> FileCreateResponse:
    return FileCreateResponse.model_validate({key: value for key, value in body.items() if key != "origin"})


def filename(file: FileCreateResponse) -> str:
    """The path of a file relative to `/mnt/data`."""
    return str(PurePosixPath(file.path).relative_to(FOLDER))


def free_name(name: str, taken: Collection[str]) -> str:
    """`name`, or `name-1`, `name-2`... if it is in use."""
    path = PurePosixPath(name)
    candidate, number = name, 0
    while candidate in taken:
        number += 1
        candidate = f"{path.stem}-{number}{path.suffix}"
    return candidate
