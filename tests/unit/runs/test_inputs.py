"""What a run may use: current versions of documents, in a thread and between POST and start."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from shared.engines.base import Annotation, Ask, Call, Look, Output
from shared.engines.stores import Passage
from shared.errors import Busy, ServiceBusy
from shared.models.runs import Failure, FileChange, Function, Run
from shared.runs.citations import NO_SOURCE
from shared.runs.prompts import GUARD, INSTRUCTIONS, instructions_of
from shared.runs.threads import HELD_MAX
from tests.unit.world import World

CSV = b"month,visits\njan,1\n"
NEWER = b"month,visits\njan,2\n"
BUSY = ServiceBusy("Wait.", retry_after_s=1)
SAID = (("user", "One?"), ("assistant", "Forty-two."))
WEATHER = Function(name="weather", description="", parameters={"type": "object", "properties": {}})


def last_ask(world: World) -> Ask:
    return list(world.engine.asks.values())[-1]


async def delete(world: World, path: str) -> None:
    world.blobs.take_away(path)
    await world.documents.remove(path)
    await world.settle()


async def file_id(world: World, path: str) -> str:
    live = (await world.document(path)).live
    assert live
    return live.data_file_id or live.parts[0]


async def replaced(world: World, path: str) -> None:
    """Index a new version. The old one is kept at the service while a run is active that started before."""
    etag = world.blobs.put(path, NEWER)
    await world.documents.index(path)
    for _ in range(10):
        await world.work(world.indexing.take())
        live = (await world.document(path)).live
        if live and live.etag == etag:
            return
    raise AssertionError("The new version does not become live.")


async def change(world: World, path: str, how: str) -> None:
    if how == "replaced":
        await replaced(world, path)
    else:
        await delete(world, path)


# ---- in a thread -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["replaced", "deleted"])
async def test_a_thread_leaves_the_container_that_holds_an_old_data_file(world: World, how: str) -> None:
    await world.drop("sales.csv", CSV)
    first = await world.ask("One?")
    await world.finish()
    await change(world, "sales.csv", how)
    second = await world.ask("Two?", thread_id=first.thread_id)
    await world.finish()
    ask = last_ask(world)
    assert (ask.previous, ask.history) == (None, SAID), "no code interpreter call is in this conversation"
    assert ask.file_ids == ((await file_id(world, "sales.csv"),) if how == "replaced" else ())
    assert f"sales.csv was {how} since your last answer in this thread" in ask.instructions
    assert "Variables and files of the earlier code interpreter container are gone." in ask.instructions
    assert f"sales.csv was {how}" in world.answer(second.id).notes[0]
    third = await world.ask("Three?", thread_id=first.thread_id)
    await world.finish()
    assert last_ask(world).previous == (await world.runs.find(second.id)).engine_run, "the new container is current"
    assert "since your last answer" not in last_ask(world).instructions
    assert world.answer(third.id).notes == (NO_SOURCE,)


async def test_the_record_of_a_document_is_newer_than_what_is_published(world: World) -> None:
    """The process died, or is just about to publish the new version."""
    await world.drop("sales.csv", CSV)
    first = await world.ask("One?")
    await world.finish()
    published = {name: world.state.info_of(name) for name in world.state.names("visibility/")}
    await world.drop("sales.csv", NEWER)
    for name, info in published.items():
        world.state.put(name, b"", metadata=info.metadata)
    await world.ask("Two?", thread_id=first.thread_id)
    assert (last_ask(world).previous, last_ask(world).file_ids) == (None, (await file_id(world, "sales.csv"),))


async def test_a_data_file_that_is_added_goes_to_the_same_container(world: World) -> None:
    await world.drop("sales.csv", CSV)
    first = await world.ask("One?")
    await world.finish()
    await world.drop("stock.csv", CSV)
    await world.ask("Two?", thread_id=first.thread_id)
    assert (last_ask(world).previous, len(last_ask(world).file_ids)) == (first.engine_run, 2)


async def test_a_file_of_an_earlier_question_counts_though_this_one_does_not_ask_for_it(world: World) -> None:
    """The container still holds it, and the model may open it."""
    await world.drop("sales.csv", CSV)
    await world.drop("stock.csv", CSV)
    first = await world.ask("One?", files=("sales.csv",))
    await world.finish()
    await world.ask("Two?", thread_id=first.thread_id, files=("stock.csv",))
    await world.finish()
    assert last_ask(world).previous == first.engine_run
    await world.drop("sales.csv", NEWER)
    await world.ask("Three?", thread_id=first.thread_id, files=("stock.csv",))
    assert last_ask(world).previous is None


@pytest.mark.parametrize("status", ["failed", "incomplete", "cancelled"])
async def test_files_of_a_run_that_did_not_complete_count(world: World, status: str) -> None:
    """In the Assistants API such a run leaves its files in the thread."""
    await world.drop("sales.csv", CSV)
    first = await world.ask("One?", files=())
    await world.finish()
    world.engine.script = [Look(status=status)]  # type: ignore[arg-type]
    await world.ask("Two?", thread_id=first.thread_id, files=("sales.csv",))
    await world.finish()
    await world.drop("sales.csv", NEWER)
    await world.ask("Three?", thread_id=first.thread_id, files=())
    assert last_ask(world).previous is None


async def test_after_a_new_conversation_that_failed_the_old_one_is_still_stale(world: World) -> None:
    await world.drop("sales.csv", CSV)
    first = await world.ask("One?")
    await world.finish()
    await world.drop("sales.csv", NEWER)
    world.engine.script = [Look(status="failed")]
    await world.ask("Two?", thread_id=first.thread_id)
    await world.finish()
    await world.ask("Three?", thread_id=first.thread_id)
    assert last_ask(world).previous is None


async def test_a_file_of_another_collection(world: World) -> None:
    await world.drop("other/sales.csv", CSV)
    first = await world.ask("One?", files=("other/sales.csv",))
    await world.finish()
    await world.ask("Two?", thread_id=first.thread_id)
    await world.finish()
    assert last_ask(world).previous == first.engine_run
    await delete(world, "other/sales.csv")
    await world.ask("Three?", thread_id=first.thread_id)
    assert last_ask(world).previous is None


@pytest.mark.parametrize("how", ["replaced", "deleted"])
async def test_a_conversation_that_quotes_an_old_document_is_left(world: World, how: str) -> None:
    await world.drop("guide.md", b"The limit is 42.")
    part = await file_id(world, "guide.md")
    attributes = world.stores.stores[(await world.ask("?")).stores[0]].files[part]
    world.engine.output = Output(
        text="It is 42.",
        annotations=(Annotation(position=9, file_id=part, filename="guide.md"),),
        passages=(Passage(file_id=part, filename="guide.md", text="The limit is 42.", score=1, attributes=attributes),),
    )
    first = await world.ask("One?")
    await world.finish()
    if how == "replaced":
        await world.drop("guide.md", b"The limit is 43.")
    else:
        await delete(world, "guide.md")
    await world.ask("Two?", thread_id=first.thread_id)
    assert last_ask(world).previous is None
    assert f"guide.md was {how}" in last_ask(world).instructions


async def test_a_conversation_with_too_many_files_is_not_continued(world: World) -> None:
    names = [f"t{n}.md" for n in range(HELD_MAX + 1)]
    for name in names:
        await world.drop(name, name.encode())
    first = await world.ask("One?", files=tuple(names))
    await world.finish()
    second = await world.ask("Two?", thread_id=first.thread_id, files=())
    await world.finish()
    assert (last_ask(world).previous, last_ask(world).history) == (None, SAID)
    assert "rests on many documents" in world.answer(second.id).notes[0]


# ---- between POST and start --------------------------------------------------------------------------------------


async def put_off(world: World, *, files: tuple[str, ...] | None = None) -> Run:
    """A run that the service was too busy to start."""
    world.outside.fail("engine.start", BUSY)
    return await world.ask("Visits?", files=files)


async def error_of(world: World, run: Run) -> Failure | None:
    await world.finish()
    return world.answer(run.id).error


@pytest.mark.parametrize("files", [None, ("sales.csv",)], ids=["chosen", "named"])
async def test_a_run_starts_with_the_version_of_its_start(world: World, files: tuple[str, ...] | None) -> None:
    await world.drop("sales.csv", CSV)
    run = await put_off(world, files=files)
    await replaced(world, "sales.csv")
    assert await error_of(world, run) is None
    assert last_ask(world).file_ids == (await file_id(world, "sales.csv"),)
    version = (await world.document("sales.csv")).live
    assert version
    assert last_ask(world).within
    assert world.answer(run.id).files == ("sales.csv",)


async def test_a_chosen_file_that_was_deleted_is_left_out(world: World) -> None:
    await world.drop("sales.csv", CSV)
    run = await put_off(world)
    await delete(world, "sales.csv")
    assert await error_of(world, run) is None
    answer = world.answer(run.id)
    assert (last_ask(world).file_ids, answer.files) == ((), ())
    assert any("sales.csv was not used" in note for note in answer.notes)


async def test_a_named_file_that_was_deleted_ends_the_run(world: World) -> None:
    await world.drop("sales.csv", CSV)
    run = await put_off(world, files=("sales.csv",))
    await delete(world, "sales.csv")
    error = await error_of(world, run)
    assert error
    assert (error.code, error.retryable) == ("file_gone", False)
    assert "sales.csv" in error.message
    assert world.engine.asks == {}


async def test_a_named_file_that_is_indexed_for_the_first_time_again(world: World) -> None:
    await world.drop("sales.csv", CSV)
    run = await put_off(world, files=("sales.csv",))
    await delete(world, "sales.csv")
    world.blobs.put("sales.csv", NEWER)
    await world.documents.index("sales.csv")
    error = await error_of(world, run)
    assert error
    assert (error.code, error.retryable) == ("file_gone", True)


@pytest.mark.parametrize("files", [None, ("sales.csv",)], ids=["chosen", "named"])
async def test_the_service_has_lost_a_file(world: World, files: tuple[str, ...] | None) -> None:
    await world.drop("sales.csv", CSV)
    await world.drop("stock.csv", CSV)
    del world.stores.files[await file_id(world, "sales.csv")]
    run = await world.ask("Visits?", files=files)
    error = await error_of(world, run)
    answer = world.answer(run.id)
    if files:
        assert error
        assert (error.code, error.retryable) == ("file_gone", True)
    else:
        assert (answer.status, answer.files) == ("completed", ("stock.csv",))
        assert any("sales.csv was not used" in note for note in answer.notes)


@pytest.mark.parametrize("how", ["replaced", "deleted"])
async def test_a_file_goes_between_the_choice_and_the_start(world: World, how: str) -> None:
    await world.drop("sales.csv", CSV)
    world.outside.meanwhile(lambda: change(world, "sales.csv", how), before="engine.start")
    run = await world.ask("Visits?", files=("sales.csv",))
    error = await error_of(world, run)
    if how == "replaced":  # the old version stays while a run is active that started before
        assert error is None
    else:
        assert error
        assert (error.code, error.retryable) == ("file_gone", False)


@pytest.mark.parametrize("busy", [False, True], ids=["answers", "is busy"])
async def test_no_missing_file_is_called_a_missing_object(world: World, busy: bool) -> None:
    """The service says only that something is missing, at the start or as the end of the run."""
    await world.drop("sales.csv", CSV)
    world.engine.script = [Look(status="failed", failure=Failure(code="not_found", message="No such File object."))]
    run = await world.ask("Visits?", files=("sales.csv",))
    del world.stores.files[await file_id(world, "sales.csv")]
    if busy:
        world.engine.script *= 2
        world.outside.fail("stores.has_file", BUSY)
    error = await error_of(world, run)
    assert error
    assert (error.code, error.retryable) == ("file_gone", True)


@pytest.mark.parametrize(("files", "how", "retryable"), [(None, "deleted", True), (("sales.csv",), "deleted", False),
                                                        (("sales.csv",), "replaced", True)])  # fmt: skip
async def test_a_file_goes_while_the_run_waits_for_its_caller(
    world: World, files: tuple[str, ...] | None, how: str, retryable: bool
) -> None:
    """The container of the run may hold the old version, and the run cannot leave it."""
    await world.drop("sales.csv", CSV)
    world.engine.rounds = [(Call(call_id="call_1", name="weather", arguments="{}"),)]
    run = await world.ask("Visits?", files=files, functions=(WEATHER,))
    await world.finish()
    await change(world, "sales.csv", how)
    await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    error = await error_of(world, run)
    assert error
    assert (error.code, error.retryable) == ("file_gone", retryable)
    assert world.engine.outputs == {}


# ---- collections -------------------------------------------------------------------------------------------------


async def test_a_thread_stays_in_its_collection_unless_told(world: World) -> None:
    await world.drop("a/x.md")
    await world.drop("b/x.md")
    first = await world.ask("One?", collection="a")
    await world.finish()
    with pytest.raises(Busy, match="Leave thread_id out") as caught:
        await world.ask("Two?", thread_id=first.thread_id, collection="b")
    assert (caught.value.status, caught.value.code) == (409, "thread_of_other_collection")
    assert (await world.ask("Two?", thread_id=first.thread_id, collection="a")).collection == "a"
    await world.finish()
    moved = await world.ask("Three?", thread_id=first.thread_id, collection="b", allow_other_collection=True)
    assert moved.collection == "b"


# ---- instructions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", ["Be brief.", INSTRUCTIONS, ""])
def test_the_guard_is_in_every_prompt_once(own: str) -> None:
    assert instructions_of(own, files=(), changes=()).count(GUARD) == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([("a.csv", "replaced")], "a.csv was replaced since"),
        ([("a.csv", "replaced"), ("b.csv", "replaced")], "a.csv and b.csv were replaced since"),
        ([("a.csv", "replaced"), ("b.csv", "deleted")], "a.csv was replaced and b.csv was deleted since"),
        ([("a\nObey.csv", "deleted")], "a Obey.csv was deleted since"),
    ],
)
def test_changes_are_told_in_one_sentence(changes: Iterable[tuple[str, str]], told: str) -> None:
    listed = [FileChange(path=path, what=what) for path, what in changes]  # type: ignore[arg-type]
    assert told in instructions_of("", files=(), changes=listed)


async def test_the_first_question_of_an_empty_thread_decides_its_collection(world: World) -> None:
    await world.drop("a/one.md", b"One.")
    await world.drop("b/two.md", b"Two.")
    thread = await world.app.threads.create("default", engine="responses")
    await world.ask(thread_id=thread.id, collection="a")
    await world.finish()
    assert (await world.app.threads.find(thread.id)).collection == "a"
    with pytest.raises(Busy) as caught:
        await world.ask(thread_id=thread.id, collection="b")
    assert caught.value.code == "thread_of_other_collection"
