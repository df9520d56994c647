"""What a run may use: the versions to search and the data files, read anew each time it is started at the service.

A conversation at the service keeps what it has read: files in the container of code interpreter, and quotes. When a
document behind it was replaced or deleted, it must not answer from the old version. No API takes a file out of a
container that the service made, so the run begins a new conversation, with the thread's messages as text: the
Responses API reuses the container "that was used by a previous code_interpreter_call item in the model's context", and
there is none; in the Assistants API a container belongs to its thread. Files that were only added go to the old one.

Source: https://platform.openai.com/docs/guides/tools-code-interpreter#containers
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from shared.collections.visibility import CollectionVisibility
from shared.documents.library import Library
from shared.engines.stores import VectorStores
from shared.errors import BadRequest, Busy, NotFound, ServiceBusy, ServiceError
from shared.models.documents import Collection, Document, Version
from shared.models.runs import DataFile, Failure, FileChange, Run, Thread
from shared.runs.data_files import choose, within_limit
from shared.runs.threads import LOST, STALE, Threads


class FileGone(NotFound):
    """A file of the run can no longer be used. `retryable`: its document exists, so a new run can succeed."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message, code="file_gone")
        self.retryable = retryable

    @property
    def failure(self) -> Failure:
        return Failure(code=self.code, message=self.message, retryable=self.retryable)


