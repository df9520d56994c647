"""The built-in model on questions about tables: right, refused, wrong: `python -m bench.analyst [-v] [--json FILE]`.

Two sets, read from `../shared/data`. `field`: small awkward tables, with the questions below. `dabench`: the dev set
of InfiAgent-DABench (https://github.com/InfiAgent/InfiAgent, Apache-2.0), every second question of which (`unseen`) is
only counted, never printed. The programs run in this process, without the sandbox.

An answer is free text, so it counts as right when it contains every expected value: figures rounded as in the label,
words verbatim. A refusal counts as refused, unless a refusal is expected; everything else is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.openai_emulator.agent.conversation import DataFile, Event, OutputFile, Prompt, Ran, Said, Toolbox
from local.openai_emulator.agent.model import RunCode, Say
from local.openai_emulator.models.offline.builtin import next_move
from local.paths import ROOT

DATA = ROOT / "../shared/data"
MOST_STEPS = 6
REFUSED = re.compile(r"cannot answer this|could not be read|do not say|computation failed|could not be computed")
NOTHING = "(refusal)"  # the expected value of a question that is to be refused
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)

# File, question, expected values.
FIELD: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("a1-title-spacer.xlsx", "How many hours are planned in total?", ("75",)),
    ("a1-title-spacer.xlsx", "How many hours does Ana have in total?", ("30",)),
    ("a1-title-spacer.xlsx", "Who is the owner of Build?", ("Ben",)),
    ("a2-percent-merged.xlsx", "What are the total sales by region?", ("175", "125")),
    ("a3-rollup.xlsx", "What is the total revenue?", ("2850",)),
    ("a3-rollup.csv", "How many tickets are there in total?", ("358",)),
    ("a3-rollup.csv", "What is the average number of tickets a month?", ("119.33",)),
    ("a4-formulas.xlsx", "What is the total amount?", ("6380",)),
    ("a6-umsatz.csv", "What is the total Umsatz?", ("19210.60",)),
    ("a6-umsatz.csv", "What is the total Umsatz per Filiale?", ("4834.75", "14375.85")),
    ("a6-umsatz.csv", "Show the total Umsatz by month", ("2214.50", "3151.00", "13845.10")),
    ("a7-unicode-text.csv", "What is the total Einwohner?", ("799597",)),
    ("a7-unicode-text.csv", "Which Stadt has the most Einwohner?", ("Zürich",)),
    ("a10-bank.csv", "How many people aged 30 to 40 are married and have tertiary education?", ("4",)),
    ("a12-bank-export.csv", "What is the total amount of Office rent?", ("-2700",)),
    ("a12-bank-export.csv", "What was the highest balance?", ("6600",)),
    ("a13-units.csv", "What is the average temperature?", ("22.0",)),
    ("a13-units.csv", "What is the maximum flow?", ("1.6",)),
    ("a14-events.jsonl", "What is the average ms?", ("911",)),
    ("a14-events.jsonl", "Which user has the most events?", ("kim",)),
    ("a16-ddmm.csv", "What is the total amount per month?", ("270", "360")),
    ("a16-ddmm.csv", "How many orders were there in April?", ("2",)),
    ("a19-sheets.xlsx", "How much was sold in total?", ("150",)),
    ("a22-durations.csv", "What is the average duration?", ("0:20:00",)),
    ("a22-durations.csv", "Which agent has the longest total duration?", ("Noa",)),
    ("a27-table.txt", "What is the total number of visits?", ("2000",)),
    ("a31-missing.csv", "What is the average rain?", ("3",)),
    ("a31-missing.csv", "How many stations have no rain recorded?", ("3",)),
    ("b20-nested.json", "What is the city of Acme?", ("Wien",)),
    ("d2-shop-cn.csv", "What is the highest 销售额?", ("1500", "上海店")),
    ("d2-shop-cn.csv", "What is the total 销售额?", ("3600",)),
    ("d5-shares.csv", "What is the share of Green?", ("19",)),
    ("d5-shares.csv", "Draw a pie chart of the votes", ("19", "png")),
    ("e1-two-headers.xlsx", "What was the revenue in 2025 in North?", ("250",)),
    ("e2-offset.xlsx", "What is the total number of visitors?", ("1360",)),
    ("e3-chart-first.xlsx", "Which quarter is the best?", ("Q2",)),
    ("e6-customers.csv", "How many customers are there?", ("3",)),
    ("e6-customers.csv e6-orders.csv", "Which customer has the highest total amount?", ("Gamma", "500")),
    ("e6-customers.csv e6-orders.csv", "What is the total amount of Beta?", ("175",)),
    ("e10-units-in-cell.csv", "What is the average flow?", ("13.58",)),
    ("m1.csv", "What is the total v?", ("4",)),
    ("m4.csv", "What is the total sales in 2020?", ("5",)),
    ("m6.csv", "What is the price of the cup?", ("5",)),
    ("m7.csv", "What is the average b?", ("2",)),
    ("m9.csv", "What is the average tip on Sunday?", ("2",)),
    ("m10.csv", "How many smokers are there?", ("1",)),
    ("m12.csv", "Who is the mayor of Berlin?", (NOTHING,)),
    ("m12.csv", "What is the average height?", (NOTHING,)),
    ("m12.csv", "What is the average score of the women?", (NOTHING,)),
    ("m14.csv", "Which was the longest trip?", ("2", "90")),
    ("m15.csv", "How many rows have code 007?", ("2",)),
)


@dataclass(frozen=True, kw_only=True)
class Case:
    group: str
    question: str
    files: tuple[Path, ...]
    expected: tuple[str, ...]


def cases() -> Iterator[Case]:
    """The questions of both sets; those whose data are not here are left out."""
    for names, question, expected in FIELD:
        files = tuple(DATA / "field" / name for name in names.split())
        if all(file.exists() for file in files):
            yield Case(group="field", question=question, files=files, expected=expected)
    folder = DATA / "dabench"
    if not folder.exists():
        return
    labels = {entry["id"]: entry["common_answers"] for entry in _lines(folder / "da-dev-labels.jsonl")}
    for at, entry in enumerate(_lines(folder / "da-dev-questions.jsonl")):
        yield Case(
            group="dabench, unseen" if at % 2 else "dabench, seen",
            question=f"{entry['question']}\n{entry['constraints']}",
            files=(folder / "tables" / entry["file_name"],),
            expected=tuple(value for _, value in labels[entry["id"]]),
        )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# ---- answers -----------------------------------------------------------------------------------------------------


def answer(question: str, files: Sequence[Path]) -> str:
    """The model's answer. Its programs run here, in a folder in place of `/mnt/data`."""
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            shutil.copy(file, folder)
        offered = tuple(DataFile(filename=file.name, size_bytes=file.stat().st_size) for file in files)
        tools = Toolbox(code_interpreter=True, data_files=offered)
        events: list[Event] = [Said(role="user", text=question)]
        for _ in range(MOST_STEPS):
            prompt = Prompt(model="builtin", instructions="", events=tuple(events), turn_starts_at=0, tools=tools)
            move = next_move(prompt)
            if isinstance(move, Say):
                return move.text
            assert isinstance(move, RunCode), move
            events.append(run(move.code, Path(folder)))
    return "(no answer)"


