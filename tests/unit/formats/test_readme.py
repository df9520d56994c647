"""The README's table of kinds is true, row by row and word by word."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import pytest

from local.paths import ROOT
from shared.formats.base import UnusableFile
from shared.formats.contents import look_inside
from shared.formats.filetypes import CONVERTED, SENT_AS, classify, service_name
from shared.formats.office import OLE
from tests.unit.formats.compound_files import compound, message
from tests.unit.formats.markdown import files
from tests.unit.formats.places.test_beside import UNMAPPED, pdf_of
from tests.unit.formats.test_contents import SHEETS, SLIDES, WORD, office, packed, pdf
from tests.unit.formats.test_workbooks import SALES
from tests.unit.formats.xls_files import xls

SUBTITLES = files.SRT.encode("cp1251")
POWERPOINT = OLE + bytes(600) + "PowerPoint Document".encode("utf-16-le") + bytes(64)
MACROS = office("vnd.ms-word.document.macroEnabled")
UNREADABLE = pdf_of(text="<010203040102030401020304> Tj", font=UNMAPPED)


@dataclass(frozen=True)
class Sample:
    name: str
    content: bytes


# Row of the table -> word in its first column -> a file of this kind.
SAMPLES: tuple[dict[str, Sample], ...] = (
    {
        "PDF": Sample("a.pdf", pdf("words")),
        "DOCX": Sample("a.docx", office(WORD)),
        "PPTX": Sample("a.pptx", office(SLIDES)),
        "DOC": Sample("a.doc", compound({"WordDocument": bytes(5_000)})),
        "HTML": Sample("a.html", b"<!doctype html><p>words"),
        "Markdown": Sample("a.md", b"# words"),
        "text": Sample("a.txt", b"words"),
        "source code": Sample("a.py", b"print('words')"),
        "JSON": Sample("a.json", b'{"words": {"are": "here"}'),
    },
    {
        "EML": Sample("a.eml", files.mail().as_bytes()),
        "MHT": Sample("a.mht", files.mail().as_bytes()),
        "MSG": Sample("a.msg", compound(message())),
        "RTF": Sample("a.rtf", files.RTF),
        "IPYNB": Sample("a.ipynb", files.NOTEBOOK),
        "VTT": Sample("a.vtt", files.VTT.encode()),
        "SRT": Sample("a.srt", SUBTITLES),
        "ODT": Sample("a.odt", files.odt()),
        "ODP": Sample("a.odp", files.odp()),
        "EPUB": Sample("a.epub", files.epub()),
    },
    {
        "CSV": Sample("a.csv", b"a,b\n1,2\n"),
        "TSV": Sample("a.tsv", b"a\tb\n1\t2\n"),
        "XLSX": Sample("a.xlsx", office(SHEETS)),
        "XLS": Sample("a.xls", xls([["a", "b"], [1.0, 2.0]])),
        "ODS": Sample("a.ods", SALES),
        "Parquet": Sample("a.parquet", b"PAR1\x00\xff"),
        "tabular JSON": Sample("a.json", b'[{"a": 1}, {"a": 2}]'),
    },
    {
        "log": Sample("a.log", b"a line"),
        "YAML": Sample("a.yaml", b"a: 1"),
        "XML": Sample("a.xml", b"<a>words</a>"),
        "INI": Sample("a.ini", b"[a]\nb=c"),
    },
    {
        "pictures": Sample("a.png", b"\x89PNG\r\n\x1a\n"),
        "scans": Sample("a.pdf", pdf("")),
        "PDFs whose fonts do not say which letters they show": Sample("a.pdf", UNREADABLE),
        "archives": Sample("a.zip", packed({"a.md": b"x"})),
        "sound": Sample("a.mp3", b"ID3"),
        "macros": Sample("a.docm", MACROS),
        "legacy PPT": Sample("a.ppt", POWERPOINT),
    },
)


def rows() -> list[tuple[list[str], str]]:
    """The words of the first column, and the second column, of each row."""
    lines = (ROOT / "README.md").read_text("utf-8").split("| content | becomes |\n|---|---|\n")[1].split("\n\n")[0]
    cells = [line.strip("| ").split(" | ") for line in lines.split("\n")]
    return [([re.sub(r" \(.*\)|\.\.\.", "", word) for word in first.split(", ")], second) for first, second in cells]


def kind(sample: Sample) -> str:
    """What becomes of it, in a word; the notice says so where it is read as something else."""
    early = classify(sample.name, len(sample.content), max_bytes=10**9)
    if isinstance(early, UnusableFile):
        return "unsupported" if early.unsupported else "failed"
    try:
        found = look_inside(sample.name, io.BytesIO(sample.content))
    except UnusableFile as exc:
        assert exc.reason.message
        return "unsupported" if exc.unsupported else "failed"
    if found.notice:
        return f"{found.kind}, {found.notice.code}"
    return "Markdown" if found.ending in CONVERTED else found.kind


BECOMES = ("text", "Markdown", "data", "text, read_as_text", "unsupported")


def test_the_table_has_a_sample_for_each_word() -> None:
    assert [{*words} - {""} for words, _ in rows()] == [{*row} for row in SAMPLES]
    said = ("text for file search", "Markdown made by the app", "a data card", "read as text, with a notice")
    for (_, second), words in zip(rows(), (*said, "`unsupported`, with advice"), strict=True):
        assert second.startswith(words)


@pytest.mark.parametrize(
    ("word", "sample", "becomes"),
    [
        pytest.param(word, sample, becomes, id=word)
        for row, becomes in zip(SAMPLES, BECOMES, strict=True)
        for word, sample in row.items()
    ],
)
def test_each_kind_becomes_what_its_row_says(word: str, sample: Sample, becomes: str) -> None:
    assert kind(sample) == becomes


def test_the_kinds_that_the_readme_names_are_those_that_are_converted() -> None:
    named = {word.lower() for word in SAMPLES[1]} - {"mht"}
    assert named == CONVERTED
    assert {SENT_AS[ending] for ending in ("xls", "ods")} == {"xlsx"}
    assert service_name("a.parquet", "data", "parquet") == "a.parquet.csv"
