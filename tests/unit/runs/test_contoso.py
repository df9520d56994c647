"""Citations of real PDFs at a service that returns file ids and passages, and no pages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pypdfium2
import pytest

from local.paths import ROOT
from shared.engines.base import Annotation, Output
from shared.engines.stores import Passage
from tests.unit.world import World

DATA = ROOT / "../shared" / "data" / "contoso"
PASSAGE_CHARS = 2_000
SENTENCE_CHARS = 60  # of a sentence that stands once in a document
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/contoso")


def letters(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


def pages_of(path: Path) -> list[str]:
    with pypdfium2.PdfDocument(path) as pdf:
        return [page.get_textpage().get_text_range() for page in pdf]


def passages_of(pages: list[str]) -> list[str]:
    """The text as a service cuts it: without pages, white space as it likes, cut within sentences."""
    text = " ".join(" ".join(pages).replace("\ufffe", "").split())
    return [text[at : at + PASSAGE_CHARS] for at in range(0, len(text), PASSAGE_CHARS // 2)]


@pytest.mark.aside
async def test_pages_hold_their_quotes_at_a_service_without_pages(world: World) -> None:
    pages = {path.name: pages_of(path) for path in sorted(DATA.glob("*.pdf"))}
    for name in pages:
        await world.drop(name, (DATA / name).read_bytes())
    [store] = world.stores.stores.values()
    lines = (DATA / "questions_pages.jsonl").read_text("utf-8").splitlines()
    asked = [(json.loads(line)["question"], place) for line in lines for place in json.loads(line)["relevant"]]
    named = right = 0
    for question, place in asked:
        name, number = place["file"], place["page"]
        sentences = re.findall(rf"[A-Z][^.]{{{SENTENCE_CHARS},}}\.", " ".join(pages[name][number - 1].split()))
        live = (await world.document(name)).live
        assert live
        [file_id] = live.parts
        for sentence in sentences[:3]:
            some = [text for text in passages_of(pages[name]) if sentence in text]
            found = tuple(
                Passage(file_id=file_id, filename=name, text=text, score=1, attributes=store.files[file_id])
                for text in some
            )
            mark = Annotation(position=len(sentence), file_id=file_id, filename=name)
            world.engine.output = Output(text=sentence, annotations=(mark,), passages=found)
            run = await world.ask(question)
            await world.finish()
            [citation] = world.answer(run.id).citations
            if citation.page:
                named += 1
                right += letters(citation.quote) in letters(pages[name][citation.page - 1])
    assert named >= 2 * len(asked), "most of them have a page"
    assert right >= 0.98 * named, f"{right} of {named}"
