"""Speed and memory of file search by the size of a store: `python -m bench.search [--chunks N...] [--json FILE]`.

A store of 100 documents goes through parser and embedding model like any other. Larger ones are written to the index
directly, as chunks of 600 words with random vectors, because embedding 100,000 chunks takes longer than the rest. Their
words have the frequencies of a natural language (Zipf), and each chunk has a topic; questions have eight words, as many
of the chunk's topic as of all words. The figures are those of a new process that opens the finished index.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.common.processes import memory_mb
from local.openai_emulator.search.chunks import Chunk
from local.openai_emulator.search.embeddings import DIMENSIONS, Vectors
from local.openai_emulator.search.index import Index, _Addition, _Prepared

STORE = "vs_bench"
DOCUMENTS = 100
CHUNKS = (12_000, 100_000)
CHUNK_WORDS, WINDOWS, FILE_CHUNKS = 600, 4, 20
WORDS, TOPICS, TOPIC_WORDS = 50_000, 500, 300
QUESTIONS = 60
TARGETS_MS = {DOCUMENTS: 5, 12_000: 20, 100_000: 30}  # the median
TARGET_MB = 400


@dataclass(frozen=True, kw_only=True)
class Searched:
    """The figures of one store; memory is that of the process above the same process with an empty index."""

    store: str
    p50_ms: float
    least_ms: float
    processor_ms: float  # the median
    first_ms: float  # the first search, which loads the store
    write_ms: float  # for each chunk, without parsing and embedding
    memory_mb: float
    disk_mb: float


class Words:
    """Made-up words: `word(i)` is rarer the higher `i` is."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        letters = np.array(list("aeioulnrstmdk"))
        self._words = np.array(["".join(letters[self._digits(i)]) for i in range(WORDS)])
        self._chances = np.cumsum(1 / np.arange(2, WORDS + 2))
        self._topics = self._random.integers(500, WORDS, (TOPICS, TOPIC_WORDS))

    @staticmethod
    def _digits(number: int) -> list[int]:
        scrambled = (number * 2_654_435_761) % 13**7
        return [scrambled // 13**place % 13 for place in range(7)]

    def some(self, n: int, topic: int) -> str:
        """Words of which a quarter is of a topic."""
        common = np.searchsorted(self._chances, self._random.random(n - n // 4) * self._chances[-1])
        own = self._random.choice(self._topics[topic], n // 4)
        return " ".join(self._words[self._random.permutation(np.concatenate([common, own]))])

    def question(self, topic: int) -> str:
        return self.some(4, topic) + " " + " ".join(self._words[self._random.choice(self._topics[topic], 4)])

    def vectors(self) -> Vectors:
        found = self._random.standard_normal((WINDOWS, DIMENSIONS)).astype(np.float32)
        unit: Vectors = found / np.linalg.norm(found, axis=1, keepdims=True)
        return unit


def write(path: Path, n_chunks: int) -> float:
    """Write an index of so many chunks; returns the milliseconds for each."""
    words, index, spent_s = Words(1), Index(path), 0.0
    for number in range(n_chunks // FILE_CHUNKS):
        texts = [words.some(CHUNK_WORDS, number % TOPICS) for _ in range(FILE_CHUNKS)]
        prepared = _Prepared(
            chunks=[Chunk(text=text, tokens=800) for text in texts],
            vectors=[words.vectors() for _ in texts],
            size_bytes=0,
        )
        addition = _Addition(
            store_id=STORE,
            file_id=f"file-{number}",
            path=path,
            filename=f"{number}.txt",
            attributes={},
            max_tokens=800,
            overlap_tokens=400,
        )
        started = time.perf_counter()
        index._write(addition, prepared)
        spent_s += time.perf_counter() - started
    asyncio.run(index.close())
    return 1000 * spent_s / n_chunks


def add_documents(path: Path) -> float:
    """Add 100 documents of 600 to 1,200 words as the emulator does; returns the milliseconds for each."""

    async def work(folder: Path) -> float:
        words, index = Words(1), Index(path)
        await index.warm()
        started = time.perf_counter()
        for number in range(DOCUMENTS):
            file = folder / f"{number}.txt"
            file.write_text(words.some(CHUNK_WORDS * (1 + number % 2), number))
            await index.add(STORE, file.stem, path=file, filename=file.name, attributes={})
        spent_s = time.perf_counter() - started
        await index.close()
        return 1000 * spent_s / DOCUMENTS

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(work(Path(folder)))


async def _searched(path: Path) -> dict[str, float]:
    words, index = Words(2), Index(path)
    await index.warm()
    await index.search(["vs_none"], ["warm"])
    before_mb = memory_mb(os.getpid())
    started = time.perf_counter()
    await index.search([STORE], [words.question(0)])
    first_ms = 1000 * (time.perf_counter() - started)
    wall_ms, processor_ms = [], []
    for number in range(QUESTIONS):
        question = words.question(number % DOCUMENTS)
        started, started_cpu = time.perf_counter(), time.process_time()
        await index.search([STORE], [question])
        wall_ms.append(1000 * (time.perf_counter() - started))
        processor_ms.append(1000 * (time.process_time() - started_cpu))
    grown_mb = memory_mb(os.getpid()) - before_mb
    await index.close()
    return {
        "p50_ms": statistics.median(wall_ms),
        "least_ms": min(wall_ms),
        "processor_ms": statistics.median(processor_ms),
        "first_ms": first_ms,
        "memory_mb": grown_mb,
    }


def _in_new_process(path: Path) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_search_file, (path,))


def _search_file(path: Path) -> dict[str, float]:
    return asyncio.run(_searched(path))


def measure(sizes: list[int]) -> Iterator[Searched]:
    for size in (DOCUMENTS, *sizes):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "index.db")
            write_ms = add_documents(path) if size == DOCUMENTS else write(path, size)
            figures = {name: round(value, 2) for name, value in _in_new_process(path).items()}
            name = f"{size:,} documents" if size == DOCUMENTS else f"{size:,} chunks"
            disk_mb = round(path.stat().st_size / 1e6, 1)
            yield Searched(store=name, write_ms=round(write_ms, 2), disk_mb=disk_mb, **figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, nargs="*", default=list(CHUNKS), metavar="N")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    table = Table("store", "p50", "target", "least", "processor", "first search", "written", "memory", "on disk")
    for size, row in zip((DOCUMENTS, *options.chunks), measure(options.chunks), strict=True):
        rows.append(row)
        target = f"{TARGETS_MS[size]} ms" if size in TARGETS_MS else ""
        times = (f"{value:.1f} ms" for value in (row.least_ms, row.processor_ms, row.first_ms))
        table.add_row(
            row.store,
            f"{row.p50_ms:.1f} ms",
            target,
            *times,
            f"{row.write_ms:.2f} ms each",
            f"+{row.memory_mb:.0f} MB",
            f"{row.disk_mb:.0f} MB",
        )
    Console().print(table)
    Console().print(f"Target of memory: {TARGET_MB} MB.")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
