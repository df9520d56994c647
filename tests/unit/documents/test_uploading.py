"""A version of which only the first parts could be uploaded leaves nothing at the service."""

from __future__ import annotations

import pytest

from shared.formats import parts
from tests.unit.world import World


async def test_parts_uploaded_before_the_error_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(environ={"FILE_MAX_TOKENS": "10000"})
    monkeypatch.setattr(parts, "PARTS_MAX", 2)
    await world.drop("a.md", b"word " * 20_000)
    document = await world.document("a.md")
    assert (document.status, document.reason and document.reason.code) == ("failed", "too_long")
    assert world.stores.files == {}
    assert world.stores.names_in("default") == []
