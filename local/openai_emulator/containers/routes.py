"""The HTTP side of `containers.py`: `/containers` and `/containers/{id}/files`."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

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


class ExpiresAfter(wire.Body):
    anchor: Literal["last_active_at"]
    minutes: Annotated[int, Field(ge=1, le=IDLE_MINUTES)]


class NetworkPolicy(wire.Body):
    type: Literal["disabled", "allowlist"]
    allowed_domains: list[str] | None = None
    domain_secrets: list[dict[str, str]] | None = None


class CreateContainer(wire.Body):
    name: Annotated[str, Field(min_length=1)]
    file_ids: list[str] | None = None
    expires_after: ExpiresAfter | None = None
    memory_limit: Literal["1g", "4g", "16g", "64g"] | None = None  # echoed; the sandbox has its own limit
    network_policy: NetworkPolicy | None = None
    skills: list[Any] | None = None


class AddFile(wire.Body):
    file_id: str


def routes(containers: Containers, files: Files) -> list[BaseRoute]:
    async def create(request: Request) -> ContainerCreateResponse:
        asked = await wire.read_body(request, CreateContainer)
        if asked.skills:
            raise not_implemented("skills in containers", param="skills")
        if asked.network_policy and asked.network_policy.type != "disabled":
            raise not_implemented("network access from containers", param="network_policy")
        for file_id in asked.file_ids or ():
            files.get(file_id)
        return await containers.create(
            name=asked.name,
            file_ids=asked.file_ids or (),
            idle_minutes=asked.expires_after.minutes if asked.expires_after else IDLE_MINUTES,
            memory_limit=asked.memory_limit,
        )

    async def list_all(request: Request) -> wire.ListPage:
        page = containers.page(wire.paging(request), name=request.query_params.get("name"))
        return wire.listed(page, containers.read)

    async def retrieve(request: Request) -> ContainerCreateResponse:
        return containers.get(request.path_params["container_id"])

    async def delete(request: Request) -> wire.Deleted:
        container = containers.get(request.path_params["container_id"])
        await containers.delete(container.id)
        return wire.Deleted(id=container.id, object="container.deleted")

    async def add_file(request: Request) -> FileCreateResponse:
        container = containers.active(request.path_params["container_id"])
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            return await _add_from_form(request, container.id)
        asked = await wire.read_body(request, AddFile)
        file = files.get(asked.file_id)
        return await containers.add(container.id, files.path(file.id), name=file.filename, origin=file.id)

    async def _add_from_form(request: Request, container_id: str) -> FileCreateResponse:
        async with wire.form(request) as form:
            named = form.get("file_id")
            if isinstance(named, str):
                file = files.get(named)
                return await containers.add(container_id, files.path(file.id), name=file.filename, origin=file.id)
            upload = wire.uploaded_file(form)
            with tempfile.NamedTemporaryFile() as spool:
                await asyncio.to_thread(shutil.copyfileobj, upload.file, spool)
                spool.flush()
                return await containers.add(container_id, Path(spool.name), name=wire.safe_filename(upload.filename))

    async def list_files(request: Request) -> wire.ListPage:
        container = containers.active(request.path_params["container_id"])
        return wire.listed(containers.files_page(container.id, wire.paging(request)), read_file)

    async def retrieve_file(request: Request) -> FileCreateResponse:
        container = containers.active(request.path_params["container_id"])
        return containers.file(container.id, request.path_params["file_id"])

    async def file_content(request: Request) -> FileResponse:
        file = await retrieve_file(request)
        containers.touch(file.container_id)
        return FileResponse(
            containers.path(file.container_id, file.id),
            media_type="application/octet-stream",
            filename=filename(file).rpartition("/")[2],
        )

    async def delete_file(request: Request) -> wire.Deleted:
        file = await retrieve_file(request)
        await containers.remove(file.container_id, file.id)
        return wire.Deleted(id=file.id, object="container.file.deleted")

    return [
        wire.route("POST", "/containers", create),
        wire.route("GET", "/containers", list_all),
        wire.route("GET", "/containers/{container_id}", retrieve),
        wire.route("DELETE", "/containers/{container_id}", delete),
        wire.route("POST", "/containers/{container_id}/files", add_file),
        wire.route("GET", "/containers/{container_id}/files", list_files),
        wire.route("GET", "/containers/{container_id}/files/{file_id}", retrieve_file),
        wire.route("DELETE", "/containers/{container_id}/files/{file_id}", delete_file),
        wire.route("GET", "/containers/{container_id}/files/{file_id}/content", file_content),
    ]
