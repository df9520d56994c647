"""`GET /api/documents/{path}/text`: the text of a document as the app has read it, by pages, slides or sections.

A reader of an answer finds a quote again there, also in a file that no browser shows. The document's author has
written it: whoever shows it must take it for hostile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import azure.functions as func

from shared.errors import BadRequest, NotFound
from shared.formats.places.base import Place
from shared.http.fields import PLACE_NUMBER_MAX, DocumentPath, PlaceNumber, SectionName, fits
from shared.http.paths import TEXT, asked_path
from shared.http.reading import asked
from shared.http.route import Operation, Parameter, Reply, json_response, query
from shared.http.shapes.documents import DocumentText, PlaceText

if TYPE_CHECKING:
    from shared.services import Services

SENT_MAX_CHARS = 2_000_000  # of a document's text in one answer


async def get_text(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    path = asked_path(req, "path", ending=TEXT)
    page, slide, section = (asked(req, name) for name in ("page", "slide", "section"))
    where = wanted(page=page, slide=slide, section=section)
    document = await services.library.catalogue.get(path)
    live = None if document.status == "removing" else document.live
    index = await services.library.texts.of(path, live.etag) if live else None
    if live is None or index is None:
        raise NotFound(
            f"The app has no text of {path!r}: it is not indexed, was deleted, or is of a kind that the app does not "
            "read. GET /api/documents/{path}/content returns the file.",
            code="text_not_found",
        )
    places, whole = within([place for place in index.places if where is None or place_of(place) == where])
    if where and not places:
        raise NotFound(f"The text of {path!r} has no {where[0]} {where[1]!r}.", code="text_not_found")
    views = [PlaceText(page=each.page, slide=each.slide, section=each.section, text=each.text) for each in places]
    complete = whole and (where is not None or index.complete)
    return json_response(200, DocumentText(path=path, etag=live.etag, places=views, complete=complete))


def wanted(*, page: str | None, slide: str | None, section: str | None) -> tuple[str, int | str] | None:
    """The place that a request names; None for the whole text.

    Raises:
        BadRequest: it names several, or one that cannot be.
    """
    given = [(kind, text) for kind, text in (("page", page), ("slide", slide), ("section", section)) if text]
    if not given:
        return None
    kind, text = given[0]
    is_number = text.isascii() and text.isdigit() and len(text) < 8 and 0 < int(text) <= PLACE_NUMBER_MAX
    if len(given) > 1 or not (fits(text, SectionName) if kind == "section" else is_number):
        raise BadRequest(
            "Name one place: page or slide with its number, which begins at 1, or section with its heading.",
            code="invalid_place",
        )
    return (kind, text) if kind == "section" else (kind, int(text))


def place_of(place: Place) -> tuple[str, int | str | None]:
    return place.kind, place.name if place.number is None else place.number


def within(places: Iterable[Place], limit: int = SENT_MAX_CHARS) -> tuple[list[Place], bool]:
    """The places whose text fits into `limit` characters, the last one cut off; and whether that is all of them."""
    kept: list[Place] = []
    for place in places:
        if limit <= 0:
            return kept, False
        kept.append(replace(place, text=place.text[:limit]))
        limit -= len(place.text)
    return kept, limit >= 0


# ---- the description ---------------------------------------------------------------------------------------------

PATH_IN_QUERY = Parameter(name="path", type=DocumentPath, where="query")
PLACES = (
    query("page", PlaceNumber, visibility="advanced"),
    query("slide", PlaceNumber, visibility="advanced"),
    query("section", SectionName, visibility="advanced"),
)
GET_TEXT = Operation(
    id="GetDocumentText",
    method="GET",
    path="/documents/{path}/text",
    handler="get_text",
    summary="Get the text of a document",
    description="Returns the text of the version that answers use, as the app has read it: all of it, or a page, a "
    "slide or a section, as citations name them. A table has its data card.",
    visibility="advanced",
    parameters=(Parameter(name="path", type=DocumentPath), *PLACES),
    replies=(Reply(status=200, type=DocumentText, description="The text, by its places."),),
    problems={
        400: ("invalid_collection", "invalid_path", "path_given_twice", "invalid_place"),
        404: ("document_not_found", "text_not_found"),
    },
    route="/documents/{path}",
    function="read_document",
)
TEXTS = (
    GET_TEXT,
    replace(
        GET_TEXT,
        id="GetDocumentTextByPath",
        path="/documents/text",
        parameters=(PATH_IN_QUERY, *PLACES),
        route="",
        function="",
    ),
)