def run(code: str, folder: Path) -> Ran:
    before = set(folder.iterdir())
    logs = io.StringIO()
    failed = False
    with contextlib.redirect_stdout(logs):
        try:
            exec(compile(code.replace("/mnt/data", str(folder)), "program", "exec"), {"__name__": "program"})
        except Exception as exc:
            failed = True
            logs.write(f"{type(exc).__name__}: {exc}\n")
    made = tuple(
        OutputFile(file_id=f"cfile_{file.name}", filename=file.name, container_id="c", is_image=True)
        for file in sorted(set(folder.iterdir()) - before)
    )
    return Ran(code=code, logs=logs.getvalue(), files=made, failed=failed)


def verdict(text: str, expected: Sequence[str]) -> str:
    refused = bool(REFUSED.search(text))
    if NOTHING in expected:
        return "right" if refused else "wrong"
    if refused:
        return "refused"
    return "right" if all(_contains(text, value.strip()) for value in expected) else "wrong"


def _contains(text: str, value: str) -> bool:
    if not value:  # an empty list
        return bool(re.search(r"\*\*0\*\*|\bno\b|\bnone\b", text, re.IGNORECASE))
    if "|" in value:  # ways to write it
        return any(_contains(text, way.strip()) for way in value.split("|"))
    if "," in value and not re.fullmatch(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", value):
        return all(_contains(text, part.strip()) for part in value.split(","))
    number = value.replace(",", "")
    if not re.fullmatch(_NUMBER, number):
        if re.search(r"normal|^(?:true|false)$", value, re.IGNORECASE) and "normally distributed" in text:
            return bool(re.search(r"\bnot|non|false", value, re.IGNORECASE)) == ("not normally" in text)
        return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE) is not None
    places = len(number.partition(".")[2])
    tolerance = 0.5 * 10**-places + 1e-9
    return any(abs(float(found.replace(",", "")) - float(number)) <= tolerance for found in _NUMBER.findall(text))


def main() -> None:
    arguments = argparse.ArgumentParser(description="The built-in model on tables")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")
    arguments.add_argument("--only", default="", help="only the groups that begin with this")
    arguments.add_argument("-v", "--verbose", action="store_true", help="print what is not right, except of `unseen`")
    options = arguments.parse_args()
    counts: dict[str, Counter[str]] = {}
    for case in cases():
        if not case.group.startswith(options.only):
            continue
        text = answer(case.question, case.files)
        found = verdict(text, case.expected)
        counts.setdefault(case.group, Counter())[found] += 1
        if options.verbose and found != "right" and "unseen" not in case.group:
            print(f"--- {found}: {case.files[0].name}: {case.question[:500]}\nexpected {case.expected}\n{text[:600]}\n")
    if not counts:
        print(f"skipped: {DATA} does not exist")
        return
    print(f"{'questions':<18}{'asked':>7}{'right':>7}{'refused':>9}{'wrong':>7}{'right':>8}{'wrong':>8}")
    rows = []
    for group, count in counts.items():
        of = count.total()
        shares = f"{count['right'] / of:>8.0%}{count['wrong'] / of:>8.0%}"
        print(f"{group:<18}{of:>7}{count['right']:>7}{count['refused']:>9}{count['wrong']:>7}{shares}")
        rows.append({"group": group, "asked": of, **{key: count[key] for key in ("right", "refused", "wrong")}})
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
