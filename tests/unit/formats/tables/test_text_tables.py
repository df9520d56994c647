"""Text tables as people write them: what the clean copy holds and what the notice says."""

from __future__ import annotations

import io

import pytest

from shared.formats.datacards import read_data
from shared.formats.tables.reader import read_tables
from tests.unit.formats.cards import card_and_peak_bytes
from tests.unit.formats.tables.reading import copy_of, read

CASES = {
    "decimal comma": ("n;v\na;1,5\nb;2,5\n", "n,v / a,1.5 / b,2.5", "decimal comma"),
    "decimal comma and thousands": ("k;v\na;1.234,50\nb;980,00\n", "k,v / a,1234.50 / b,980.00", "decimal comma"),
    "thousands in quotes": ('k,v\na,"1,234"\nb,"20,385"\n', "k,v / a,1234 / b,20385", "housands separated"),
    "another column decides": ("k;n;p\na;1.234;2,5\nb;20.385;3\n", "k,n,p / a,1234,2.5 / b,20385,3", "decimal comma"),
    "apostrophes": ("k;v\na;1'234.50\nb;980.00\n", "k,v / a,1234.50 / b,980.00", "semicolon"),
    "narrow spaces and a currency": (
        "k;v\na;1\u202f234,50 €\nb;980,00 €\n",
        "k,v (€) / a,1234.50 / b,980.00",
        "decimal comma",
    ),
    "brackets are negative": ('k,v\na,"(1,200.50)"\nb,300.00\n', "k,v / a,-1200.50 / b,300.00", ""),
    "minus at the end": ("k;v\na;1.200,50-\nb;300,00\n", "k,v / a,-1200.50 / b,300.00", ""),
    "percent": ("k,share\na,12.5%\nb,7 %\n", "k,share (%) / a,12.5 / b,7", "share (%)"),
    "units in cells": ("p,flow\na,12.5 m3/h\nb,8 m3/h\n", "p,flow (m3/h) / a,12.5 / b,8", "flow (m3/h)"),
    "a units row": ("t,v\ns,degC\n0,20.5\n10,21\n", "t (s),v (degC) / 0,20.5 / 10,21", "row of units"),
    "units in brackets": ("t,v\n[s],[km/h]\n1,20\n2,30\n", "t (s),v (km/h) / 1,20 / 2,30", "row of units"),
    "day first": ("d,v\n25/12/2024,1\n02/01/2025,2\n", "d,v / 2024-12-25,1 / 2025-01-02,2", "day first"),
    "month first": ("d,v\n12/25/2024,1\n01/02/2025,2\n", "d,v / 2024-12-25,1 / 2025-01-02,2", "month first"),
    "points": ("d;v\n03.01.25;1\n02.01.25;2\n", "d,v / 2025-01-03,1 / 2025-01-02,2", "day first"),
    "month names": ("d,v\n3 Jan 2025,1\n4 Feb 2025,2\n", "d,v / 2025-01-03,1 / 2025-02-04,2", ""),
    "the decimal comma decides": ("d;v\n03/04/2024;1,5\n05/06/2024;2\n", "d,v / 2024-04-03,1.5 / 2024-06-05,2", "day"),
    "durations": ("c,duration\n1,0:03:20\n2,1:05:00\n", "c,duration (s) / 1,200 / 2,3900", "seconds"),
    "durations in words": ("c,spent\n1,1h 30m\n2,45m 10s\n", "c,spent (s) / 1,5400 / 2,2710", "seconds"),
    "missing words": ("s,v\nA,1.0\nB,n/a\nC,--\nD,\n", "s,v / A,1.0 / B, / C, / D,", "o value in 2 cells"),
    "lines above": ("Report\nBy:,Ann\n\nk,v,w\na,1,2\nb,3,4\n", "k,v,w / a,1,2 / b,3,4", "above the table: Report"),
    "lines above without a gap": ("Report\nk,v,w\na,1,2\nb,3,4\n", "k,v,w / a,1,2 / b,3,4", "eader in row 2"),
    "a footer": ("k,v\na,1\nb,2\n\nSource: Office\n", "k,v / a,1 / b,2", "Source: Office"),
    "two header rows": (
        ",2024,,2025,\nR,Units,Rev,Units,Rev\nN,1,2,3,4\nS,5,6,7,8\n",
        "R,2024 Units,2024 Rev,2025 Units,2025 Rev / N,1,2,3,4 / S,5,6,7,8",
        "rows 1 to 2",
    ),
    "sep line": ("sep=;\na;b\n1;2\n", "a,b / 1,2", "sep="),
    "comment lines": ("# by x\n# v2\na,b\n1,2\n3,4\n", "a,b / 1,2 / 3,4", "omment lines"),
    "longer rows": ("a,b\n1,2\n3,4,5\n", "a,b,column_3 / 1,2, / 3,4,5", "more cells"),
    "equal and empty names": ("a,a,,b\n1,2,3,4\n", "a,a (2),column_3,b / 1,2,3,4", "repeated"),
    "R without a name": ("mpg,cyl\nFord,21.0,6\nFiat,30.1,4\n", "row,mpg,cyl / Ford,21.0,6 / Fiat,30.1,4", "R writes"),
    "no header": ("1,2\n4,5\n7,8\n", "column_1,column_2 / 1,2 / 4,5 / 7,8", "no header"),
    "a repeated header": ("a,b\n1,2\na,b\n3,4\n", "a,b / 1,2 / 3,4", "ow 3 is the header again"),
    "groups": (
        "r,c,v\nN,x,1\n,y,2\nS,z,3\n,w,4\n",
        "r,c,v / N,x,1 / N,y,2 / S,z,3 / S,w,4",
        "repeat the value above",
    ),
    "a total": ("m,v\nJan,10\nFeb,20\nTotal,30\n", "m,v / Jan,10 / Feb,20", "ow 4 is a total"),
    "subtotals": (
        "r,p,v\nN,a,1\nN,b,2\nN Total,,3\nS,c,4\nS Total,,4\nGrand Total,,7\n",
        "r,p,v / N,a,1 / N,b,2 / S,c,4",
        "ows 4, 6 and 7 are totals",
    ),
    "a total above": ("k,v\nTotal,30\na,10\nb,20\n", "k,v / a,10 / b,20", "ow 2 is a total"),
    "a total without a label": ("k,v\na,10\nb,20\nc,5\n,35\n", "k,v / a,10 / b,20 / c,5", "ow 5 is a total"),
    "a total that differs": ("m,v\nJan,10\nFeb,20\nTotal,31\n", "m,v / Jan,10 / Feb,20", "not equal"),
    "a total below dates": (
        "d,v\n2024-01-01,5\n2024-01-02,6\nSumme,11\n",
        "d,v / 2024-01-01,5 / 2024-01-02,6",
        "ow 4 is a total",
    ),
    "a total that is the only row": ("k,v\nTotal,30\n", "k,v / Total,30", "kept as a row"),
    "a total that is far off": ("k,v\nShell,10\nBP,30\nTotal,20\n", "k,v / Shell,10 / BP,30 / Total,20", "kept as a"),
    "a maximum": ("k,v\na,10\nb,20\nc,12\nMax,20\n", "k,v / a,10 / b,20 / c,12", "figure of the rows above"),
    "a comment between rows": ("# by x\na,b\n1,2\n# end\n3,4\n", "a,b / 1,2 / 3,4", "ows 1 and 4 are comment lines"),
    "a comment that names the columns": ("# v2\n# a,b\n1,2\n3,4\n", "a,b / 1,2 / 3,4", "comment line 2 names"),
    "a text in the first row of numbers": (
        "k,v\nAnn,absent\nBob,10\nCy,11\nDee,12\nEve,3\nFay,4\n",
        "k,v / Ann,absent / Bob,10 / Cy,11 / Dee,12 / Eve,3 / Fay,4",
        "'absent'",
    ),
    "a quote at the end": ('a,b\n1,"x"\n2,"y\nz"\n3,"u\n4,v\n', 'a,b / 1,x / 2,y\nz / 3,"u / 4,v', "never closed"),
    "an open quote": ('a,b\n1,x\n2,"y\n3,z\n4,"w"\n5,u\n', 'a,b / 1,x / 2,"y / 3,z / 4,w / 5,u', "never closed"),
    "a row of very many cells": (
        "a,b\n1,2\n3,4" + ",9" * 700 + "\n",
        ",".join(["a,b", *(f"column_{n}" for n in range(3, 503))])
        + " / "
        + ",".join(["1,2", *[""] * 500])
        + " / "
        + ",".join(["3,4", *["9"] * 500]),
        "200 further columns of longer rows",
    ),
    "an average": ("k,v\na,10\nb,20\nAverage,15\n", "k,v / a,10 / b,20", "figure of the rows above"),
}


