"""A run's answer on its way into the container `answers`: charts first, `answer.json` last and once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from shared.answers import citations_of, distinct, link, markdown_of, media_type_of, safe_filename
from shared.costs import Prices, cost_of
from shared.engines.base import Engine, MadeFile, Output, VectorStores
from shared.errors import BlobChanged, ServiceBusy, ServiceError
from shared.filetypes import path_of
from shared.models import Answer, Chart, OutputFile, Run, Timings

if TYPE_CHECKING:
    from shared.storage import Blobs

log = logging.getLogger(__name__)

FETCH_TRIES = 4  # looks at which a file that the service could not give just now is asked for again


class Unfinished(Exception):
    """A file could not be fetched now, but may be later: come back."""


@dataclass(frozen=True, kw_only=True)
class _Saved:
    charts: tuple[Chart, ...] = ()
    outputs: tuple[OutputFile, ...] = ()
    notes: tuple[str, ...] = ()

    def paths(self) -> dict[str, str]:
        """Name in the sandbox -> path in `answers`."""
        return {file.filename: file.path for file in self.outputs} | {file.filename: file.path for file in self.charts}


class Publisher:
    def __init__(
        self, *, answers: Blobs, engine: Engine, stores: VectorStores, prices: Prices, now: Callable[[], datetime]
    ) -> None:
        self._answers = answers
        self._engine = engine
        self._stores = stores
        self._prices = prices
        self._now = now

    async def publish(self, run: Run, output: Output | None) -> Answer:
        """Write everything, or answer what was written before.

        Raises:
            Unfinished: a chart cannot be had at this moment; nothing but charts was written.
        """
        saved = await self._save(run, output.made) if output else _Saved()
        answer = await self._compose(run, output, saved) if output else _bare(run)
        await self._answers.write(f"{run.id}/answer.md", markdown_of(answer).encode(), media_type="text/markdown")
        try:
            await self._answers.write(
                f"{run.id}/answer.json", msgspec.json.encode(answer), media_type="application/json", if_none_match="*"
            )
        except BlobChanged:
            return await self.read(run.id)
        return answer

    async def read(self, run_id: str) -> Answer:
        """Raises BlobMissing while there is none."""
        blob = await self._answers.read(f"{run_id}/answer.json")
        return msgspec.json.decode(blob.content, type=Answer)

    async def chart(self, chart: Chart) -> bytes:
        return (await self._answers.read(chart.path)).content

    async def _save(self, run: Run, made: tuple[MadeFile, ...]) -> _Saved:
        saved = _Saved()
        for file in distinct(made):
            try:
                content = await self._engine.download(file)
            except ServiceBusy as exc:
                if run.faults + 1 < FETCH_TRIES:
                    raise Unfinished(exc.message) from exc
                saved = _lost(saved, file, exc)
            except ServiceError as exc:
                saved = _lost(saved, file, exc)
            else:
                saved = await self._save_one(run, file, content, saved)
        return saved

    async def _save_one(self, run: Run, file: MadeFile, content: bytes, saved: _Saved) -> _Saved:
        if media_type := media_type_of(file.filename):
            n = len(saved.charts) + 1
            path = f"{run.id}/charts/{n}.{file.filename.rsplit('.', 1)[-1].lower()}"
            await self._answers.write(path, content, media_type=media_type)
            chart = Chart(n=n, path=path, filename=file.filename, media_type=media_type, size_bytes=len(content))
            return replace(saved, charts=(*saved.charts, chart))
        name = safe_filename(file.filename)
        if any(output.path.endswith(f"/files/{name}") for output in saved.outputs):  # of another folder or container
            name = f"{len(saved.outputs) + 1}-{name}"
        path = f"{run.id}/files/{name}"
        await self._answers.write(path, content, media_type="application/octet-stream")
        output = OutputFile(path=path, filename=file.filename, size_bytes=len(content))
        return replace(saved, outputs=(*saved.outputs, output))

    async def _compose(self, run: Run, output: Output, saved: _Saved) -> Answer:
        text, moved = link(output.text, saved.paths())
        documents = await self._documents(run, output)
        marks = [replace(mark, position=moved(mark.position)) for mark in output.marks]
        return replace(
            _bare(run),
            model=output.model,
            model_metadata=dict(output.metadata),
            answer=text,
            citations=await asyncio.to_thread(citations_of, text, marks, output.passages, documents),
            charts=saved.charts,
            outputs=saved.outputs,
            usage=output.usage,
            cost=cost_of(output.usage, self._prices),
            notes=saved.notes,
        )

    async def _documents(self, run: Run, output: Output) -> dict[str, tuple[str, str | None]]:
        """File id -> path and etag, of every file the answer cites."""
        attributes = {passage.file_id: passage.attributes for passage in output.passages}
        for mark in output.marks:  # an answer may rest on what an earlier one of its thread found
            if mark.file_id not in attributes and run.store_id:
                try:
                    attributes[mark.file_id] = await self._stores.attributes(run.store_id, mark.file_id)
                except ServiceError as exc:
                    log.warning("citation.unresolved", extra={"run_id": run.id, "why": exc.message})
        found = {}
        for file_id, pairs in attributes.items():
            if path := path_of(pairs):
                etag = pairs.get("etag")
                found[file_id] = (path, etag if isinstance(etag, str) else None)
        return found


def _lost(saved: _Saved, file: MadeFile, exc: ServiceError) -> _Saved:
    note = f"The file {file.filename} that the code made could not be fetched: {exc.message}"
    return replace(saved, notes=(*saved.notes, note))


def _bare(run: Run) -> Answer:
    """What can be said of a run without its engine's output."""
    finished_at = run.finished_at or run.created_at
    started_at = run.started_at or finished_at
    return Answer(
        id=run.id,
        thread_id=run.thread_id,
        status=run.status,
        question=run.question,
        collection=run.collection,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=finished_at,
        files=tuple(file.path for file in run.files),
        metadata=run.metadata,
        error=run.error,
        timings=Timings(
            queued_ms=_ms(run.created_at, started_at),
            run_ms=_ms(started_at, finished_at),
            total_ms=_ms(run.created_at, finished_at),
            looks=run.looks,
        ),
    )


def _ms(start: datetime, end: datetime) -> int:
    return max(round((end - start).total_seconds() * 1000), 0)
