"""Thread records, their tool resources and containers. `thread_routes.py` has the HTTP routes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from openai.types.beta import Thread
from openai.types.beta.threads.message import Attachment

from local.openai_emulator.assistants.resources import (
    MOST_CODE_FILES,
    THREAD_STORE_DAYS,
    CreateResources,
    Resources,
    ToolResources,
    code_file_ids,
)
from local.openai_emulator.containers.containers import Containers
from local.openai_emulator.errors import invalid, not_found
from local.openai_emulator.http import wire
from local.openai_emulator.store import Body, Store

KIND = "thread"


class Threads:
    def __init__(
        self, *, store: Store, resources: ToolResources, containers: Containers, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._resources = resources
        self._containers = containers
        self._clock = clock

    def create(self, *, metadata: dict[str, str] | None, resources: CreateResources | None) -> Thread:
        """Create a thread; the caller has checked the resources."""
        made_resources, made = self._resources.make(resources, days=THREAD_STORE_DAYS)
        thread = Thread.model_validate(
            {
                "id": wire.new_id("thread_"),
                "object": "thread",
                "created_at": int(self._clock()),
                "metadata": metadata or {},
                "tool_resources": made_resources,
            }
        )
        self._store.put(KIND, thread.id, {"thread": wire.dump(thread), "container_id": None, "made": made})
        return thread

    def get(self, thread_id: str) -> Thread:
        """Raises ApiError 404."""
        return Thread.model_validate(self._body(thread_id)["thread"])

    def change(self, thread_id: str, **fields: Any) -> Thread:
        body = self._body(thread_id)
        thread = Thread.model_validate({**body["thread"], **fields})
        self._store.put(KIND, thread_id, {**body, "thread": wire.dump(thread)})
        return thread

    def remove(self, thread_id: str) -> Body:
        """Delete the record, so no message or run can be added any more; returns it for `drop`."""
        body = self._body(thread_id)
        self._store.delete(KIND, thread_id)
        return body

    async def drop(self, removed: Body) -> None:
        """Delete a removed thread's container and the vector stores created for it; files are kept."""
        if removed["container_id"]:
            await self._containers.delete(removed["container_id"])
        await self._resources.drop_stores(removed["made"])

    def _body(self, thread_id: str) -> Body:
        body = self._store.get(KIND, thread_id)
        if body is None:
            raise not_found("thread", thread_id)
        return body

    # ---- for messages and runs ---------------------------------------------------------------------------------

    def resources(self, thread_id: str) -> Resources:
        resources: Resources = self._body(thread_id)["thread"]["tool_resources"]
        return resources

    def container_id(self, thread_id: str) -> str | None:
        """The container that the thread's code ran in; None if it has expired or there is none."""
        container_id: str | None = self._body(thread_id)["container_id"]
        return container_id if container_id and self._containers.is_active(container_id) else None

    def keep_container(self, thread_id: str, container_id: str | None) -> None:
        """Record the container for later runs."""
        body = self._store.get(KIND, thread_id)
        if body is not None and container_id:
            self._store.put(KIND, thread_id, {**body, "container_id": container_id})

    def check_attachments(self, attachments: Iterable[Attachment], *, before: Resources) -> None:
        """Raises ApiError: a file does not exist, or there are too many for the code interpreter."""
        attachments = list(attachments)
        self._resources.check_files(_file_ids(attachments))
        if len({*code_file_ids(before), *_file_ids(attachments, "code_interpreter")}) > MOST_CODE_FILES:
            message = f"A thread can give the code interpreter at most {MOST_CODE_FILES} files."
            raise invalid(message, param="attachments")

    def attach(self, thread_id: str, attachments: Iterable[Attachment]) -> None:
        """Add the files of a message to the thread's tool resources; the caller has checked them."""
        attachments = list(attachments)
        body = self._body(thread_id)
        resources: Resources = body["thread"]["tool_resources"]
        if for_code := _file_ids(attachments, "code_interpreter"):
            resources["code_interpreter"] = {"file_ids": list(dict.fromkeys([*code_file_ids(resources), *for_code]))}
        for file_id in _file_ids(attachments, "file_search"):
            body["made"] += self._resources.add_searchable(resources, file_id)
        self._store.put(KIND, thread_id, body)


def _file_ids(attachments: Iterable[Attachment], tool: str | None = None) -> list[str]:
    """The ids of the attached files; with `tool`, only of those for that tool."""
    return [
        one.file_id or "" for one in attachments if tool is None or any(given.type == tool for given in one.tools or ())
    ]
