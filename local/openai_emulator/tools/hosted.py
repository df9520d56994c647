"""The tools that the service hosts, on this emulator's vector stores and containers."""

from __future__ import annotations

from collections.abc import Sequence

from openai.types.responses import FileSearchTool

from local.openai_emulator.agent.conversation import OutputFile, Ran, Searched
from local.openai_emulator.agent.tools import ToolBroken
from local.openai_emulator.containers.workspace import Workspace
from local.openai_emulator.errors import ApiError
from local.openai_emulator.http import wire
from local.openai_emulator.vector_stores.stores import VectorStores


class HostedTools:
    """File search and code interpreter of one response or run."""

    def __init__(
        self, *, stores: VectorStores, searches: Sequence[FileSearchTool], workspace: Workspace | None
    ) -> None:
        self._stores = stores
        self._searches = searches
        self._workspace = workspace

    async def search(self, queries: Sequence[str]) -> Searched:
        passages = []
        for tool in self._searches:
            ranking = tool.ranking_options
            try:
                passages += await self._stores.search(
                    tool.vector_store_ids,
                    queries,
                    limit=tool.max_num_results or 20,
                    filters=wire.dump(tool.filters) if tool.filters else None,
                    score_threshold=(ranking.score_threshold if ranking else None) or 0.0,
                )
            except ApiError as exc:
                raise ToolBroken(exc.message) from exc
        passages.sort(key=lambda passage: -passage.score)
        return Searched(queries=tuple(queries), passages=tuple(passages))

    async def run(self, code: str) -> Ran:
        if self._workspace is None:
            raise ToolBroken("There is no code interpreter.")
        return await self._workspace.run(code)

    async def container_id(self) -> str:
        """The id of the container, created if needed; '' if that fails, and then `run` reports the reason."""
        if self._workspace is None:
            return ""
        try:
            return await self._workspace.open()
        except ApiError:
            return self._workspace.container_id or ""

    @property
    def known_container_id(self) -> str | None:
        """The id of the container, or None while there is none."""
        return self._workspace.container_id if self._workspace else None

    def image(self, file: OutputFile) -> bytes:
        """The content of an image that code created."""
        return self._workspace.path(file).read_bytes() if self._workspace else b""
