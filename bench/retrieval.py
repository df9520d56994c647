"""Quality and speed of file search: `python -m bench.retrieval [--json FILE]`.

* cranfield: 1,400 abstracts, each a file; 225 questions with relevance judgements.
* contoso: 6 PDFs, 50 questions with the pages that answer them. "pages held @k": one of the first k passages contains
  a large part of the page; "pages named @k": one of them has the page's number, which a citation would show.
* separation: how well the best score separates questions that the files answer from questions that they do not answer
  (contoso's questions and cranfield's questions, both asked of the contoso files).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

from local.openai_emulator.search.index import Index
from local.openai_emulator.search.parsers import parse
from local.openai_emulator.search.passage import Passage

DATA = Path(__file__).resolve().parents[1] / "../shared/data"
CONTAINED_SHARE = 0.3  # of a page's long lines; a passage with this share contains the page


@dataclass(frozen=True, kw_only=True)
class Measurement:
    data: str
    measure: str
    value: float
    anchor: float | None = None  # the value in the feasibility study


async def cranfield(index: Index, folder: Path) -> list[Measurement]:
    documents = _cranfield_documents(folder)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        for number, text in documents.items():
            path = Path(scratch, f"{number}.txt")
            path.write_text(text, encoding="utf-8")
        add = (_add(index, "cranfield", Path(scratch, f"{number}.txt")) for number in documents)
        await _bounded(add)
    added_s = time.perf_counter() - started
    judged = _cranfield_judgements(folder)
    ndcg, recall, times_ms = [], [], []
    for ordinal, question in enumerate(_cranfield_questions(folder), 1):
        passages, spent_ms = await _timed(index, "cranfield", question, limit=10)
        found = list(dict.fromkeys(Path(passage.filename).stem for passage in passages))
        ndcg.append(_ndcg(found, judged[str(ordinal)]))
        recall.append(len(set(found) & judged[str(ordinal)]) / len(judged[str(ordinal)]))
        times_ms.append(spent_ms)
    return [
        Measurement(data="cranfield", measure="nDCG@10", value=statistics.mean(ndcg), anchor=0.404),
        Measurement(data="cranfield", measure="recall@10", value=statistics.mean(recall)),
        Measurement(data="cranfield", measure="search p50 ms", value=statistics.median(times_ms)),
        Measurement(data="cranfield", measure="files added a second", value=len(documents) / added_s),
    ]


async def contoso(index: Index, folder: Path) -> list[Measurement]:
    for path in sorted(folder.glob("*.pdf")):
        await _add(index, "contoso", path)
    pages = {path.name: {s.page: s.text for s in parse(path, path.name)} for path in sorted(folder.glob("*.pdf"))}
    questions = [json.loads(line) for line in (folder / "questions_pages.jsonl").read_text("utf-8").splitlines()]
    held: dict[int, list[float]] = defaultdict(list)
    named: dict[int, list[float]] = defaultdict(list)
    times_ms = []
    for item in questions:
        passages, spent_ms = await _timed(index, "contoso", item["question"], limit=20)
        times_ms.append(spent_ms)
        wanted = {(page["file"], page["page"]) for page in item["relevant"]}
        for k in (3, 5, 20):
            first = passages[:k]
            hits = [any(p.filename == f and _contains_page(p.text, pages[f][n]) for p in first) for f, n in wanted]
            held[k].append(statistics.mean(hits))
            named[k].append(len({(p.filename, p.page) for p in first} & wanted) / len(wanted))
    anchors = {3: 0.45, 5: 0.53, 20: 0.76}
    return [
        *(
            Measurement(data="contoso", measure=f"pages held @{k}", value=statistics.mean(held[k]), anchor=anchors[k])
            for k in held
        ),
        *(Measurement(data="contoso", measure=f"pages named @{k}", value=statistics.mean(named[k])) for k in named),
        Measurement(data="contoso", measure="search p50 ms", value=statistics.median(times_ms)),
    ]


async def separation(index: Index, cranfield_folder: Path, contoso_folder: Path) -> list[Measurement]:
    lines = (contoso_folder / "questions_pages.jsonl").read_text("utf-8").splitlines()
    answered = [await _best(index, json.loads(line)["question"]) for line in lines]
    unanswered = [await _best(index, question) for question in _cranfield_questions(cranfield_folder)]
    pairs = [(a > s) + 0.5 * (a == s) for a in answered for s in unanswered]
    figures = {
        "AUC of best score": statistics.mean(pairs),
        "answered: p10 of best score": statistics.quantiles(answered, n=10)[0],
        "answered: median": statistics.median(answered),
        "unanswered: median": statistics.median(unanswered),
        "unanswered: p90": statistics.quantiles(unanswered, n=10)[-1],
    }
    return [Measurement(data="separation", measure=name, value=value) for name, value in figures.items()]


async def _best(index: Index, question: str) -> float:
    passages = await index.search(["contoso"], [question], limit=1)
    return passages[0].score if passages else 0.0


async def _add(index: Index, store_id: str, path: Path) -> None:
    await index.add(store_id, f"file-{path.stem}", path=path, filename=path.name, attributes={})


async def _bounded(additions: object) -> None:
    """Add eight files at a time, like a busy server."""
    pending = iter(additions)  # type: ignore[call-overload]

    async def work() -> None:
        for addition in pending:
            await addition

    await asyncio.gather(*(work() for _ in range(8)))


async def _timed(index: Index, store_id: str, question: str, *, limit: int) -> tuple[list[Passage], float]:
    started = time.perf_counter()
    passages = await index.search([store_id], [question], limit=limit)
    return passages, 1000 * (time.perf_counter() - started)


def _contains_page(passage: str, page: str) -> bool:
    lines = [line.strip() for line in page.splitlines() if len(line.strip()) >= 30]
    return bool(lines) and sum(line in passage for line in lines) >= CONTAINED_SHARE * len(lines)


def _ndcg(found: Sequence[str], relevant: set[str], k: int = 10) -> float:
    gain = sum(1 / math.log2(rank + 1) for rank, item in enumerate(found[:k], 1) if item in relevant)
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))


def _cranfield_documents(folder: Path) -> Mapping[str, str]:
    root = ElementTree.fromstring(f"<all>{(folder / 'cran.all.1400.xml').read_text('utf-8')}</all>")
    documents = {}
    for doc in root.iter("doc"):
        text = "\n".join((doc.findtext(tag) or "").strip() for tag in ("title", "text"))
        if text.strip():
            documents[(doc.findtext("docno") or "").strip()] = text
    return documents


def _cranfield_questions(folder: Path) -> list[str]:
    """In file order: the i-th question is number i in the judgements; its `num` is not."""
    root = ElementTree.parse(folder / "cran.qry.xml").getroot()
    return [" ".join((top.findtext("title") or "").split()) for top in root.iter("top")]


def _cranfield_judgements(folder: Path) -> dict[str, set[str]]:
    judged: dict[str, set[str]] = defaultdict(set)
    for line in (folder / "cranqrel.trec.txt").read_text("utf-8").splitlines():
        number, _, document, grade = line.split()
        if int(grade) > 0:
            judged[number].add(document)
    return judged


async def _measure() -> list[Measurement]:
    rows: list[Measurement] = []
    with tempfile.TemporaryDirectory() as scratch:
        index = Index(Path(scratch, "index.sqlite"))
        try:
            await index.warm()
            if (DATA / "cranfield").is_dir():
                rows += await cranfield(index, DATA / "cranfield")
            if (DATA / "contoso").is_dir():
                rows += await contoso(index, DATA / "contoso")
            if rows and (DATA / "cranfield").is_dir() and (DATA / "contoso").is_dir():
                rows += await separation(index, DATA / "cranfield", DATA / "contoso")
        finally:
            await index.close()
    return rows


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")
    arguments = options.parse_args()
    rows = asyncio.run(_measure())
    if not rows:
        sys.exit("The data sets cranfield and contoso do not exist; nothing was measured.")
    for row in rows:
        anchor = "" if row.anchor is None else f"   (study {row.anchor:.3f})"
        print(f"{row.data:14} {row.measure:28} {row.value:8.3f}{anchor}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
