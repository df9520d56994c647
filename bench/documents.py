"""Small files dropped at once into the local stack: `python -m bench.documents [--files N ...] [--json FILE]`.

A hundred, a thousand and, where asked for, more: each time into a stack of its own. It fails unless every file is
indexed, once: as many entries in the vector stores, and files there, as documents.
Then the first page of 10,000 documents' statuses, in a stack of its own.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import statistics
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docx
import msgspec
import openai
from azure.storage.blob import BlobServiceClient
from fpdf import FPDF
from rich.console import Console
from rich.table import Table

from bench.host import memory_mb
from local.client import Client
from local.settings import environ_with_dotenv
from local.stack.stack import Options, Stack
from shared.documents.record import tags_of
from shared.models.documents import Document, Version
from shared.storage.layout import document_name

FILES = [100, 1_000]
LISTED = 10_000
LISTINGS = 40
WITHIN_S = 1_800
LOOK_EVERY_S = 0.5
TELL_EVERY_S = 5.0
WAVE = 1_000  # dropped at once: Azurite goes through its whole queue for each message
THREADS = 4
AIM_PER_S = 25.0
AIM_LISTING_MS = 300.0
REQUEST = re.compile(r'"(?:GET|PUT|POST|DELETE|HEAD) /devstoreaccount1/([^ /?"]+)')


@dataclass(frozen=True, kw_only=True)
class Bulk:
    """What came of it. Memory is the host's, resident; requests are those of host and app together."""

    files: int
    seconds: float
    files_per_s: float
    memory_first_mb: float  # with the first hundred indexed
    memory_last_mb: float
    storage_per_file: float
    service_per_file: float
    statuses: dict[str, int]


def content_of(n: int) -> tuple[str, bytes]:
    """A small file, about 2 kB of text: eight of ten are text, the others PDF, Word, CSV and HTML."""
    words = "".join(f"Item {n}-{i} stands in shelf {(n * 31 + i) % 997} of hall {n % 17}. " for i in range(36))
    match n % 20:
        case 0:
            pdf = FPDF()
            pdf.add_page()
            pdf.set_font("helvetica", size=11)
            pdf.multi_cell(0, text=words)
            return "pdf", bytes(pdf.output())
        case 1:
            document, buffer = docx.Document(), io.BytesIO()
            document.add_paragraph(words)
            document.save(buffer)
            return "docx", buffer.getvalue()
        case 2:
            rows = "".join(f"{n}-{i},{(n * 7 + i) % 100},2026-{i % 12 + 1:02}-01\n" for i in range(60))
            return "csv", f"item,visits,day\n{rows}".encode()
        case 3:
            return "html", f"<html><body><h1>File {n}</h1><p>{words}</p></body></html>".encode()
        case kind:
            return ("md", f"# File {n}\n\n{words}\n".encode()) if kind % 2 else ("txt", words.encode())


def measure(count: int, console: Console) -> Bulk:
    files = {}
    for n in range(count):
        ending, content = content_of(n)
        files[f"bulk/{n:05}.{ending}"] = content
    with tempfile.TemporaryDirectory() as folder:
        options = Options(data=Path(folder) / "data", logs=Path(folder) / "logs")
        with (
            Stack(options, environ=environ_with_dotenv()) as stack,
            Client(stack.app_url, storage=stack.azurite.connection_string) as client,
        ):
            warm = client.drop_bytes(b"# Warm\n\nThe service is loaded by now.\n", "warm/up.md")
            client.wait_indexed({"warm/up.md": warm}, on_final=lambda _: None)
            return drop_and_wait(stack, client, files, console)


def drop_and_wait(stack: Stack, client: Client, files: dict[str, bytes], console: Console) -> Bulk:
    before = requests(stack)
    start_s = time.monotonic()
    first_mb: float | None = None
    told_s = 0.0
    with ThreadPoolExecutor(THREADS) as pool:
        for begin in range(0, len(files), WAVE):
            wave = dict(list(files.items())[begin : begin + WAVE])
            dropped = [pool.submit(client.drop_bytes, content, path) for path, content in wave.items()]
            while (done := indexed(stack)) < begin + len(wave):
                took_s = time.monotonic() - start_s
                assert took_s < WITHIN_S, f"{done} of {len(files)} are indexed."
                if first_mb is None and done >= 100:
                    first_mb = memory_mb(stack.host.pid)
                if took_s > told_s + TELL_EVERY_S:
                    told_s = took_s
                    console.print(f"{done:6,} indexed after {took_s:.0f} s")
                time.sleep(LOOK_EVERY_S)
            for each in dropped:
                each.result()
    seconds = time.monotonic() - start_s
    last_mb, all_requests = memory_mb(stack.host.pid), requests(stack) - before
    check(stack, client, files)
    calls = len(re.findall(r"HTTP Request: \w+ \S+/openai/", stack.host.output()))
    return Bulk(
        files=len(files),
        seconds=round(seconds, 1),
        files_per_s=round(len(files) / seconds, 1),
        memory_first_mb=round(first_mb or last_mb),
        memory_last_mb=round(last_mb),
        storage_per_file=round(all_requests / len(files), 1),
        service_per_file=round(calls / len(files), 1),
        statuses=dict(Counter(d["status"] for d in client.documents("bulk"))),
    )