@pytest.mark.parametrize(("content", "copy", "notice"), CASES.values(), ids=CASES.keys())
def test_the_clean_copy_and_its_notice(content: str, copy: str, notice: str) -> None:
    assert copy_of(content.encode()) == copy
    assert notice in read(content.encode()).notice


PLAIN = {
    "numbers and dates": "k,v,d\na,1.5,2024-01-02\nb,,2024-01-03\n",
    "missing as pandas knows it": "k,v\na,1\nb,NA\n",
    "a company named Total": "k,city,v\nShell,London,10\nTotal,Paris,20\nBP,London,30\n",
    "a short row": "a,b,c\n1,2\n3,4,5\n",
    "times of day": "bus,leaves\n1,09:15\n2,10:45\n",
    "years as names": "city,2023,2024\nGraz,1,2\nLinz,3,4\n",
    "a last row that is named like a footer": "k,v\nPen,1\nNotebook,\n",
    "a last row with a long name": "k,v\nPen,1\nBox of five red pens,\n",
    "a person named Max": "k,v\nAnn,5\nMax,10\n",
    "rows without a name": "k,v\n,1\n,2\n,3\na,4\n",
    "numbers with a hash": "nr,v\n#1,a\n#2,b\n",
    "decimals that look like thousands": "k,v\na,1.234\nb,20.385\n",
}


