"""Starting a run: its thread, its collection and its files."""

from __future__ import annotations

from typing import Any

import pytest

from shared.engines.base import Look
from shared.errors import Busy, NotFound
from shared.models.runs import Run
from shared.runs.runs import Question, Runs
from shared.runs.transitions import ORPHAN
from tests.fakes import Crash
from tests.unit.runs.test_runs import GOING_ON, die, with_files
from tests.unit.world import World

CSV = b"month,visits\njan,1\n"


# ---- threads -----------------------------------------------------------------------------------------------------


async def test_a_follow_up_continues_the_thread(world: World) -> None:
    first = await world.ask("One?")
    await world.finish()
    second = await world.ask("Two?", thread_id=first.thread_id)
    await world.finish()
    assert second.thread_id == first.thread_id
    assert [ask.previous for ask in world.engine.asks.values()] == [None, "resp_1"]
    thread = (await world.app.threads.read(first.thread_id)).value
    assert [(message.role, message.text) for message in thread.messages] == [
        ("user", "One?"),
        ("assistant", "Forty-two."),
        ("user", "Two?"),
        ("assistant", "Forty-two."),
    ]
    assert (thread.tail, thread.active_run_id) == ("resp_2", None)


@pytest.mark.parametrize("status", ["failed", "incomplete", "cancelled"])
async def test_the_next_run_does_not_continue_one_that_did_not_complete(world: World, status: str) -> None:
    first = await world.ask()
    await world.finish()
    world.engine.script = [Look(status=status)]  # type: ignore[arg-type]
    await world.ask(thread_id=first.thread_id)
    await world.finish()
    third = await world.ask(thread_id=first.thread_id)
    assert third.previous == "resp_1"


async def test_a_thread_answers_one_question_at_a_time(world: World) -> None:
    world.engine.script = [GOING_ON] * 3
    first = await world.ask()
    with pytest.raises(Busy) as caught:
        await world.ask(thread_id=first.thread_id)
    assert (caught.value.status, caught.value.code) == (409, "thread_busy")
    assert first.id in caught.value.message
    await world.finish()
    await world.ask(thread_id=first.thread_id)


@pytest.mark.parametrize(
    "when",
    [
        "state.read threads",
        "state.read runs",
        "state.write threads",
        "state.write active",
        "state.write runs",
        "engine.start",
    ],
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_two_questions_to_one_thread_at_the_same_moment(world: World, when: str, after: bool) -> None:
    other = world.instance()
    first = await world.ask()
    await world.finish()
    outcomes: list[object] = []

    async def ask(runs: Runs, question: str) -> None:
        try:
            outcomes.append(await runs.start(Question(question=question, thread_id=first.thread_id)))
        except Busy as exc:
            outcomes.append(exc)

    world.outside.meanwhile(lambda: ask(other.runs, "Mine?"), **{"after" if after else "before": when})
    await ask(world.runs, "Yours?")
    await world.finish()
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Run)]
    assert len(outcomes) == 2
    assert len(accepted) >= 1
    thread = (await world.app.threads.read(first.thread_id)).value
    said = [message.run_id for message in thread.messages if message.role == "assistant"]
    assert sorted(said) == sorted([first.id, *(run.id for run in accepted)])
    assert thread.active_run_id is None


async def test_a_thread_is_usable_after_a_crashed_request(world: World) -> None:
    first = await world.ask()
    await world.finish()
    world.outside.meanwhile(die, after="state.write threads")
    with pytest.raises(Crash):
        await world.ask(thread_id=first.thread_id)
    world.restart()
    world.clock.forward(ORPHAN.total_seconds() + 60)
    await world.poller.sweep()
    assert (await world.ask(thread_id=first.thread_id)).previous == "resp_1"


@pytest.mark.parametrize("new", [True, False], ids=["new thread", "old thread"])
@pytest.mark.parametrize("when", ["active", "threads"])
async def test_the_sweep_removes_what_a_crashed_request_left(world: World, new: bool, when: str) -> None:
    """It died before its run had a record: the thread that it created is deleted, its claim on another one released."""
    first = await world.ask()
    await world.finish()
    thread_id = None if new else first.thread_id
    world.outside.meanwhile(die, after=f"state.write {when}")
    with pytest.raises(Crash):
        await world.ask(thread_id=thread_id)
    world.restart()
    await world.poller.sweep()
    assert len(world.state.names("active/")) == 1, "the request may be alive"
    world.clock.forward(ORPHAN.total_seconds() + 60)
    await world.poller.sweep()
    assert world.state.names("active/") == []
    assert world.state.names("threads/") == [f"threads/{first.thread_id}.json"]
    assert (await world.app.threads.read(first.thread_id)).value.active_run_id is None
    assert len((await world.app.threads.read(first.thread_id)).value.messages) == 2


