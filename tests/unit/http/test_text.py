"""`GET /api/documents/{path}/text`: the text that the app has read, by its places."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import azure.functions as func
import pytest

from shared.formats.places.base import Place, Places
from shared.http.documents import read_document
from shared.http.route import Route, answer
from shared.http.text import get_text, within
from tests.unit.world import World

pytestmark = pytest.mark.usefixtures("every_text_is_long")

URL = "https://app.example/api/documents"
NOTES = b"""Before all.

# Doors

The green door is 4711.

# Locks

The lock is 9933.

# Doors

The red door is 12.
"""
SLIDES = Places(
    places=(
        Place(kind="slide", number=1, name="Title", text="Welcome"),
        Place(kind="slide", number=2, name="Doors", text="The green door"),
        Place(kind="slide", number=2, name="Doors", text="is 4711", beside=True),
    ),
    complete=False,
)


async def ask(
    world: World, route: Route = get_text, *, path: str = "", in_query: str = "", **asked: str
) -> tuple[int, Any]:
    asked |= {"path": in_query} if in_query else {}
    query = f"?{urlencode(asked)}" if asked else ""
    request = func.HttpRequest(
        method="GET", url=f"{URL}/{path}{query}", params=asked, route_params={"path": path}, body=b""
    )
    response = await answer(lambda: world.app, request, route)
    return response.status_code, json.loads(response.get_body())


async def indexed(world: World, path: str, content: bytes) -> None:
    await world.drop(path, content)
    await world.settle()
    assert (await world.document(path)).status == "indexed"


async def test_all_places_in_their_order(world: World) -> None:
    await indexed(world, "c/a.md", NOTES)
    status, found = await ask(world, path="c/a.md/text", route=read_document)
    assert status == 200
    assert [place["section"] for place in found["places"]] == [None, "Doors", "Locks", "Doors"]
    assert found["complete"]
    assert (await ask(world, in_query="c/a.md"))[1] == found


async def test_a_section_may_be_there_twice(world: World) -> None:
    await indexed(world, "c/a.md", NOTES)
    _, found = await ask(world, path="c/a.md/text", section="Doors")
    assert ["4711" in place["text"] for place in found["places"]] == [True, False]


async def test_a_slide_has_what_stands_beside_it(world: World) -> None:
    """The number names the place, whatever its title is; one place is complete, the document is not."""
    await indexed(world, "c/a.md", NOTES)
    live = (await world.document("c/a.md")).live
    assert live
    await world.app.library.texts.keep("c/a.md", live.etag, SLIDES)
    _, found = await ask(world, in_query="c/a.md", slide="2")
    assert [place["text"] for place in found["places"]] == ["The green door", "is 4711"]
    assert {place["slide"] for place in found["places"]} == {2}
    assert (found["etag"], found["complete"]) == (live.etag, True)
    assert (await ask(world, in_query="c/a.md"))[1]["complete"] is False


@pytest.mark.parametrize("place", [{"slide": "3"}, {"page": "2"}, {"section": "Doors"}], ids=str)
async def test_a_place_that_is_not_there(world: World, place: dict[str, str]) -> None:
    await indexed(world, "c/a.md", NOTES)
    live = (await world.document("c/a.md")).live
    assert live
    await world.app.library.texts.keep("c/a.md", live.etag, SLIDES)
    status, problem = await ask(world, in_query="c/a.md", **place)
    assert (status, problem["code"]) == (404, "text_not_found")


@pytest.mark.parametrize(
    "place",
    [
        {"page": "0"},
        {"page": "-1"},
        {"page": "x"},
        {"slide": "\u0661"},
        {"page": "9" * 5000},
        {"page": "1", "slide": "1"},
        {"section": "x" * 2001},
    ],
    ids=lambda place: str(place)[:30],
)
async def test_what_names_no_place_is_refused(world: World, place: dict[str, str]) -> None:
    await indexed(world, "c/a.md", NOTES)
    status, problem = await ask(world, in_query="c/a.md", **place)
    assert (status, problem["code"]) == (400, "invalid_place")


async def test_a_document_without_a_text(world: World) -> None:
    """One that is not indexed, and one that was deleted and whose text is still there."""
    world.blobs.put("c/new.md", NOTES)
    await indexed(world, "c/gone.md", NOTES)
    await world.blobs.delete("c/gone.md")
    for path in ("c/new.md", "c/gone.md"):
        status, problem = await ask(world, in_query=path)
        assert (status, problem["code"]) == (404, "text_not_found"), path
    status, problem = await ask(world, in_query="c/none.md")
    assert (status, problem["code"]) == (404, "document_not_found")


def test_an_answer_has_a_limit() -> None:
    places = [Place(kind="page", number=number, text="x" * 10) for number in (1, 2, 3)]
    assert within(places, 30) == (places, True)
    kept, whole = within(places, 15)
    assert ([len(place.text) for place in kept], whole) == ([10, 5], False)
    assert within(places, 20) == (places[:2], False)
