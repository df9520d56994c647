"""Files, through the SDK."""

from __future__ import annotations

import io

import openai
import pytest
from openai import AsyncOpenAI

from local.openai_emulator.http import wire
from tests.local.openai_emulator.client import Clock


async def test_a_file_is_uploaded_and_downloaded(openai_client: AsyncOpenAI) -> None:
    file = await openai_client.files.create(file=("Grüße 1.txt", b"hello"), purpose="assistants")
    assert file.id.startswith("assistant-")
    assert (file.filename, file.bytes, file.purpose, file.status) == ("Grüße 1.txt", 5, "assistants", "processed")
    assert await openai_client.files.retrieve(file.id) == file
    assert (await openai_client.files.content(file.id)).read() == b"hello"


async def test_a_large_file_is_kept_whole(openai_client: AsyncOpenAI) -> None:
    content = bytes(range(256)) * 16_384  # 4 MiB, past what stays in memory
    file = await openai_client.files.create(file=("a.bin", io.BytesIO(content)), purpose="assistants")
    assert file.bytes == len(content)
    assert (await openai_client.files.content(file.id)).read() == content


async def test_lists_are_paged_newest_first(openai_client: AsyncOpenAI) -> None:
    made = [await openai_client.files.create(file=(f"{n}.txt", b"x"), purpose="assistants") for n in range(5)]
    other = await openai_client.files.create(file=("b.jsonl", b"{}"), purpose="batch")
    seen = [file.filename async for file in openai_client.files.list(limit=2, purpose="assistants")]
    assert seen == ["4.txt", "3.txt", "2.txt", "1.txt", "0.txt"]
    page = await openai_client.files.list(limit=2, order="asc", after=made[3].id)
    assert [file.id for file in page.data] == [made[4].id, other.id]
    assert not page.has_more


async def test_a_deleted_file_is_gone(openai_client: AsyncOpenAI) -> None:
    file = await openai_client.files.create(file=("a.txt", b"x"), purpose="assistants")
    deleted = await openai_client.files.delete(file.id)
    assert (deleted.id, deleted.deleted) == (file.id, True)
    for ask in (openai_client.files.retrieve, openai_client.files.content, openai_client.files.delete):
        with pytest.raises(openai.NotFoundError):
            await ask(file.id)


async def test_a_file_expires_at_the_requested_time(openai_client: AsyncOpenAI, emulator_clock: Clock) -> None:
    file = await openai_client.files.create(
        file=("a.txt", b"x"), purpose="assistants", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert file.expires_at == emulator_clock.now + 3600
    emulator_clock.now += 3601
    with pytest.raises(openai.NotFoundError):
        await openai_client.files.retrieve(file.id)


@pytest.mark.parametrize(
    ("name", "content", "purpose", "param"),
    [
        pytest.param("a.txt", b"x", "user_data", "purpose", id="purpose Azure does not take"),
        pytest.param("a.txt", b"x", "nonsense", "purpose", id="purpose nobody takes"),
        pytest.param("a.txt", b"", "assistants", "file", id="empty"),
        pytest.param("/", b"x", "assistants", "file", id="no name"),
    ],
)
async def test_what_is_wrong_is_named(
    openai_client: AsyncOpenAI, name: str, content: bytes, purpose: str, param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await openai_client.files.create(file=(name, content), purpose=purpose)  # type: ignore[arg-type]
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"


async def test_a_file_over_the_limit_is_refused(openai_client: AsyncOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_FILE_BYTES", 100)
    with pytest.raises(openai.APIStatusError) as caught:
        await openai_client.files.create(file=("a.txt", b"x" * 200_000), purpose="assistants")
    assert caught.value.status_code == 413
    assert "512 MB" in caught.value.message


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\reports\\q1.pdf", "q1.pdf"),
        ("a\x00\nb.txt", "ab.txt"),
        ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
    ],
)
def test_only_the_last_part_of_a_name_is_kept(given: str, kept: str) -> None:
    assert wire.safe_filename(given) == kept
