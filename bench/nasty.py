"""Damaged and malicious files, uploaded one after the other: `python -m bench.nasty [--json FILE]`.

The files come from `tests/nasty.py` and, if it exists, from `../shared/data/formats/nasty`. After each of them a good
file must be indexed. The result is written to `bench/nasty.md`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from bench.common.processes import watched_memory
from bench.common.stacks import fresh_stack, upload_and_wait
from local.paths import ROOT
from tests.nasty import nasty_files

OPEN_DATA = ROOT.parent / "shared" / "data" / "formats" / "nasty"
REPORT = ROOT / "bench" / "nasty.md"
WITHIN_S = 60
HEAD = """# Nasty files

The status of documents that are damaged, encrypted, archive bombs, or of another type than their name says. Written by
`make bench ONLY=nasty`: each file is uploaded to the local stack alone; "peak MB" is the increase of the host's memory.
After each file a good file was indexed.

| file | status | reason | message | seconds | peak MB |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True)
class FileOutcome:
    """The result for one file. `peak_mb` is the increase of the host's memory."""

    file: str
    status: str
    code: str
    message: str
    seconds: float
    peak_mb: int


def all_files(console: Console) -> Iterator[tuple[str, bytes]]:
    yield from ((file.name, file.content) for file in nasty_files())
    if not OPEN_DATA.is_dir():
        console.print(f"{OPEN_DATA} does not exist: only the files of tests/nasty.py are used.")
        return
    for path in sorted(OPEN_DATA.iterdir()):
        yield f"open-data/{path.name}", path.read_bytes()


def measure(console: Console) -> list[FileOutcome]:
    """Upload every file.

    Raises:
        AssertionError: a file has no final status within `WITHIN_S`, or the good file after it was not indexed.
    """
    outcomes = []
    with fresh_stack() as (stack, client):
        upload_and_wait(client, "good/first.md", b"The first document loads the models.", within_s=WITHIN_S)
        for n, (name, content) in enumerate(all_files(console)):
            with watched_memory(stack.host.pid) as peak:
                start_s = time.monotonic()
                document = upload_and_wait(client, f"nasty-{n}/{name}", content, within_s=WITHIN_S)
                seconds = time.monotonic() - start_s
            assert document["status"] in ("indexed", "failed", "unsupported"), document
            reason = document["reason"] or document["notice"] or {"code": "", "message": ""}
            outcome = FileOutcome(
                file=name,
                status=str(document["status"]),
                code=reason["code"],
                message=reason["message"],
                seconds=round(seconds, 1),
                peak_mb=peak.increase_mb,
            )
            outcomes.append(outcome)
            console.print(f"{outcome.status:12} {outcome.seconds:5} s {outcome.peak_mb:4} MB  {name}")
            good = upload_and_wait(client, f"nasty-{n}/good.md", b"Good words.", within_s=WITHIN_S)
            assert good["status"] == "indexed", good
    return outcomes


def markdown(outcomes: list[FileOutcome]) -> str:
    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("\n", " ")

    return HEAD + "".join(
        f"| {cell(o.file)} | {o.status} | {o.code} | {cell(o.message)} | {o.seconds} | {o.peak_mb} |\n"
        for o in outcomes
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    console = Console()
    outcomes = measure(console)
    REPORT.write_text(markdown(outcomes))
    console.print(f"{len(outcomes)} files, the slowest took {max(o.seconds for o in outcomes)} s. -> bench/nasty.md")
    if options.json:
        options.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))


if __name__ == "__main__":
    main()
