"""Runs: each transition of their state machine, with messages doubled, lost and late, and processes that die."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.engines.base import Annotation, Look, MadeFile, Output
from shared.engines.stores import Passage
from shared.errors import Busy, NotFound, ServiceBusy, ServiceError, ServiceMissing
from shared.models.runs import Activity, Failure, Run, Usage
from shared.runs.launching import INSTRUCTIONS
from shared.runs.messages import RunLook
from shared.runs.runs import Question, Runs
from shared.runs.transitions import ORPHAN, START_CLAIM
from tests.fakes import Crash
from tests.unit.world import RUN_DEFAULT_S, World

GOING_ON = Look(status="in_progress", activity=(Activity(type="file_search", status="completed"),))
BUSY = ServiceBusy("Too many requests.")
CSV = b"month,visits\njan,1\n"
CHART = MadeFile(container_id="cntr_1", file_id="cfile_1", filename="trend.png", start=4, end=36)
TABLE = MadeFile(container_id="cntr_1", file_id="cfile_2", filename="table.csv")


def with_files(world: World) -> None:
    world.engine.files = {"cfile_1": b"\x89PNG", "cfile_2": b"a,b"}
    world.engine.output = Output(
        text="See ![trend](sandbox:/mnt/data/trend.png).",
        made=(CHART, TABLE),
        model="fake",
        usage=Usage(input_tokens=1_000_000, code_interpreter_calls=2, code_interpreter_sessions=1),
        containers=("cntr_1",),
    )


def starts(world: World) -> int:
    return len(world.engine.asks)


# ---- the straight way --------------------------------------------------------------------------------------------


async def test_a_run_from_question_to_answer(world: World) -> None:
    await world.drop("guide.md", b"The limit is 42.")
    world.engine.script = [Look(status="queued"), GOING_ON]
    run = await world.ask("What is the limit?", metadata={"team": "a"})
    assert (run.status, run.thread_id[:7], world.answers.names()) == ("in_progress", "thread_", [])
    [ask] = world.engine.asks.values()
    assert (ask.run_id, ask.question, ask.model, ask.previous) == (run.id, "What is the limit?", "test-model", None)
    assert set(ask.stores) <= world.stores.stores.keys()
    assert ask.instructions == INSTRUCTIONS

    await world.deliver(times=2)
    assert (await world.runs.find(run.id)).activity == GOING_ON.activity
    await world.finish()
    run = await world.runs.find(run.id)
    answer = world.answer(run.id)
    assert (run.status, answer.status, answer.answer, answer.metadata) == (
        "completed",
        "completed",
        "Forty-two.",
        {"team": "a"},
    )
    assert answer.timings.looks == 3
    assert answer.timings.total_ms == answer.timings.queued_ms + answer.timings.run_ms == 3000
    assert world.state.names("active/") == []
    assert world.markdown(run.id).startswith("# What is the limit?")


async def test_looks_come_later_and_later(world: World) -> None:
    world.engine.script = [GOING_ON] * 50
    await world.ask()
    delays = []
    while world.queue.messages:
        delays.append(world.queue.messages[0].delay_s)
        await world.deliver()
    assert delays[:5] == [1, 1, 1, 1, 1]
    assert delays == sorted(delays)
    assert max(delays) == 30


@pytest.mark.parametrize(
    ("look", "status", "code"),
    [
        (
            Look(status="failed", failure=Failure(code="server_error", message="Oops.", retryable=True)),
            "failed",
            "server_error",
        ),
        (Look(status="cancelled"), "cancelled", "cancelled"),
        (
            Look(
                status="incomplete",
                output=Output(text="Half an ans"),
                failure=Failure(code="max_output_tokens", message="Too long."),
            ),
            "incomplete",
            "max_output_tokens",
        ),
    ],
    ids=lambda value: getattr(value, "status", None),
)
async def test_a_run_that_ends_otherwise(world: World, look: Look, status: str, code: str | None) -> None:
    world.engine.script = [look]
    run = await world.ask()
    await world.finish()
    run, answer = await world.runs.find(run.id), world.answer(run.id)
    assert run.status == answer.status == status
    assert (answer.error.code if answer.error else None) == code
    assert answer.error == run.error
    assert answer.answer == (look.output.text if look.output else None)
    assert world.state.names("active/") == []


async def test_what_the_service_refuses_ends_the_run_at_once(world: World) -> None:
    world.outside.fail("engine.start", ServiceError("Not allowed.", code="content_filter"))
    run = await world.ask()
    assert (run.status, run.error) == ("failed", Failure(code="content_filter", message="Not allowed."))
    assert world.answer(run.id).error == run.error
    assert (world.queue.messages, world.state.names("active/")) == ([], [])


async def test_a_run_the_service_has_lost(world: World) -> None:
    run = await world.ask()
    world.outside.fail("engine.look", ServiceMissing("No such response."))
    await world.finish()
    assert world.answer(run.id).error == Failure(code="service_object_missing", message="No such response.")


# ---- charts and files --------------------------------------------------------------------------------------------


async def test_charts_and_files_are_saved_before_the_answer(world: World) -> None:
    with_files(world)
    run = await world.ask()
    await world.finish()
    answer = world.answer(run.id)
    assert [(c.n, c.path, c.filename, c.media_type, c.size_bytes) for c in answer.charts] == [
        (1, f"{run.id}/charts/1.png", "trend.png", "image/png", 4)
    ]
    [table] = answer.outputs
    assert (table.filename, world.answers.content(table.path)) == ("table.csv", b"a,b")
    assert table.path.startswith(f"{run.id}/files/")
    assert answer.answer == f"See ![trend]({run.id}/charts/1.png)."
    assert world.answers.content(f"{run.id}/charts/1.png") == b"\x89PNG"
    assert "![trend](charts/1.png)" in world.markdown(run.id)
    assert answer.cost is not None
    assert (answer.cost.usd, answer.cost.parts) == (1.03, {"input_tokens": 1.0, "code_interpreter": 0.03})
    assert (await world.runs.find(run.id)).containers == ("cntr_1",)
    writes = [call for call in world.outside.calls if call.startswith("answers.write")]
    assert writes[-1].endswith("answer.json")
    assert writes[-2].endswith("answer.md")


@pytest.mark.parametrize("error", [ServiceMissing("The container has expired."), ServiceError("No.")])
async def test_a_chart_that_cannot_be_fetched_is_named(world: World, error: ServiceError) -> None:
    with_files(world)
    world.outside.fail("engine.download", error)
    run = await world.ask()
    await world.finish()
    answer = world.answer(run.id)
    assert (answer.status, answer.charts, len(answer.outputs)) == ("completed", (), 1)
    [note] = answer.notes
    assert "trend.png" in note
    assert note in world.markdown(run.id)


async def test_a_chart_is_asked_for_again_while_the_service_is_busy(world: World) -> None:
    with_files(world)
    world.outside.fail("engine.download", BUSY, BUSY)
    run = await world.ask()
    await world.deliver()
    assert world.answers.names(f"{run.id}/answer") == []
    await world.finish()
    assert len(world.answer(run.id).charts) == 1


async def test_a_chart_is_not_asked_for_without_end(world: World) -> None:
    with_files(world)
    world.outside.fail("engine.download", *[BUSY] * 1000)
    run = await world.ask()
    await world.finish()
    answer = world.answer(run.id)
    assert (answer.status, answer.charts) == ("completed", ())
    assert len(answer.notes) == 2


async def test_busy_looks_do_not_use_up_the_tries_for_a_chart(world: World) -> None:
    with_files(world)
    world.outside.fail("engine.look", *[BUSY] * 6)
    world.outside.fail("engine.download", BUSY)
    run = await world.ask()
    await world.finish()
    assert len(world.answer(run.id).charts) == 1


async def test_a_cited_document_is_named_by_its_path(world: World) -> None:
    await world.drop("guide.md", b"The limit is 42. The sky is blue.")
    document = await world.document("guide.md")
    assert document.live is not None
    file_id = document.live.parts[0]
    [store] = world.stores.stores.values()
    found = Passage(
        file_id=file_id,
        filename="guide.md",
        text="The limit is 42. The sky is blue.",
        score=1,
        attributes=store.files[file_id],
    )
    marks = (Annotation(position=11, file_id=file_id, filename="guide.md"),)
    world.engine.output = Output(text="The limit: 42.", annotations=marks, passages=(found,))
    first = await world.ask()
    await world.finish()
    world.engine.output = Output(text="As I said: 42.", annotations=marks)  # rests on what the first answer found
    second = await world.ask(thread_id=first.thread_id)
    await world.finish()
    for run, quote in ((first, "The limit is 42."), (second, "")):
        [citation] = world.answer(run.id).citations
        assert (citation.n, citation.document, citation.etag, citation.quote) == (1, "guide.md", document.etag, quote)


# ---- a busy service ----------------------------------------------------------------------------------------------


async def test_an_accepted_run_waits_for_a_busy_service(world: World) -> None:
    world.outside.fail("engine.start", BUSY, ServiceBusy("Wait.", retry_after_s=100), BUSY)
    run = await world.ask()
    assert (run.status, run.engine_run) == ("queued", None)
    delays = []
    while world.queue.messages:
        delays.append(world.queue.messages[0].delay_s)
        await world.deliver()
    assert 101 in delays
    assert world.answer(run.id).status == "completed"
    assert starts(world) == 1


async def test_a_busy_service_does_not_end_a_run_that_still_running(world: World) -> None:
    world.engine.script = [GOING_ON, GOING_ON]
    world.outside.fail("engine.look", *[BUSY] * 5)
    run = await world.ask()
    await world.finish()
    assert world.answer(run.id).status == "completed"


async def test_a_service_that_stays_busy_meets_the_deadline(world: World) -> None:
    world.outside.fail("engine.start", *[BUSY] * 1000)
    start = world.clock()
    run = await world.ask()
    await world.finish()
    answer = world.answer(run.id)
    assert answer.error is not None
    assert (answer.status, answer.error.code, answer.error.retryable) == ("expired", "expired", True)
    assert timedelta(0) < world.clock() - start - timedelta(seconds=RUN_DEFAULT_S) < timedelta(minutes=2)


async def test_a_run_that_never_ends_is_cancelled_at_its_deadline(world: World) -> None:
    world.engine.script = [GOING_ON] * 1000
    run = await world.ask()
    await world.finish()
    assert world.answer(run.id).status == "expired"
    assert world.engine.cancelled == ["resp_1"]


async def test_a_cancel_that_fails_does_not_keep_a_run_alive(world: World) -> None:
    world.engine.script = [GOING_ON] * 1000
    world.outside.fail("engine.cancel", ServiceError("No."))
    run = await world.ask()
    await world.finish()
    assert world.answer(run.id).status == "expired"


async def test_what_was_completed_in_time_is_not_thrown_away_by_an_outage(world: World) -> None:
    run = await world.ask()
    world.clock.forward(RUN_DEFAULT_S + 100)
    await world.finish()
    assert world.answer(run.id).status == "completed"


# ---- two at once -------------------------------------------------------------------------------------------------


async def test_a_stale_message_does_nothing(world: World) -> None:
    world.engine.script = [GOING_ON] * 5
    run = await world.ask()
    await world.deliver()
    calls = len(world.outside.calls)
    await world.poller.advance(RunLook(run.id, run.generation - 1))
    assert world.outside.calls[calls:] == [f"state.read runs/{run.id}.json"]


async def test_a_message_of_an_unknown_run_does_nothing(world: World) -> None:
    await world.poller.advance(RunLook("run_unknown", 0))
    await world.poller.fail(RunLook("run_unknown", 0))
    assert world.queue.messages == []


@pytest.mark.parametrize("going_on", [True, False], ids=["goes on", "ends"])
@pytest.mark.parametrize("when", ["engine.look", "state.write runs", "answers.write", "state.delete"])
async def test_the_same_message_at_two_instances(world: World, going_on: bool, when: str) -> None:
    other = world.instance()
    with_files(world)
    run = await world.ask()
    if going_on:
        world.engine.script = [GOING_ON, GOING_ON]
    sent = world.queue.take()
    world.clock.now = sent.due_at
    world.outside.meanwhile(lambda: other.poller.advance(RunLook(run.id, sent.message["generation"])), before=when)
    await world.poller.advance(RunLook(run.id, sent.message["generation"]))
    assert len(world.queue.messages) == (1 if going_on else 0)
    await world.finish()
    answer = world.answer(run.id)
    assert answer.status == "completed"
    assert_consistent(world, run, answer_text=answer.answer or "")


def assert_consistent(world: World, run: Run, answer_text: str) -> None:
    answer = world.answer(run.id)
    markdown = world.markdown(run.id)
    for chart in answer.charts:
        assert len(world.answers.content(chart.path)) == chart.size_bytes
    assert answer_text.replace(f"]({run.id}/", "](") in markdown
    assert ("**expired**" in markdown) == (answer.status == "expired")
    assert world.state.names("active/") == []


async def test_an_expired_run_that_was_completed_at_the_same_moment(world: World) -> None:
    """Its answer, its Markdown and its record say the same."""
    other = world.instance()
    with_files(world)
    run = await world.ask()
    sent = world.queue.take()
    generation = sent.message["generation"]

    async def past_deadline() -> None:
        world.clock.forward(RUN_DEFAULT_S + 100)
        world.engine.script = [GOING_ON]  # what the other one happened to see
        await other.poller.advance(RunLook(run.id, generation))

    world.outside.meanwhile(past_deadline, before="answers.write")
    await world.poller.advance(RunLook(run.id, generation))
    answer, record = world.answer(run.id), await world.runs.find(run.id)
    assert answer.status == record.status
    assert_consistent(world, run, answer_text=answer.answer or "")


async def test_a_slow_start_is_not_repeated(world: World) -> None:
    """Creating the engine's run takes long, and the sweep and its messages come in between."""
    other = world.instance()

    async def meanwhile() -> None:
        for _ in range(3):
            world.clock.forward((START_CLAIM.total_seconds() - 1) / 3)
            await other.poller.sweep()
            await world.look_at_all(other.poller)

    world.outside.meanwhile(meanwhile, before="engine.start")
    run = await world.ask()
    await world.poller.sweep()
    await world.finish()
    assert world.answer(run.id).status == "completed"
    assert starts(world) == 1


