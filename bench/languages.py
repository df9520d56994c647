"""The built-in model on documents in other languages: `python -m bench.languages FOLDER [--every N] [--json FILE]`.

`FOLDER` holds files of XQuAD (https://github.com/google-deepmind/xquad: `xquad.en.json`, `xquad.zh.json` and so on),
whose 48 articles and 1,190 questions are the same in each language. Every `N`th question is asked twice: of the 24
articles that have the answer among them, and of the 24 others. An answer is right when it contains the text that the
labels name. Of the others, every answer that is no refusal is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from bench.analyst import REFUSED
from bench.quotes import ask
from local.openai_emulator.search.index import Index

STORES = ("even", "odd")


def plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower())


async def filled(index: Index, articles: list[dict[str, Any]]) -> None:
    """Add each article as a file: to one store those of even numbers, to the other one those of odd numbers."""
    with tempfile.TemporaryDirectory() as scratch:
        for number, article in enumerate(articles):
            path = Path(scratch, f"article-{number}.txt")
            path.write_text("\n\n".join(part["context"] for part in article["paragraphs"]), encoding="utf-8")
            store = STORES[number % 2]
            await index.add(store, f"file-{number}", path=path, filename=path.name, attributes={})


async def measure(path: Path, every: int) -> Counter[str]:
    articles = json.loads(path.read_text("utf-8"))["data"]
    asked = [
        (number, question)
        for number, article in enumerate(articles)
        for part in article["paragraphs"]
        for question in part["qas"]
    ][::every]
    count: Counter[str] = Counter()
    index = Index(None)
    try:
        await filled(index, articles)
        for number, question in asked:
            said = (await ask(index, question["question"], store=STORES[number % 2])).text
            is_held = any(plain(one["text"]) in plain(said) for one in question["answers"])
            count["refused" if REFUSED.search(said) else "right" if is_held else "wrong"] += 1
            said = (await ask(index, question["question"], store=STORES[1 - number % 2])).text
            count["not there: refused" if REFUSED.search(said) else "not there: wrong"] += 1
    finally:
        await index.close()
    return count


def main() -> None:
    arguments = argparse.ArgumentParser(description="The built-in model on documents in other languages")
    arguments.add_argument("folder", type=Path, nargs="?", help="with files xquad.*.json")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")
    arguments.add_argument("--every", type=int, default=5, metavar="N", help="ask every Nth question (5)")
    options = arguments.parse_args()
    if not options.folder:
        print("skipped: give the folder with files of XQuAD")
        return
    counts = {}
    for path in sorted(options.folder.glob("xquad.*.json")):
        counts[path.stem] = count = asyncio.run(measure(path, options.every))
        keys = ("right", "refused", "wrong", "not there: refused", "not there: wrong")
        print(f"{path.stem}: " + ", ".join(f"{count[key]} {key}" for key in keys), flush=True)
    if options.json:
        options.json.write_text(json.dumps(counts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
