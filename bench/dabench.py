"""How many questions about data the built-in model answers correctly: `python -m bench.dabench [--limit N] [-v]`.

The questions are from the dev set of InfiAgent-DABench (https://github.com/InfiAgent/InfiAgent, Apache-2.0), read from
`../shared/data/dabench`. The model gets each question with its constraints; its code runs in the emulator's sandbox.
The answer is free text, not DABench's `@name[value]` format, so a question counts as correct when the text contains
*every* expected value: figures rounded as in the label, words and lists verbatim. The share is an estimate: a text can
contain a figure by chance, and a yes or no in other words counts as wrong.
"""

import argparse
import asyncio
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from local.openai_emulator.agent.conversation import (  # noqa: E402
    DataFile,
    Event,
    OutputFile,
    Prompt,
    Ran,
    Said,
    Toolbox,
)
from local.openai_emulator.agent.model import RunCode, Say  # noqa: E402
from local.openai_emulator.models.offline.builtin import BuiltinModel  # noqa: E402
from local.openai_emulator.sandbox import Sandbox, Session  # noqa: E402

DATA = ROOT / "../shared/data/dabench"
MOST_STEPS = 6
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Case:
    level: str
    question: str
    table: Path
    expected: tuple[tuple[str, str], ...]


def cases() -> list[Case]:
    labels = {entry["id"]: entry["common_answers"] for entry in _lines(DATA / "da-dev-labels.jsonl")}
    return [
        Case(
            level=entry["level"],
            question=f"{entry['question']}\n{entry['constraints']}",
            table=DATA / "tables" / entry["file_name"],
            expected=tuple((name, value) for name, value in labels[entry["id"]]),
        )
        for entry in _lines(DATA / "da-dev-questions.jsonl")
    ]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def answer(case: Case, sandbox: Sandbox) -> str:
    """The model's answer. Each question gets a sandbox session of its own."""
    session = await sandbox.open()
    try:
        await session.put(case.table.name, case.table)
        return await _converse(case, session)
    finally:
        await session.close()


async def _converse(case: Case, session: Session) -> str:
    file = DataFile(filename=case.table.name, size_bytes=case.table.stat().st_size)
    tools = Toolbox(code_interpreter=True, data_files=(file,))
    events: list[Event] = [Said(role="user", text=case.question)]
    for _ in range(MOST_STEPS):
        prompt = Prompt(model="builtin", instructions="", events=tuple(events), turn_starts_at=0, tools=tools)
        move = (await BuiltinModel().step(prompt)).move
        if isinstance(move, Say):
            return move.text
        assert isinstance(move, RunCode), move
        outcome = await session.run(move.code)
        files = tuple(
            OutputFile(file_id=f"cfile_{name}", filename=name, container_id="c", is_image=name.endswith(".png"))
            for name in outcome.changed
        )
        events.append(Ran(code=move.code, logs=outcome.logs, files=files, failed=outcome.failed))
    return "(no answer)"


def is_right(text: str, expected: tuple[tuple[str, str], ...]) -> bool:
    return all(_contains(text, value.strip()) for _, value in expected)


def _contains(text: str, value: str) -> bool:
    if not value:  # an empty list
        return bool(re.search(r"\*\*0\*\*|\bno\b|\bnone\b", text, re.IGNORECASE))
    if "," in value and not re.fullmatch(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", value):
        return all(_contains(text, part.strip()) for part in value.split(","))
    number = value.replace(",", "")
    if not re.fullmatch(_NUMBER, number):
        return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE) is not None
    places = len(number.partition(".")[2])
    tolerance = 0.5 * 10**-places + 1e-9
    return any(abs(float(found.replace(",", "")) - float(number)) <= tolerance for found in _NUMBER.findall(text))


async def main() -> None:
    arguments = argparse.ArgumentParser(description="The built-in model on InfiAgent-DABench")
    arguments.add_argument("--limit", type=int, default=None)
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")
    arguments.add_argument("-v", "--verbose", action="store_true", help="print the wrong answers")
    options = arguments.parse_args()
    if not DATA.exists():
        print(f"skipped: {DATA} does not exist")
        return
    asked, right = Counter[str](), Counter[str]()
    sandbox = Sandbox()
    await sandbox.start()
    try:
        for case in cases()[: options.limit]:
            text = await answer(case, sandbox)
            asked[case.level] += 1
            right[case.level] += is_right(text, case.expected)
            if options.verbose and not is_right(text, case.expected):
                print(f"--- {case.level}: {case.question[:300]}\nexpected {case.expected}\n{text[:700]}\n")
    finally:
        await sandbox.close()
    print(f"{'level':<8}{'right':>8}{'asked':>8}{'share':>8}")
    rows = []
    for level in (*sorted(asked, key=["easy", "medium", "hard"].index), "all"):
        n, of = (right.total(), asked.total()) if level == "all" else (right[level], asked[level])
        print(f"{level:<8}{n:>8}{of:>8}{n / of:>8.0%}")
        rows.append({"level": level, "right": n, "asked": of})
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
