"""The triggers of the app, and nothing else: each takes what came, makes one call and returns."""

import os
from functools import cache

import azure.functions as func
from azurefunctions.extensions.bindings import blob as bindings

from shared import events
from shared.http import api
from shared.services import Services
from shared.settings import STORAGE_CONNECTION as STORAGE
from shared.settings import Settings

# Event Grid in the cloud. `func start` on Azurite, which sends no events, needs the scanning source.
SOURCE = func.BlobSource(os.environ.get("BLOB_SOURCE") or "EventGrid")
SWEEP = os.environ.get("SWEEP_SCHEDULE") or "0 * * * * *"

app = func.FunctionApp()


@cache
def services() -> Services:
    """Built on first use, so that importing this file needs no settings."""
    return Services.from_settings(Settings.from_environ(os.environ))


# ---- documents ---------------------------------------------------------------------------------------------------


@app.blob_trigger(arg_name="blob", path="documents/{name}", connection=STORAGE, source=SOURCE)
async def index_document(blob: bindings.BlobClient) -> None:
    """A document landed in `documents`: put it in its collection's vector store."""
    await services().documents.index(blob.blob_name)


@app.queue_trigger(arg_name="msg", queue_name="indexing", connection=STORAGE)
async def check_indexing(msg: func.QueueMessage) -> None:
    """Look once at how far a document is, and do its next step."""
    await services().documents.look(events.document_path(msg.get_body()))


@app.queue_trigger(arg_name="msg", queue_name="document-events", connection=STORAGE)
async def remove_document(msg: func.QueueMessage) -> None:
    """Event Grid says a blob was deleted: remove what was made of it."""
    await services().documents.remove(events.deleted_path(msg.get_body()))


@app.queue_trigger(arg_name="msg", queue_name="webjobs-blobtrigger-poison", connection=STORAGE)
async def fail_document(msg: func.QueueMessage) -> None:
    """The host gave up on a blob's event: the document is `failed`."""
    await services().documents.give_up(events.poisoned_path(msg.get_body()), events.GAVE_UP)


@app.queue_trigger(arg_name="msg", queue_name="indexing-poison", connection=STORAGE)
async def fail_indexing(msg: func.QueueMessage) -> None:
    """The host gave up on looking at a document: it is `failed`."""
    await services().documents.give_up(events.document_path(msg.get_body()), events.GAVE_UP)


@app.route(route="documents", methods=["GET"])
async def list_documents(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/documents`: every document with its index status."""
    return await api.answer(services, req, api.list_documents)


# ---- runs --------------------------------------------------------------------------------------------------------


@app.route(route="runs", methods=["POST"])
async def start_run(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/runs {"question": "..."}`: 202 with the run's id and where to look for its answer."""
    return await api.answer(services, req, api.start_run)


@app.route(route="runs/{id}", methods=["GET"])
async def get_run(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/runs/{id}`: 202 while it goes on, then 200 with the answer."""
    return await api.answer(services, req, api.get_run)


@app.route(route="runs/{id}/charts/{n}", methods=["GET"])
async def get_chart(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/runs/{id}/charts/{n}`: the picture."""
    return await api.answer(services, req, api.get_chart)


@app.queue_trigger(arg_name="msg", queue_name="runs", connection=STORAGE)
async def advance_run(msg: func.QueueMessage) -> None:
    """Look at one run once: start it, finish it, or put it back for later."""
    await services().runs.advance(*events.run_look(msg.get_body()))


@app.queue_trigger(arg_name="msg", queue_name="runs-poison", connection=STORAGE)
async def fail_run(msg: func.QueueMessage) -> None:
    """The host gave up on a run's message: end the run, so that nobody waits for it."""
    await services().runs.fail(events.run_look(msg.get_body())[0])


@app.timer_trigger(arg_name="timer", schedule=SWEEP)
async def sweep_runs(timer: func.TimerRequest) -> None:
    """Find the runs whose next look was lost."""
    await services().runs.sweep()


@app.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/health`: the app is loaded."""
    return api.health()
