"""The HTTP routes of containers: `/containers` and `/containers/{id}/files`."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from openai.types import ContainerCreateResponse
from openai.types.containers import FileCreateResponse
from pydantic import Field
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import BaseRoute

from local.openai_emulator.containers.containers import IDLE_MINUTES, Containers, filename, read_file
from local.openai_emulator.errors import not_implemented
from local.openai_emulator.files.files import Files
from local.openai_emulator.http import wire


class ContainerExpiry(wire.RequestBody):
    anchor: Literal["last_active_at"]
    minutes: Annotated[int, Field(ge=1, le=IDLE_MINUTES)]


class NetworkPolicy(wire.RequestBody):
    type: Literal["disabled", "allowlist"]
    allowed_domains: list[str] | None = None
    domain_secrets: list[dict[str, str]] | None = None


class CreateContainer(wire.RequestBody):
    name: Annotated[str, Field(min_length=1)]
    file_ids: list[str] | None = None
    expires_after: ContainerExpiry | None = None
    memory_limit: Literal["1g", "4g", "16g", "64g"] | None = None  # echoed; the sandbox has its own limit
    network_policy: NetworkPolicy | None = None
    skills: list[Any] | None = None


class AddFile(wire.RequestBody):
    file_id: str


class ContainerRoutes:
    def __init__(self, *, containers: Containers, files: Files) -> None:
        self._containers = containers
        self._files = files

    def routes(self) -> list[BaseRoute]:
        files = "/containers/{container_id}/files"
        return [
            wire.route("POST", "/containers", self._create),
            wire.route("GET", "/containers", self._list),
            wire.route("GET", "/containers/{container_id}", self._retrieve),
            wire.route("DELETE", "/containers/{container_id}", self._delete),
            wire.route("POST", files, self._create_file),
            wire.route("GET", files, self._list_files),
            wire.route("GET", files + "/{file_id}", self._retrieve_file),
            wire.route("DELETE", files + "/{file_id}", self._delete_file),
            wire.route("GET", files + "/{file_id}/content", self._content),
        ]

    # ---- containers ----------------------------------------------------------------------------------------------

    async def _create(self, request: Request) -> ContainerCreateResponse:
        asked = await wire.read_body(request, CreateContainer)
        if asked.skills:
            raise not_implemented("skills in containers", param="skills")
        if asked.network_policy and asked.network_policy.type != "disabled":
            raise not_implemented("network access from containers", param="network_policy")
        for file_id in asked.file_ids or ():
            self._files.get(file_id)
        return await self._containers.create(
            name=asked.name,
            file_ids=asked.file_ids or (),
            idle_minutes=asked.expires_after.minutes if asked.expires_after else IDLE_MINUTES,
            memory_limit=asked.memory_limit,
        )

    async def _list(self, request: Request) -> wire.ListPage:
        page = self._containers.page(wire.paging(request), name=request.query_params.get("name"))
        return wire.listed(page, self._containers.read)

    async def _retrieve(self, request: Request) -> ContainerCreateResponse:
        return self._containers.get(request.path_params["container_id"])

    async def _delete(self, request: Request) -> wire.Deleted:
        container = self._containers.get(request.path_params["container_id"])
        await self._containers.delete(container.id)
        return wire.Deleted(id=container.id, object="container.deleted")

    # ---- their files ---------------------------------------------------------------------------------------------

    async def _create_file(self, request: Request) -> FileCreateResponse:
        container = self._containers.active(request.path_params["container_id"])
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            asked = await wire.read_body(request, AddFile)
            return await self._add_uploaded(container.id, asked.file_id)
        async with wire.form(request) as form:
            file_id = form.get("file_id")
            if isinstance(file_id, str):
                return await self._add_uploaded(container.id, file_id)
            upload = wire.uploaded_file(form)
            with tempfile.TemporaryDirectory() as folder:  # Windows opens no temporary file a second time
                spool = Path(folder, "upload")
                await asyncio.to_thread(_copy, upload.file, spool)
                return await self._containers.add(container.id, spool, name=wire.safe_filename(upload.filename))

    async def _add_uploaded(self, container_id: str, file_id: str) -> FileCreateResponse:
        file = self._files.get(file_id)
        return await self._containers.add(container_id, self._files.path(file.id), name=file.filename, origin=file.id)

    async def _list_files(self, request: Request) -> wire.ListPage:
        container = self._containers.active(request.path_params["container_id"])
        return wire.listed(self._containers.files_page(container.id, wire.paging(request)), read_file)

    async def _retrieve_file(self, request: Request) -> FileCreateResponse:
        container = self._containers.active(request.path_params["container_id"])
        return self._containers.file(container.id, request.path_params["file_id"])

    async def _delete_file(self, request: Request) -> wire.Deleted:
        file = await self._retrieve_file(request)
        await self._containers.remove(file.container_id, file.id)
        return wire.Deleted(id=file.id, object="container.file.deleted")

    async def _content(self, request: Request) -> FileResponse:
        file = await self._retrieve_file(request)
        self._containers.touch(file.container_id)
        return FileResponse(
            self._containers.path(file.container_id, file.id),
            media_type="application/octet-stream",
            filename=filename(file).rpartition("/")[2],
        )


def _copy(content: BinaryIO, target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(content, file)
