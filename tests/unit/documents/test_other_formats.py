"""What the app turns into Markdown, and what a reader at the service may leave out, belongs to the same document."""

from __future__ import annotations

import io

import pptx
from fpdf import FPDF

from tests.unit.formats.markdown import files
from tests.unit.formats.places.test_reading import saved, slides
from tests.unit.formats.test_workbooks import SALES
from tests.unit.world import World


async def sent(world: World, path: str) -> dict[str, bytes]:
    """Name -> content of the files of a document in its vector store."""
    live = (await world.document(path)).live
    assert live
    return dict(world.stores.files[part] for part in live.parts)


async def test_a_mail_is_sent_as_markdown_and_its_attachment_is_named(world: World) -> None:
    await world.drop("c/a.eml", files.mail().as_bytes())
    [(name, content)] = (await sent(world, "c/a.eml")).items()
    assert name == "a.eml.md"
    assert "Seestraße 14" in content.decode()
    notice = (await world.document("c/a.eml")).live.notice
    assert notice.code == "not_everything_read"
    assert "boxes – März.csv" in notice.message


async def test_notes_of_slides_are_a_second_part_of_the_same_document(world: World) -> None:
    deck = saved(slides())
    await world.drop("c/a.pptx", deck)
    parts = await sent(world, "c/a.pptx")
    assert list(parts) == ["a.pptx", "a.pptx.beside.md"]
    assert parts["a.pptx"] == deck
    assert "## Slide 2\n\nNotes:\n\nSay more of the budget." in parts["a.pptx.beside.md"].decode()


async def test_a_document_without_anything_beside_is_one_file(world: World) -> None:
    deck, document = pptx.Presentation(), FPDF()
    deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = "Plan"
    document.set_font("helvetica")
    document.add_page()
    document.multi_cell(0, text="words")
    for path, content in (("a.pptx", saved(deck)), ("a.pdf", bytes(document.output())), ("a.md", b"# One")):
        await world.drop(path, content)
        assert await sent(world, path) == {path: content}


async def test_a_page_that_hides_text_is_sent_without_it(world: World) -> None:
    await world.drop("a.html", "<html><p>Open until 16:30 – daily.<p hidden>Until 14:00.".encode("cp1252"))
    assert await sent(world, "a.html") == {"a.html.md": "Open until 16:30 – daily.\n".encode()}
    notice = (await world.document("a.html")).live.notice
    assert (notice.code, notice.message) == ("not_everything_read", "Text that the page hides was left out.")


async def test_an_ods_is_sent_as_xlsx(world: World) -> None:
    await world.drop("c/a.ods", SALES)
    live = (await world.document("c/a.ods")).live
    name, content = world.stores.files[live.data_file_id]
    assert name == "c__a.ods.xlsx"
    assert content.startswith(b"PK")
    [card] = (await sent(world, "c/a.ods")).values()
    assert "2 rows, 3 columns" in card.decode()


async def test_a_damaged_mail_like_file_has_a_reason(world: World) -> None:
    await world.drop("a.odt", files.packed("application/vnd.oasis.opendocument.text"))
    document = await world.document("a.odt")
    assert (document.status, document.reason.code) == ("failed", "damaged")


async def test_all_parts_are_deleted_with_the_document(world: World) -> None:
    await world.drop("c/a.pptx", saved(slides()))
    deck = pptx.Presentation(io.BytesIO(saved(slides())))
    deck.slides[0].shapes.title.text = "Newer plan"
    await world.drop("c/a.pptx", saved(deck))
    live = (await world.document("c/a.pptx")).live
    assert set(live.file_ids) == world.stores.files.keys()