async def test_an_engine_run_that_came_too_late_is_not_left_running(world: World) -> None:
    other = world.instance()

    async def meanwhile() -> None:
        world.clock.forward(RUN_DEFAULT_S + 1)
        await other.poller.sweep()
        await world.look_at_all(other.poller)

    world.outside.meanwhile(meanwhile, before="engine.start")
    run = await world.ask()
    await world.finish()
    assert world.answer(run.id).status == "expired"
    assert world.engine.cancelled == list(world.engine.asks)


# ---- the process dies --------------------------------------------------------------------------------------------


async def test_a_redone_end_does_not_undo_what_was_published(world: World) -> None:
    """It dies after answer.json; when its message comes again, the container with the chart has expired."""
    with_files(world)
    second = MadeFile(container_id="cntr_1", file_id="cfile_3", filename="second.png")
    world.engine.output = replace(world.engine.output, made=(CHART, second))
    world.engine.files["cfile_3"] = b"second"
    run = await world.ask()
    sent = world.queue.take()
    world.clock.now = sent.due_at
    world.outside.meanwhile(_die, after=f"answers.write {run.id}/answer.json")
    with pytest.raises(Crash):
        await world.poller.advance(RunLook(run.id, sent.message["generation"]))
    before = {name: world.answers.content(name) for name in world.answers.names()}
    del world.engine.files["cfile_1"]
    world.restart()
    await world.poller.advance(RunLook(run.id, sent.message["generation"]))
    assert {name: world.answers.content(name) for name in world.answers.names()} == before
    assert (await world.runs.find(run.id)).status == "completed"


