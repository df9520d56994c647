"""The container of one response or run, created when code first runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from local.openai_emulator.agent.conversation import DataFile, OutputFile, Ran
from local.openai_emulator.agent.tools import ToolBroken
from local.openai_emulator.containers.containers import Containers, filename, free_name
from local.openai_emulator.errors import ApiError
from local.openai_emulator.files.files import Files


class Workspace:
    """The code interpreter of one response or run: creates its container, or reuses an earlier one, when code runs."""

    def __init__(
        self,
        *,
        containers: Containers,
        files: Files,
        container_id: str | None = None,
        file_ids: Sequence[str] = (),
        memory_limit: str | None = None,
    ) -> None:
        """`container_id`: the one the caller named, or one that an earlier response of the conversation used.

        Raises:
            ApiError: 404, a file does not exist.
        """
        self._containers = containers
        self._file_ids = tuple(dict.fromkeys(file_ids))
        self._memory_limit = memory_limit
        self.container_id = container_id
        self.data_files = self._data_files(files)

    def _data_files(self, files: Files) -> tuple[DataFile, ...]:
        data_files = []
        missing = list(self._file_ids)
        if self.container_id is not None:
            missing = self._containers.missing(self.container_id, missing)
            data_files = [
                DataFile(filename=filename(file), size_bytes=file.bytes)
                for file in self._containers.files(self.container_id)
            ]
        for file_id in missing:
            file = files.get(file_id)
            name = free_name(file.filename, {one.filename for one in data_files})
            data_files.append(DataFile(filename=name, size_bytes=file.bytes))
        return tuple(data_files)

    async def open(self) -> str:
        """Create the container if needed, copy all files into it, and return its id."""
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
        """The path, on this machine, of a file that code created."""
        return self._containers.path(file.container_id, file.file_id)
