import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.openai_emulator.search.parsers import ParseError, Section, pool
from local.openai_emulator.search.parsers.pool import ParserPool


@pytest.fixture
def parsers():
    parsers = ParserPool(workers=2)
    yield parsers
    parsers.close()


@pytest.fixture
def note(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text("All is well.")
    return path


@pytest.fixture
def endless(tmp_path):
    """A document whose reading never ends: a FIFO without a writer."""
    path = tmp_path / "endless.txt"
    os.mkfifo(path)
    return path


def until(condition):
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def worker_of(parsers):
    parsers.warm()
    (worker,) = parsers._idle
    return worker._process


def test_sections_come_back_whole(parsers, tmp_path):
    path = tmp_path / "a.md"
    path.write_text("# Überschrift\nText \u2028 mit 漢字\n", encoding="utf-8")
    assert parsers.parse(path, "a.md") == [Section(heading="Überschrift", text="Text \u2028 mit 漢字")]


def test_errors_come_back_as_errors(parsers, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b")
    with pytest.raises(ParseError, match=r"'\.csv'") as caught:
        parsers.parse(path, "a.csv")
    assert caught.value.code == "unsupported_file"


def test_a_missing_file_is_no_parse_error(parsers, tmp_path):
    with pytest.raises(FileNotFoundError):
        parsers.parse(tmp_path / "gone.txt", "gone.txt")


def test_a_worker_serves_many_files(parsers, note):
    first = worker_of(parsers).pid
    for _ in range(5):
        parsers.parse(note, "note.txt")
    assert worker_of(parsers).pid == first


def test_a_worker_is_replaced_after_so_many_files(parsers, note, monkeypatch):
    monkeypatch.setattr(pool, "FILES_PER_WORKER", 2)
    first = worker_of(parsers)
    for _ in range(3):
        parsers.parse(note, "note.txt")
    assert first.poll() is not None
    assert worker_of(parsers).pid != first.pid


def test_the_next_file_is_parsed_after_a_timeout(note, endless):
    parsers = ParserPool(workers=1, wall_clock_s=0.5)
    with pytest.raises(ParseError, match="longer") as caught:
        parsers.parse(endless, "endless.txt")
    assert caught.value.code == "invalid_file"
    patient = ParserPool(workers=1)
    assert patient.parse(note, "note.txt")[0].text == "All is well."
    parsers.close()
    patient.close()


def test_the_next_file_is_parsed_after_a_crash(parsers, note, endless):
    process = worker_of(parsers)
    with ThreadPoolExecutor(1) as threads:
        parsing = threads.submit(parsers.parse, endless, "endless.txt")
        with endless.open("wb"):  # blocks until the worker reads the file: the crash must happen during parsing
            os.kill(process.pid, signal.SIGSEGV)
            process.wait()
        with pytest.raises(ParseError, match="crashed"):
            parsing.result(timeout=30)
    assert parsers.parse(note, "note.txt")[0].text == "All is well."


def test_an_idle_worker_that_died_is_replaced(parsers, note):
    process = worker_of(parsers)
    process.kill()
    process.wait()
    assert parsers.parse(note, "note.txt")[0].text == "All is well."


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space")
def test_the_next_file_is_parsed_after_a_memory_error(parsers, note, tmp_path):
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.write(b"text")
        file.truncate(3 * 1024**3)  # sparse: takes no disk space
    with pytest.raises(ParseError, match="memory"):
        parsers.parse(path, "huge.txt")
    assert parsers.parse(note, "note.txt")[0].text == "All is well."


def test_files_parsed_in_parallel_get_their_own_text(parsers, tmp_path):
    paths = [tmp_path / f"{n}.txt" for n in range(20)]
    for path in paths:
        path.write_text(path.name)
    with ThreadPoolExecutor(8) as threads:
        texts = [sections[0].text for sections in threads.map(lambda path: parsers.parse(path, path.name), paths)]
    assert texts == [path.name for path in paths]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_worker_gets_no_secret_of_the_parent(parsers, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    pid = worker_of(parsers).pid
    assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_workers_end_with_the_pool(note):
    parsers = ParserPool(workers=1)
    process = worker_of(parsers)
    parsers.close()
    assert process.poll() is not None
    with pytest.raises(RuntimeError, match="closed"):
        parsers.parse(note, "note.txt")


def test_a_worker_ends_when_its_stdin_is_closed(parsers):
    process = worker_of(parsers)
    process.stdin.close()
    until(lambda: process.poll() is not None)
    assert process.poll() == 0
