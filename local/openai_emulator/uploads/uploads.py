"""Uploads: `/uploads`, a file that comes in parts of at most 64 MB.

Parts are kept in a folder under their ids until the upload is completed, cancelled or expired.
Source: https://developers.openai.com/api/reference/resources/uploads
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from openai.types import Upload
from openai.types.uploads import UploadPart
from pydantic import Field
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.routing import BaseRoute

from local.openai_emulator.errors import invalid, not_found
from local.openai_emulator.files.files import FileExpiry, Files
from local.openai_emulator.http import wire
from local.openai_emulator.store import Body, Store

KIND = "upload"
PART_KIND = "upload_part"
_LIVES_S = 3600
_MOST_PART_BYTES = 64 * 1024 * 1024


class CreateUpload(wire.RequestBody):
    bytes: Annotated[int, Field(ge=1, le=wire.MAX_FILE_BYTES)]
    filename: Annotated[str, Field(min_length=1)]
    mime_type: str
    purpose: Literal["assistants", "batch", "fine-tune", "vision"]
    expires_after: FileExpiry | None = None


class CompleteUpload(wire.RequestBody):
    part_ids: Annotated[tuple[str, ...], Field(min_length=1)]
    md5: str | None = None


class Uploads:
    def __init__(self, *, store: Store, folder: Path, files: Files, clock: Callable[[], float]) -> None:
        self._store = store
        self._folder = folder
        self._files = files
        self._clock = clock
        folder.mkdir(parents=True, exist_ok=True)

    def routes(self) -> list[BaseRoute]:
        return [
            wire.route("POST", "/uploads", self._create),
            wire.route("POST", "/uploads/{upload_id}/parts", self._add_part),
            wire.route("POST", "/uploads/{upload_id}/complete", self._complete),
            wire.route("POST", "/uploads/{upload_id}/cancel", self._cancel),
        ]

    def sweep(self) -> None:
        """Expire the uploads whose time is over, and delete parts that an earlier process left without a record."""
        for body in self._store.all(KIND, status=["pending"]):
            if body["expires_at"] <= self._clock():
                self._drop_parts(self._record_end(body, "expired"))

    def drop_unrecorded(self) -> None:
        """Delete the contents of parts that have no record: the process ended while they were written."""
        for body in self._store.all(KIND, status=["completed", "cancelled", "expired"]):
            self._store.delete_children(PART_KIND, body["id"])
        known = {body["id"] for body in self._store.all(PART_KIND)}
        for path in self._folder.iterdir():
            if path.name not in known:
                path.unlink()

    async def _create(self, request: Request) -> Upload:
        asked = await wire.read_body(request, CreateUpload)
        now = int(self._clock())
        body: Body = {
            "id": wire.new_id("upload_"),
            "object": "upload",
            "bytes": asked.bytes,
            "created_at": now,
            "filename": wire.safe_filename(asked.filename),
            "purpose": asked.purpose,
            "status": "pending",
            "expires_at": now + _LIVES_S,
            "file": None,
            "lives_s": asked.expires_after.seconds if asked.expires_after else None,
        }
        self._store.put(KIND, body["id"], body)
        return _read(body)

    async def _add_part(self, request: Request) -> UploadPart:
        upload_id = self._pending(request)["id"]
        part_id = wire.new_id("part_")
        async with wire.form(request) as form:
            data = form.get("data")
            if not isinstance(data, UploadFile):
                raise invalid("Missing required parameter: 'data'.", param="data", code="missing_required_parameter")
            if (data.size or 0) > _MOST_PART_BYTES:
                raise invalid("A part holds at most 64 MB.", param="data", code="part_too_large")
            with (self._folder / part_id).open("wb") as target:
                await asyncio.to_thread(shutil.copyfileobj, data.file, target)
        self._pending(request)  # it may have ended meanwhile
        part = UploadPart(id=part_id, created_at=int(self._clock()), object="upload.part", upload_id=upload_id)
        self._store.put(PART_KIND, part_id, wire.dump(part), parent=upload_id)
        return part

    async def _complete(self, request: Request) -> Upload:
        asked = await wire.read_body(request, CompleteUpload)
        body = self._pending(request)
        for part_id in asked.part_ids:
            if self._store.get(PART_KIND, part_id, parent=body["id"]) is None:
                raise invalid(f"No part '{part_id}' in this upload.", param="part_ids")
        whole = self._folder / f"{body['id']}.whole"
        parts = [self._folder / part_id for part_id in asked.part_ids]
        size_bytes, md5 = await asyncio.to_thread(_join, parts, whole)
        try:
            if size_bytes != body["bytes"]:
                message = f"The parts have {size_bytes} bytes, but the upload was created for {body['bytes']}."
                raise invalid(message, param="part_ids")
            if asked.md5 is not None and asked.md5 != md5:
                raise invalid(f"The MD5 of the parts is {md5}.", param="md5")
            body = self._pending(request)
            about = {"filename": body["filename"], "purpose": body["purpose"], "lives_s": body["lives_s"]}
            with self._store.together():  # a crash leaves no file, or no upload that is pending
                file = self._files.adopt(whole, **about)
                body = self._record_end({**body, "file": wire.dump(file)}, "completed")
        finally:
            whole.unlink(missing_ok=True)
        return self._drop_parts(body)

    async def _cancel(self, request: Request) -> Upload:
        return self._drop_parts(self._record_end(self._pending(request), "cancelled"))

    def _pending(self, request: Request) -> Body:
        upload_id = request.path_params["upload_id"]
        self.sweep()
        body = self._store.get(KIND, upload_id)
        if body is None:
            raise not_found("upload", upload_id)
        if body["status"] != "pending":
            raise invalid(
                f"The upload '{upload_id}' is {body['status']}.", param="upload_id", code="upload_not_pending"
            )
        return body

    def _record_end(self, body: Body, status: str) -> Body:
        body = {**body, "status": status}
        self._store.put(KIND, body["id"], body)
        return body

    def _drop_parts(self, body: Body) -> Upload:
        """Delete the parts of an upload that has ended; `drop_unrecorded` does it after a crash."""
        parts = self._store.all(PART_KIND, parent=body["id"])
        self._store.delete_children(PART_KIND, body["id"])
        for part in parts:
            (self._folder / part["id"]).unlink(missing_ok=True)
        return _read(body)


def _read(body: Body) -> Upload:
    return Upload.model_validate({name: value for name, value in body.items() if name not in ("lives_s",)})


def _join(parts: Sequence[Path], target: Path) -> tuple[int, str]:
    """Write the parts into one file; returns its size in bytes and its MD5. Blocks."""
    digest, size_bytes = hashlib.md5(usedforsecurity=False), 0
    with target.open("wb") as whole:
        for part in parts:
            with part.open("rb") as source:
                while block := source.read(1024 * 1024):
                    digest.update(block)
                    size_bytes += len(block)
                    whole.write(block)
    return size_bytes, digest.hexdigest()