def indexed(stack: Stack) -> int:
    """By the host's log: to ask the app would take time and memory from the work. `check` asks it in the end."""
    return stack.host.output().count("document.indexed") - 1  # the warm one


def requests(stack: Stack) -> int:
    """Requests to containers and queues so far, without those of looking for messages."""
    return len(REQUEST.findall(stack.azurite.process.output()))


def check(stack: Stack, client: Client, files: dict[str, bytes]) -> None:
    """Raises AssertionError when a file is missing, or there twice."""
    documents = client.documents("bulk")
    assert {document["path"] for document in documents} == set(files)
    with openai.OpenAI(base_url=stack.service.base_url, api_key="local") as service:
        held: Counter[str] = Counter()
        for store in service.vector_stores.list():
            held.update(str((f.attributes or {}).get("path")) for f in service.vector_stores.files.list(store.id))
        uploaded = sum(1 for _ in service.files.list())
    del held["warm/up.md"]
    assert held == Counter(list(files)), "one entry for each"
    data = sum(path.endswith(".csv") for path in files)
    assert uploaded == len(files) + data + 1, "one file for each, and a card for each table"


def listing() -> list[float]:
    """Milliseconds of first pages, of 10,000 documents whose records were written straight into storage."""
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        options = Options(data=Path(folder) / "data", logs=Path(folder) / "logs")
        with (
            Stack(options, environ=environ_with_dotenv()) as stack,
            Client(stack.app_url, storage=stack.azurite.connection_string) as client,
            BlobServiceClient.from_connection_string(stack.azurite.connection_string) as blobs,
        ):
            state = blobs.get_container_client("state")

            def write(n: int) -> None:
                version = Version(etag="0x1", size_bytes=2000, last_modified_at=now, kind="text", parts=(f"file-{n}",))
                document = Document(
                    path=f"many/{n:05}.md",
                    collection="many",
                    status="indexed",
                    updated_at=now,
                    etag="0x1",
                    size_bytes=2000,
                    live=version,
                )
                state.upload_blob(
                    document_name(document.path), msgspec.json.encode(document), metadata=tags_of(document)
                )

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(write, range(LISTED)))
            took = []
            for _ in range(LISTINGS):
                start_s = time.monotonic()
                page = client.get("/api/documents?limit=100")
                took.append((time.monotonic() - start_s) * 1000)
                assert len(page["documents"]) == 100
                assert page["cursor"]
            return sorted(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=FILES)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    console = Console()
    bulks = []
    for count in options.files:
        console.print(f"{count:,} small files through the local stack")
        bulks.append(measure(count, console))
    console.print(f"Listing {LISTED:,} documents")
    took = listing()
    p50, p95 = statistics.median(took), took[int(len(took) * 0.95)]
    table = Table("files dropped", "aim", *(f"{bulk.files:,}" for bulk in bulks))
    missed = any(bulk.files_per_s < AIM_PER_S for bulk in bulks if bulk.files == FILES[-1])
    aim = f"{AIM_PER_S:.0f} for {FILES[-1]:,}"
    table.add_row("files/s", f"{aim}: missed" if missed else aim, *(f"{b.files_per_s} ({b.seconds} s)" for b in bulks))
    memory = [f"{b.memory_first_mb:.0f}, {b.memory_last_mb:.0f} MB" for b in bulks]
    table.add_row("host memory, first hundred, last", "flat", *memory)
    table.add_row("storage requests a file", "constant", *(str(b.storage_per_file) for b in bulks))
    table.add_row("service requests a file", "constant", *(str(b.service_per_file) for b in bulks))
    console.print(table)
    slow = ": missed" if p95 > AIM_LISTING_MS else ""
    aim = f"aim {AIM_LISTING_MS:.0f}{slow}"
    console.print(f"First page of {LISTED:,} documents: p50 {p50:.0f}, p95 {p95:.0f} ms ({aim})")
    if options.json:
        figures: dict[str, Any] = {"listing_p50_ms": round(p50), "listing_p95_ms": round(p95)}
        figures["bulk"] = [asdict(bulk) for bulk in bulks]
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
