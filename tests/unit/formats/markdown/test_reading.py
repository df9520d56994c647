"""Documents that services do not read become Markdown: nothing of them is lost in silence."""

from __future__ import annotations

import base64
import io
from contextlib import suppress
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.formats.base import UnusableFile
from shared.formats.contents import look_inside
from shared.formats.filetypes import CONVERTED, DESCRIPTIONS, SENT_AS
from shared.formats.markdown import epub as epub_reader
from shared.formats.markdown import reading
from shared.formats.markdown.reading import READERS, converted
from shared.formats.places.reading import read, reading_of
from tests.unit.formats.compound_files import compound, message
from tests.unit.formats.markdown import files

SAMPLES = {
    "eml": files.mail().as_bytes(),
    "epub": files.epub(),
    "ipynb": files.NOTEBOOK,
    "msg": compound(message()),
    "odp": files.odp(),
    "odt": files.odt(),
    "rtf": files.RTF,
    "srt": files.SRT.encode("cp1251"),
    "vtt": files.VTT.encode(),
}


def markdown(ending: str, content: bytes) -> str:
    return converted(ending, io.BytesIO(content)).markdown


def names(ending: str) -> list[str | int]:
    return [place.number or place.name for place in converted(ending, io.BytesIO(SAMPLES[ending])).places]


def test_each_kind_has_a_reader_a_name_and_a_sample() -> None:
    assert set(READERS) == CONVERTED == set(SAMPLES)
    assert DESCRIPTIONS.keys() >= CONVERTED
    assert {SENT_AS[ending] for ending in CONVERTED} == {"md"}


@pytest.mark.parametrize("ending", sorted(SAMPLES))
def test_the_content_says_what_it_is(ending: str) -> None:
    found = look_inside(f"a.{ending}", io.BytesIO(SAMPLES[ending]))
    assert (found.ending, found.kind, found.notice) == (ending, "text", None)


@pytest.mark.parametrize("ending", ["odt", "odp", "epub", "rtf"])
def test_the_content_counts_more_than_the_name(ending: str) -> None:
    found = look_inside("a.docx", io.BytesIO(SAMPLES[ending]))
    assert (found.ending, found.notice and found.notice.code) == (ending, "type_mismatch")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.eml", b"Meeting: at nine\nwe talk"),
        ("a.vtt", b"WEBVTTX nothing"),
        ("a.srt", b"1\n2\n3 --> 4\n"),
        ("a.ipynb", b"[1, 2]"),
        ("a.txt", b"From: a@example.com\nTo: b@example.com\n\nnotes"),
    ],
)
def test_a_text_that_only_has_the_name_is_read_as_text(path: str, content: bytes) -> None:
    assert look_inside(path, io.BytesIO(content)).ending == "txt"


def test_a_mail_has_its_headers_its_decoded_body_and_its_attachments() -> None:
    text = markdown("eml", SAMPLES["eml"])
    assert text.startswith("# Umzug – neue Adresse\n\n- From: Nora Quist <nora@example.com>\n- To: ops@example.com\n")
    assert "- Attachments: boxes – März.csv\n" in text
    assert text.count("Seestraße 14") == 1  # of the two forms of the body, one
    assert names("eml") == ["Umzug – neue Adresse"]  # `# 2 keys` of the body is no heading
    assert "boxes – März.csv" in "".join(converted("eml", io.BytesIO(SAMPLES["eml"])).lost)


def test_a_mail_within_a_mail_is_read() -> None:
    inner = files.mail(attached=False)
    inner.replace_header("Subject", "Boiler")
    text = markdown("eml", files.mail(attached=False, inner=inner).as_bytes())
    assert "\n## Boiler\n" in text


def test_a_mail_with_only_html_is_read_without_what_it_hides() -> None:
    html = b"<table><tr><td><h1>Bill</h1><p>340 euros</p><div style='display:none'>preview</div></td></tr></table>"
    head = b"From: a@b.c\nSubject: x\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\n"
    text = markdown("eml", head + base64.b64encode(html))
    assert "# Bill\n\n340 euros" in text
    assert "preview" not in text


def test_a_body_that_only_points_to_the_html_is_not_taken() -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@b.c", "x"
    message.set_content("Open in a browser.")
    message.add_alternative("<p>" + "The boiler costs 340 euros. " * 20, subtype="html")
    assert "340 euros" in markdown("eml", message.as_bytes())


