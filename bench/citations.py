"""Citations that hold: `python -m bench.citations [--json FILE]`.

The 50 questions on 6 PDFs of `../shared/data/contoso` are asked on a fresh stack. Each citation is checked in the PDF
itself, with a comparison of its own: letters and digits alone, without case. A citation with a page is right when this
page holds the quote.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

import pypdfium2
from rich.console import Console
from rich.table import Table

from bench.common.stacks import fresh_stack
from local.client import Client, Json
from local.paths import ROOT

DATA = ROOT.parent / "shared" / "data" / "contoso"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Of all citations. `right`, `wrong`: those with a page that holds the quote, or does not."""

    questions: int
    answered: int  # with a citation
    citations: int
    right: int
    wrong: int
    verified: int
    unverified: int
    without_page: int
    run_ms_p50: float

    @property
    def right_share(self) -> float:
        return self.right / max(self.right + self.wrong, 1)


def letters(text: str) -> str:
    """What two readers of a PDF agree on."""
    return "".join(char for char in text.casefold() if char.isalnum())


def pages_of(path: Path) -> list[str]:
    """The letters of each page."""
    with pypdfium2.PdfDocument(path) as pdf:
        return [letters(page.get_textpage().get_text_range()) for page in pdf]


def measure(client: Client) -> tuple[Outcome, list[Json]]:
    """Upload the PDFs, ask all questions, check all citations. Returns the wrong citations, too."""
    files = sorted(DATA.glob("*.pdf"))
    etags = {f"contoso/{path.name}": client.drop(path, f"contoso/{path.name}") for path in files}
    final = client.wait_indexed(etags, on_final=lambda _: None, within_s=600)
    assert len(final) == len(files)
    pages = {f"contoso/{path.name}": pages_of(path) for path in files}
    lines = (DATA / "questions_pages.jsonl").read_text("utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    runs = [client.wait(client.ask(question, collection="contoso"), on_look=lambda _: None) for question in questions]
    citations = [citation for run in runs for citation in run["citations"]]
    named = [citation for citation in citations if citation["page"]]
    wrong = [c for c in named if letters(c["quote"]) not in pages[c["document"]][c["page"] - 1]]
    return Outcome(
        questions=len(questions),
        answered=sum(bool(run["citations"]) for run in runs),
        citations=len(citations),
        right=len(named) - len(wrong),
        wrong=len(wrong),
        verified=sum(citation["verified"] is True for citation in citations),
        unverified=sum(citation["verified"] is False for citation in citations),
        without_page=len(citations) - len(named),
        run_ms_p50=statistics.median(run["timings"]["total_ms"] for run in runs),
    ), wrong


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.citations")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    console = Console()
    if not DATA.is_dir():
        console.print(f"{DATA} does not exist: nothing is measured.")
        return
    with fresh_stack() as (_, client):
        outcome, wrong = measure(client)
    table = Table("citations", "figure")
    for name, value in asdict(outcome).items():
        table.add_row(name, f"{value:,.0f}")
    table.add_row("right of those with a page", f"{outcome.right_share:.1%}")
    console.print(table)
    for citation in wrong:
        console.print(f"wrong: {citation['document']}, page {citation['page']}: {citation['quote']!r}", markup=False)
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(outcome) | {"right_share": outcome.right_share}))


if __name__ == "__main__":
    main()