async def test_the_sweep_leaves_a_thread_that_another_question_has_claimed(world: World) -> None:
    first = await world.ask()
    await world.finish()
    world.outside.meanwhile(die, after="state.write threads")
    with pytest.raises(Crash):
        await world.ask(thread_id=first.thread_id)
    world.restart()
    world.clock.forward(ORPHAN.total_seconds() + 60)
    world.engine.script = [GOING_ON] * 9
    second = await world.ask(thread_id=first.thread_id)
    await world.poller.sweep()
    assert (await world.app.threads.read(first.thread_id)).value.active_run_id == second.id


@pytest.mark.parametrize("when", ["state.write active", "state.write threads", "state.write runs", "engine.start"])
async def test_a_repeated_request_creates_no_second_thread(world: World, when: str) -> None:
    world.outside.meanwhile(die, after=when)
    with pytest.raises(Crash):
        await world.ask(key="one")
    world.restart()
    run = await world.ask(key="one")
    assert world.state.names("threads/") == [f"threads/{run.thread_id}.json"]


async def test_the_containers_of_a_run_are_deleted_with_it(world: World) -> None:
    with_files(world)
    first = await world.ask()
    await world.finish()
    world.engine.script = [GOING_ON] * 9
    second = await world.ask(thread_id=first.thread_id)
    await world.runs.delete(first.id)
    assert world.engine.forgotten_containers == [], "another run of the thread uses it"
    await world.runs.cancel(second.id)
    await world.finish()
    third = await world.ask()
    await world.finish()
    await world.runs.delete(third.id)
    assert world.engine.forgotten_containers == ["cntr_1"]


# ---- what a run is given -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"thread_id": "thread_none"}, "thread_not_found"),
        ({"collection": "none"}, "collection_not_found"),
        ({"files": ("none.csv",)}, "file_not_found"),
    ],
    ids=["thread", "collection", "file"],
)
async def test_unknown_names_are_not_found(world: World, asked: dict[str, Any], code: str) -> None:
    with pytest.raises(NotFound) as caught:
        await world.ask(**asked)
    assert caught.value.code == code
    assert world.engine.asks == {}
    assert world.state.names() == []


async def test_an_unknown_run_is_not_found(world: World) -> None:
    with pytest.raises(NotFound) as caught:
        await world.runs.find("run_000000000000000000000000")
    assert caught.value.code == "run_not_found"


async def test_a_file_that_is_not_ready(world: World) -> None:
    world.blobs.put("a.csv", CSV)
    await world.documents.index("a.csv")
    with pytest.raises(Busy, match="still being indexed") as caught:
        await world.ask(files=("a.csv",))
    assert caught.value.code == "file_not_ready"
    await world.drop("bad.csv", b"\n")
    with pytest.raises(Busy, match=r"no table|empty|no text"):
        await world.ask(files=("bad.csv",))


async def test_without_files_the_matching_data_files_are_chosen(world: World) -> None:
    for name, column in (("sales", "revenue"), ("metrics", "latency"), ("people", "salary"), ("stock", "amount")):
        await world.drop(f"{name}.csv", f"month,{column}\njan,1\n".encode())
    await world.drop("text.md")
    assert [file.path for file in (await world.ask("Which month had the best revenue?")).files] == ["sales.csv"]
    assert [file.path for file in (await world.ask("What is the policy?")).files] == []
    named = await world.ask("What is the policy?", files=("stock.csv", "text.md"))
    assert [file.path for file in named.files] == ["stock.csv", "text.md"]
    assert (await world.ask("Revenue by month?", files=())).files == ()
    given = world.engine.asks[named.engine_run or ""].file_ids
    stock, text = await world.document("stock.csv"), await world.document("text.md")
    assert stock.live
    assert text.live
    assert given == (stock.live.data_file_id, text.live.parts[0])


async def test_a_follow_up_keeps_the_files_of_its_thread(world: World) -> None:
    for name in ("sales", "metrics", "people", "stock", "ships"):
        await world.drop(f"{name}.csv", f"{name}_id,{name}_value\n7,1\n".encode())
    first = await world.ask("What are the sales of May?")
    assert [file.path for file in first.files] == ["sales.csv"]
    await world.finish()
    await world.drop("sales.csv", b"sales_id,sales_value\n8,2\n")
    second = await world.ask("And as a chart?", thread_id=first.thread_id)
    assert [file.path for file in second.files] == ["sales.csv"]
    assert second.files[0].file_id in world.stores.files, "the new version's copy"
    await world.finish()
    world.blobs.take_away("sales.csv")
    await world.documents.remove("sales.csv")
    assert (await world.ask("And now?", thread_id=first.thread_id)).files == ()


async def test_a_thread_stays_in_its_collection(world: World) -> None:
    await world.drop("c/a.md")
    first = await world.ask(collection="c")
    await world.finish()
    second = await world.ask(thread_id=first.thread_id)
    assert (second.collection, second.stores) == ("c", first.stores)


async def test_no_documents_no_store(world: World) -> None:
    run = await world.ask()
    assert (run.collection, run.stores) == ("default", ())


async def test_run_ids_sort_newest_first(world: World) -> None:
    ids = []
    for _ in range(3):
        ids.append((await world.ask()).id)
        world.clock.forward(0.002)
    assert sorted(ids) == ids[::-1]