@pytest.mark.parametrize(
    ("head", "body", "wanted"),
    [
        (b"Content-Type: text/plain; charset=koi8-r", "Привет".encode("koi8-r"), "Привет"),
        (b"Content-Type: text/plain; charset=no-such", "Grüße".encode(), "Grüße"),
        (b"Content-Type: text/plain", "Grüße".encode("cp1252"), "Grüße"),
        (b"Subject: Gr\xfc\xdfe", b"x", "Grüße"),
        (b"Subject: =?no-such?b?AAAA?=", b"x", "=?no-such?b?AAAA?="),
    ],
)
def test_a_mail_is_decoded_as_well_as_it_can_be(head: bytes, body: bytes, wanted: str) -> None:
    assert wanted in markdown("eml", b"From: a@b.c\n" + head + b"\n\n" + body)


def test_a_notebook_has_text_code_and_outputs_and_names_what_is_lost() -> None:
    text = markdown("ipynb", files.NOTEBOOK)
    for part in ("# Tides\nMeasured hourly.", "```python\nprint(a)\n```", "high: 4.2 m", "ValueError: low"):
        assert part in text
    assert "\x1b" not in text
    assert "1 picture" in "".join(converted("ipynb", io.BytesIO(files.NOTEBOOK)).lost)


def test_subtitles_have_a_section_a_minute_and_speakers() -> None:
    assert markdown("vtt", SAMPLES["vtt"]).split("\n") == [
        "## 00:00:00",
        "",
        "Ana: The ferry & the bus",
        "are late.",
        "",
        "## 01:02:00",
        "",
        "Ben: It sails at nine.",
        "",
    ]
    assert names("srt") == ["00:00:00", "00:01:00"]
    assert "Слишком поздно для парома.\n" in markdown("srt", SAMPLES["srt"])


def test_rich_text_is_read_with_its_header_and_notes() -> None:
    text = markdown("rtf", files.RTF)
    for part in ("Draft of May", "The rent is 840 €.", "Grüße 😀", "In net terms."):
        assert part in text
    assert "Arial" not in text


@pytest.mark.parametrize(
    ("shape", "texts"),
    [
        (
            rb"{\shp{\*\shpinst\shpleft0{\sp{\sn shapeType}{\sv 202}}{\shptxt It costs \{340\} euros.\par}}"
            rb"{\shprslt{\*\do\dobxpage\dptxbx{\dptxbxtext It costs \{340\} euros.\par}}}}",
            ["It costs {340} euros."],
        ),
        (rb"{\*\do\dobxpage\dptxbx{\dptxbxtext It costs 340 euros.\par}\dpx0}", ["It costs 340 euros."]),
        (
            rb"{\shpgrp{\*\shpinst{\shp{\*\shpinst{\shptxt One.}}}{\shp{\*\shpinst{\shptxt Gr\'fc\'dfe.}}}}}",
            ["One.", "Gr\u00fc\u00dfe."],
        ),
        (rb"{\shp{\*\shpinst{\sp{\sn gtextUNICODE}{\sv Open day}}}}", ["Open day"]),
        (rb"{\object\objemb{\*\objclass Excel.Sheet}{\*\objdata 0105}{\result 340 euros}}", ["340 euros"]),
    ],
)
def test_the_text_of_shapes_and_objects_is_read_once_where_it_stands(shape: bytes, texts: list[str]) -> None:
    text = markdown("rtf", rb"{\rtf1\ansi\ansicpg1252 Before. " + shape + rb" After.\par}")
    assert text.split() == ["Before.", *" ".join(texts).split(), "After."]


@pytest.mark.parametrize(("group", "what"), [(rb"{\pict 89}", "pictures"), (rb"{\object\objemb}", "embedded objects")])
def test_what_rich_text_holds_beside_text_is_named(group: bytes, what: str) -> None:
    assert what in "".join(converted("rtf", io.BytesIO(rb"{\rtf1 Words." + group + b"}")).lost)


@pytest.mark.parametrize("shape", [rb"{\shp{\shptxt a", rb"{\shp", rb"{\shp" * 5_000 + rb"{\shptxt a" * 200])
def test_a_shape_without_an_end_is_read(shape: bytes) -> None:
    assert "Before." in markdown("rtf", rb"{\rtf1 Before. " + shape)


