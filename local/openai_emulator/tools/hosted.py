"""DOC."""

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
    """Carries out the model's steps for one response."""

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
        """The container the code runs in, made now if need be; '' if that cannot be (the run will say why)."""
        if self._workspace is None:
            return ""
        try:
            return await self._workspace.open()
        except ApiError:
            return self._workspace.container_id or ""

    @property
    def known_container_id(self) -> str | None:
        return self._workspace.container_id if self._workspace else None

    def image(self, file: OutputFile) -> bytes:
        return self._workspace.path(file).read_bytes() if self._workspace else b""
