"""File search with filters: as the service takes them, and where it refuses them or the search itself.

Azure's operation `vector_stores/{id}/search` answers 404 or 400 to tokens of Entra ID on some resources. There, a
response that uses file search finds the same passages, for the price of a model call.
Source: https://github.com/Azure/azure-sdk-for-python/issues/45962
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from openai import AsyncOpenAI
from openai.types.responses import ResponseFileSearchToolCall

from shared.engines.client import translated
from shared.engines.stores import DOCUMENT, Passage, Within
from shared.errors import ServiceBusy, ServiceError, ServiceMissing
from shared.logs import event

log = logging.getLogger(__name__)

AS_IT_IS = "Search the files for the user's text, exactly as it is written. Then answer with the word: done."


class Filters:
    """`Within` as the filter object of file search. Services without the operator `nin` get one `ne` for each value."""

    def __init__(self) -> None:
        self._has_nin = True

    def of(self, within: Within) -> dict[str, Any]:
        return filters_of(within, nin=self._has_nin)

    def drop(self, within: Within | None, exc: ServiceError) -> bool:
        """Whether the service may have refused the operator: the filter is then written without it from now on."""
        if isinstance(exc, ServiceBusy | ServiceMissing) or not (within and within.excluded and self._has_nin):
            return False
        self._has_nin = re.search(r"filter|\bnin\b", f"{exc.param or ''} {exc.message}") is None
        return not self._has_nin


class Searcher:
    def __init__(self, client: AsyncOpenAI, model: str) -> None:
        self._client = client
        self._model = model
        self._filters = Filters()
        self._by_response = False

    async def search(self, store_id: str, query: str, *, limit: int, within: Within) -> list[Passage]:
        """The most relevant chunks. Raises ServiceMissing only when the store itself is missing."""
        try:
            return await self._search(store_id, query, limit=limit, within=within)
        except ServiceError as exc:
            if self._by_response or not (self._filters.drop(within, exc) or await self._is_refused(store_id, exc)):
                raise
        return await self._search(store_id, query, limit=limit, within=within)

    async def _is_refused(self, store_id: str, exc: ServiceError) -> bool:
        """Whether the service has the store, but not this operation."""
        if isinstance(exc, ServiceMissing):
            with translated(f"retrieving {store_id}"):
                await self._client.vector_stores.retrieve(store_id)
        elif exc.code != "tokens_not_supported":
            return False
        self._by_response = bool(self._model)
        event(log, logging.WARNING, "search.by_response", store_id=store_id, why=exc.message)
        return self._by_response

    async def _search(self, store_id: str, query: str, *, limit: int, within: Within) -> list[Passage]:
        filters = cast(Any, self._filters.of(within))
        with translated("searching the documents"):
            if self._by_response:
                return await self._ask(store_id, query, limit=limit, filters=filters)
            page = await self._client.vector_stores.search(
                store_id, query=query, max_num_results=limit, filters=filters
            )
            return [
                Passage(
                    file_id=found.file_id,
                    filename=found.filename,
                    text="\n".join(content.text for content in found.content),
                    score=found.score,
                    attributes=found.attributes or {},
                )
                for found in page.data
            ]

    async def _ask(self, store_id: str, query: str, *, limit: int, filters: Any) -> list[Passage]:
        response = await self._client.responses.create(
            model=self._model,
            input=query,
            instructions=AS_IT_IS,
            tools=[
                {
                    "type": "file_search",
                    "vector_store_ids": [store_id],
                    "max_num_results": limit,
                    "filters": filters,
                }
            ],
            tool_choice={"type": "file_search"},
            include=["file_search_call.results"],
            store=False,
        )
        searches = [item for item in response.output if isinstance(item, ResponseFileSearchToolCall)]
        best: dict[tuple[str, str], Passage] = {}  # several queries of the model can find the same chunk
        for passage in passages_of(searches):
            key = (passage.file_id, passage.text)
            if key not in best or best[key].score < passage.score:
                best[key] = passage
        return sorted(best.values(), key=lambda passage: -passage.score)[:limit]


def filters_of(within: Within, *, nin: bool = True) -> dict[str, Any]:
    """`Within` as the filter object of file search."""
    parts: list[Mapping[str, Any]] = [{"type": "lte", "key": "since", "value": within.as_of.timestamp()}]
    paths = [item.removeprefix(DOCUMENT) for item in within.excluded if item.startswith(DOCUMENT)]
    versions = [item for item in within.excluded if not item.startswith(DOCUMENT)]
    for key, values in (("version", versions), ("path", paths)):
        if nin and values:
            parts.append({"type": "nin", "key": key, "value": values})
        elif values:
            parts.extend({"type": "ne", "key": key, "value": value} for value in values)
    if within.where:
        parts.append(within.where)
    return {"type": "and", "filters": parts}


def passages_of(searches: Iterable[ResponseFileSearchToolCall]) -> Iterator[Passage]:
    for search in searches:
        for result in search.results or ():
            if result.file_id and result.text:
                yield Passage(
                    file_id=result.file_id,
                    filename=result.filename or "",
                    text=result.text,
                    score=result.score or 0.0,
                    attributes=result.attributes or {},
                )
