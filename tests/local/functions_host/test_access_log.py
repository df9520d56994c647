"""Reading Azurite's access log."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from local.functions_host.access_log import Access, Position, follow, read_chunk


def line(request: str, status: int = 201) -> str:
    return f'127.0.0.1 - - [22/Nov/2026:21:53:30 +0000] "{request} HTTP/1.1" {status} -'


def access(request: str, status: int = 201) -> Access:
    read = Access.from_line(line(request, status))
    assert read
    return read


@pytest.mark.parametrize(
    ("request_line", "status", "written", "deleted"),
    [
        pytest.param("PUT /acc/docs/a.txt", 201, True, False, id="Put Blob"),
        pytest.param("PUT /acc/docs/a.txt?comp=blocklist", 201, True, False, id="Put Block List"),
        pytest.param("PUT /acc/docs/a.txt", 202, True, False, id="Copy Blob"),
        pytest.param("PUT /acc/docs/a.txt?comp=block&blockid=YQ%3D%3D", 201, False, False, id="Put Block"),
        pytest.param("PUT /acc/docs/a.txt?comp=appendblock", 201, False, False, id="Append Block"),
        pytest.param("PUT /acc/docs/a.txt?comp=metadata", 200, False, False, id="metadata"),
        pytest.param("PUT /acc/docs/a.txt?comp=properties", 200, False, False, id="properties"),
        pytest.param("PUT /acc/docs/a.txt?comp=tier", 200, False, False, id="tier"),
        pytest.param("PUT /acc/docs/a.txt?comp=lease", 201, False, False, id="lease"),
        pytest.param("PUT /acc/docs/a.txt?comp=snapshot", 201, False, False, id="snapshot"),
        pytest.param("PUT /acc/docs/a.txt", 409, False, False, id="a write that failed"),
        pytest.param("PUT /acc/docs?restype=container", 201, False, False, id="a container"),
        pytest.param("PUT /acc/queue/messages/1?popreceipt=a&visibilitytimeout=5", 204, False, False, id="message"),
        pytest.param("GET /acc/docs/a.txt", 200, False, False, id="read"),
        pytest.param("DELETE /acc/docs/a.txt", 202, False, True, id="Delete Blob"),
        pytest.param("DELETE /acc/docs/a.txt", 404, False, False, id="a delete that failed"),
        pytest.param("DELETE /acc/docs/a.txt?snapshot=2026", 202, False, False, id="delete of a snapshot"),
        pytest.param("DELETE /acc/docs?restype=container", 202, False, False, id="delete of a container"),
        pytest.param("DELETE /acc/queue/messages/1?popreceipt=a", 204, False, False, id="delete of a message"),
    ],
)
def test_only_writes_and_deletes_of_blobs_raise_events(
    request_line: str, status: int, written: bool, deleted: bool
) -> None:
    read = access(request_line, status)
    assert (read.blob_written, read.blob_deleted) == (written, deleted)


@pytest.mark.parametrize(
    ("request_line", "status", "expected"),
    [
        ("POST /acc/runs/messages", 201, 0.0),
        ("POST /acc/runs/messages?visibilitytimeout=7&messagettl=-1", 201, 7.0),
        ("PUT /acc/runs/messages/1?popreceipt=a&visibilitytimeout=5", 204, 5.0),
        ("POST /acc/runs/messages", 404, None),
        ("GET /acc/runs/messages?visibilitytimeout=600", 200, None),
        ("DELETE /acc/runs/messages/1?popreceipt=a", 204, None),
    ],
)
def test_the_visibility_timeout_of_a_message_is_read(request_line: str, status: int, expected: float | None) -> None:
    assert access(request_line, status).message_visible_in_s == expected


def test_names_are_decoded() -> None:
    read = access("PUT /devstoreaccount1/docs/a%20b/%C3%BC%253%20%23x%3F.txt")
    assert (read.area, read.name) == ("docs", "a b/ü%3 #x?.txt")


@pytest.mark.parametrize("text", ["", "Azurite Blob service is starting at http://127.0.0.1:0", 'a - - [x] "GET'])
def test_other_lines_are_skipped(text: str) -> None:
    assert Access.from_line(text) is None


async def test_the_log_is_read_by_complete_lines_from_the_saved_position(tmp_path: Path) -> None:
    """A line is read when it is complete; a second reader starts at the saved position."""
    log, kept = tmp_path / "access.log", tmp_path / "position"
    async with aclosing(follow(log, Position.load(kept))) as feed:
        first = asyncio.ensure_future(anext(feed))
        await asyncio.sleep(0)
        log.write_text(line("PUT /a/docs/1") + "\n" + line("PUT /a/docs/2"))
        accesses, position = await first
        assert [read.name for read in accesses] == ["1"]
        position.save()
    with log.open("a") as file:
        file.write("\n")
    async with aclosing(follow(log, Position.load(kept))) as feed:
        accesses, _ = await anext(feed)
        assert [read.name for read in accesses] == ["2"]


def test_a_truncated_or_replaced_log_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("one\ntwo\n")
    _, position = read_chunk(log, Position(path=tmp_path / "position"))
    assert position.offset_bytes == 8
    log.write_text("new\n")
    assert read_chunk(log, position)[0] == b"new\n"
    log.write_text("three\nfour\nfive\n")
    other = tmp_path / "other.log"
    other.write_text("six\nseven\neight\n")
    other.replace(log)
    assert read_chunk(log, position)[0] == b"six\nseven\neight\n"


def test_with_a_damaged_position_file_the_log_is_read_from_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "position").write_text("[]")
    assert Position.load(tmp_path / "position").offset_bytes == 0
