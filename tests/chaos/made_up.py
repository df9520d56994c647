"""A made-up history without a violation, for the tests of the checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.chaos.checks import Aftermath, RunFound
from tests.chaos.contents import Item, catalogue
from tests.chaos.history import Fault, History, Look, Operation, Question, Seen

TEXT = next(item for item in catalogue() if not item.is_table)
TABLE = next(item for item in catalogue() if item.is_table)
OTHER = [item for item in catalogue() if not item.is_table][1]


def put(item: Item, version: int, sent_s: float, **more: Any) -> Operation:
    made = Operation(
        path=item.path,
        kind="put",
        via="http",
        sent_s=sent_s,
        ended_s=sent_s + 1,
        outcome="done",
        version=version,
        etag=f"{item.name}-{version}",
    )
    return replace(made, **more)


def deleted(item: Item, sent_s: float, **more: Any) -> Operation:
    made = Operation(path=item.path, kind="delete", via="http", sent_s=sent_s, ended_s=sent_s + 1, outcome="done")
    return replace(made, **more)


def listed(item: Item, version: int | None, at_s: float, status: str | None = "indexed") -> Seen:
    etag = None if version is None else f"{item.name}-{version}"
    return Seen(path=item.path, sent_s=at_s - 0.1, ended_s=at_s, status=status, answers_etag=etag)


def record(item: Item, version: int) -> dict[str, Any]:
    live = {"etag": f"{item.name}-{version}", "store_id": "vs", "parts": [f"file-{item.name}"]}
    if item.is_table:
        live["data_file_id"] = f"data-{item.name}"
    return {"status": "indexed", "live": live, "incoming": None, "retired": []}


def text_of(item: Item, *versions: int) -> str:
    if item.is_table:
        return " ".join(f"{(item.n + 1) * 1_000_000 + version * 1_000 + 7:,}" for version in versions)
    return " ".join(item.content(version).decode() for version in versions)


def clean() -> tuple[History, Aftermath]:
    """TEXT and TABLE have two versions, OTHER was deleted; each was asked about before and after, and all went well."""
    history = History(
        operations=[
            put(TEXT, 1, 0),
            put(TABLE, 1, 0),
            put(OTHER, 1, 0),
            put(TEXT, 2, 10),
            put(TABLE, 2, 10, via="storage"),
            deleted(OTHER, 10),
        ],
        seen=[
            *(listed(item, 1, 5) for item in (TEXT, TABLE, OTHER)),
            *(listed(item, 2, 15) for item in (TEXT, TABLE)),
            listed(OTHER, None, 15, None),
        ],
        faults=[Fault(what="kill -9 of host", began_s=8, ended_s=12)],
    )
    runs = {}
    for at_s, version in ((7, 1), (14, 1), (14, 2), (20, 2)):
        for item in (TEXT, TABLE):
            key = f"{item.name}-{at_s}-{version}"
            question = Question(key=key, text=item.question, sent_s=at_s, collection=item.collection)
            question.run_ids.add(f"run-{key}")
            history.questions.append(question)
            history.looks.append(Look(run_id=f"run-{key}", status="completed", at_s=at_s + 1))
            runs[f"run-{key}"] = completed(key, text_of(item, version))
    files = {"file-" + item.name for item in (TEXT, TABLE)}
    entries = frozenset(("vs", file) for file in files)
    return history, Aftermath(
        runs=runs,
        callbacks={run_id: [(f"msg-{run_id}", "completed")] * 2 for run_id in runs},
        removals_told={"rcpt": ["msg", "msg"]},
        blobs={item.path: f"{item.name}-2" for item in (TEXT, TABLE)},
        documents={item.path: record(item, 2) for item in (TEXT, TABLE)},
        found={TEXT.path: {2}, TABLE.path: {2}},
        files=dict.fromkeys([*files, f"data-{TABLE.name}"], "a file name"),
        entries=entries,
        indexed=entries,
        stores=frozenset({"vs"}),
        known_stores=frozenset({"vs"}),
        receipts=[{"id": "rcpt", "path": OTHER.path, "complete": True}],
        messages={"runs": 0, "runs-poison": 0},
    )


def completed(key: str, text: str) -> RunFound:
    return RunFound(status="completed", key=key, answers=1, answer_status="completed", text=text)
