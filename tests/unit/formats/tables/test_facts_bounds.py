"""What workbooks repeat, by a number or by pointing to one place many times, is remembered within limits."""

from __future__ import annotations

import io
import struct
import zipfile

from shared.formats.tables import ods_facts as ods
from shared.formats.tables import xls_facts as xls
from shared.formats.tables.sheet_facts import FORMATS_MAX
from tests.unit.formats.compound_files import compound


def sheet(rows: str) -> io.BytesIO:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "content.xml",
            '<r xmlns:t="t" xmlns:s="s" xmlns:n="n"><n:number-style s:name="N"><n:text>EUR</n:text></n:number-style>'
            '<s:style s:name="S" s:family="table-cell" s:data-style-name="N"/>'
            f'<t:table t:name="a">{rows}</t:table></r>',
        )
    return content


def test_a_cell_that_is_repeated_everywhere_is_remembered_up_to_a_limit() -> None:
    cell = '<t:table-cell t:number-columns-repeated="10000" t:style-name="S" t:value="1"/>'
    [facts] = ods.ods_facts(sheet(f'<t:table-row t:number-rows-repeated="10000">{cell}</t:table-row>' * 3)).values()
    assert len(facts.formats) == FORMATS_MAX


def test_hidden_rows_are_remembered_up_to_a_limit() -> None:
    row = '<t:table-row t:number-rows-repeated="10000" t:visibility="collapse"/>'
    [facts] = ods.ods_facts(sheet(row * 400)).values()
    assert 0 < len(facts.hidden_rows) <= ods.HIDDEN_MAX
    assert max(facts.hidden_rows) < ods.ROWS_MAX


def record(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def test_sheets_of_one_place_are_read_once() -> None:
    begin = record(xls.BEGIN, struct.pack("<H", xls.UNICODE_VERSION))
    names = [f"{n:05d}".encode() for n in range(2_000)]
    place = len(begin) + len(names) * 17 + 4
    sheets = b"".join(record(xls.SHEET, struct.pack("<IH", place, 0) + bytes([5, 0]) + name) for name in names)
    rows = b"".join(record(xls.ROW, struct.pack("<H10xH", row, xls.HIDDEN_ROW)) for row in range(100))
    book = begin + sheets + record(xls.END, b"") + begin + rows + record(xls.END, b"")
    found = xls.xls_facts(io.BytesIO(compound({"Workbook": book})))
    assert len(found) == len(names)
    assert {id(facts) for facts in found.values()} == {id(found["00000"])}
    assert found["00000"].hidden_rows == set(range(100))
