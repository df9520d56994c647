"""Citations: what is quoted from which document, and where it stands there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.collections.attributes import Source
from shared.engines.base import Annotation
from shared.engines.stores import Passage
from shared.formats.places.base import Place, Places
from shared.formats.places.quotes import PlaceIndex
from shared.models.runs import Citation
from shared.runs.citations import QUOTE_MAX_CHARS, citations_of, numbered_citations, placed

GUIDE = "Limits for HTTP.\nThe warning limit is 350 ms. The critical limit is 900 ms.\nCall the team lead at night."
DOCUMENTS = {
    "f1": Source(path="ops/guide.md", etag="0x1"),
    "f2": Source(path="ops/other.md", etag="0x2"),
}


def passage(file_id: str, text: str, **attributes: str | float | bool) -> Passage:
    return Passage(file_id=file_id, filename=f"{file_id}.md", text=text, score=1, attributes=attributes)


def cited(text: str, marks: list[Annotation], passages: list[Passage]) -> list[Citation]:
    return list(numbered_citations(citation for citation, _ in citations_of(text, marks, passages, DOCUMENTS)))


def mark(position: int, file_id: str = "f1") -> Annotation:
    return Annotation(position=position, file_id=file_id, filename=f"{file_id}.md")


# ---- citations ---------------------------------------------------------------------------------------------------


def test_each_mark_quotes_the_passage_that_supports_it() -> None:
    text = "Warn at 350 ms. It is critical at 900 ms."
    one, two = cited(text, [mark(len(text)), mark(15)], [passage("f1", GUIDE)])
    assert (one.n, one.position, one.document, one.etag, one.page) == (1, 15, "ops/guide.md", "0x1", None)
    assert "350 ms" in one.quote
    assert (two.n, two.position) == (2, len(text))
    assert "900 ms" in two.quote


def test_the_same_quote_has_the_same_number() -> None:
    text = "The warning limit is 350 ms. So the warning limit is 350 ms."
    first, second = cited(text, [mark(28), mark(60)], [passage("f1", GUIDE)])
    assert first.n == second.n == 1


def test_each_file_is_quoted_from_its_own_passages() -> None:
    text = "The limit is 350 ms."
    passages = [passage("f1", GUIDE), passage("f2", "The limit is 10 s here.")]
    [citation] = cited(text, [mark(20, "f2")], passages)
    assert (citation.document, citation.quote) == ("ops/other.md", "The limit is 10 s here.")


def test_an_unknown_file_keeps_its_name() -> None:
    [citation] = cited("Yes.", [mark(4, "f9")], [])
    assert (citation.document, citation.etag, citation.quote, citation.page) == ("f9.md", None, "", None)


@pytest.mark.parametrize("position", [-5, 0, 4, 10_000])
def test_positions_stay_in_the_text(position: int) -> None:
    [citation] = cited("Yes.", [mark(position)], [passage("f1", GUIDE)])
    assert 0 <= citation.position <= 4


def test_a_quote_is_made_of_whole_sentences() -> None:
    law = "Die Frist endet am 3. Mai 2024 nach § 5 Abs. 2. Bis dahin kostet es 1.900,50 Euro. Danach nichts."
    [citation] = cited("Die Frist endet im Mai.", [mark(23)], [passage("f1", law)])
    assert citation.quote == "Die Frist endet am 3. Mai 2024 nach § 5 Abs. 2."


def test_something_is_quoted_when_no_word_is_shared() -> None:
    long = " ".join(f"word{n}" for n in range(40)) + "."
    [citation] = cited("Ganz anders.", [mark(12)], [passage("f1", f"{long}\n{long}")])
    assert citation.quote.startswith("word0")


WORDS = st.text(alphabet="ab .!?\n1é文-", max_size=80)


@given(WORDS, st.lists(st.tuples(st.integers(-3, 100), st.sampled_from(["f1", "f2"])), max_size=4), WORDS, WORDS)
def test_quotes_are_verbatim(text: str, marks: list[tuple[int, str]], one: str, other: str) -> None:
    passages = {"f1": one, "f2": other}
    citations = cited(text, [mark(*at) for at in marks], [passage(file_id, said) for file_id, said in passages.items()])
    assert len(citations) == len(marks)
    assert [c.position for c in citations] == sorted(c.position for c in citations)
    numbers = [c.n for c in citations]
    assert sorted(set(numbers)) == list(range(1, len(set(numbers)) + 1))
    for citation in citations:
        assert citation.quote in passages[citation.file_id]
        assert len(citation.quote) <= QUOTE_MAX_CHARS
        assert citation.quote.strip() or not passages[citation.file_id].strip()


# ---- where it stands ---------------------------------------------------------------------------------------------


def index(*places: Place, complete: bool = True) -> PlaceIndex:
    return PlaceIndex(Places(places=places, complete=complete))


def quoting(quote: str) -> Citation:
    return Citation(n=1, document="a.pdf", file_id="f1", filename="a.pdf", quote=quote, position=0)


LIMIT = "The warning limit is 350 ms."


@pytest.mark.parametrize(
    ("place", "page", "slide", "section"),
    [
        (Place(kind="page", number=3, text=LIMIT), 3, None, None),
        (Place(kind="slide", number=2, name="Limits", text=LIMIT), None, 2, None),
        (Place(kind="section", name="Limits", text=LIMIT), None, None, "Limits"),
        (Place(kind="section", text=LIMIT), None, None, None),
        (Place(kind="card", text=LIMIT), None, None, None),
    ],
)
def test_a_verified_quote_has_its_place_and_its_words(
    place: Place, page: int | None, slide: int | None, section: str | None
) -> None:
    other = Place(kind=place.kind, number=1, text="Other text.")
    citation = placed(quoting("The  warning\nlimit is 350 ms."), "", index(other, place))
    assert (citation.verified, citation.quote) == (True, LIMIT)
    assert (citation.page, citation.slide, citation.section) == (page, slide, section)


def test_a_quote_that_stands_nowhere_is_not_verified_and_has_no_place() -> None:
    citation = placed(quoting("The warning limit is 530 ms."), "", index(Place(kind="page", number=3, text=LIMIT)))
    assert (citation.verified, citation.page, citation.quote) == (False, None, "The warning limit is 530 ms.")


def test_without_the_whole_text_nothing_is_claimed() -> None:
    part = index(Place(kind="page", number=3, text=LIMIT), complete=False)
    for known in (part, None):
        citation = placed(quoting("Words of a later page."), "", known)
        assert (citation.verified, citation.page) == (None, None)
