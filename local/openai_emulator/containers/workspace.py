"""DOC."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from local.openai_emulator.agent.conversation import DataFile, OutputFile, Ran
from local.openai_emulator.agent.tools import ToolBroken
from local.openai_emulator.containers.containers import Containers, filename, free_name
from local.openai_emulator.errors import ApiError
from local.openai_emulator.files.files import Files


class Workspace:
    """The code interpreter of one response: its container is made, or found again, when code first runs."""

    def __init__(
        self,
        *,
        containers: Containers,
        files: Files,
        container_id: str | None = None,
        file_ids: Sequence[str] = (),
        memory_limit: str | None = None,
    ) -> None:
        """`container_id`: the caller's own, or one an earlier response of the chain used.

        Raises:
            ApiError: 404, one of the files is not there.
        """
        self._containers = containers
        self._file_ids = tuple(dict.fromkeys(file_ids))
        self._memory_limit = memory_limit
        self.container_id = container_id
        self.data_files = self._data_files(files)

    def _data_files(self, files: Files) -> tuple[DataFile, ...]:
        ready = []
        missing = list(self._file_ids)
        if self.container_id is not None:
            missing = self._containers.missing(self.container_id, missing)
            ready = [
                DataFile(filename=filename(file), size_bytes=file.bytes)
                for file in self._containers.files(self.container_id)
            ]
        for file_id in missing:
            file = files.get(file_id)
            name = free_name(file.filename, {one.filename for one in ready})
            ready.append(DataFile(filename=name, size_bytes=file.bytes))
        return tuple(ready)

    async def open(self) -> str:
        """The container's id; every file is in it."""
        if self.container_id is None:
            container = await self._containers.create(
                name="auto", file_ids=self._file_ids, memory_limit=self._memory_limit
            )
            self.container_id = container.id
        else:
            await self._containers.add_uploaded(self.container_id, self._file_ids)
        return self.container_id

    async def run(self, code: str) -> Ran:
        """Raises ToolBroken."""
        try:
            return await self._containers.run(await self.open(), code)
        except ApiError as exc:
            raise ToolBroken(exc.message) from exc

    def path(self, file: OutputFile) -> Path:
        """Where the content of a file that code made lies."""
        return self._containers.path(file.container_id, file.file_id)
