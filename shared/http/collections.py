"""The routes of collections. A collection is a top-level folder of the container `documents`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func

from shared.documents.collection_view import CollectionView
from shared.http.fields import BIG_PAGE_DEFAULT, BIG_PAGE_MAX, BigLimit, CollectionName, Cursor
from shared.http.reading import asked, collection_from, cursor_from, limit_from
from shared.http.route import UNRECEIVED, Operation, Parameter, Reply, json_response, query, read_body
from shared.http.shapes.documents import CollectionBody, CollectionPage, Deleting

if TYPE_CHECKING:
    from shared.services import Services


async def list_collections(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    views, cursor = await services.library.collection_views.page(
        limit=limit_from(asked(req, "limit"), default=BIG_PAGE_DEFAULT, most=BIG_PAGE_MAX),
        cursor=cursor_from(asked(req, "cursor")),
    )
    return json_response(200, CollectionPage(collections=views, cursor=cursor))


async def get_collection(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    name = collection_from(req.route_params["name"])
    return json_response(200, await services.library.collection_views.get(name))


async def put_collection(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    name, body = collection_from(req.route_params["name"]), read_body(services, req, CollectionBody)
    return json_response(200, await services.library.collection_views.set_expiry(name, body.expires_days))


async def delete_collection(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    name = collection_from(req.route_params["name"])
    view = await services.library.collection_views.get(name)
    await services.library.removal.begin_collection(name)
    return json_response(202, Deleting(deleting=view.name))


# ---- the description ---------------------------------------------------------------------------------------------

NAME = Parameter(name="name", type=CollectionName)
NO_COLLECTION = {400: ("invalid_collection",), 404: ("collection_not_found",)}

COLLECTIONS = (
    Operation(
        id="ListCollections",
        method="GET",
        path="/collections",
        handler="list_collections",
        summary="List collections",
        description="Returns the number of documents and the daily cost of the vector stores of each collection.",
        parameters=(
            query("limit", BigLimit, visibility="advanced"),
            query("cursor", Cursor, visibility="advanced"),
        ),
        replies=(Reply(status=200, type=CollectionPage, description="A page of collections."),),
        problems={400: ("invalid_limit", "invalid_cursor")},
    ),
    Operation(
        id="GetCollection",
        method="GET",
        path="/collections/{name}",
        handler="get_collection",
        summary="Get a collection",
        description="Returns the number of its documents and the daily cost of its vector stores.",
        parameters=(NAME,),
        replies=(Reply(status=200, type=CollectionView, description="The collection."),),
        problems=NO_COLLECTION,
    ),
    Operation(
        id="PutCollection",
        method="PUT",
        path="/collections/{name}",
        handler="put_collection",
        summary="Set when a collection expires",
        description="The service deletes its vector stores after this many days without use. The app builds them again "
        "from the documents when they are needed.",
        visibility="advanced",
        parameters=(NAME,),
        body=CollectionBody,
        example={"expires_days": 30},
        replies=(Reply(status=200, type=CollectionView, description="The collection."),),
        problems={**NO_COLLECTION, **UNRECEIVED},
    ),
    Operation(
        id="DeleteCollection",
        method="DELETE",
        path="/collections/{name}",
        handler="delete_collection",
        summary="Delete a collection",
        description="Deletes all its documents, and then its vector stores.",
        visibility="advanced",
        parameters=(NAME,),
        replies=(Reply(status=202, type=Deleting, description="The collection is being deleted."),),
        problems=NO_COLLECTION,
    ),
)
