"""Many small documents uploaded at once: `python -m bench.documents [--files N ...] [--json FILE]`.

Each number of files gets a new stack. The benchmark fails unless every document is indexed exactly once: the numbers of
vector store files and of files at the service must match. It also measures `GET /api/documents` with 10,000 documents.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docx
import httpx2
import msgspec
import openai
from azure.storage.blob import BlobServiceClient
from fpdf import FPDF
from rich.console import Console
from rich.table import Table

from bench.common.figures import Percentiles
from bench.common.processes import memory_mb
from bench.common.stacks import fresh_stack, upload_and_wait
from local.client import Client
from local.stack.stack import Stack
from shared.documents.record import tags_of
from shared.models.documents import Document, Version
from shared.storage.layout import document_name

FILES = [100, 1_000]
LISTED = 10_000
LISTINGS = 40
WITHIN_S = 1_800
POLL_EVERY_S = 0.5
PRINT_EVERY_S = 5.0
BATCH = 1_000  # files uploaded at once; more would be slow: Azurite scans its whole queue for each message
THREADS = 4
TARGET_FILES_PER_S = 25.0
TARGET_LISTING_MS = 300.0
WARM_UP = "warm/up.md"
REQUEST = re.compile(r'"(?:GET|PUT|POST|DELETE|HEAD) /devstoreaccount1/([^ /?"]+)')


@dataclass(frozen=True, kw_only=True)
class Bulk:
    """The result for one number of files. Memory is the host's resident memory; requests are those of host and app."""

    files: int
    seconds: float
    files_per_s: float
    memory_first_mb: float  # when the first hundred documents are indexed
    memory_last_mb: float
    storage_per_file: float
    service_per_file: float
    statuses: dict[str, int]


def content_of(n: int) -> tuple[str, bytes]:
    """The extension and content of file `n`, about 2 kB of text: 80 % text or Markdown, else PDF, Word, CSV or HTML."""
    words = "".join(f"Item {n}-{i} is on shelf {(n * 31 + i) % 997} of hall {n % 17}. " for i in range(36))
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
        extension, content = content_of(n)
        files[f"bulk/{n:05}.{extension}"] = content
    with fresh_stack() as (stack, client):
        upload_and_wait(client, WARM_UP, b"# Warm-up\n\nThe first document loads the models.\n")
        return upload_all(stack, client, files, console)


def upload_all(stack: Stack, client: Client, files: dict[str, bytes], console: Console) -> Bulk:
    before, calls_before = storage_requests(stack), service_requests(stack)
    start_s = time.monotonic()
    first_mb: float | None = None
    printed_s = 0.0
    with ThreadPoolExecutor(THREADS) as pool:
        for begin in range(0, len(files), BATCH):
            batch = dict(list(files.items())[begin : begin + BATCH])
            uploads = [pool.submit(client.drop_bytes, content, path) for path, content in batch.items()]
            while (done := indexed(stack)) < begin + len(batch):
                took_s = time.monotonic() - start_s
                assert took_s < WITHIN_S, f"{done} of {len(files)} are indexed."
                if first_mb is None and done >= 100:
                    first_mb = memory_mb(stack.host.pid)
                if took_s > printed_s + PRINT_EVERY_S:
                    printed_s = took_s
                    console.print(f"{done:6,} indexed after {took_s:.0f} s")
                time.sleep(POLL_EVERY_S)
            for upload in uploads:
                upload.result()
    seconds = time.monotonic() - start_s
    last_mb, all_requests = memory_mb(stack.host.pid), storage_requests(stack) - before
    calls = service_requests(stack) - calls_before
    assert_indexed_once(stack, client, files)
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
    """Documents indexed so far, counted in the host's log: requests to the app would slow it down."""
    return stack.host.output().count("document.indexed") - 1  # without the warm-up document


def storage_requests(stack: Stack) -> int:
    """Requests to containers and queues so far, counted in Azurite's log."""
    return len(REQUEST.findall(stack.azurite.process.output()))


def service_requests(stack: Stack) -> int:
    """Requests to the emulator since the first call: a fault rule that does nothing counts them."""
    headers = {"Authorization": f"Bearer {stack.admin_key}"}
    with httpx2.Client(base_url=stack.emulator_url, headers=headers) as http:
        rules = http.get("/admin/faults").raise_for_status().json()["data"]
        if not rules:
            http.post("/admin/faults", json={"path": "*"}).raise_for_status()
        return sum(rule["applied"] for rule in rules)


def assert_indexed_once(stack: Stack, client: Client, files: dict[str, bytes]) -> None:
    """Raises: AssertionError: a document is missing or was indexed twice."""
    documents = client.documents("bulk")
    assert {document["path"] for document in documents} == set(files)
    with openai.OpenAI(base_url=stack.service.base_url, api_key="local") as service:
        entries: Counter[str] = Counter()
        for store in service.vector_stores.list():
            entries.update(str((f.attributes or {}).get("path")) for f in service.vector_stores.files.list(store.id))
        uploaded = sum(1 for _ in service.files.list())
    del entries[WARM_UP]
    assert entries == Counter(list(files)), "each document has one vector store file"
    tables = sum(path.endswith(".csv") for path in files)
    assert uploaded == len(files) + tables + 1, "each document has one file; a table has its data card, too"


def listing_ms() -> list[float]:
    """Milliseconds of `GET /api/documents`, first page of 10,000; the records are written directly into storage."""
    now = datetime.now(UTC) + timedelta(hours=1)  # so that the sweep does not yet ask where their blobs are
    with (
        fresh_stack() as (stack, client),
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
            state.upload_blob(document_name(document.path), msgspec.json.encode(document), metadata=tags_of(document))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(LISTED)))
        took_ms = []
        for _ in range(LISTINGS):
            start_s = time.monotonic()
            page = client.get("/api/documents?limit=100")
            took_ms.append((time.monotonic() - start_s) * 1000)
            assert len(page["documents"]) == 100
            assert page["cursor"]
        return took_ms


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
    listing = Percentiles.of(listing_ms())
    console.print(bulk_table(bulks))
    missed = ": missed" if listing.p95 > TARGET_LISTING_MS else ""
    console.print(
        f"First page of {LISTED:,} documents: p50 {listing.p50:.0f}, p95 {listing.p95:.0f} ms "
        f"(target {TARGET_LISTING_MS:.0f}{missed})"
    )
    if options.json:
        figures: dict[str, Any] = {"listing_p50_ms": round(listing.p50), "listing_p95_ms": round(listing.p95)}
        figures["bulk"] = [asdict(bulk) for bulk in bulks]
        options.json.write_text(json.dumps(figures, indent=2))


def bulk_table(bulks: list[Bulk]) -> Table:
    table = Table("files uploaded", "target", *(f"{bulk.files:,}" for bulk in bulks))
    missed = any(bulk.files_per_s < TARGET_FILES_PER_S for bulk in bulks if bulk.files == FILES[-1])
    target = f"{TARGET_FILES_PER_S:.0f} for {FILES[-1]:,}"
    table.add_row(
        "files/s", f"{target}: missed" if missed else target, *(f"{b.files_per_s} ({b.seconds} s)" for b in bulks)
    )
    memory = [f"{b.memory_first_mb:.0f}, {b.memory_last_mb:.0f} MB" for b in bulks]
    table.add_row("host memory after 100 files, at the end", "constant", *memory)
    table.add_row("storage requests per file", "constant", *(str(b.storage_per_file) for b in bulks))
    table.add_row("service requests per file", "constant", *(str(b.service_per_file) for b in bulks))
    return table


if __name__ == "__main__":
    main()
