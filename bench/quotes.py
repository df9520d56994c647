"""The built-in model on questions about documents: `python -m bench.quotes [-v] [--json FILE]`.

Asks the 50 questions of `../shared/data/contoso` of its six PDFs, and judges by page. A label names the page on which
a chunk of azure-search-openai-demo begins; the chunk has up to 1,100 characters, so it often ends on the next page
(`split_pages` in https://github.com/Azure-Samples/azure-search-openai-demo, app/backend/prepdocslib/textsplitter.py).
Page 10 of the Plus book is the label of "what is copay", a word that begins on page 11. So an answer is right when one
of its quotes stands on a labelled page or within the first 1,100 characters of the page after it; "on the labelled page
itself" says how many do without that page. A refusal counts as refused, the rest is wrong, though other pages often say
the same as the labelled one. "Mostly" says how many of the right answers consist for the most part of such quotes, "in
the file" how many cite that file, too (the two plan books share pages word by word).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.analyst import MOST_STEPS, REFUSED
from local.openai_emulator.agent.conversation import Event, Prompt, Said, Searched, Toolbox
from local.openai_emulator.agent.model import Say, Search
from local.openai_emulator.models.offline.builtin import next_move
from local.openai_emulator.search.index import Index
from local.openai_emulator.search.parsers import parse
from local.paths import ROOT

DATA = ROOT / "../shared/data/contoso"
HELD_SHARE = 0.5  # of a text's five-word sequences; a page with this share holds the text
WINDOW = 5
CHUNK_CHARS = 1_100  # the longest chunk that the labels were made with
PASSAGES = 20  # of a search, as `shared/engines/responses.py` asks for them


@dataclass(frozen=True, kw_only=True)
class Judged:
    question: str
    verdict: str
    on_page: bool  # a quote stands on a labelled page, not only on the one after it
    mostly: bool
    in_file: bool
    answer: str
    pages: str  # the labelled pages, as text


async def ask(index: Index, question: str, *, store: str = "contoso") -> Say:
    """The model's answer, with the searches that it asks for."""
    events: list[Event] = [Said(role="user", text=question)]
    for _ in range(MOST_STEPS):
        tools = Toolbox(file_search=True)
        prompt = Prompt(model="builtin", instructions="", events=tuple(events), turn_starts_at=0, tools=tools)
        move = next_move(prompt)
        if isinstance(move, Say):
            return move
        assert isinstance(move, Search), move
        passages = await index.search([store], move.queries, limit=PASSAGES)
        events.append(Searched(queries=move.queries, passages=tuple(passages)))
    return Say(text="(no answer)")


def sequences(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[at : at + WINDOW]) for at in range(len(words) - WINDOW + 1)}


def holds(page: set[tuple[str, ...]], text: set[tuple[str, ...]]) -> bool:
    return bool(text) and len(text & page) >= HELD_SHARE * len(text)


def judge(question: str, say: Say, pages: dict[tuple[str, int], str], relevant: list[tuple[str, int]]) -> Judged:
    first = [sequences(pages[key]) for key in relevant]
    shown = [sequences(pages[name, page] + pages.get((name, page + 1), "")[:CHUNK_CHARS]) for name, page in relevant]
    quotes = [sequences(line) for line in say.text.splitlines() if not line.endswith(("say:", "says:"))]
    held = [key for key, page in zip(relevant, shown, strict=True) if any(holds(page, quote) for quote in quotes)]
    found = "refused" if REFUSED.search(say.text) else "right" if held else "wrong"
    cited = {cite.filename for cite in say.citations}
    return Judged(
        question=question,
        verdict=found,
        on_page=found == "right" and any(holds(page, quote) for page in first for quote in quotes),
        mostly=found == "right" and any(holds(page, sequences(say.text)) for page in shown),
        in_file=found == "right" and any(name in cited for name, _ in held),
        answer=say.text,
        pages=", ".join(f"{name} {page}" for name, page in relevant),
    )


async def measure() -> list[Judged]:
    files = sorted(DATA.glob("*.pdf"))
    pages = {(path.name, s.page): s.text for path in files for s in parse(path, path.name) if s.page}
    judged = []
    with tempfile.TemporaryDirectory() as scratch:
        index = Index(Path(scratch, "index.sqlite"))
        try:
            for path in files:
                await index.add("contoso", f"file-{path.stem}", path=path, filename=path.name, attributes={})
            for line in (DATA / "questions_pages.jsonl").read_text("utf-8").splitlines():
                item = json.loads(line)
                relevant = [(page["file"], page["page"]) for page in item["relevant"]]
                judged.append(judge(item["question"], await ask(index, item["question"]), pages, relevant))
        finally:
            await index.close()
    return judged


def main() -> None:
    arguments = argparse.ArgumentParser(description="The built-in model on documents")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")
    arguments.add_argument("-v", "--verbose", action="store_true", help="print what is not right")
    options = arguments.parse_args()
    if not DATA.exists():
        print(f"skipped: {DATA} does not exist")
        return
    judged = asyncio.run(measure())
    for one in judged if options.verbose else ():
        if one.verdict != "right":
            print(f"--- {one.verdict}: {one.question}\nlabelled: {one.pages}\n{one.answer[:700]}\n")
    count = Counter(one.verdict for one in judged)
    row = {"asked": len(judged), **{key: count[key] for key in ("right", "refused", "wrong")}}
    row["on the labelled page itself"] = sum(one.on_page for one in judged)
    row["mostly"] = sum(one.mostly for one in judged)
    row["in the file"] = sum(one.in_file for one in judged)
    print("contoso: " + ", ".join(f"{value} {key}" for key, value in row.items()))
    if options.json:
        options.json.write_text(json.dumps(row) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
