"""Writes a run's answer to the container `answers`: charts first, then `answer.md`, then `answer.json` once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from shared.collections.attributes import Source, source_of
from shared.collections.texts import Texts
from shared.documents.catalogue import Catalogue
from shared.engines.base import Annotation, Engine, MadeFile, Output
from shared.engines.stores import Attributes, Passage, VectorStores
from shared.errors import BlobChanged, BlobMissing, ServiceBusy, ServiceError, ServiceMissing
from shared.formats.filetypes import ending_of
from shared.logs import event
from shared.models.runs import Answer, Chart, Citation, OutputFile, Run, Timings
from shared.runs.answers import (
    distinct,
    link,
    markdown_of,
    media_type_of,
    numbered,
    safe_filename,
    with_own_names,
    without_active_content,
)
from shared.runs.citations import citations_of, note_on_sources, numbered_citations, placed
from shared.runs.costs import Prices, cost_of

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

log = logging.getLogger(__name__)

FETCH_TRIES = 4  # looks at which a failed download of a file is repeated


class Unfinished(Exception):
    """A file cannot be downloaded now, but possibly later: look at the run again."""


@dataclass(frozen=True, kw_only=True)
class _SavedFiles:
    """The files of code interpreter that were written to `answers`, and notes on those that were not."""

    charts: tuple[Chart, ...] = ()
    outputs: tuple[OutputFile, ...] = ()
    notes: tuple[str, ...] = ()

    def paths(self) -> dict[str, str]:
        """File name in the sandbox -> path in `answers`."""
        return {file.filename: file.path for file in self.outputs} | {file.filename: file.path for file in self.charts}


class Publisher:
    def __init__(
        self,
        answers: Blobs,
        engine: Engine,
        stores: VectorStores,
        catalogue: Catalogue,
        texts: Texts,
        prices: Prices,
        now: Callable[[], datetime],
    ) -> None:
        self._answers = answers
        self._engine = engine
        self._stores = stores
        self._catalogue = catalogue
        self._texts = texts
        self._prices = prices
        self._now = now

    async def publish(self, run: Run, output: Output | None) -> Answer:
        """Write the answer. If `answer.json` exists already, return its content and write nothing.

        Args:
            output: Of the engine; None if it has none, as when the run was cancelled.

        Raises:
            Unfinished: a file cannot be downloaded now. `answer.md` and `answer.json` were not written.
        """
        with suppress(BlobMissing):
            return await self.read(run.id)
        saved = await self._save(run, output) if output else _SavedFiles()
        answer = await self._compose(run, output, saved) if output else _answer_without_output(run)
        await self._write_markdown(answer)
        try:
            await self._answers.write(
                f"{run.id}/answer.json", msgspec.json.encode(answer), media_type="application/json", if_none_match="*"
            )
        except BlobChanged:  # another poller was first: answer.md must match its answer.json
            answer = await self.read(run.id)
            await self._write_markdown(answer)
        return answer

    async def _write_markdown(self, answer: Answer) -> None:
        text = await asyncio.to_thread(markdown_of, answer)
        await self._answers.write(f"{answer.id}/answer.md", text.encode(), media_type="text/markdown")

    async def read(self, run_id: str) -> Answer:
        """Raises BlobMissing if the run has no answer."""
        blob = await self._answers.read(f"{run_id}/answer.json")
        return msgspec.json.decode(blob.content, type=Answer)

    async def withdraw(self, run_id: str) -> None:
        """Delete all blobs of a run in `answers`."""
        async for blob in self._answers.list(f"{run_id}/"):
            await self._answers.delete(blob.name)

    async def chart(self, chart: Chart) -> bytes:
        return (await self._answers.read(chart.path)).content

    async def _save(self, run: Run, output: Output) -> _SavedFiles:
        may_retry = run.fetch_tries < FETCH_TRIES
        if output.unlisted and may_retry:
            raise Unfinished(f"The files of {', '.join(output.unlisted)} cannot be listed now.")
        saved = _SavedFiles(
            notes=tuple(f"The files of {container} could not be listed." for container in output.unlisted)
        )
        for n, file in numbered(distinct(output.made)):
            try:
                content = await self._engine.download(file)
            except ServiceError as exc:
                # It is listed, so a service that says it does not exist may be wrong; unless its container has expired.
                if isinstance(exc, ServiceBusy | ServiceMissing) and may_retry:
                    raise Unfinished(exc.message) from exc
                note = f"The file {file.filename} of code interpreter could not be downloaded: {exc.message}"
                saved = replace(saved, notes=(*saved.notes, note))
            else:
                saved = await self._save_one(run, n, file, content, saved)
        return saved

    async def _save_one(self, run: Run, n: int, file: MadeFile, content: bytes, saved: _SavedFiles) -> _SavedFiles:
        media_type = media_type_of(file.filename)
        name = f"charts/{n}.{ending_of(file.filename)}" if media_type else f"files/{n}-{safe_filename(file.filename)}"
        path = f"{run.id}/{name}"
        await self._answers.write(path, content, media_type=media_type or "application/octet-stream")
        if media_type:
            chart = Chart(n=n, path=path, filename=file.filename, media_type=media_type, size_bytes=len(content))
            return replace(saved, charts=(*saved.charts, chart))
        made = OutputFile(path=path, filename=file.filename, size_bytes=len(content))
        return replace(saved, outputs=(*saved.outputs, made))

    async def _compose(self, run: Run, output: Output, saved: _SavedFiles) -> Answer:
        documents = await self._documents(run, output)
        named, position_named = with_own_names(
            output.text, [file.path for file in run.files], found=[source.path for source in documents.values()]
        )
        text, new_position = link(named, saved.paths())
        annotations = [replace(a, position=new_position(position_named(a.position))) for a in output.annotations]
        citations = await self._citations(text, annotations, output.passages, documents)
        read = await self._notes_on_tables(run) if output.usage.code_interpreter_calls else ()
        changed = await self._notes_on_changes(run.collection, citations)
        notes = (*run.notes, *read, *saved.notes, *changed, *note_on_sources(run, output, citations))
        answer = replace(
            _answer_without_output(run),
            model=output.model,
            model_metadata=dict(output.metadata),
            answer=text,
            citations=citations,
            charts=saved.charts,
            outputs=saved.outputs,
            usage=output.usage,
            cost=cost_of(output.usage, self._prices),
            notes=notes,
        )
        return await asyncio.to_thread(without_active_content, answer)

    async def _citations(
        self,
        text: str,
        annotations: Sequence[Annotation],
        passages: Sequence[Passage],
        documents: Mapping[str, Source],
    ) -> tuple[Citation, ...]:
        """The citations, each quote looked up in the app's text of the cited version."""
        found = await asyncio.to_thread(lambda: list(citations_of(text, annotations, passages, documents)))
        versions = {(citation.document, citation.etag) for citation, _ in found if citation.etag}
        indexes = {(path, etag): await self._texts.of(path, etag) for path, etag in versions}

        def look_up() -> tuple[Citation, ...]:
            return tuple(
                numbered_citations(
                    placed(citation, passage, indexes.get((citation.document, citation.etag or "")))
                    for citation, passage in found
                )
            )

        return await asyncio.to_thread(look_up)

    async def _notes_on_tables(self, run: Run) -> tuple[str, ...]:
        """How the data files of an answer were read, as far as that matters."""
        notes = []
        for path in dict.fromkeys(file.path for file in run.files):
            document = await self._catalogue.find(path)
            used = {file.file_id for file in run.files}
            versions = [document.live, *document.retired] if document else []
            notes += [f"{path}: {v.notice.message}" for v in versions if v and v.notice and used & set(v.data_file_ids)]
        return tuple(notes)

    async def _notes_on_changes(self, collection: str, citations: Sequence[Citation]) -> tuple[str, ...]:
        """What has changed in the container, and the app has no record of yet: its events come later."""
        if not citations:
            return await self._note_on_new_documents(collection)
        versions = {citation.document: citation.etag for citation in citations if citation.etag}
        outdated = await self._catalogue.outdated(versions)
        return tuple(
            f"{path} was {how} meanwhile: this answer cites the old version." for path, how in outdated.items()
        )

    async def _note_on_new_documents(self, collection: str) -> tuple[str, ...]:
        """A note for an answer without citations: uploads that the app has no record of yet were not searched."""
        count = len(await self._catalogue.without_record(collection))
        some = "One document was" if count == 1 else f"{count:,} documents were"
        return (f"{some} not yet registered in this collection when the question was answered.",) if count else ()

    async def _documents(self, run: Run, output: Output) -> dict[str, Source]:
        """File id -> the document version it was made from, for every cited file."""
        attributes = {p.file_id: p.attributes for p in output.passages if source_of(p.attributes)}
        for annotation in output.annotations:  # it can cite a file that an earlier run of the thread found
            if annotation.file_id in attributes:
                continue
            if found := await self._attributes(run, annotation.file_id):
                attributes[annotation.file_id] = found
        return {file_id: source for file_id, pairs in attributes.items() if (source := source_of(pairs))}

    async def _attributes(self, run: Run, file_id: str) -> Attributes | None:
        """None if the file is in none of the run's vector stores any more."""
        for store_id in run.stores:
            try:
                return await self._stores.attributes(store_id, file_id)
            except ServiceError as exc:
                event(log, logging.INFO, "citation.unresolved", run_id=run.id, store_id=store_id, why=exc.message)
        return None


def _answer_without_output(run: Run) -> Answer:
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
        assistant=run.assistant,
        files=tuple(dict.fromkeys(file.path for file in run.files)),
        metadata=run.metadata,
        steps=run.activity,
        notes=run.notes,
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
