"""Clean copies of a data file obey the rules of the original: known, excluded, deleted, proven gone, found again."""

from __future__ import annotations

import msgspec

from shared.models.documents import Version
from tests.unit.documents.test_removal import delete, receipts
from tests.unit.world import World

MESSY = "Umsatz 2025\n\nStadt;Umsatz\nKöln;1.234,50\nBonn;2.000,00\nSumme;3.234,50\n".encode()
NEWER = MESSY.replace(b"1.234,50", b"1.000,00")
CLEAN = "Stadt,Umsatz\nKöln,1234.50\nBonn,2000.00\n".encode()


async def live_version(world: World, path: str = "c/t.csv") -> Version:
    live = (await world.document(path)).live
    assert live
    return live


async def test_a_messy_table_has_a_clean_copy_beside_the_original(world: World) -> None:
    await world.drop("c/t.csv", MESSY)
    live = await live_version(world)
    assert live.data_file_id
    [clean] = live.clean_file_ids
    assert world.stores.files[live.data_file_id] == ("c__t.csv", MESSY)
    assert world.stores.files[clean] == ("c__t.csv.clean.csv", CLEAN)
    assert live.notice
    assert "decimal comma" in live.notice.message
    [card] = [world.stores.files[part][1].decode() for part in live.parts]
    assert "decimal comma" in card
    assert ".clean.csv" not in card + live.notice.message


async def test_a_plain_table_goes_as_it_is(world: World) -> None:
    await world.drop("c/t.csv", b"month,visits\njan,1\nfeb,2\n")
    live = await live_version(world)
    assert (live.clean_file_ids, live.notice) == ((), None)


async def test_an_old_clean_copy_is_deleted_with_its_version(world: World) -> None:
    await world.drop("c/t.csv", MESSY)
    old = await live_version(world)
    await world.drop("c/t.csv", NEWER)
    new = await live_version(world)
    assert not set(old.file_ids) & world.stores.files.keys()
    assert set(new.file_ids) == world.stores.files.keys()


async def test_a_receipt_names_the_clean_copy(world: World) -> None:
    await world.drop("c/t.csv", MESSY)
    live = await live_version(world)
    await delete(world, "c/t.csv")
    [receipt] = await receipts(world)
    copies = {thing.id for thing in receipt.removed if thing.kind == "code_interpreter_copy"}
    assert (copies, receipt.complete, world.stores.files) == (set(live.data_file_ids), True, {})


def test_a_record_of_before_is_read() -> None:
    old = msgspec.json.decode(
        b'{"etag":"0x1","size_bytes":1,"last_modified_at":"2026-01-01T00:00:00Z","kind":"data","data_file_id":"f"}',
        type=Version,
    )
    assert old.data_file_ids == ("f",)
    assert old.clean_file_ids == ()
