"""The type of a document is detected from its content; its name is a hint."""

from __future__ import annotations

import io
import tempfile
import zipfile

import fpdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.paths import ROOT
from shared.formats import office as office_reader
from shared.formats import pdf as pdf_reader
from shared.formats.base import UnusableFile
from shared.formats.contents import look_inside
from shared.formats.office import OLE

FORMATS = ROOT / "../shared" / "data" / "formats"


def pdf(*pages: str, password: str | None = None) -> bytes:
    document = fpdf.FPDF()
    document.set_font("helvetica")
    for text in pages:
        document.add_page()
        if text:
            document.multi_cell(0, text=text)
    if password:
        document.set_encryption(owner_password="owner", user_password=password)
    return bytes(document.output())


def packed(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as parts:
        for name, content in files.items():
            parts.writestr(name, content)
    return file.getvalue()


def office(main: str, **more: bytes) -> bytes:
    return packed({"[Content_Types].xml": f'<Override ContentType="application/{main}.main+xml"/>'.encode(), **more})


WORD = "vnd.openxmlformats-officedocument.wordprocessingml.document"
SLIDES = "vnd.openxmlformats-officedocument.presentationml.presentation"
SHEETS = "vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.mark.parametrize(
    ("path", "content", "ending", "kind", "notice"),
    [
        ("a.pdf", pdf("words"), "pdf", "text", None),
        ("a.pdf", b"junk\n" * 100 + pdf("words"), "pdf", "text", None),
        ("a.docx", pdf("words"), "pdf", "text", "type_mismatch"),
        ("a", pdf("words"), "pdf", "text", "type_mismatch"),
        ("a.docx", office(WORD), "docx", "text", None),
        ("a.pdf", office(WORD), "docx", "text", "type_mismatch"),
        ("a.pptx", office(SLIDES), "pptx", "text", None),
        ("a.csv", office(SHEETS), "xlsx", "data", "type_mismatch"),
        ("a.docx", packed({"word/document.xml": b"<x/>"}), "docx", "text", None),
        ("a.bin", b"PAR1\x00\xff", "parquet", "data", "type_mismatch"),
        ("a.md", b"PAR1 is how Parquet begins", "md", "text", None),
        ("a.py", b'head = b"%PDF-1.7"', "py", "text", None),
        ("a.csv", b"ID3,x\n1,2\n", "csv", "data", None),
        ("a.tsv", b"a\tb\n1\t2\n", "tsv", "data", None),
        ("a.json", b'[{"a": 1}]', "json", "data", None),
        ("a.json", b"{", "json", "text", None),
        ("a.json", b"[" * 100_000, "json", "text", None),
        ("a.log", b"a line", "txt", "text", "read_as_text"),
        ("a.yaml", b"a: 1", "txt", "text", "read_as_text"),
        ("a.pdf", b"a line", "txt", "text", "type_mismatch"),
        ("c/Makefile", b"all:\n\tcc a.c\n", "txt", "text", "read_as_text"),
        ("LICENSE", b"MIT License", "txt", "text", "read_as_text"),
        ("v1.2 notes", b"What is new.", "txt", "text", "read_as_text"),
        ("a.", b"a line", "txt", "text", "read_as_text"),
        ("page", b"<!doctype html><p>x", "html", "text", "type_mismatch"),
        ("a.docx", b"<!DOCTYPE html><p>x", "html", "text", "type_mismatch"),
        ("a.xlsx", b"a,b\n1,2\n", "csv", "data", "type_mismatch"),
        ("a.txt", "ü".encode("utf-16"), "txt", "text", None),
        ("a.txt", "Größe".encode("cp1252"), "txt", "text", "not_utf8"),
        ("a.doc", OLE + bytes(600) + "WordDocument".encode("utf-16-le") + bytes(64), "doc", "text", None),
        ("a.doc", OLE + bytes(600) + "Workbook".encode("utf-16-le") + bytes(64), "xls", "data", "type_mismatch"),
        ("a.xls", OLE + bytes(600) + "WordDocument\0Workbook".encode("utf-16-le") + bytes(64), "xls", "data", None),
        ("a.ods", packed({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet"}), "ods", "data", None),
    ],
)
def test_detected_type_kind_and_notice(path: str, content: bytes, ending: str, kind: str, notice: str | None) -> None:
    found = look_inside(path, io.BytesIO(content))
    assert (found.ending, found.kind, found.notice and found.notice.code) == (ending, kind, notice)


@pytest.mark.parametrize(
    ("path", "content", "code", "unsupported", "word"),
    [
        ("a.pdf", pdf("words", password="x"), "encrypted", False, "password"),
        ("a.pdf", b"%PDF-1.7\ngarbage", "damaged", False, "damaged"),
        ("a.pdf", pdf("", ""), "no_text", True, "OCR"),
        ("a.docx", office(WORD)[:-30], "damaged", False, "damaged"),
        ("a.docx", office("vnd.ms-word.document.macroEnabled"), "unsupported_file", True, ".docx"),
        ("a.xlsx", office("vnd.ms-excel.sheet.macroEnabled"), "unsupported_file", True, ".xlsx"),
        ("a.pptx", office("vnd.ms-powerpoint.presentation.macroEnabled"), "unsupported_file", True, ".pptx"),
        ("a.docx", packed({"a.md": b"x"}), "unsupported_file", True, "Unpack"),
        ("a.txt", b"\x89PNG\r\n\x1a\n\0", "unsupported_file", True, "OCR"),
        ("a.txt", b"7z\xbc\xaf\x27\x1c\0", "unsupported_file", True, "Unpack"),
        ("a.txt", b"text\0text", "binary_content", True, "neither"),
        ("a.txt", bytes(range(1, 256)) * 4, "binary_content", True, "neither"),
        ("a.csv", b"\0\1\2\3" * 100, "binary_content", True, "neither"),
        ("a.csv", b"\1\0\2\0" * 100, "binary_content", True, "neither"),
        ("a.txt", b"\xef\xbb\xbf", "empty_file", False, "no text"),
        ("a.txt", "x".encode("utf-32"), "encoding", False, "UTF-8"),
        ("a.strange", b"text", "unsupported_file", True, "PDF"),
        ("a", b"text\0text", "binary_content", True, "neither"),
        ("Makefile", b"7z\xbc\xaf\x27\x1c\0", "unsupported_file", True, "Unpack"),
        (".secrets", b"text", "unsupported_file", True, ".secrets"),
        (
            "a.docx",
            OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(64),
            "encrypted",
            False,
            "password",
        ),
        (
            "a.xls",
            OLE + bytes(600) + "PowerPoint Document".encode("utf-16-le") + bytes(64),
            "unsupported_file",
            True,
            "pptx",
        ),
    ],
)
def test_unusable_files_have_a_reason(path: str, content: bytes, code: str, unsupported: bool, word: str) -> None:
    with pytest.raises(UnusableFile, match=word) as caught:
        look_inside(path, io.BytesIO(content))
    assert (caught.value.reason.code, caught.value.unsupported) == (code, unsupported)


def test_a_zip_bomb_is_rejected_by_its_declared_sizes() -> None:
    bomb = office(WORD, **{"word/document.xml": bytes(100 * 1024 * 1024)})
    with pytest.raises(UnusableFile) as caught:
        look_inside("a.docx", io.BytesIO(bomb))
    assert caught.value.reason.code == "too_large_unpacked"


def test_a_zip_with_a_huge_directory_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office_reader, "DIRECTORY_MAX_BYTES", 10)
    with pytest.raises(UnusableFile) as caught:
        look_inside("a.docx", io.BytesIO(office(WORD)))
    assert caught.value.reason.code == "too_large_unpacked"


def test_a_long_scan_is_detected_by_some_of_its_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    monkeypatch.setattr(pdf_reader, "PAGES_TRIED", 3)
    monkeypatch.setattr(pdf_reader, "page_text", lambda _document, number: tried.append(number) or "")
    with pytest.raises(UnusableFile):
        look_inside("a.pdf", io.BytesIO(pdf(*[""] * 7)))
    assert tried == [0, 3, 6]


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from([b"", b"%PDF-1.7\n", b"PK\3\4", OLE, b"PAR1", b"\xff\xfe", office(WORD), pdf("x")]),
    st.binary(max_size=600),
    st.sampled_from(["a.pdf", "a.docx", "a.json", "a.txt", "a", "a.xlsx"]),
)
def test_any_bytes_have_a_type_or_an_error(start: bytes, rest: bytes, path: str) -> None:
    try:
        found = look_inside(path, io.BytesIO(start + rest))
    except UnusableFile as exc:
        assert str(exc)
    else:
        assert found.kind in ("text", "data")


@pytest.mark.skipif(not FORMATS.is_dir(), reason="the sample files are not here")
@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("good/dl_Strict.docx", "docx"),
        ("good/mk_test.pptx", "pptx"),
        ("good/mk_test.xls", "xls"),
        ("nasty/dl_legacy_sample.doc", "doc"),
        ("nasty/dl_legacy_sample.ppt", "unsupported_file"),
        ("nasty/docx_named.pdf", "docx"),
        ("nasty/pdf_named.docx", "pdf"),
        ("nasty/pypdf_enc_r6-user-password.pdf", "encrypted"),
        ("nasty/pypdf_enc_r6-empty-password.pdf", "pdf"),
        ("nasty/truncated.docx", "damaged"),
        ("nasty/random.bin", "binary_content"),
        ("nasty/billion_laughs.docx", "docx"),
    ],
)
def test_real_files_from_disk(name: str, outcome: str) -> None:
    with tempfile.SpooledTemporaryFile(max_size=1) as file:
        file.write((FORMATS / name).read_bytes())
        try:
            assert look_inside(name, file).ending == outcome
        except UnusableFile as exc:
            assert exc.reason.code == outcome
