"""The routes of threads. A thread is a conversation: the questions of one thread build on each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func

from shared.errors import NotFound
from shared.http.fields import ThreadId, fits
from shared.http.reading import optional_collection_from
from shared.http.route import DELETED, UNRECEIVED, Operation, Parameter, Reply, json_response, read_body
from shared.http.shapes.threads import MessagePage, ThreadBody, ThreadView
from shared.models.documents import DEFAULT_COLLECTION
from shared.models.runs import Thread

if TYPE_CHECKING:
    from shared.services import Services


async def create_thread(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    body = read_body(services, req, ThreadBody, default=ThreadBody())
    name = optional_collection_from(body.collection) or DEFAULT_COLLECTION
    return json_response(201, _view(await services.threads.create(name, engine=services.settings.engine)))


async def get_thread(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    stored = await services.threads.read(thread_id_from(req.route_params["id"]))
    return json_response(200, _view(stored.value))


async def list_messages(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    stored = await services.threads.read(thread_id_from(req.route_params["id"]))
    return json_response(200, MessagePage(messages=stored.value.messages))


async def delete_thread(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    await services.runs.delete_thread(thread_id_from(req.route_params["id"]))
    return func.HttpResponse(status_code=204)


# ---- what comes in -----------------------------------------------------------------------------------------------


def thread_id_from(text: str) -> str:
    if not fits(text, ThreadId):
        raise NotFound(
            f"There is no thread {text[:80]!r}. Leave thread_id out to create a new one.", code="thread_not_found"
        )
    return text


# ---- what goes out -----------------------------------------------------------------------------------------------


def _view(thread: Thread) -> ThreadView:
    return ThreadView(
        id=thread.id,
        created_at=thread.created_at,
        collection=thread.collection,
        engine=thread.engine,
        active_run_id=thread.active_run_id,
    )


# ---- the description ---------------------------------------------------------------------------------------------

ID = Parameter(name="id", type=ThreadId)
NO_THREAD = {404: ("thread_not_found",)}

THREADS = (
    Operation(
        id="CreateThread",
        method="POST",
        path="/threads",
        handler="create_thread",
        summary="Create a thread",
        description="The questions of one thread build on each other. StartRun without a thread_id also creates one.",
        body=ThreadBody,
        body_required=False,
        example={},
        replies=(Reply(status=201, type=ThreadView, description="The new thread."),),
        problems={400: ("invalid_collection",), **UNRECEIVED},
        links=("GetThread", "ListMessages", "DeleteThread"),
    ),
    Operation(
        id="GetThread",
        method="GET",
        path="/threads/{id}",
        handler="get_thread",
        summary="Get a thread",
        description="Returns its collection and its active run.",
        parameters=(ID,),
        replies=(Reply(status=200, type=ThreadView, description="The thread."),),
        problems=NO_THREAD,
    ),
    Operation(
        id="ListMessages",
        method="GET",
        path="/threads/{id}/messages",
        handler="list_messages",
        summary="List the messages of a thread",
        description="Returns its questions and answers, oldest first.",
        parameters=(ID,),
        replies=(Reply(status=200, type=MessagePage, description="The messages."),),
        problems=NO_THREAD,
    ),
    Operation(
        id="DeleteThread",
        method="DELETE",
        path="/threads/{id}",
        handler="delete_thread",
        summary="Delete a thread",
        description="Deletes it with all its runs and their answers.",
        parameters=(ID,),
        replies=(DELETED,),
        problems={404: ("thread_not_found", "run_not_found"), 502: ("service_error",)},
    ),
)
