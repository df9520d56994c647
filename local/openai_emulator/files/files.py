"""Files: `/files`. Contents are kept in one folder under their ids; client file names are never used as paths.

Source: https://developers.openai.com/api/reference/resources/files
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from openai.types import FileDeleted, FileObject
from pydantic import Field
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import BaseRoute

from local.openai_emulator.errors import invalid, not_found
from local.openai_emulator.http import wire
from local.openai_emulator.store import Store

KIND = "file"
Purpose = Literal["assistants", "assistants_output", "batch", "batch_output", "fine-tune", "vision"]


class FileExpiry(wire.RequestBody):
    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class CreateFile(wire.RequestBody):
    # Azure accepts neither `user_data` nor `evals`.
    # Source: https://learn.microsoft.com/azure/ai-foundry/openai/how-to/responses "Known limitations"
    purpose: Literal["assistants", "batch", "fine-tune", "vision"]
    expires_after: FileExpiry | None = None


class Files:
    def __init__(
        self,
        *,
        store: Store,
        folder: Path,
        clock: Callable[[], float],
        detach: Callable[[str], Awaitable[None]],
    ) -> None:
        """`detach`: removes a file, by its id, from all vector stores."""
        self._store = store
        self._folder = folder
        self._clock = clock
        self._detach = detach
        folder.mkdir(parents=True, exist_ok=True)

    def routes(self) -> list[BaseRoute]:
        return [
            wire.route("POST", "/files", self._create),
            wire.route("GET", "/files", self._list),
            wire.route("GET", "/files/{file_id}", self._retrieve),
            wire.route("DELETE", "/files/{file_id}", self._delete),
            wire.route("GET", "/files/{file_id}/content", self._content),
        ]

    # ---- for the other families --------------------------------------------------------------------------------

    def get(self, file_id: str) -> FileObject:
        """Raises ApiError 404: the file does not exist or has expired."""
        body = self._store.get(KIND, file_id)
        if body is None or self._expired(body):
            raise not_found("File object", file_id)
        return FileObject.model_validate(body)

    def exists(self, file_id: str) -> bool:
        """Whether there is a file with this id, expired or not."""
        return self._store.get(KIND, file_id) is not None

    def path(self, file_id: str) -> Path:
        """The path of the content; only for an id that `get` finds."""
        return self._folder / file_id

    async def keep(self, source: Path, *, filename: str) -> FileObject:
        """Copy a file that code created into a new file of purpose `assistants_output`."""
        file_id = wire.new_id("assistant-")
        await asyncio.to_thread(shutil.copyfile, source, self.path(file_id))
        return self._record(file_id, filename=wire.safe_filename(filename), purpose="assistants_output")

    def adopt(self, source: Path, *, filename: str, purpose: Purpose, lives_s: int | None) -> FileObject:
        """Make a new file of one on this disk, which the caller deletes; `lives_s`: it expires after this time."""
        file_id = _new_file_id(purpose)
        try:
            os.link(source, self.path(file_id))
        except OSError:  # the disk has no hard links
            shutil.copyfile(source, self.path(file_id))
        return self._record(file_id, filename=filename, purpose=purpose, lives_s=lives_s)

    def drop_unrecorded(self) -> None:
        """Delete the contents that have no record: the process ended while they were written."""
        known = {body["id"] for body in self._store.all(KIND)}
        for path in self._folder.iterdir():
            if path.name not in known:
                path.unlink()

    async def delete(self, file_id: str) -> None:
        self._store.delete(KIND, file_id)  # first, so that no store gets it meanwhile
        await self._detach(file_id)
        self.path(file_id).unlink(missing_ok=True)

    async def sweep(self) -> None:
        """Delete the expired files."""
        for body in self._store.all(KIND):
            if self._expired(body):
                await self.delete(body["id"])

    def _expired(self, body: dict[str, Any]) -> bool:
        expires_at = body.get("expires_at")
        return expires_at is not None and expires_at <= self._clock()

    # ---- the API -----------------------------------------------------------------------------------------------

    async def _create(self, request: Request) -> FileObject:
        async with wire.form(request) as form:
            asked = wire.parse(_fields(form), CreateFile)
            upload = wire.uploaded_file(form)
            filename = wire.safe_filename(upload.filename)
            file_id = _new_file_id(asked.purpose)
            size_bytes = await asyncio.to_thread(_copy, upload.file, self.path(file_id))
        if size_bytes == 0:
            self.path(file_id).unlink()
            raise invalid("The file is empty.", param="file", code="empty_file")
        lives_s = asked.expires_after.seconds if asked.expires_after else None
        return self._record(file_id, filename=filename, purpose=asked.purpose, lives_s=lives_s)

    def _record(self, file_id: str, *, filename: str, purpose: Purpose, lives_s: int | None = None) -> FileObject:
        now = int(self._clock())
        file = FileObject(
            id=file_id,
            object="file",
            bytes=self.path(file_id).stat().st_size,
            created_at=now,
            filename=filename,
            purpose=purpose,
            status="processed",
        )
        if lives_s is not None:
            file.expires_at = now + lives_s
        self._store.put(KIND, file_id, wire.dump(file))
        return file

    async def _list(self, request: Request) -> wire.ListPage:
        purpose = request.query_params.get("purpose")
        page = self._store.page(
            KIND,
            wire.paging(request, default=10_000, most=10_000),
            where=("purpose", purpose) if purpose else None,
        )
        return wire.listed(page, FileObject.model_validate)

    async def _retrieve(self, request: Request) -> FileObject:
        return self.get(request.path_params["file_id"])

    async def _content(self, request: Request) -> FileResponse:
        file = self.get(request.path_params["file_id"])
        return FileResponse(
            self.path(file.id),
            media_type="application/octet-stream",
            filename=file.filename,
        )

    async def _delete(self, request: Request) -> FileDeleted:
        file = self.get(request.path_params["file_id"])
        await self.delete(file.id)
        return FileDeleted(id=file.id, object="file", deleted=True)


def _new_file_id(purpose: str) -> str:
    return wire.new_id("assistant-" if purpose == "assistants" else "file-")  # as Azure names them


def _fields(form: FormData) -> dict[str, Any]:
    """The text fields; `expires_after[seconds]=3600` becomes an object."""
    fields: dict[str, Any] = {}
    for name, value in form.items():
        if name == "file" or not isinstance(value, str):
            continue
        outer, bracket, inner = name.partition("[")
        if bracket:
            fields.setdefault(outer, {})[inner.rstrip("]")] = value
        else:
            fields[name] = value
    return fields


def _copy(source: BinaryIO, target: Path) -> int:
    """Copy a file; returns its size in bytes. Blocks."""
    source.seek(0)
    with target.open("wb") as file:
        shutil.copyfileobj(source, file, 1024 * 1024)
        return file.tell()
