"""A run gets a data file with its clean copies, and its answer names only documents."""

from __future__ import annotations

import pytest

from shared.engines.base import Output
from shared.models.runs import DataFile, Usage
from shared.runs.answers import with_own_names
from shared.runs.citations import NO_SOURCE
from shared.runs.data_files import DATA_FILES_MAX, within_limit
from tests.unit.runs.test_inputs import delete, last_ask
from tests.unit.world import World

MESSY = "Umsatz 2025\n\nStadt;Umsatz\nKöln;1.234,50\nBonn;2.000,00\n".encode()


def answers(world: World, text: str, *, code_calls: int = 1) -> None:
    world.engine.output = Output(text=text, usage=Usage(code_interpreter_calls=code_calls), model="fake")


@pytest.mark.parametrize("named", [True, False])
async def test_a_run_gets_original_and_clean_copy(world: World, named: bool) -> None:
    await world.drop("sales/2025/t.csv", MESSY)
    live = (await world.document("sales/2025/t.csv")).live
    assert live
    more = {"files": ("sales/2025/t.csv",)} if named else {}
    run = await world.ask("What is the total Umsatz?", collection="sales", **more)
    assert last_ask(world).file_ids == live.data_file_ids
    assert f"clean copies: {live.clean_file_ids[0]}" in last_ask(world).instructions
    answers(world, "By sales__2025__t.csv.clean.csv it is 3,234.50; see `sales__2025__t.csv`.")
    await world.finish()
    answer = world.answer(run.id)
    assert answer.files == ("sales/2025/t.csv",)
    assert answer.answer == "By sales/2025/t.csv it is 3,234.50; see `sales/2025/t.csv`."
    [note] = answer.notes
    assert note.startswith("sales/2025/t.csv: ")
    assert "decimal comma" in note


async def test_an_answer_without_code_has_no_note_on_tables(world: World) -> None:
    await world.drop("t.csv", MESSY)
    run = await world.ask("Why?")
    answers(world, "So.", code_calls=0)
    await world.finish()
    assert world.answer(run.id).notes == (NO_SOURCE,)


async def test_a_deleted_document_takes_its_clean_copy_along(world: World) -> None:
    await world.drop("t.csv", MESSY)
    await world.drop("u.csv", b"a,b\n1,2\n")
    await delete(world, "t.csv")
    await world.ask("What is the total?")
    live = (await world.document("u.csv")).live
    assert live
    assert last_ask(world).file_ids == live.data_file_ids


def test_a_document_comes_with_all_of_its_files_or_not_at_all() -> None:
    some = [[DataFile(path=f"{n}", file_id=f"{n}-{m}") for m in range(9)] for n in range(4)]
    assert within_limit([*some, some[0][:2]]) == (*some[0], *some[1], *some[0][:2])
    assert DATA_FILES_MAX == 20


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Total in book.xlsx.Sheet_2.clean.csv: 4", "Total in a/book.xlsx: 4"),
        ("Total in a__book.xlsx.Sheet_2.clean.csv.", "Total in a/book.xlsx."),
        ("a__book.xlsx and a/book.xlsx", "a/book.xlsx and a/book.xlsx"),
        ("data__book.xlsx or a__book.xlsx.bak", "data__book.xlsx or a__book.xlsx.bak"),
    ],
)
def test_files_are_named_as_their_documents(text: str, shown: str) -> None:
    text = text.replace("in book", "in a__book")
    new, position = with_own_names(text, ["a/book.xlsx"])
    assert new == shown
    assert position(len(text)) == len(shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See offer.eml.md, and t__u.csv.md.", "See mail/offer.eml, and t/u.csv."),
        ("See deck.pptx.beside.md", "See a/deck.pptx"),
        ("See read.md and read.beside.md", "See read.md and read.md"),
        ("See both.csv.md", "See both.csv.md"),  # a document of that name was found, too
        ("See notes.md and my-offer.eml.md", "See notes.md and my-offer.eml.md"),
    ],
)
def test_files_that_the_app_has_made_are_named_as_their_documents(text: str, shown: str) -> None:
    found = ["mail/offer.eml", "t/u.csv", "a/deck.pptx", "read.md", "both.csv", "x/both.csv.md"]
    new, position = with_own_names(text, [], found=found)
    assert new == shown
    assert position(len(text)) == len(shown)
