"""What must hold after the chaos. Pure: it claims only what the clients' own history and the aftermath prove."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.contents import Item, shown
from tests.chaos.history import History, Operation, Question

TERMINAL = frozenset({"cancelled", "completed", "incomplete", "failed", "expired"})
LASTING = frozenset({"mixed", "stale", "deleted", "two_runs", "two_ends", "cancelled_unasked", "failed_for_good"})


@dataclass(frozen=True, kw_only=True)
class Violation:
    """Something that must not be. `path` and `run_id` say whose history explains it."""

    kind: str
    detail: str
    path: str | None = None
    run_id: str | None = None

    @property
    def lasts(self) -> bool:
        """Whether waiting longer cannot mend it."""
        return self.kind in LASTING


@dataclass(frozen=True, kw_only=True)
class RunFound:
    """A run as storage has it after the chaos."""

    status: str
    key: str  # its Idempotency-Key, which its metadata repeats
    answers: int = 0  # blobs `answer.json`
    answer_status: str | None = None
    text: str = ""  # all text that the caller can see
    error: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """What was found after the healing. An entry is a pair of store id and file id."""

    runs: dict[str, RunFound] = field(default_factory=dict)
    callbacks: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # run id -> webhook id, status
    removals_told: dict[str, list[str]] = field(default_factory=dict)  # receipt id -> webhook ids
    blobs: dict[str, str] = field(default_factory=dict)  # path -> etag
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)  # path -> record
    found: dict[str, set[int]] = field(default_factory=dict)  # path -> versions that a search finds
    files: dict[str, str] = field(default_factory=dict)  # id -> file name
    entries: frozenset[tuple[str, str]] = frozenset()
    indexed: frozenset[tuple[str, str]] = frozenset()  # in the index, also what no entry names
    lone_chunks: int = 0  # of no file
    stores: frozenset[str] = frozenset()
    known_stores: frozenset[str] = frozenset()
    receipts: list[dict[str, Any]] = field(default_factory=list)
    messages: dict[str, int] = field(default_factory=dict)  # queue -> messages, hidden ones too
    active: list[str] = field(default_factory=list)  # markers of runs that have not ended
    lone_threads: list[str] = field(default_factory=list)  # threads that no run names
    drift: list[dict[str, Any]] = field(default_factory=list)  # of a dry run of reconcile


def violations(history: History, after: Aftermath, items: Iterable[Item]) -> list[Violation]:
    items = list(items)
    return [
        *answers(history, after, items),
        *runs(history, after),
        *callbacks(after),
        *documents(history, after),
        *service(after, [item.path for item in items]),
        *leftovers(after),
    ]


# ---- answers ---------------------------------------------------------------------------------------------------------


def answers(history: History, after: Aftermath, items: list[Item]) -> Iterator[Violation]:
    """No answer mixes versions, or shows one that was replaced or deleted before the question was sent."""
    for run_id, run in after.runs.items():
        question = history.question_of(run_id)
        for path, versions in shown(run.text, items).items():
            if len(versions) > 1:
                detail = f"The answer shows the versions {sorted(versions)}."
                yield Violation(kind="mixed", detail=detail, path=path, run_id=run_id)
            for version in sorted(versions) if question else ():
                assert question
                yield from _outdated(history, question, path, version, run_id)


def _outdated(history: History, question: Question, path: str, version: int, run_id: str) -> Iterator[Violation]:
    put = next((put for put in history.puts(path) if put.version == version), None)
    if put is None:
        return  # it is not known when it was written
    for kind, at_s, what in (*_replaced(history, put), *_deleted(history, put)):
        if at_s < question.sent_s:
            detail = f"It shows version {version}; {what} at {at_s:.2f} s, and it was asked at {question.sent_s:.2f} s."
            yield Violation(kind=kind, detail=detail, path=path, run_id=run_id)
            return


def _replaced(history: History, put: Operation) -> Iterator[tuple[str, float, str]]:
    """When a newer version was listed as indexed."""
    newer = {o.etag: o.version for o in history.puts(put.path) if o.sent_s >= put.ended_s}
    for seen in history.seen:
        if seen.path == put.path and seen.status == "indexed" and seen.answers_etag in newer:
            yield "stale", seen.ended_s, f"version {newer[seen.answers_etag]} was listed as indexed"


def _deleted(history: History, put: Operation) -> Iterator[tuple[str, float, str]]:
    """When a deletion was answered by the app; one in storage counts from when the document is not listed."""
    for o in history.operations:
        if o.path == put.path and o.kind == "delete" and o.outcome == "done" and o.sent_s >= put.ended_s:
            if o.via == "http":
                yield "deleted", o.ended_s, "its DELETE was answered"
                continue
            for seen in history.seen:
                if seen.path == put.path and seen.status is None and seen.sent_s > o.ended_s:
                    yield "deleted", seen.ended_s, "it was deleted and no longer listed"


# ---- runs ------------------------------------------------------------------------------------------------------------


def runs(history: History, after: Aftermath) -> Iterator[Violation]:
    """Each accepted run has one end and one answer; each key has one run."""
    of_key = Counter(run.key for run in after.runs.values())
    for question in history.questions:
        ids = sorted(question.run_ids | {i for i, run in after.runs.items() if run.key == question.key})
        if len(ids) > 1 or of_key[question.key] > 1:
            yield Violation(kind="two_runs", detail=f"The key {question.key} has the runs {ids}.", run_id=ids[0])
        for run_id in sorted(question.run_ids - after.runs.keys()):
            yield Violation(kind="lost_run", detail="It was accepted and has no record.", run_id=run_id)
    for run_id, run in after.runs.items():
        for kind, detail in _ends(history, run_id, run):
            yield Violation(kind=kind, detail=detail, run_id=run_id)


def _ends(history: History, run_id: str, run: RunFound) -> Iterator[tuple[str, str]]:
    question = history.question_of(run_id)
    if run.status not in TERMINAL:
        yield "no_end", f"The run is {run.status}."
        return
    if run.answers != 1:
        yield "no_answer", f"The run is {run.status} and has {run.answers} answer.json."
    elif run.answer_status != run.status:
        yield "two_ends", f"The run is {run.status}, its answer {run.answer_status}."
    earlier = {look.status for look in history.looks if look.run_id == run_id and look.status in TERMINAL}
    if earlier - {run.status}:
        yield "two_ends", f"The run is {run.status} and was {sorted(earlier)} before."
    if question and run.status == "cancelled" and not question.cancelled:
        yield "cancelled_unasked", "The run is cancelled, and nobody asked for it."
    if question and run.status == "failed" and not question.files and not (run.error or {}).get("retryable"):
        yield "failed_for_good", f"It named no file and is not retryable: {run.error}"


def callbacks(after: Aftermath) -> Iterator[Violation]:
    """Each ended run and each receipt is told at least once, always with the same id.

    Nobody is told of a removal during which the document has returned: it is not removed.
    """
    for run_id, run in after.runs.items():
        told = after.callbacks.get(run_id, [])
        if run.status in TERMINAL and not told:
            yield Violation(kind="untold", detail=f"The run is {run.status}, and no callback came.", run_id=run_id)
        if len({webhook_id for webhook_id, _ in told}) > 1:
            yield Violation(kind="told_with_two_ids", detail=f"{told}", run_id=run_id)
        if wrong := {status for _, status in told} - {run.status}:
            yield Violation(kind="told_wrongly", detail=f"{sorted(wrong)} instead of {run.status}", run_id=run_id)
    for receipt in after.receipts:
        told_ids = after.removals_told.get(receipt["id"], [])
        if receipt["complete"] and not receipt.get("returned") and not told_ids:
            yield Violation(kind="untold", detail=f"Nobody was told of {receipt['id']}.", path=receipt["path"])
        if len(set(told_ids)) > 1:
            yield Violation(kind="told_with_two_ids", detail=f"{receipt['id']}: {told_ids}", path=receipt["path"])


# ---- documents and the service ---------------------------------------------------------------------------------------


def documents(history: History, after: Aftermath) -> Iterator[Violation]:
    """Each blob is indexed as it is, and nothing else is found."""
    for path in sorted(after.blobs.keys() | after.documents.keys()):
        etag, record = after.blobs.get(path), after.documents.get(path)
        live = (record or {}).get("live") or {}
        if record is None or etag is None:
            kind = "not_indexed" if record is None else "record_of_deleted"
            yield Violation(kind=kind, detail=f"record: {record and record['status']}, blob: {etag}", path=path)
        elif (record["status"], live.get("etag")) != ("indexed", etag):
            detail = f"The blob is {etag}; the record is {record['status']} with {live.get('etag')}."
            yield Violation(kind="not_indexed", detail=detail, path=path)
    for path, versions in sorted(after.found.items()):
        current = history.version_of(path, after.blobs.get(path))
        if path not in after.blobs:
            yield Violation(kind="found_deleted", detail=f"A search finds {sorted(versions)}.", path=path)
        elif current is not None and versions - {current}:
            detail = f"A search finds {sorted(versions)}; the blob is version {current}."
            yield Violation(kind="found_stale", detail=detail, path=path)


def service(after: Aftermath, known_paths: Collection[str]) -> Iterator[Violation]:
    """The service has the files of the records, and no others."""
    files: dict[str, str] = {}
    parts: dict[tuple[str, str], str] = {}
    for path, record in after.documents.items():
        for version in (record.get("live"), record.get("incoming"), *record.get("retired", ())):
            for part in (version or {}).get("parts", ()):
                files[part] = path
                parts[str((version or {})["store_id"]), part] = path
            if version and version.get("data_file_id"):
                files.update(dict.fromkeys((version["data_file_id"], *version.get("clean_file_ids", ())), path))
    paths: dict[Any, str] = {**files, **parts}
    kinds: list[tuple[str, Collection[object]]] = [
        ("lost_file", files.keys() - after.files.keys()),
        ("orphan_entry", after.entries - parts.keys()),
        ("lost_entry", parts.keys() - after.entries),
        ("orphan_chunks", after.indexed - after.entries),
        ("lost_chunks", after.entries - after.indexed),
        ("orphan_store", after.stores - after.known_stores),
        ("lost_store", after.known_stores - after.stores),
    ]
    for kind, ids in kinds:
        yield from (Violation(kind=kind, detail=f"{one}", path=paths.get(one)) for one in sorted(ids, key=str))
    for file_id in sorted(after.files.keys() - files.keys()):
        name = after.files[file_id]
        document = next((one for one in known_paths if one.rpartition("/")[2] in name), None)
        yield Violation(kind="orphan_file", detail=f"{file_id} {name}", path=document)
    if after.lone_chunks:
        yield Violation(kind="orphan_chunks", detail=f"{after.lone_chunks} chunks of no file")


def leftovers(after: Aftermath) -> Iterator[Violation]:
    """Receipts say how the removal ended, queues and markers are gone, and reconcile finds nothing."""
    for receipt in after.receipts:
        if not receipt["complete"] and not receipt.get("returned"):
            yield Violation(kind="open_receipt", detail=receipt["id"], path=receipt["path"])
    for queue, messages in after.messages.items():
        if messages:
            yield Violation(kind="messages", detail=f"{messages} in {queue}")
    for marker in after.active:
        yield Violation(kind="marker", detail=marker, run_id=marker.partition("/")[2])
    for thread_id in after.lone_threads:
        yield Violation(kind="lone_thread", detail=thread_id)
    for drift in after.drift:
        path = drift["id"] if drift["what"] == "document" else None
        yield Violation(
            kind="drift", detail=f"{drift['kind']} {drift['what']} {drift['id']}: {drift['detail']}", path=path
        )
