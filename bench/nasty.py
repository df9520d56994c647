"""Nasty files, one after the other: `python -m bench.nasty [--json FILE]` prints what became of each.

Those of `../shared/data/formats/nasty` where they are, and those of `tests/nasty.py`. After each a good file has to be
indexed as if nothing had happened. The table is kept in `bench/nasty.md`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from bench.host import memory_mb
from local.client import Client
from local.paths import ROOT
from local.settings import environ_with_dotenv
from local.stack.stack import Options, Stack
from tests.nasty import nasty_files

OPEN_DATA = ROOT.parent / "shared" / "data" / "formats" / "nasty"
PAGE = ROOT / "bench" / "nasty.md"
WITHIN_S = 60
SAMPLE_EVERY_S = 0.02
HEAD = """# Nasty files

What becomes of files that are damaged, locked, bombs, or not what their names say. Made by `make bench ONLY=nasty`:
each file is dropped into the local stack by itself; peak is the host's memory above what it was before. After each of
them a good file was indexed.

| file | status | reason | what it says | seconds | peak MB |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one file. `peak_mb` is the host's memory above what it was before."""

    file: str
    status: str
    code: str
    message: str
    seconds: float
    peak_mb: int


class Peak:
    def __init__(self, pid: int) -> None:
        self.mb = self.start_mb = memory_mb(pid)


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """The most memory a process has while the block runs."""
    peak, ended = Peak(pid), threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_EVERY_S):
            peak.mb = max(peak.mb, memory_mb(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def everything(console: Console) -> Iterator[tuple[str, bytes]]:
    yield from ((file.name, file.content) for file in nasty_files())
    if not OPEN_DATA.is_dir():
        console.print("The open data is not there: only the files made here.")
        return
    for path in sorted(OPEN_DATA.iterdir()):
        yield f"open-data/{path.name}", path.read_bytes()


def measure(console: Console) -> list[Outcome]:
    """Raises AssertionError when a file has no final status in time, or the good one after it is not indexed."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        options = Options(data=Path(folder) / "data", logs=Path(folder) / "logs")
        with (
            Stack(options, environ=environ_with_dotenv()) as stack,
            Client(stack.app_url, storage=stack.azurite.connection_string) as client,
        ):
            final(client, "good/first.md", b"The service is loaded by now.")
            for n, (name, content) in enumerate(everything(console)):
                with watched(stack.host.pid) as peak:
                    start_s = time.monotonic()
                    document = final(client, f"nasty-{n}/{name}", content)
                    seconds = time.monotonic() - start_s
                assert document["status"] in ("indexed", "failed", "unsupported"), document
                reason = document["reason"] or document["notice"] or {"code": "", "message": ""}
                found.append(
                    Outcome(
                        file=name,
                        status=str(document["status"]),
                        code=reason["code"],
                        message=reason["message"],
                        seconds=round(seconds, 1),
                        peak_mb=round(peak.mb - peak.start_mb),
                    )
                )
                console.print(f"{found[-1].status:12} {found[-1].seconds:5} s {found[-1].peak_mb:4} MB  {name}")
                good = final(client, f"nasty-{n}/good.md", b"Good words.")
                assert good["status"] == "indexed", good
    return found


def final(client: Client, path: str, content: bytes) -> dict[str, object]:
    etag = client.drop_bytes(content, path)
    found = client.wait_indexed({path: etag}, on_final=lambda _: None, within_s=WITHIN_S)
    assert path in found, f"{path} has no final status within {WITHIN_S} s."
    return found[path]


def page_of(outcomes: list[Outcome]) -> str:
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
    PAGE.write_text(page_of(outcomes))
    console.print(f"{len(outcomes)} files, the slowest {max(o.seconds for o in outcomes)} s. -> bench/nasty.md")
    if options.json:
        options.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))


if __name__ == "__main__":
    main()
