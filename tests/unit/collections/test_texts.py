"""Each version's text is kept under its etag, and is gone with the version: in its record, or as a blob."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from shared.collections import texts as texts_module
from shared.collections.texts import Texts
from shared.documents.record import document_records
from shared.formats.places.base import Place, Places
from shared.models.documents import Document, Version
from tests.fakes.storage import InMemoryBlobs
from tests.unit.world import World

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def one_page(text: str) -> Places:
    return Places(places=(Place(kind="page", number=7, text=text),))


async def page_of(texts: Texts, path: str, etag: str, quote: str) -> int | None:
    index = await texts.of(path, etag)
    found = index.find(quote) if index else None
    return found.place.number if found else None


@pytest.mark.usefixtures("every_text_is_long")
async def test_each_version_has_its_own_text() -> None:
    texts = Texts(InMemoryBlobs())
    await texts.keep("c/a.md", "one", one_page("The old words."))
    await texts.keep("c/a.md", "two", one_page("The new words."))
    assert await page_of(texts, "c/a.md", "one", "The old words.") == 7
    assert await page_of(texts, "c/a.md", "one", "The new words.") is None
    assert await page_of(texts, "c/a.md", "two", "The new words.") == 7
    assert await texts.of("c/a.md", "three") is None


@pytest.mark.usefixtures("every_text_is_long")
async def test_a_dropped_text_is_gone_and_its_neighbours_stay() -> None:
    state = InMemoryBlobs()
    for path in ("c/a.md", "c/a.md/b.md", "d/a.md"):
        await Texts(state).keep(path, "one", one_page("Words."))
    await Texts(state).keep("c/a.md", "two", one_page("Words."))
    assert await Texts(state).kept("c/a.md") == {"one", "two"}
    await Texts(state).drop("c/a.md", {"one", "never there"})
    left = {(version.path, version.etag) async for version in Texts(state).versions()}
    assert left == {("c/a.md", "two"), ("c/a.md/b.md", "one"), ("d/a.md", "one")}


@pytest.mark.usefixtures("every_text_is_long")
async def test_a_document_with_the_longest_name_has_a_text() -> None:
    state = InMemoryBlobs()
    path = "c/" + "ü" * 1_000 + ".md"
    await Texts(state).keep(path, "0x8DD", one_page("Words."))
    [name] = state.names()
    assert len(name) <= 1_024
    assert await page_of(Texts(state), path, "0x8DD", "Words.") == 7


@pytest.mark.usefixtures("every_text_is_long")
async def test_few_texts_are_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts_module, "CACHED_MAX_CHARS", 25)
    state = InMemoryBlobs()
    texts = Texts(state)
    for n in range(5):
        await texts.keep("c/a.md", str(n), one_page("Ten chars."))
        await texts.of("c/a.md", str(n))
    reads = len(state.outside.calls)
    await texts.of("c/a.md", "4")
    await texts.of("c/a.md", "3")
    assert len(state.outside.calls) == reads
    await texts.of("c/a.md", "0")
    assert len(state.outside.calls) == reads + 2  # the record, and the blob


async def test_a_short_text_is_in_the_record_of_its_version() -> None:
    state = InMemoryBlobs()
    short = await Texts(state).keep("c/a.md", "two", one_page("A few words."))
    assert short
    assert state.names() == []
    live = Version(etag="two", size_bytes=1, last_modified_at=NOW, kind="text", text=short)
    given_up = Version(etag="two", size_bytes=1, last_modified_at=NOW, kind="text")  # an earlier try, sent without it
    for versions in ({"live": live}, {"incoming": live, "retired": (given_up,)}, {"retired": (given_up, live)}):
        document = Document(
            path="c/a.md", collection="c", status="indexing", updated_at=NOW, etag="two", size_bytes=1, **versions
        )
        await document_records(state).put("c/a.md", document)
        assert await page_of(Texts(state), "c/a.md", "two", "A few words.") == 7
        assert await Texts(state).of("c/a.md", "one") is None


async def test_a_text_that_compresses_badly_is_a_blob() -> None:
    state = InMemoryBlobs()
    text = "".join(chr(random.Random(number).randrange(0x4E00, 0x9FFF)) for number in range(4_000))
    assert await Texts(state).keep("c/a.md", "one", one_page(text)) is None
    assert await page_of(Texts(state), "c/a.md", "one", text[100:200]) == 7


async def test_a_small_document_needs_no_blob_for_its_text(world: World) -> None:
    await world.drop("c/a.md", b"A few words.")
    await world.settle()
    live = (await world.document("c/a.md")).live
    assert live
    assert world.state.names("text/") == []
    index = await world.app.library.texts.of("c/a.md", live.etag)
    assert index
    assert index.find("A few words.")