def test_an_open_document_text_is_read_whole() -> None:
    text = markdown("odt", SAMPLES["odt"])
    assert names("odt") == ["", "Rent", "Headers and footers"]
    for part in ("Due  on the third.", "Note: In net terms.", "Comment: Ask Ben.", "- Keys", "| Flat | Rent |", "May"):
        assert part in text
    assert "Old secret" not in text


def test_an_open_document_presentation_has_slides_with_notes() -> None:
    assert names("odp") == [1, 2]
    assert "## Slide 2\n\nBudget\n\nNotes:\n\nSay more of the budget." in markdown("odp", SAMPLES["odp"])
    assert [place.slide for place in read("odp", io.BytesIO(SAMPLES["odp"])).places.places] == [1, 2]


def test_a_book_is_read_in_the_order_of_its_spine() -> None:
    text = markdown("epub", SAMPLES["epub"])
    assert names("epub") == ["The Lake", "Ice", "Thaw"]
    assert "By Nora Quist" in text
    assert "It froze in March." in text
    assert "Secret" not in text


@pytest.mark.parametrize(
    ("ending", "content", "code"),
    [
        ("odt", files.open_document("text", "<office:text/>"), "empty_file"),
        ("odt", files.packed("application/vnd.oasis.opendocument.text"), "damaged"),
        ("odt", files.open_document("text", "<a>" * 2_000 + "</a>" * 2_000), "damaged"),
        ("odt", files.packed("x", content_xml='<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), "damaged"),
        ("epub", files.packed("application/epub+zip"), "damaged"),
        (
            "epub",
            files.epub(**{"META-INF__encryption_xml": '<a><CipherReference URI="b/first.xhtml"/></a>'}),
            "encrypted",
        ),
        ("ipynb", b'{"cells": [', "damaged"),
        ("ipynb", b'{"cells": ' + b"[" * 100_000, "damaged"),
        ("ipynb", b'{"cells": [1, {"source": 2}, {"cell_type": "code", "outputs": [3]}]}', "empty_file"),
        ("vtt", b"WEBVTT\n\nNOTE nothing", "empty_file"),
        ("rtf", b"{\\rtf1}", "empty_file"),
    ],
)
def test_what_cannot_be_read_has_a_reason(ending: str, content: bytes, code: str) -> None:
    with pytest.raises(UnusableFile) as caught:
        converted(ending, io.BytesIO(content))
    assert caught.value.reason.code == code


def test_a_protected_open_document_says_so() -> None:
    locked = files.open_document("text", "", **{"META-INF__manifest_xml": "<m><encryption-data/></m>"})
    with pytest.raises(UnusableFile, match="password"):
        look_inside("a.odt", io.BytesIO(locked))


def test_more_text_than_is_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "TEXT_MAX_CHARS", 10)
    with pytest.raises(UnusableFile, match="Split it"):
        markdown("vtt", SAMPLES["vtt"])
    monkeypatch.setattr(epub_reader, "TEXT_MAX_BYTES", 10)
    with pytest.raises(UnusableFile, match="too large"):
        markdown("epub", SAMPLES["epub"])


def test_a_slow_reader_has_a_process_and_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.formats.places.reading.AT_ONCE_BYTES", 0)
    apart = reading_of("rtf", io.BytesIO(files.RTF))
    assert apart == read("rtf", io.BytesIO(files.RTF))
    monkeypatch.setattr("shared.formats.places.apart.TIMEOUT_S", 0)
    with pytest.raises(UnusableFile, match="too long"):
        reading_of("rtf", io.BytesIO(files.RTF))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(SAMPLES)), st.integers(0, 10**6), st.integers(0, 255), st.integers(0, 10**6))
def test_a_damaged_document_is_read_or_has_a_reason(ending: str, at: int, byte: int, length: int) -> None:
    content = bytearray(SAMPLES[ending])
    content[at % len(content)] = byte
    for damaged in (bytes(content), bytes(content[: length % len(content)])):
        with suppress(UnusableFile):
            assert markdown(ending, damaged).encode()


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(sorted(READERS)), st.sampled_from([b"", b"{", b"From: a\n", b"{\\rtf1 "]), st.binary(max_size=300)
)
def test_any_bytes_are_read_or_have_a_reason(ending: str, start: bytes, rest: bytes) -> None:
    with suppress(UnusableFile):
        assert markdown(ending, start + rest).encode()
