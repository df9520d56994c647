"""The sample documents: generating them again gives the same files, and their figures agree."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import pypdfium2
import pytest

from local.paths import ROOT

SAMPLES = ROOT / "samples"
TEXTS = ("server-metrics-february.csv", "monthly-metrics.csv", "q4-incident-report.md")
GUIDE = "monitoring-guide.pdf"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    subprocess.run([sys.executable, SAMPLES / "make.py", folder], check=True, capture_output=True)
    return folder


def rows(name: str) -> list[dict[str, str]]:
    with (SAMPLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pages(path: Path) -> list[str]:
    document = pypdfium2.PdfDocument(path)
    try:
        return [document[index].get_textpage().get_text_range() for index in range(len(document))]
    finally:
        document.close()


@pytest.mark.parametrize("name", TEXTS)
def test_text_files_are_generated_byte_for_byte(made: Path, name: str):
    assert (made / name).read_bytes() == (SAMPLES / name).read_bytes()


def test_guide_is_generated_with_the_same_text(made: Path):
    assert pages(made / GUIDE) == pages(SAMPLES / GUIDE)


def test_guide_has_contents_and_page_numbers():
    text = pages(SAMPLES / GUIDE)

    assert len(text) >= 8
    for title, number in re.findall(r"^\d (\w.*) (\d+)\s*$", text[1], re.MULTILINE):
        assert title in text[int(number) - 1]
        assert f"Page {number}" in text[int(number) - 1]


def test_february_is_complete():
    hourly = rows("server-metrics-february.csv")

    assert len(hourly) == 28 * 24 * len({row["server"] for row in hourly})
    assert len({(row["timestamp"], row["server"]) for row in hourly}) == len(hourly)


def test_february_hours_add_up_to_the_month():
    hourly = rows("server-metrics-february.csv")
    month = rows("monthly-metrics.csv")[-1]

    assert month["month"] == "2026-02"
    assert int(month["total_requests"]) == sum(int(row["requests"]) for row in hourly)
    mean = sum(float(row["response_time_ms"]) for row in hourly) / len(hourly)
    assert float(month["avg_response_time_ms"]) == round(mean, 1)


@pytest.mark.parametrize(("month", "name"), [("2025-10", "October"), ("2025-11", "November"), ("2025-12", "December")])
def test_report_and_metrics_agree(month: str, name: str):
    report = (SAMPLES / "q4-incident-report.md").read_text(encoding="utf-8")
    row = next(row for row in rows("monthly-metrics.csv") if row["month"] == month)

    assert f"| {name} 2025 | {row['incidents']} | {row['downtime_minutes']} | {row['availability_percent']} |" in report
    incidents = re.findall(rf"^\| INC-\S+ \| \d+ {name} 2025 \|[^|]*\|[^|]*\| (\d+) \|", report, re.MULTILINE)
    assert len(incidents) == int(row["incidents"])
    assert sum(map(int, incidents)) == int(row["downtime_minutes"])
