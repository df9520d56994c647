"""Charts, files and citations of an answer, also when files cannot be downloaded."""

from __future__ import annotations

import pytest

from shared.engines.base import Annotation, Output
from shared.engines.stores import Passage
from shared.errors import ServiceError, ServiceMissing
from shared.models.runs import Usage
from shared.runs.citations import NO_SOURCE, NOT_CITED
from shared.runs.publishing import FETCH_TRIES
from tests.unit.runs.test_runs import BUSY, with_files
from tests.unit.world import World


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


async def test_a_chart_that_is_denied_once_is_downloaded(world: World) -> None:
    with_files(world)
    world.outside.fail("engine.download", ServiceMissing("Not found."))
    run = await world.ask()
    await world.finish()
    assert (len(world.answer(run.id).charts), world.answer(run.id).notes) == (1, (NO_SOURCE,))


@pytest.mark.parametrize("error", [ServiceMissing("The container has expired."), ServiceError("No.")])
async def test_a_chart_that_cannot_be_downloaded_is_named(world: World, error: ServiceError) -> None:
    with_files(world)
    tries = FETCH_TRIES + 1 if isinstance(error, ServiceMissing) else 1
    world.outside.fail("engine.download", *[error] * tries)
    run = await world.ask()
    await world.finish()
    answer = world.answer(run.id)
    assert (answer.status, answer.charts, len(answer.outputs)) == ("completed", (), 1)
    note, _ = answer.notes
    assert "trend.png" in note
    assert note in world.markdown(run.id)


async def test_a_chart_download_is_retried_while_the_service_is_busy(world: World) -> None:
    with_files(world)
    world.outside.fail("engine.download", BUSY, BUSY)
    run = await world.ask()
    await world.deliver()
    assert world.answers.names(f"{run.id}/answer") == []
    await world.finish()
    assert len(world.answer(run.id).charts) == 1


async def test_chart_downloads_are_not_retried_forever(world: World) -> None:
    with_files(world)
    world.outside.fail("engine.download", *[BUSY] * 1000)
    run = await world.ask()
    await world.finish()
    answer = world.answer(run.id)
    assert (answer.status, answer.charts) == ("completed", ())
    assert len(answer.notes) == 3


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
    world.engine.output = Output(text="As I said: 42.", annotations=marks)  # cites a file that the first run found
    second = await world.ask(thread_id=first.thread_id)
    await world.finish()
    for run, quote in ((first, "The limit is 42."), (second, "")):
        [citation] = world.answer(run.id).citations
        assert (citation.n, citation.document, citation.etag, citation.quote) == (1, "guide.md", document.etag, quote)


@pytest.mark.parametrize(("change", "how"), [("put", "replaced"), ("take_away", "deleted"), (None, None)])
async def test_a_cited_document_that_has_just_changed_is_named(
    world: World, change: str | None, how: str | None
) -> None:
    """The event of the change has not come yet."""
    await world.drop("guide.md", b"The limit is 42.")
    live = (await world.document("guide.md")).live
    assert live is not None
    [store] = world.stores.stores.values()
    file_id = live.parts[0]
    found = Passage(
        file_id=file_id, filename="guide.md", text="The limit is 42.", score=1, attributes=store.files[file_id]
    )
    marks = (Annotation(position=11, file_id=file_id, filename="guide.md"),)
    world.engine.output = Output(text="The limit: 42.", annotations=marks, passages=(found,))
    run = await world.ask()
    if change == "put":
        world.blobs.put("guide.md", b"The limit is 43.")
    elif change == "take_away":
        world.blobs.take_away("guide.md")
    await world.finish()
    notes = world.answer(run.id).notes
    assert notes == ((f"guide.md was {how} meanwhile: this answer cites the old version.",) if how else ())


@pytest.mark.parametrize(
    ("text", "searches", "codes", "notes"),
    [
        ("Hello! What would you like to know?", 0, 0, (NO_SOURCE,)),
        ("The mayor of Berlin is Ada.", 0, 0, (NO_SOURCE,)),
        ("The documents do not say.", 2, 0, (NOT_CITED,)),
        ("It is 4.", 0, 1, (NO_SOURCE,)),  # computed without a file
        (" ", 0, 0, ()),  # there is no statement that could have a source
    ],
)
async def test_an_answer_without_a_source_says_so(
    world: World, text: str, searches: int, codes: int, notes: tuple[str, ...]
) -> None:
    usage = Usage(file_search_calls=searches, code_interpreter_calls=codes)
    world.engine.output = Output(text=text, usage=usage, model="fake")
    run = await world.ask()
    await world.finish()
    assert (world.answer(run.id).answer, world.answer(run.id).notes) == (text, notes)
    assert all(f"\n> {note}\n" in world.markdown(run.id) for note in notes)


@pytest.mark.parametrize("code_calls", [0, 1])
async def test_an_answer_from_a_data_file_has_a_source_once_code_has_run(world: World, code_calls: int) -> None:
    await world.drop("sales.csv", b"day,total\n1,840\n2,20\n")
    world.engine.output = Output(text="860.", usage=Usage(code_interpreter_calls=code_calls), model="fake")
    run = await world.ask("What is the total of the sales?")
    await world.finish()
    assert world.answer(run.id).files == ("sales.csv",)
    assert world.answer(run.id).notes == (() if code_calls else (NO_SOURCE,))
