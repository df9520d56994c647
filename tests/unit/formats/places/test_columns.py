"""Pages whose file goes from column to column with each line are read column after column; tables are not."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from fpdf import FPDF
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.formats.places import pdf_columns
from shared.formats.places.columns import BOXES_MAX, EFFORT_MAX, Box, Effort, in_columns
from shared.formats.places.quotes import PlaceIndex
from shared.formats.places.reading import read

HARBOUR = (
    "The committee met in Lisbon and decided that the annual budget for the harbour project is nine million euros, to "
    "be paid in three parts over two years."
)
MUSEUM = (
    "The museum closes on Mondays and opens at ten on other days. Its entrance fee is fourteen euros for adults and "
    "free for children under the age of twelve."
)
BRIDGE = (
    "A new bridge joins both banks since the spring, and lorries over seven tonnes must take the northern road until "
    "the autumn of next year, says the mayor."
)
LINE_MM = 6


def wrapped(text: str, letters: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > letters:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def page(cells: Sequence[tuple[float, float, str]], size: float = 10) -> bytes:
    """A PDF of one page with these texts, in this order, at (x, y) in millimetres."""
    document = FPDF()
    document.add_page()
    document.set_font("helvetica", size=size)
    for x, y, text in cells:
        document.text(x, y, text)
    return bytes(document.output())


def row_by_row(columns: Sequence[Sequence[str]], at: Sequence[float], y: float = 40) -> list[tuple[float, float, str]]:
    """The cells as a program writes them that goes from column to column with each line."""
    return [
        (x, y + LINE_MM * row, column[row])
        for row in range(max(map(len, columns)))
        for x, column in zip(at, columns, strict=True)
        if row < len(column)
    ]


def beside(content: bytes) -> list[str]:
    """The paragraphs of the page in the order of its columns; none when the order of the file is kept."""
    places = read("pdf", io.BytesIO(content)).places.places
    return [line for place in places if place.beside for line in place.text.split("\n")]


def test_two_columns_are_read_one_after_the_other() -> None:
    cells = row_by_row([wrapped(HARBOUR, 36), wrapped(MUSEUM, 36)], [20, 110])
    assert beside(page(cells)) == [HARBOUR, MUSEUM]


def test_three_columns_below_a_title_and_above_a_footer() -> None:
    columns = [wrapped(text, 28) for text in (HARBOUR, MUSEUM, BRIDGE)]
    title = (20, 30, "All the news of the harbour, the museum and the bridge in one paper for everybody in town")
    footer = (20, 200, "Printed on the third of May by the town press, which takes letters until Friday at noon")
    cells = [title, *row_by_row(columns, [20, 80, 140]), footer]
    assert beside(page(cells)) == [title[2], HARBOUR, MUSEUM, BRIDGE, footer[2]]


def test_columns_below_columns_keep_their_order() -> None:
    cells = row_by_row([wrapped(HARBOUR, 36), wrapped(MUSEUM, 36)], [20, 110])
    title = (20, 90, "Below this line that goes over the whole width of the page stand three columns of more news")
    lower = row_by_row([wrapped(text, 28) for text in (BRIDGE, HARBOUR, MUSEUM)], [20, 80, 140], y=100)
    assert beside(page([*cells, title, *lower])) == [HARBOUR, MUSEUM, title[2], BRIDGE, HARBOUR, MUSEUM]


@pytest.mark.parametrize("shift", [0, 1.5, 3])
def test_lines_of_columns_need_not_be_level(shift: float) -> None:
    cells = [
        (x, y + (shift if x > 100 else 0), text)
        for x, y, text in row_by_row([wrapped(HARBOUR, 36), wrapped(MUSEUM, 36)], [20, 110])
    ]
    assert beside(page(cells)) == [HARBOUR, MUSEUM]


def test_each_word_may_be_a_run_of_its_own() -> None:
    document = FPDF()
    document.add_page()
    document.set_font("helvetica", size=10)
    for x, y, text in row_by_row([wrapped(HARBOUR, 36), wrapped(MUSEUM, 36)], [20, 110]):
        for word in text.split():
            document.text(x, y, word)
            x += document.get_string_width(word + " ")
    assert beside(bytes(document.output())) == [HARBOUR, MUSEUM]


def test_a_quote_over_the_lines_of_a_column_is_found_and_one_in_the_order_of_the_file_too() -> None:
    content = page(row_by_row([wrapped(HARBOUR, 36), wrapped(MUSEUM, 36)], [20, 110]))
    index = PlaceIndex(read("pdf", io.BytesIO(content)).places)
    for quote in ("the annual budget for the harbour project is nine million euros", wrapped(HARBOUR, 36)[0]):
        found = index.find(quote)
        assert found
        assert (found.place.page, found.words) == (1, quote)
    assert index.find(f"{wrapped(HARBOUR, 36)[1]} {wrapped(MUSEUM, 36)[1]}")


HARBOUR_HE = (
    "הוועדה נפגשה בליסבון והחליטה שהתקציב השנתי של פרויקט הנמל הוא תשעה מיליון אירו שישולמו בשלושה חלקים במשך שנתיים"
)
MUSEUM_HE = "המוזיאון סגור ביום שני ונפתח בשעה עשר בשאר הימים ודמי הכניסה הם ארבעה עשר אירו למבוגרים וללא תשלום לילדים"


def test_hebrew_columns_are_read_from_the_right() -> None:
    document = FPDF()
    document.add_page()
    document.add_font("DejaVu", fname=Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    document.set_font("DejaVu", size=10)
    for x, y, text in row_by_row([wrapped(MUSEUM_HE, 30), wrapped(HARBOUR_HE, 30)], [20, 110]):
        document.text(x + 70 - document.get_string_width(text), y, text[::-1])  # PDFs hold what the eye sees
    assert beside(bytes(document.output())) == [HARBOUR_HE, MUSEUM_HE]


def test_a_file_that_writes_column_after_column_stays_as_it_is() -> None:
    cells = row_by_row([wrapped(HARBOUR, 36), wrapped(MUSEUM, 36)], [20, 110])
    assert beside(page(sorted(cells))) == []


TABLES = {
    "figures": [["Region", "North", "South", "East", "West"], ["Revenue", "1,200", "900", "450", "75"]],
    "names and figures": [
        ["Name of the product", "Bicycle with a basket", "Helmet for children", "Lamp for the front"],
        ["1,200.00 EUR net of tax", "300.00 EUR net of tax", "900.00 EUR net of tax", "450.00 EUR net of tax"],
    ],
    "words": [
        ["Department", "Human resources", "Sales", "Research", "Legal"],
        ["Head of the department", "Ana Lima", "Ben Okoro", "Cleo Hart", "Dan Wu"],
    ],
    "terms": [
        ["Term", "", "Budget", "", "Fee", ""],
        ["What it means in this paper", "", *wrapped(HARBOUR, 50)[:2], *wrapped(MUSEUM, 50)[:2]],
    ],
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_read_row_by_row(name: str) -> None:
    rows = [cell for cell in row_by_row(TABLES[name], [20, 110]) if cell[2]]
    assert beside(page(rows)) == []


def test_the_cells_of_a_table_with_long_text_are_read_row_after_row() -> None:
    texts = [(HARBOUR, MUSEUM), (BRIDGE, HARBOUR), (MUSEUM, BRIDGE)]
    cells: list[tuple[float, float, str]] = []
    y = 30.0
    for pair in texts:
        columns = [wrapped(text, 36) for text in pair]
        cells += row_by_row(columns, [20, 110], y=y)
        y += LINE_MM * (max(map(len, columns)) + 1)
    assert beside(page(cells)) == [text for pair in texts for text in pair]


# ---- the pure function -------------------------------------------------------------------------------------------


def boxes_of(columns: Sequence[int], widths: Sequence[float], *, step: float = 12, height: float = 9) -> list[Box]:
    """Lines of columns, row by row; `columns`: the number of lines of each."""
    boxes: list[Box] = []
    for row in range(max(columns)):
        for number, count in enumerate(columns):
            if row < count:
                left, top = 50 + 200 * number, 700 - step * row
                right = left + widths[number]
                boxes.append(Box(left=left, bottom=top - height, right=right, top=top, number=len(boxes)))
    return boxes


PROSE = "the budget of the harbour is nine"


def prose(_: Box) -> str:
    return PROSE


def columns_of(boxes: Sequence[Box], *, right_to_left: bool = False) -> list[int]:
    """The left edge of each line in reading order."""
    blocks = in_columns(boxes, prose, right_to_left=right_to_left)
    return [int(line[0].left) for block in blocks or () for line in block]


def test_text_from_right_to_left_begins_with_the_right_column() -> None:
    boxes = boxes_of([6, 6], [170, 170])
    assert columns_of(boxes) == [50] * 6 + [250] * 6
    assert columns_of(boxes, right_to_left=True) == [250] * 6 + [50] * 6


def test_a_column_may_be_shorter_than_the_other() -> None:
    assert columns_of(boxes_of([12, 5], [170, 170])) == [50] * 12 + [250] * 5


@pytest.mark.parametrize(
    ("columns", "widths", "text"),
    [
        ([2, 2], [170, 170], PROSE),  # two lines are no column
        ([6, 6], [170, 60], PROSE),  # too narrow
        ([6, 6], [198, 170], PROSE),  # no gutter
        ([6, 6], [170, 170], "12,300.00 EUR 4,500.00"),
        ([6, 6], [170, 170], "Ana"),
    ],
)
def test_what_does_not_look_like_prose_keeps_its_order(columns: list[int], widths: list[float], text: str) -> None:
    assert in_columns(boxes_of(columns, widths), lambda _: text) is None


def test_lines_of_another_distance_are_no_column_beside() -> None:
    """The right cell of a table's row has more lines than the left one."""
    left = [box for box in boxes_of([12, 12], [170, 170]) if box.left > 100 or not box.number % 4]
    assert in_columns(left, prose) is None


