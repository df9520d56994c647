"""The temporary disk of an instance: uploads wait for room, and what never fits is refused with the setting's name."""

from __future__ import annotations

import asyncio
import errno

import pytest

from shared.documents.disk import SPOOL_BYTES, Disk
from shared.errors import ServiceBusy
from shared.formats.base import UnusableFile
from tests.unit.world import World

MB = 1024 * 1024


async def test_uploads_never_take_more_than_the_budget_together_and_keep_their_order() -> None:
    disk, used, most, order = Disk(100 * MB), 0, 0, []

    async def upload(name: str, size_bytes: int) -> None:
        nonlocal used, most
        async with disk.hold(name, size_bytes):
            order.append(name)
            used += 2 * size_bytes
            most = max(most, used)
            for _ in range(5):
                await asyncio.sleep(0)
            used -= 2 * size_bytes

    sizes = {"a": 40 * MB, "b": 20 * MB, "long": 50 * MB, "c": 5 * MB, "d": 5 * MB}
    await asyncio.gather(*(upload(name, size) for name, size in sizes.items()))
    assert order == list(sizes)
    assert most <= 100 * MB


async def test_small_documents_stay_in_memory_and_wait_for_nothing() -> None:
    disk = Disk(100 * MB)
    async with disk.hold("long.pdf", 50 * MB), disk.hold("small.md", SPOOL_BYTES):
        pass


async def test_a_document_that_never_fits_is_failed_and_names_the_setting() -> None:
    world = World(environ={"TEMP_MAX_BYTES": str(16 * MB), "DOCUMENT_MAX_BYTES": str(100 * MB)})
    await world.drop("c/a.txt", b"Words. " * (2 * MB))
    document = await world.document("c/a.txt")
    assert document.reason
    assert (document.status, document.reason.code) == ("failed", "temporary_disk_too_small")
    assert "TEMP_MAX_BYTES" in document.reason.message
    assert world.stores.files == {}


async def test_a_full_disk_is_waited_for(world: World) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    world.outside.fail("documents.stream", full, full)
    await world.drop("c/a.txt", b"Words.")
    assert (await world.document("c/a.txt")).status == "indexed"


async def test_room_is_free_again_after_an_error() -> None:
    disk = Disk(100 * MB)
    for error in (OSError(errno.ENOSPC, "full"), ValueError("other"), asyncio.CancelledError()):
        with pytest.raises((ServiceBusy, ValueError, asyncio.CancelledError)):
            async with disk.hold("a.pdf", 50 * MB):
                raise error
    async with disk.hold("a.pdf", 50 * MB):
        pass


async def test_a_parquet_file_has_the_disk_to_itself_and_its_csv_gets_what_is_left() -> None:
    disk = Disk(100 * MB)
    async with disk.hold("a.parquet", 10 * MB):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0), disk.hold("b.pdf", 5 * MB):
                pass
    with pytest.raises(UnusableFile):
        async with disk.hold("a.parquet", 60 * MB):
            pass
