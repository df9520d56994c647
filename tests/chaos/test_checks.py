"""The checks of the chaos test find each planted violation, and say nothing of a clean history."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.checks import Aftermath, violations
from tests.chaos.contents import catalogue, shown
from tests.chaos.history import History, Look
from tests.chaos.made_up import OTHER, TABLE, TEXT, clean, completed, deleted, listed, put, text_of

LATE = f"{TEXT.name}-20-2"  # its question was asked when version 2 was listed
RUN = f"run-{LATE}"


def with_run(after: Aftermath, **changes: Any) -> Aftermath:
    return replace(after, runs={**after.runs, RUN: replace(after.runs[RUN], **changes)})


def mixed(_: History, after: Aftermath) -> Aftermath:
    return with_run(after, text=text_of(TEXT, 2, 1))


def mixed_table(_: History, after: Aftermath) -> Aftermath:
    run_id = f"run-{TABLE.name}-14-1"
    return replace(after, runs={**after.runs, run_id: replace(after.runs[run_id], text=text_of(TABLE, 1, 2))})


def stale(_: History, after: Aftermath) -> Aftermath:
    return with_run(after, text=text_of(TEXT, 1))


def shows_deleted(_: History, after: Aftermath) -> Aftermath:
    return with_run(after, text=text_of(OTHER, 1))


def shows_deleted_from_storage(history: History, after: Aftermath) -> Aftermath:
    history.operations[-1] = deleted(OTHER, 10, via="storage")
    return with_run(after, text=text_of(OTHER, 1))


def two_runs_of_a_key(history: History, after: Aftermath) -> Aftermath:
    history.question_of(RUN).run_ids.add("run-x")  # type: ignore[union-attr]
    runs = {**after.runs, "run-x": completed(LATE, "")}
    return replace(after, runs=runs, callbacks={**after.callbacks, "run-x": [("msg-x", "completed")]})


def hidden_second_run(_: History, after: Aftermath) -> Aftermath:
    runs = {**after.runs, "run-x": completed(LATE, "")}
    return replace(after, runs=runs, callbacks={**after.callbacks, "run-x": [("msg-x", "completed")]})


def lost_run(_: History, after: Aftermath) -> Aftermath:
    return replace(after, runs={run_id: run for run_id, run in after.runs.items() if run_id != RUN})


def callback_ids(*told: tuple[str, str]) -> Any:
    return lambda _, after: replace(after, callbacks={**after.callbacks, RUN: list(told)})


def run_is(**changes: Any) -> Any:
    def changed(_: History, after: Aftermath) -> Aftermath:
        status = changes.get("status", "completed")
        return with_run(replace(after, callbacks={**after.callbacks, RUN: [("msg", status)]}), **changes)

    return changed


def ended_before(history: History, after: Aftermath) -> Aftermath:
    history.looks.append(Look(run_id=RUN, status="failed", at_s=21))
    return after


def field(**changes: Any) -> Any:
    return lambda _, after: replace(after, **changes)


def added(name: str, one: Any) -> Any:
    return lambda _, after: replace(after, **{name: getattr(after, name) | {one}})


def without(name: str, one: Any) -> Any:
    return lambda _, after: replace(after, **{name: getattr(after, name) - {one}})


ENTRY = ("vs", f"file-{TEXT.name}")
PLANTED = {
    "mixed": ("mixed", mixed),
    "mixed table": ("mixed", mixed_table),
    "stale": ("stale", stale),
    "deleted": ("deleted", shows_deleted),
    "deleted from storage": ("deleted", shows_deleted_from_storage),
    "two runs": ("two_runs", two_runs_of_a_key),
    "hidden second run": ("two_runs", hidden_second_run),
    "lost run": ("lost_run", lost_run),
    "no end": ("no_end", run_is(status="in_progress")),
    "no answer": ("no_answer", run_is(answers=0)),
    "another answer": ("two_ends", run_is(answer_status="failed")),
    "ended before": ("two_ends", ended_before),
    "cancelled": ("cancelled_unasked", run_is(status="cancelled", answer_status="cancelled")),
    "failed": ("failed_for_good", run_is(status="failed", answer_status="failed", error={"code": "x"})),
    "untold": ("untold", callback_ids()),
    "two ids": ("told_with_two_ids", callback_ids(("a", "completed"), ("b", "completed"))),
    "told wrongly": ("told_wrongly", callback_ids(("a", "failed"))),
    "untold removal": ("untold", field(removals_told={})),
    "two ids of a removal": ("told_with_two_ids", field(removals_told={"rcpt": ["a", "b"]})),
    "not indexed": ("not_indexed", field(blobs={TEXT.path: "new", TABLE.path: f"{TABLE.name}-2"})),
    "no record": ("not_indexed", lambda _, a: replace(a, blobs={**a.blobs, OTHER.path: "new"})),
    "record of deleted": ("record_of_deleted", field(blobs={TEXT.path: f"{TEXT.name}-2"}, found={})),
    "found stale": ("found_stale", field(found={TEXT.path: {1, 2}})),
    "found deleted": ("found_deleted", field(found={OTHER.path: {1}})),
    "orphan file": (
        "orphan_file",
        lambda _, a: replace(a, files={**a.files, "x": f"{TEXT.path.replace('/', '__')}.md"}),
    ),
    "lost file": ("lost_file", field(files={})),
    "orphan entry": ("orphan_entry", lambda _, a: replace(added("entries", ("vs", "x"))(_, a), indexed=a.entries)),
    "lost entry": ("lost_entry", without("entries", ENTRY)),
    "orphan chunks": ("orphan_chunks", added("indexed", ("vs", "x"))),
    "chunks of no file": ("orphan_chunks", field(lone_chunks=1)),
    "lost chunks": ("lost_chunks", without("indexed", ENTRY)),
    "orphan store": ("orphan_store", added("stores", "x")),
    "lost store": ("lost_store", without("stores", "vs")),
    "open receipt": ("open_receipt", field(receipts=[{"id": "rcpt", "path": OTHER.path, "complete": False}])),
    "message": ("messages", field(messages={"runs-poison": 1})),
    "marker": ("marker", field(active=[f"active/{RUN}"])),
    "thread": ("lone_thread", field(lone_threads=["thread"])),
    "drift": ("drift", field(drift=[{"kind": "stale", "what": "document", "id": TEXT.path, "detail": ""}])),
}


def test_a_clean_history_has_no_violation() -> None:
    assert violations(*clean(), catalogue()) == []


@pytest.mark.parametrize(("kind", "plant"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_violation_is_found(kind: str, plant: Any) -> None:
    history, after = clean()
    assert kind in {one.kind for one in violations(history, plant(history, after), catalogue())}


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.seen.remove(listed(TEXT, 2, 15)),  # nobody saw the new version before the question
        lambda h: h.operations.__setitem__(0, put(TEXT, 1, 0, outcome="unknown", etag=None)),  # it may come late
        lambda h: h.operations.__setitem__(3, put(TEXT, 2, 0.5)),  # it is not known which one was first
    ],
    ids=["not seen", "unknown", "at the same time"],
)
def test_what_is_not_proven_is_not_claimed(change: Any) -> None:
    history, after = clean()
    change(history)
    assert not [one for one in violations(history, stale(history, after), catalogue()) if one.kind == "stale"]


def test_a_version_is_known_by_its_content() -> None:
    for item in catalogue():
        assert shown(text_of(item, 12), catalogue()) == {item.path: {12}}
    assert shown("In 2026, 1,234 of 5,000,000 were 17.5.", catalogue()) == {}


def test_the_history_of_a_path_and_of_a_run_is_told_in_order() -> None:
    history, _ = clean()
    lines = history.about(path=OTHER.path)
    assert [line.partition("s  ")[2].split(" ")[0] for line in lines] == ["put", "listed", "fault:", "delete", "not"]
    assert len(history.about(run_id=RUN)) == 2
