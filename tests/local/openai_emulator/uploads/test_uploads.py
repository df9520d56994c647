"""Uploads in parts, through the SDK; every body is checked against the OpenAPI document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest
from openai import AsyncOpenAI
from starlette.applications import Starlette

from tests.local.openai_emulator.client import Clock, client_of, running_app

TEXT = b"Pumps are blue. Valves are red."


@pytest.fixture
async def client(emulator: Starlette) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(emulator, checked=True) as client:
        yield client


async def begin(client: AsyncOpenAI, size: int = len(TEXT)) -> str:
    upload = await client.uploads.create(bytes=size, filename="a.txt", mime_type="text/plain", purpose="assistants")
    assert upload.status == "pending"
    return upload.id


async def test_parts_make_a_file(client: AsyncOpenAI) -> None:
    upload_id = await begin(client)
    second = await client.uploads.parts.create(upload_id, data=TEXT[10:])
    first = await client.uploads.parts.create(upload_id, data=TEXT[:10])
    done = await client.uploads.complete(upload_id, part_ids=[first.id, second.id])
    assert done.status == "completed"
    assert done.file is not None
    assert (await client.files.content(done.file.id)).read() == TEXT
    assert (await client.files.retrieve(done.file.id)).filename == "a.txt"
    with pytest.raises(openai.BadRequestError, match="is completed"):
        await client.uploads.parts.create(upload_id, data=b"more")


async def test_the_helper_of_the_sdk_uploads_in_chunks(client: AsyncOpenAI, tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    path.write_bytes(TEXT)
    done = await client.uploads.upload_file_chunked(
        file=path, mime_type="text/plain", purpose="assistants", part_size=7
    )
    assert done.file is not None
    assert (await client.files.content(done.file.id)).read() == TEXT


async def test_wrong_parts_make_no_file(client: AsyncOpenAI) -> None:
    upload_id = await begin(client, size=99)
    part = await client.uploads.parts.create(upload_id, data=TEXT)
    with pytest.raises(openai.BadRequestError, match="99"):
        await client.uploads.complete(upload_id, part_ids=[part.id])
    with pytest.raises(openai.BadRequestError, match="part_missing"):
        await client.uploads.complete(upload_id, part_ids=["part_missing"])
    other = await begin(client)
    part = await client.uploads.parts.create(other, data=TEXT)
    with pytest.raises(openai.BadRequestError, match="MD5"):
        await client.uploads.complete(other, part_ids=[part.id], md5="0" * 32)
    assert not (await client.files.list()).data
    with pytest.raises(openai.NotFoundError):
        await client.uploads.complete("upload_missing", part_ids=[part.id])


async def test_an_upload_ends(client: AsyncOpenAI, emulator_clock: Clock) -> None:
    upload_id = await begin(client)
    assert (await client.uploads.cancel(upload_id)).status == "cancelled"
    late = await begin(client)
    emulator_clock.now += 3601
    with pytest.raises(openai.BadRequestError, match="is expired"):
        await client.uploads.parts.create(late, data=TEXT)


async def test_a_crash_loses_no_part_and_leaves_none_behind(tmp_path: Path) -> None:
    async with running_app(data=tmp_path) as app, client_of(app, checked=True) as client:
        upload_id = await begin(client)
        part = await client.uploads.parts.create(upload_id, data=TEXT)
    (tmp_path / "uploads" / "part_without_a_record").write_bytes(b"half")
    async with running_app(data=tmp_path) as app, client_of(app, checked=True) as client:
        assert [path.name for path in (tmp_path / "uploads").iterdir()] == [part.id]
        assert (await client.uploads.complete(upload_id, part_ids=[part.id])).status == "completed"
        assert not list((tmp_path / "uploads").iterdir())