class Inputs:
    def __init__(self, library: Library, stores: VectorStores, threads: Threads, now: Callable[[], datetime]) -> None:
        self._library = library
        self._stores = stores
        self._threads = threads
        self._now = now

    async def first(self, run: Run, thread: Thread | None) -> tuple[Run, Collection | None]:
        """The run with what it may use now, and its collection, None when there is none yet.

        Raises:
            NotFound: a named document does not exist.
            Busy: a named document has no version that can be used yet.
            BadRequest: a named document is too long for code interpreter.
        """
        now = self._now()  # before the visibility is read: it does not list later versions, so they must not be found
        collection, visibility = await asyncio.gather(
            self._library.collections.find(run.collection), self._library.visibility.of(run.collection)
        )
        files = await self._files(run, visibility, thread)
        changes = await self._changes(thread.held, files) if thread and thread.tail else ()
        tail = thread.tail if thread else None
        run = replace(
            run,
            stores=collection.stores if collection else (),
            files=files,
            sent=tuple(dict.fromkeys((*run.sent, *files))),
            changes=changes,
            previous=LOST if LOST in (run.previous, tail) else STALE if changes else tail,
            as_of=now,
            excluded=visibility.excluded,
            notes=run.notes or _still_indexing(visibility),
        )
        return run, collection

    async def again(self, run: Run) -> Run:
        """The run with what it may use now, as it is started once more, or continued with the outputs of functions.

        Raises:
            FileGone: a named file was deleted or is being replaced; or the run has begun, and a file that it got at
                its start is not current any more.
        """
        if run.engine_run:
            return await self._continued(run)
        thread = await self._threads.find(run.thread_id)
        try:
            started, _ = await self.first(run, thread)
        except FileGone:
            raise
        except (NotFound, BadRequest) as exc:
            raise FileGone(f"A file of the run can no longer be used. {exc.message}", retryable=False) from exc
        except Busy as exc:
            raise FileGone(exc.message, retryable=await self._are_usable_soon(run.named or ())) from exc
        kept = {file.path for file in started.files}
        lost = [file.path for file in run.files if file.path not in kept]
        notes = [f"The data file {path} was not used: it was deleted or cannot be read now." for path in lost]
        return replace(started, notes=tuple(dict.fromkeys((*started.notes, *notes))))

    async def missing(self, run: Run) -> tuple[str, ...]:
        """The ids of the run's files that the service does not have any more. Raises ServiceBusy."""
        found = await asyncio.gather(*(self._exists(file.file_id) for file in run.files))
        return tuple(file.file_id for file, exists in zip(run.files, found, strict=True) if not exists)

    async def _exists(self, file_id: str) -> bool:
        try:
            return await self._stores.has_file(file_id)
        except ServiceBusy:
            raise
        except ServiceError:  # refused for another reason: not known to be missing
            return True

    async def gone(self, run: Run, file_ids: Iterable[str]) -> FileGone:
        """Why the run cannot go on without these files. An optional one does not keep a new run from succeeding."""
        paths = [file.path for file in run.files if file.file_id in set(file_ids)]
        some = ", ".join(paths)
        if run.named is None or await self._are_usable_soon(paths):
            return FileGone(f"{some}: replaced or deleted while the run used it. Ask again.", retryable=True)
        return FileGone(f"{some}: deleted after the question was asked.", retryable=False)

    # ---- data files ----------------------------------------------------------------------------------------------

    async def _files(self, run: Run, visibility: CollectionVisibility, thread: Thread | None) -> tuple[DataFile, ...]:
        """The files for code interpreter: those named, else the data files of the collection that fit the question.

        Files that earlier questions of the thread used are kept while they exist.
        """
        if run.named is not None:
            return tuple([file for path in run.named for file in await self._named_files(path, run.gone)])
        offers: dict[str, Sequence[str]] = {file.path: terms for file, terms in visibility.files.items()}
        kept = [path for path in (thread.files if thread else ()) if path in offers]
        paths = dict.fromkeys([*kept, *choose(run.question, offers)])
        # From the records, which know a new version a moment before the visibility blobs do.
        documents = (await self._documents(paths)).items()
        live = {path: version for path, document in documents if (version := _live(document))}
        # Without a clean copy that the service has lost, figures would be wrong: then the document is not offered.
        usable = {path: v.data_file_ids for path, v in live.items() if not set(v.data_file_ids) & set(run.gone)}
        return within_limit([[DataFile(path=path, file_id=id) for id in ids] for path, ids in usable.items()])

    async def _are_usable_soon(self, paths: Iterable[str]) -> bool:
        documents = (await self._documents(paths)).values()
        return all(document and (document.live or document.incoming) for document in documents)

    async def _documents(self, paths: Iterable[str]) -> dict[str, Document | None]:
        paths = tuple(dict.fromkeys(paths))
        found: list[Document | None] = await asyncio.gather(*map(self._library.catalogue.find, paths))
        return dict(zip(paths, found, strict=True))

    async def _named_files(self, path: str, gone: tuple[str, ...]) -> list[DataFile]:
        document = await self._library.catalogue.find(path)
        if document is None:
            raise NotFound(
                f"There is no document {path!r}. Give its path in the container 'documents', as GET /api/documents "
                "lists it.",
                code="file_not_found",
            )
        if document.live is None:
            why = document.reason.message if document.reason else "It is still being indexed."
            raise Busy(f"The document {path!r} is {document.status}. {why}", code="file_not_ready")
        if len(document.live.parts) > 1:
            raise BadRequest(
                f"The document {path!r} is too long to be given to code interpreter whole: the service has it in "
                f"{len(document.live.parts)} parts. Leave it out of 'files'; file search finds it.",
                code="file_in_parts",
            )
        file_ids = document.live.data_file_ids or document.live.parts
        if set(file_ids) & set(gone):
            message = f"The model service has lost its file of {path!r}. It is being uploaded again; ask later."
            raise FileGone(message, retryable=True)
        return [DataFile(path=path, file_id=file_id) for file_id in file_ids]

    # ---- what has changed ----------------------------------------------------------------------------------------

    async def _continued(self, run: Run) -> Run:
        """A run that has begun cannot leave its container: it keeps its files, or ends."""
        visibility = await self._library.visibility.of(run.collection)
        if changes := await self._changes(run.sent, ()):
            changed = ", ".join(change.path for change in changes)
            retryable = run.named is None or all(change.what == "replaced" for change in changes)
            raise FileGone(f"{changed}: replaced or deleted while the run waited. Ask again.", retryable=retryable)
        return replace(run, as_of=self._now(), excluded=visibility.excluded)

    async def _changes(self, held: Iterable[DataFile], current: Iterable[DataFile]) -> tuple[FileChange, ...]:
        """The documents of these files whose current version has other files, or that do not exist any more."""
        unsure = [file for file in held if file not in set(current)]
        documents = await self._documents(file.path for file in unsure)
        stale = [file.path for file in unsure if file.file_id not in _file_ids(documents[file.path])]
        return tuple(
            FileChange(path=path, what="replaced" if _file_ids(documents[path]) else "deleted")
            for path in dict.fromkeys(stale)
        )


def _live(document: Document | None) -> Version | None:
    return document.live if document and document.status != "removing" else None


def _file_ids(document: Document | None) -> frozenset[str]:
    """Of the live version."""
    live = _live(document)
    return frozenset(live.file_ids) if live else frozenset()


def _still_indexing(visibility: CollectionVisibility) -> tuple[str, ...]:
    """A note for the answer on documents that are being indexed."""
    if not visibility.indexing:
        return ()
    some = "One document was" if visibility.indexing == 1 else f"{visibility.indexing:,} documents were"
    return (f"{some} still being indexed in this collection when the question was asked.",)
