"""What a reader at the service may leave out of PDF, DOCX and PPTX, and what nobody can read."""

from __future__ import annotations

import io
from contextlib import suppress

import docx
import pptx
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from local.paths import ROOT
from shared.formats.base import UnusableFile
from shared.formats.contents import look_inside
from shared.formats.places.base import Reading
from shared.formats.places.reading import read
from tests.unit.formats.places.test_reading import pdf

FIELD = ROOT / "../shared" / "data" / "field"


def reading(ending: str, content: bytes) -> Reading:
    return read(ending, io.BytesIO(content))


def pdf_of(*objects: str, page: str = "", catalog: str = "", text: str = "(A form.) Tj", font: str = "") -> bytes:
    """A PDF of one page; `objects` are numbered from 6."""
    stream = f"BT /F1 12 Tf 50 700 Td {text} ET"
    all_objects = [
        f"<< /Type /Catalog /Pages 2 0 R {catalog} >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R {page} "
        "/Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(stream)} >> stream\n{stream}\nendstream",
        font or "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *objects,
    ]
    body = "".join(f"{number} 0 obj\n{each}\nendobj\n" for number, each in enumerate(all_objects, start=1))
    return f"%PDF-1.7\n{body}trailer << /Root 1 0 R /Size {len(all_objects) + 1} >>\n%%EOF".encode("latin-1")


WIDGET = "<< /Type /Annot /Subtype /Widget /Rect [0 0 99 20] "
FORM = pdf_of(
    f"{WIDGET} /FT /Tx /T (applicant) /TU (Name of applicant) /V (Harriet Vane) >>",
    f"{WIDGET} /FT /Tx /T (secret) /Ff 8192 /V (hunter2) >>",
    f"{WIDGET} /FT /Btn /T (remote) /V /On /AS /On /AP << /N << /On 4 0 R /Off 4 0 R >> >> >>",
    f"{WIDGET} /FT /Ch /Ff 131072 /T (floor) /Opt [(one) (two)] /V (two) >>",
    f"{WIDGET} /FT /Tx /T (empty) >>",
    "<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /T (Ana) /Contents (Pay after the audit.) >>",
    "<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /F 2 /Contents (Not shown.) >>",
    page="/Annots [6 0 R 7 0 R 8 0 R 9 0 R 10 0 R 11 0 R 12 0 R]",
    catalog="/AcroForm << /Fields [6 0 R 7 0 R 8 0 R 9 0 R 10 0 R] >>",
)
UNMAPPED = (
    "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1 1] /FontMatrix [1 0 0 1 0 0] /FirstChar 1 /LastChar 4 "
    "/Widths [1 1 1 1] /CharProcs << /g1 4 0 R >> /Encoding << /Differences [1 /g1 /g2 /g3 /g4] >> >>"
)


def test_values_of_form_fields_and_comments_are_beside_their_page() -> None:
    found = reading("pdf", FORM)
    assert found.beside.split("\n") == [
        "# What else the document holds",
        "",
        "## Page 1",
        "",
        "- Name of applicant: Harriet Vane",
        "- remote: yes",
        "- floor: two",
        "- Comment (Ana): Pay after the audit.",
        "",
    ]
    assert [(place.page, place.beside) for place in found.places.places] == [(1, False), (1, True)]


def test_a_pdf_whose_fonts_have_no_unicode_map_is_not_indexed_as_noise() -> None:
    with pytest.raises(UnusableFile) as caught:
        look_inside("a.pdf", io.BytesIO(pdf_of(text="<010203040102030401020304> Tj", font=UNMAPPED)))
    assert (caught.value.unsupported, caught.value.reason.code) == (True, "no_text")
    assert "fonts" in caught.value.reason.message


def test_pages_that_cannot_be_read_are_named() -> None:
    document = pypdfium2.PdfDocument(pdf("One."))
    document.import_pages(pypdfium2.PdfDocument(pdf_of(text="<010203040102030401020304> Tj", font=UNMAPPED)))
    file = io.BytesIO()
    document.save(file)
    look_inside("a.pdf", file)
    found = reading("pdf", file.getvalue())
    assert [place.number for place in found.places.places] == [1]
    assert found.lost == ("The text of page 2 was not read: the fonts do not say which letters they show.",)


def test_files_within_a_pdf_are_named() -> None:
    document = pypdfium2.PdfDocument(pdf("One."))
    document.new_attachment("bill.csv").set_data(b"a,b")
    file = io.BytesIO()
    document.save(file)
    [lost] = reading("pdf", file.getvalue()).lost
    assert "bill.csv" in lost


