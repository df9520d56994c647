"""Files that real people tripped over, from upload to citation: the right page, slide or section, whoever answers.

The right values of the tables are in tests/unit/formats/tables/test_field.py.
"""

from __future__ import annotations

import pytest

from local.paths import ROOT
from shared.engines.base import Annotation, Output
from shared.engines.stores import Passage
from shared.formats.places.quotes import squeezed
from shared.models.runs import Citation
from tests.unit.formats.tables import test_field as tables
from tests.unit.world import World

FIELD = ROOT / "../shared" / "data" / "field"
pytestmark = pytest.mark.skipif(not FIELD.is_dir(), reason="needs ../shared/data/field")

# File, words of it that answer its question, and where they stand: page, slide or section.
PLACES: list[tuple[str, str, int | str | None]] = [
    ("b4-deck.pptx", "| Q3 | 9.75 |", 2),
    ("b4-deck.pptx", "Tell the audience that the plant in Graz closes in October.", 1),
    ("b5-two-columns.pdf", "the annual budget for the harbour project is nine million euros", 1),
    ("b5-two-columns.pdf", "Its entrance fee is fourteen euros for adults", 1),
    ("b6-form.pdf", "applicant: Harriet Vane", 1),
    ("b6-form.pdf", "amount: 48,200 EUR", 1),
    ("b6-form.pdf", "pay only after the audit in June.", 1),
    ("b10-ligatures.pdf", "The maintenance window is Sunday night.", 1),
    ("b12-headers.pdf", "The warranty of the drill ends after 26 months.", 3),
    ("b12-headers.pdf", "The warranty of the saw ends after 14 months.", 9),
    ("b12-headers.pdf", "Batteries have a warranty of 7 months only.", 15),
    ("b15-page.html", "The cafeteria is open from 8:00 to 16:30.", "Cafeteria"),
    ("b17-mail.eml", "the head office moves to Seestraße 14 on 1 June.", "Umzug der Zentrale – neue Adresse"),
    ("c1-three-slides.pptx", "The training budget is 1,900 euros per person.", 2),
    ("c1-two-pages.pdf", "The garage gate code is 4408.", 2),
    ("m11.txt", "Tax: 1.50", None),
]
NOT_READ = {"b9-no-tounicode.pdf": ("unsupported", "no_text")}
DATA = sorted({*tables.FILES} - {"m11.txt"})


async def cited(world: World, name: str, words: str, passage: str) -> Citation:
    """The citation of an answer in these words, at a service that found this passage."""
    live = (await world.document(name)).live
    assert live
    file_id = live.parts[-1]
    [store] = world.stores.stores.values()
    found = Passage(file_id=file_id, filename=name, text=passage, score=1, attributes=store.files[file_id])
    mark = Annotation(position=len(words), file_id=file_id, filename=name)
    world.engine.output = Output(text=words, annotations=(mark,), passages=(found,), model="fake")
    run = await world.ask("Where does it say so?")
    await world.finish()
    [citation] = world.answer(run.id).citations
    return citation


@pytest.mark.parametrize(("name", "words", "place"), PLACES, ids=[f"{name}-{place}" for name, _, place in PLACES])
async def test_a_citation_names_the_place_of_its_words(
    world: World, name: str, words: str, place: int | str | None
) -> None:
    await world.drop(name, (FIELD / name).read_bytes())
    citation = await cited(world, name, words, words.replace(" ", "\n", 1))
    assert (citation.document, citation.verified) == (name, True)
    assert squeezed(citation.quote) == squeezed(words)
    assert (citation.page or citation.slide or citation.section) == place


@pytest.mark.parametrize("name", ["b15-page.html", "c1-two-pages.pdf"])
async def test_words_that_the_document_does_not_show_are_not_verified(world: World, name: str) -> None:
    await world.drop(name, (FIELD / name).read_bytes())
    citation = await cited(world, name, "It is open until 14:00 today.", "It is open until 14:00 today.")
    assert (citation.verified, citation.page, citation.section) == (False, None, None)


async def test_an_attachment_that_was_not_read_is_named(world: World) -> None:
    """The README asks for a boiler, too, of which this file says nothing."""
    await world.drop("b17-mail.eml", (FIELD / "b17-mail.eml").read_bytes())
    live = (await world.document("b17-mail.eml")).live
    assert live
    assert live.notice
    assert "boxes.csv" in live.notice.message


@pytest.mark.parametrize("name", NOT_READ)
async def test_what_cannot_be_read_says_why(world: World, name: str) -> None:
    await world.drop(name, (FIELD / name).read_bytes())
    document = await world.document(name)
    assert document.reason
    assert (document.status, document.reason.code) == NOT_READ[name]


@pytest.mark.parametrize("name", DATA)
async def test_the_card_of_a_table_is_cited_without_a_page(world: World, name: str) -> None:
    await world.drop(name, (FIELD / name).read_bytes())
    live = (await world.document(name)).live
    assert live
    assert live.data_file_ids
    card = world.stores.files[live.parts[-1]][1].decode()
    row = max((line for line in card.split("\n") if line.startswith("|")), key=len)
    citation = await cited(world, name, row, row)
    assert (citation.document, citation.verified) == (name, True)
    assert (citation.page, citation.slide, citation.section) == (None, None, None)


def test_every_file_is_tested() -> None:
    known = {name for name, *_ in PLACES} | NOT_READ.keys() | set(tables.FILES) | {"README.md"}
    assert {path.name for path in FIELD.iterdir()} == known