@pytest.mark.parametrize("content", [content for name, content in PLAIN.items() if "Total" not in name])
def test_a_plain_file_goes_as_it_is(content: str) -> None:
    assert read(content.encode()).is_plain


def test_a_name_like_total_is_kept_as_a_row() -> None:
    found = read(PLAIN["a company named Total"].encode())
    assert found.total("v") == 60
    assert "kept as a row" in found.notice


DOUBTS = {
    "day or month": ("d,v\n03/04/2024,1\n05/06/2024,2\n", "'03/04/2024' can have the day or the month first"),
    "both orders": ("d,v\n25/12/2024,1\n12/25/2024,2\n", "others the month"),
    "thousands or decimals": ("k;v\na;1.234\nb;20.385\n", "of thousands or of decimals"),
    "both separators": ("k;v\na;1,5\nb;2.5\n", "others a point"),
    "different units": ("k,v\na,5 kg\nb,300 g\n", "different units"),
    "different currencies": ("k,v\na,$5\nb,€6\n", "different units"),
    "a unit here and there": ("k,v\na,5 %\nb,6\nc,7\n", "others none"),
    "minutes or hours": ("k,duration\na,3:20\nb,4:05\n", "minutes and seconds"),
}


@pytest.mark.parametrize(("content", "doubt"), DOUBTS.values(), ids=DOUBTS.keys())
def test_what_can_be_read_in_two_ways_stays_as_it_is(content: str, doubt: str) -> None:
    found = read(content.encode())
    assert doubt in found.notice
    original = [line.replace(";", ",").split(",") if "," not in line else None for line in content.splitlines()]
    for row in found.copies[0] if found.copies else ():
        assert None in original or row in original


@pytest.mark.parametrize("code", ["007", "01067", "4111111111111111"])
def test_identifiers_are_no_numbers(code: str) -> None:
    found = read(f"code;v\n{code};1\n{code[:-1]}9;2\n".encode())
    assert found.column("code") == [code, f"{code[:-1]}9"]
    assert "| code | identifier |" in found.card
    assert "dentifiers, not numbers: code" in found.card


def test_two_tables_of_one_file() -> None:
    found = read(b"Income\nmonth,eur\nJan,5\nFeb,6\n\nCosts\nitem,month,eur\nrent,Jan,3\npower,Feb,4\n")
    assert [copy[0] for copy in found.copies] == [["month", "eur"], ["item", "month", "eur"]]
    assert [len(copy) for copy in found.copies] == [3, 3]
    assert found.names == ["file.csv.clean.csv", "file.csv.Costs.clean.csv"]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Stadt;Größe\nKöln;1,5\nMünchen;2\n", "cp1252"),
        ("Stadt;Größe\nKöln;1,5\nMünchen;2\n", "utf-16"),
        ("Stadt;Größe\nKöln;1,5\nMünchen;2\n", "utf-16-le"),
        ("店舗,売上\n東京,1200\n大阪,900\n", "cp932"),
        ("店铺,销售额\n北京店,1200\n上海店,1500\n", "gb18030"),
        ("店鋪,銷售額\n臺北,12\n高雄,3\n", "big5"),
        ("지점,매출\n서울,12\n부산,4\n", "cp949"),
        ("Город;Выручка\nМосква;1200,5\nКазань;900\n", "koi8-r"),
        ("Город;Выручка\nМосква;1200,5\nКазань;900\n", "cp1251"),
        ("Miasto;Sprzedaż\nŁódź;12\nKraków;3\n", "cp1250"),
        ("Πόλη;Ποσό\nΑθήνα;12\nΠάτρα;4\n", "cp1253"),
    ],
)
def test_encodings(text: str, encoding: str) -> None:
    found = read(text.encode(encoding))
    delimiter = ";" if ";" in text else ","
    assert [row[0] for row in found.copies[0]] == [line.split(delimiter)[0] for line in text.splitlines()]
    assert "Read as" in found.notice


def test_a_copy_that_is_too_long_is_left_out() -> None:
    content = io.BytesIO(b"k;v\n" + b"a;1,5\n" * 1000)
    with read_tables("csv", content, copies_max_bytes=500) as tables:
        assert tables.copies("file.csv") == []
        assert tables.tables[0].profile.rows == 1000
        assert "more than 500 bytes" in " ".join(tables.tables[0].notes)
    _, card = read_data("file.csv", "csv", content, copies_max_bytes=500)
    assert card.notice is not None and "no clean copy" in card.notice.message


@pytest.mark.aside
def test_short_rows_below_a_wide_header_take_little_memory() -> None:
    content = ",".join(f"c{n}" for n in range(20_000)) + "\n" + "1;2\n" * 200
    _, peak_bytes = card_and_peak_bytes("a.csv", io.BytesIO(content.encode()))
    assert peak_bytes < 100 * 1024 * 1024
