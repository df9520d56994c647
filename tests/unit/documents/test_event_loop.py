"""The content of documents is read in threads: a long table or a damaged PDF stops no other function."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

import shared.formats
from tests.nasty import nasty_files
from tests.unit.world import World

FORMATS = str(Path(shared.formats.__file__).parent)
# These see the name and the size of a document, make its reason, or close its copies.
FROM_THE_NAME = {
    "classify",
    "service_name",
    "ending_of",
    "bad_path",
    "not_read",
    "unsupported",
    "failed",
    "of_card",
    "with_notice",
    "copies",
    "clean_names",
    "__enter__",
    "__exit__",
    "__init__",
}


@contextmanager
def reading_on_the_loop() -> Iterator[set[str]]:
    """The functions of `shared/formats` that this thread, the one of the event loop, runs meanwhile."""
    seen: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(FORMATS):
            seen.add(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(None)


@pytest.mark.aside
async def test_no_content_is_read_on_the_event_loop(world: World) -> None:
    files = {f"c/{file.name}": file for file in nasty_files(line_bytes=200_000)}
    with reading_on_the_loop() as seen:
        for path, file in files.items():
            await world.drop(path, file.content)
    statuses = {path: (await world.document(path)).status for path in files}
    assert statuses == {path: file.status for path, file in files.items()}
    assert {name for name in seen if not name.startswith("<")} - FROM_THE_NAME == set()
