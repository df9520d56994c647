"""A quote is found in its place, whatever a service did to white space, hyphens, quotes and ligatures."""

from __future__ import annotations

import random
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.places.base import Place, Places
from shared.formats.places.quotes import PlaceIndex, squeezed


def pages(*texts: str, complete: bool = True) -> PlaceIndex:
    places = tuple(Place(kind="page", number=n, text=text) for n, text in enumerate(texts, start=1))
    return PlaceIndex(Places(places=places, complete=complete))


GATE = "The garage gate code is 4408."
LIFT = "The lift is inspected by the city every spring."


@pytest.mark.parametrize(
    ("page", "quote", "words"),
    [
        (GATE, "The garage  gate\ncode is 4408.", GATE),
        ("The ﬁnal oﬃce refund is effective.", "The final office refund", "The ﬁnal oﬃce refund"),
        ("The main\u00adtenance window is Sunday.", "The maintenance window", "The maintenance window"),
        ("The inter\ufffenational team works.", "The international team", "The international team"),
        ("The inter-\r\nnational team works.", "The international team", "The inter- national team"),
        ("A “quoted” word – and more.", 'A "quoted" word - and more.', "A “quoted” word – and more."),
        ("Un cafe\u0301 noir.", "Un café noir.", "Un cafe\u0301 noir."),
        ("Un café noir.", "Un cafe\u0301 noir.", "Un café noir."),
        ("合同于2024年3月1日生效。", "合同于 2024 年 3 月 1 日生效。", "合同于2024年3月1日生效。"),
        ("• First point\n• Second point", "- First point\n- Second point", "First point • Second point"),
    ],
)
def test_what_services_change_does_not_matter(page: str, quote: str, words: str) -> None:
    found = pages(LIFT, page).find(quote)
    assert found is not None
    assert (found.place.number, found.words) == (2, words)


@pytest.mark.parametrize("quote", ["The garage gate code is 4409.", "The gate code is 4408.", "", " \n", "-", "“”"])
def test_other_words_are_not_found(quote: str) -> None:
    assert pages(LIFT, GATE).find(quote) is None


def test_figures_keep_their_points() -> None:
    assert pages("It costs 1.5 euros.").find("It costs 15 euros.") is None


def test_a_quote_over_two_pages_is_cut_to_the_page_that_holds_most_of_it() -> None:
    found = pages("Long before.", "The rent is due on the third", "day of each month. " + GATE).find(
        "The rent is due on the third day of"
    )
    assert found is not None
    assert (found.place.number, found.words) == (2, "The rent is due on the third")


def test_the_passage_decides_between_equal_quotes() -> None:
    index = pages(f"{LIFT} Fees apply.", f"{GATE} Fees apply.", "Fees apply.")
    first, second = index.find("Fees apply."), index.find("Fees apply.", passage=f"{GATE}\nFees apply.")
    assert first is not None
    assert second is not None
    assert (first.place.number, second.place.number) == (1, 2)


def test_a_long_sentence_of_a_quote_stands_for_it() -> None:
    """A service may put a footer or another column in between."""
    found = pages(LIFT, f"{GATE} Keep it secret from all of the visitors.").find(
        f"{GATE}\nACME - Confidential - 7\nKeep it secret from all of the visitors."
    )
    assert found is not None
    assert (found.place.number, found.words) == (2, "Keep it secret from all of the visitors.")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("before", ["하노이 지사의 매출은 가나다라마바사", "কো কো কো", "Ünïcödé " * 9])
def test_words_before_a_quote_in_any_script_do_not_shift_it(before: str, form: str) -> None:
    text = unicodedata.normalize(form, f"{before}. Budget is 500. Loss is 900. Reserve is 77.")
    found = pages(text).find("Loss is 900.")
    assert found is not None
    assert found.words == "Loss is 900."


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_quote_in_any_script_keeps_its_words(form: str) -> None:
    quote = "하노이 지사의 매출은 구백입니다."
    found = pages(unicodedata.normalize(form, f"가나다라. {quote} 끝.")).find(quote)
    assert found is not None
    assert squeezed(found.words) == squeezed(quote)


@pytest.mark.parametrize("line", ["word " * 20 + "\n", "x" * 5_000 + " ", "x" * 9_000])
def test_a_quote_late_in_a_long_text_is_found_with_its_words(line: str) -> None:
    """Only the block around it is walked, character by character."""
    index = pages(line * 200 + " The gate code is 4408. " + line * 10)
    found = index.find("The gate\ncode is 4408.")
    assert found is not None
    assert found.words == "The gate code is 4408."


words = st.lists(st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=12), min_size=3)


@given(words, st.integers(0, 10**6))
def test_a_rewrapped_quote_is_found_with_its_words(of_page: list[str], seed: int) -> None:
    rng = random.Random(seed)
    page = "".join(word + rng.choice([" ", "\n", "  ", "\r\n", "\u00a0"]) for word in of_page)
    first = rng.randrange(len(of_page))
    last = rng.randrange(first, len(of_page))
    quote = "".join(
        unicodedata.normalize(rng.choice(["NFC", "NFD", "NFKC"]), word) + rng.choice([" ", "\n", ""])
        for word in of_page[first : last + 1]
    )
    found = pages("...", page).find(quote)
    if not squeezed(quote):
        assert found is None
        return
    assert found is not None
    assert squeezed(found.words) == squeezed(" ".join(of_page[first : last + 1]))
    assert re.sub(r"\s+", " ", page).find(found.words) >= 0
