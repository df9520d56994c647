"""Each version's text is kept under its etag, and is gone with the version."""

from __future__ import annotations

import pytest

from shared.collections import texts as texts_module
from shared.collections.texts import Texts
from shared.formats.places.base import Place, Places
from tests.fakes.storage import InMemoryBlobs


def one_page(text: str) -> Places:
    return Places(places=(Place(kind="page", number=7, text=text),))


async def page_of(texts: Texts, path: str, etag: str, quote: str) -> int | None:
    index = await texts.of(path, etag)
    found = index.find(quote) if index else None
    return found.place.number if found else None


async def test_each_version_has_its_own_text() -> None:
    texts = Texts(InMemoryBlobs())
    await texts.keep("c/a.md", "one", one_page("The old words."))
    await texts.keep("c/a.md", "two", one_page("The new words."))
    assert await page_of(texts, "c/a.md", "one", "The old words.") == 7
    assert await page_of(texts, "c/a.md", "one", "The new words.") is None
    assert await page_of(texts, "c/a.md", "two", "The new words.") == 7
    assert await texts.of("c/a.md", "three") is None


async def test_a_dropped_text_is_gone_and_its_neighbours_stay() -> None:
    state = InMemoryBlobs()
    for path in ("c/a.md", "c/a.md/b.md", "d/a.md"):
        await Texts(state).keep(path, "one", one_page("Words."))
    await Texts(state).keep("c/a.md", "two", one_page("Words."))
    assert await Texts(state).kept("c/a.md") == {"one", "two"}
    await Texts(state).drop("c/a.md", {"one", "never there"})
    left = {(version.path, version.etag) async for version in Texts(state).versions()}
    assert left == {("c/a.md", "two"), ("c/a.md/b.md", "one"), ("d/a.md", "one")}


async def test_a_document_with_the_longest_name_has_a_text() -> None:
    state = InMemoryBlobs()
    path = "c/" + "ü" * 1_000 + ".md"
    await Texts(state).keep(path, "0x8DD", one_page("Words."))
    [name] = state.names()
    assert len(name) <= 1_024
    assert await page_of(Texts(state), path, "0x8DD", "Words.") == 7


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
    assert len(state.outside.calls) == reads + 1