def test_a_word_document_has_headers_notes_and_comments_beside() -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Draft of May"
    document.sections[0].footer.paragraphs[0].text = "7"  # a page number says nothing
    paragraph = document.add_paragraph("Rent is due.")
    document.add_comment(paragraph.runs, text="Ask Ben.", author="Ana")
    file = io.BytesIO()
    document.save(file)
    beside = reading("docx", file.getvalue()).beside
    assert "## Header\n\nDraft of May" in beside
    assert "## Comments\n\nAsk Ben." in beside
    assert "Footer" not in beside


def chart() -> bytes:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Revenue"
    data = CategoryChartData(number_format="0%")
    data.categories = ["Q1", "Q|2"]
    data.add_series("Share", (0.25, 0.1))
    place = (Inches(1), Inches(1), Inches(4), Inches(3))
    slide.shapes.add_chart(
        XL_CHART_TYPE.COLUMN_CLUSTERED, *place, data
    ).chart.chart_title.text_frame.text = "By quarter"
    file = io.BytesIO()
    deck.save(file)
    return file.getvalue()


CHART = chart()


def test_figures_of_a_chart_are_beside_its_slide() -> None:
    beside = reading("pptx", CHART).beside
    assert "## Slide 1\n\nChart: By quarter\n\n|  | Share |\n|---|---|\n| Q1 | 25% |\n| Q\\|2 | 10% |\n" in beside


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(["pdf", "pptx"]), st.integers(0, 10**6), st.integers(0, 255), st.integers(0, 10**6))
def test_a_damaged_form_or_deck_does_not_crash(ending: str, at: int, byte: int, length: int) -> None:
    content = bytearray(FORM if ending == "pdf" else CHART)
    content[at % len(content)] = byte
    for damaged in (bytes(content), bytes(content[: length % len(content)])):
        with suppress(Exception):  # `reading_of` turns any exception into "not read"
            reading(ending, damaged)


@pytest.mark.parametrize(
    "html",
    [
        "<style>.x{color:red} .old, #gone { display : none }</style><p>Open.<p class='a old'>Secret",
        "<style>@media print{.x{color:red}} #gone{visibility:hidden!important}</style><p>Open.<p id=gone>Secret",
        "<p>Open.<p style='opacity:0'>Secret",
        "<p>Open.<p style='color:red; font-size: 0px'>Secret",
    ],
)
def test_text_that_a_page_hides_is_left_out_and_said_so(html: str) -> None:
    found = reading("html", html.encode())
    assert (found.markdown, found.lost) == ("Open.\n", ("Text that the page hides was left out.",))
    assert "Secret" not in "".join(place.text for place in found.places.places)


@pytest.mark.parametrize(
    "html",
    [
        "<head><style>@media print{p{display:none}} .x p{display:none}</style><script>x</script></head><p>Open.",
        "<p style='opacity:0.5; font-size:0.8em'>Open.<p style='display:block'>Too.",
        "<style>.a{display:none</style><p class=b>Open.",
    ],
)
def test_a_page_that_hides_nothing_goes_as_it_is(html: str) -> None:
    found = reading("html", html.encode())
    assert (found.markdown, found.lost) == (None, ())
    assert "Open." in found.places.places[-1].text


@pytest.mark.skipif(not FIELD.is_dir(), reason="the sample files are not here")
@pytest.mark.parametrize(
    ("name", "place", "words"),
    [
        ("b4-deck.pptx", 1, "Graz closes in October"),
        ("b4-deck.pptx", 2, "| Q3 | 9.75 |"),
        ("b6-form.pdf", 1, "Harriet Vane"),
        ("b6-form.pdf", 1, "48,200 EUR"),
        ("b6-form.pdf", 1, "after the audit in June"),
        ("b10-ligatures.pdf", 1, "Sunday"),
        ("b15-page.html", "Cafeteria", "16:30"),
        ("b17-mail.eml", "Umzug der Zentrale – neue Adresse", "Seestraße 14"),
        ("c1-two-pages.pdf", 2, ""),
        ("c1-three-slides.pptx", 2, ""),
    ],
)
def test_field_files_are_read_at_their_places(name: str, place: str | int, words: str) -> None:
    with (FIELD / name).open("rb") as file:
        found = read(look_inside(name, file).ending, file)
    texts = [each.text for each in found.places.places if (each.number or each.name) == place]
    assert words in "\n".join(texts)
    assert texts
