"""What the name and the size of a document decide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.base import UnusableFile
from shared.formats.filetypes import (
    DATA,
    PICTURES,
    TEXT,
    bad_path,
    classify,
    ending_of,
    service_name,
)
from shared.models.documents import Kind, collection_of


@pytest.mark.parametrize("ending", sorted(TEXT))
def test_text_goes_to_file_search(ending: str) -> None:
    assert classify(f"a/b.{ending}", 1, max_bytes=10) == "text"
    assert classify(f"a/b.{ending.upper()}", 10, max_bytes=10) == "text"


@pytest.mark.parametrize("ending", sorted(DATA))
def test_data_goes_to_code_interpreter(ending: str) -> None:
    assert classify(f"b.{ending}", 1, max_bytes=10) == "data"


@pytest.mark.parametrize(
    ("path", "size_bytes", "unsupported", "code", "word"),
    [
        *((f"a.{ending}", 1, True, "unsupported_file", "OCR") for ending in sorted(PICTURES)),
        ("a.zip", 1, True, "unsupported_file", ".zip"),
        ("a.mp4", 1, True, "unsupported_file", "Convert"),
        ("a", 0, False, "empty_file", "no content"),
        ("a.md", 0, False, "empty_file", "no content"),
        ("a.md", 11, False, "file_too_large", "11 bytes"),
        ("a//b.md", 1, True, "bad_name", "empty parts"),
        ("../a.md", 1, True, "bad_name", "'..'"),
        ("a/./b.md", 1, True, "bad_name", "'.'"),
        ("a\\b.md", 1, True, "bad_name", "backslash"),
        ("a\n.md", 1, True, "bad_name", "control"),
        ("x" * 1025, 1, True, "bad_name", "1,024"),
        ("", 1, True, "bad_name", "1,024"),
    ],
)
def test_rejected_files_have_a_reason(path: str, size_bytes: int, unsupported: bool, code: str, word: str) -> None:
    refused = classify(path, size_bytes, max_bytes=10)
    assert isinstance(refused, UnusableFile)
    assert (refused.unsupported, refused.reason.code) == (unsupported, code)
    assert word in refused.reason.message


@pytest.mark.parametrize("path", ["a.md", "a b/c d.md", ".hidden/x.md", "...md", "a/.../b", "ü/文.md", "%2e%2e/a", "~"])
def test_good_names(path: str) -> None:
    assert bad_path(path) is None


@pytest.mark.parametrize(
    ("path", "ending"),
    [("a.MD", "md"), ("a.tar.gz", "gz"), ("a.b/c", ""), (".env", "env"), ("a.", ""), ("", ""), ("1. Notes", "")],
)
def test_endings(path: str, ending: str) -> None:
    assert ending_of(path) == ending


@pytest.mark.parametrize(
    ("path", "collection"), [("a.md", "default"), ("c/a.md", "c"), ("c/d/a.md", "c"), ("/a.md", "default"), ("c/", "c")]
)
def test_collections(path: str, collection: str) -> None:
    assert collection_of(path) == collection


DATA_PATHS = st.lists(st.text(alphabet="ab_-.", min_size=1, max_size=4), min_size=1, max_size=4).map(
    lambda parts: "/".join(parts) + ".csv"
)


@given(DATA_PATHS, DATA_PATHS)
def test_data_files_of_different_paths_have_different_names(one: str, other: str) -> None:
    if one != other:
        assert service_name(one, "data") != service_name(other, "data")


@given(DATA_PATHS)
def test_a_data_file_keeps_its_ending_and_has_no_folder(path: str) -> None:
    name = service_name(path, "data")
    assert "/" not in name
    assert name.endswith(".csv")


@pytest.mark.parametrize("path", ["a", "a.md/b", "a.log", "a.unheard-of"])
def test_an_unknown_extension_is_text_until_the_content_is_read(path: str) -> None:
    assert classify(path, 1, max_bytes=10) == "text"


@pytest.mark.parametrize(
    ("path", "kind", "ending", "name"),
    [
        ("a/b.pdf", "text", "pdf", "b.pdf"),
        ("a/B.PDF", "text", "pdf", "B.PDF"),
        ("a/pdf_named.docx", "text", "pdf", "pdf_named.docx.pdf"),
        ("a/app.log", "text", "txt", "app.log.txt"),
        ("a/b.parquet", "data", "parquet", "a__b.parquet.csv"),
        ("a/b.tsv", "data", "tsv", "a__b.tsv.txt"),
        ("a/b.ods", "data", "ods", "a__b.ods.xlsx"),
        ("a/b.eml", "text", "eml", "b.eml.md"),
        ("a/b.csv", "data", "xlsx", "a__b.csv.xlsx"),
        ("a/b", "data", "xlsx", "a__b.xlsx"),
    ],
)
def test_the_service_gets_the_extension_that_fits_the_content(path: str, kind: Kind, ending: str, name: str) -> None:
    assert service_name(path, kind, ending) == name
    if kind == "data":
        assert service_name(path.replace("/", "__"), kind, ending) != name