async def _die() -> None:
    raise Crash


# ---- the sweep ---------------------------------------------------------------------------------------------------


async def test_a_lost_message_is_replaced(world: World) -> None:
    run = await world.ask()
    world.queue.messages.clear()
    assert await world.poller.sweep() == 0
    world.clock.forward(60)
    assert await world.poller.sweep() == 1
    await world.finish()
    assert world.answer(run.id).status == "completed"


async def test_the_sweep_removes_markers_that_mean_nothing(world: World) -> None:
    run = await world.ask()
    await world.finish()
    world.state.put(f"active/{run.id}", b"")
    world.state.put("active/run_of_a_request_that_died", b"")
    await world.poller.sweep()
    assert world.state.names("active/") == ["active/run_of_a_request_that_died"]
    world.clock.forward(ORPHAN.total_seconds() + 1)
    await world.poller.sweep()
    assert world.state.names("active/") == []


# ---- the host gives up -------------------------------------------------------------------------------------------


async def test_a_poisoned_run_fails(world: World) -> None:
    run = await world.ask()
    await world.poller.fail(RunLook(run.id, 0))
    answer = world.answer(run.id)
    assert answer.error is not None
    assert (answer.status, answer.error.code, answer.error.retryable) == ("failed", "internal_error", True)
    assert world.state.names("active/") == []
    follow_up = await world.ask(thread_id=run.thread_id)
    assert follow_up.previous is None


async def test_a_poisoned_message_of_an_ended_run_changes_nothing(world: World) -> None:
    run = await world.ask()
    await world.finish()
    await world.poller.fail(RunLook(run.id, 0))
    assert world.answer(run.id).status == "completed"


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
async def test_a_run_that_did_not_complete_is_no_link_of_the_chain(world: World, status: str) -> None:
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


async def test_a_thread_outlives_a_request_that_died(world: World) -> None:
    first = await world.ask()
    await world.finish()
    world.outside.meanwhile(_die, after="state.write threads")
    with pytest.raises(Crash):
        await world.ask(thread_id=first.thread_id)
    world.restart()
    world.clock.forward(ORPHAN.total_seconds() + 60)
    await world.poller.sweep()
    assert (await world.ask(thread_id=first.thread_id)).previous == "resp_1"


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
async def test_what_does_not_exist_is_not_found(world: World, asked: dict[str, Any], code: str) -> None:
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


async def test_without_files_the_fitting_data_files_are_given(world: World) -> None:
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