def test_a_page_of_many_boxes_keeps_its_order() -> None:
    rng = random.Random(14)
    for count in (BOXES_MAX, BOXES_MAX + 1):
        boxes = [
            Box(left=x, bottom=y, right=x + 8, top=y + 9, number=number)
            for number, (x, y) in enumerate((rng.randrange(600), rng.randrange(800)) for _ in range(count))
        ]
        assert in_columns(boxes, prose) is None


edges = st.floats(0, 600, allow_nan=False)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(edges, edges, edges, st.floats(0, 30)), max_size=60), st.booleans())
def test_no_box_is_lost(places: list[tuple[float, float, float, float]], right_to_left: bool) -> None:
    boxes = [
        Box(left=min(x, x2), bottom=y, right=max(x, x2), top=y + height, number=number)
        for number, (x, x2, y, height) in enumerate(places)
    ]
    blocks = in_columns(boxes, prose, right_to_left=right_to_left)
    if blocks is not None:
        assert sorted(box.number for block in blocks for line in block for box in line) == list(range(len(boxes)))


def test_a_document_has_an_end_of_effort() -> None:
    """Its pages may be many: when the effort is spent, they keep their order."""
    boxes = boxes_of([8, 8], [180, 180])
    effort = Effort()
    assert in_columns(boxes, prose, effort=effort)
    spent = EFFORT_MAX - effort.left
    assert spent >= len(boxes)
    assert in_columns(boxes, prose, effort=Effort(spent)) is not None
    assert in_columns(boxes, prose, effort=Effort(spent - 1)) is None


def test_the_letters_of_a_page_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    texts = pdf_columns._texts

    def counted(*arguments: Any) -> dict[int, str]:
        nonlocal looked
        looked += 1
        return texts(*arguments)

    monkeypatch.setattr(pdf_columns, "_texts", counted)
    lines = [wrapped(text * 4, 40) for text in (HARBOUR, MUSEUM)]
    assert beside(page(row_by_row(lines, (20, 110))))
    assert looked == 1
