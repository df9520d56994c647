"""A negation belongs to the word that it denies; and a document about a sibling is no answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.openai_emulator.models.offline.documents import extract
from local.openai_emulator.models.offline.documents.question import QuestionTerms
from local.openai_emulator.search.passage import Passage
from tests.local.openai_emulator.models.offline.test_reading import answered

ORDERS = """\
city,product,status,returned,paid,units,price,garages,comment
Graz,Lamp,returned,yes,yes,10,5,0,late
Graz,Chair,kept,no,yes,4,7,2,
Linz,Lamp,kept,no,no,3,5,1,
Linz,Table,returned,no,no,8,20,0,
Wien,Chair,exchanged,yes,no,5,7,3,late
Graz,Table,kept,no,no,6,20,1,
"""


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    (tmp_path / "orders.csv").write_text(ORDERS)
    return tmp_path


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        pytest.param("What is the total units not returned in Graz?", "**10** (2 values)", id="verb-before-a-place"),
        pytest.param("How many rows were not paid in Linz?", "**2 rows", id="flag-before-a-place"),
        pytest.param("How many rows were paid but not in Graz?", "**0 rows", id="place-after-but"),
        pytest.param("How many rows are not in Graz or Linz?", "**1 row", id="joined-values"),
        pytest.param("How many rows are neither Lamp nor Chair?", "**2 rows", id="neither"),
        pytest.param("How many rows are in cities other than Graz?", "**3 rows", id="other-than"),
        pytest.param("What is the total units of all cities except Graz?", "**16**", id="except"),
        pytest.param("How many rows have status kept and not exchanged?", "**3 rows", id="one-of-two-values"),
        pytest.param("How many rows are neither paid nor returned?", "**3 rows", id="two-flags"),
        pytest.param("How many rows in Graz have no comment?", "**2 rows", id="empty"),
        pytest.param("What is the average price of the rows with a garage?", "**9.75**", id="at-least-one"),
        pytest.param("How many rows have no garages?", "**2 rows", id="none"),
        pytest.param("How many rows have more than two garages?", "**1 row", id="number-word"),
    ],
)
def test_a_negation_denies_what_follows_it(orders: Path, question: str, expected: str) -> None:
    assert expected in answered(orders, question)


@pytest.mark.parametrize(
    "question",
    [
        "How many rows were paid or returned?",
        "How many lamps were not stolen in Graz?",
        "Is none of the lamps kept?",
    ],
)
def test_a_scope_that_is_not_clear_is_refused(orders: Path, question: str) -> None:
    assert "cannot answer" in answered(orders, question)


HUTS = """# Alpine huts

The lodge on the Hochtor opens in June. A night there costs 30 euros.

The Admont hut has 40 beds. It was built in 1931 by Anton Maier.
"""


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        pytest.param("How many beds has the Admont hut?", "40 beds", id="named"),
        pytest.param("How much does a night on the Hochtor cost?", "30 euros", id="in-the-paragraph"),
        pytest.param("How many beds has the Gesäuse hut?", "", id="another-name"),
        pytest.param("How much is a night at the campsite?", "", id="another-noun"),
        pytest.param("Who built the Admont hut in 1950?", "", id="another-year"),
    ],
)
def test_what_is_asked_about_is_named_or_the_documents_do_not_say(question: str, expected: str) -> None:
    passages = [Passage(file_id="f", filename="huts.md", text=HUTS, score=1.0)]

    found = extract.answer(QuestionTerms.of(question), passages)

    assert expected in found.text if expected else found.text == ""


def test_the_words_that_no_passage_has_are_told() -> None:
    passages = [Passage(file_id="f", filename="huts.md", text=HUTS, score=1.0)]

    assert extract.answer(QuestionTerms.of("How much is a night at the cinema?"), passages).missing == ("cinema",)
