"""The app's triggers. Each one reads its input and makes one call; the logic is in `shared`."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

import azure.functions as func
from azurefunctions.extensions.bindings import blob as bindings

from shared import telemetry
from shared.delays import one_step
from shared.documents.messages import deleted_path
from shared.http import about, assistants, collections, console, content, documents, hooks, runs, text, threads
from shared.http import reconcile as reconciling
from shared.http.access import auth_level
from shared.http.route import answer
from shared.runs.messages import run_look
from shared.services import Services, give_up
from shared.settings import STORAGE_CONNECTION as STORAGE
from shared.settings import Settings, blob_origin

# Event Grid in Azure. Azurite sends no events, so `func start` needs the source that scans the container.
SOURCE = func.BlobSource(os.environ.get("BLOB_SOURCE") or "EventGrid")
RECONCILE = os.environ.get("RECONCILE_SCHEDULE") or "0 17 * * * *"
SWEEP = os.environ.get("SWEEP_SCHEDULE") or "0 * * * * *"

# Two lines for each request to storage or the model service, at INFO, hide what the app says.
for chatty in ("aiohttp", "azure", "httpx", "httpx2", "openai", "urllib3"):
    logging.getLogger(chatty).setLevel(logging.WARNING)

telemetry.start()  # off, unless the setting TELEMETRY is set; nothing of OpenTelemetry is imported then

app = func.FunctionApp(http_auth_level=auth_level(os.environ))


@cache
def services() -> Services:
    """Created on first use: importing this file needs no settings."""
    return Services.from_settings(Settings.from_environ(os.environ))


@asynccontextmanager
async def step(name: str, body: bytes = b"") -> AsyncIterator[None]:
    """One step of a function, in the trace of its message."""
    with telemetry.span(name, parent=telemetry.trace_in(body)):
        async with one_step():
            yield


# ---- documents ---------------------------------------------------------------------------------------------------


@app.blob_trigger(arg_name="blob", path="documents/{name}", connection=STORAGE, source=SOURCE)
async def index_document(blob: bindings.BlobClient) -> None:
    """A blob was written in `documents`: index it in the vector store of its collection."""
    with telemetry.span("index_document", path=blob.blob_name):
        await services().library.arrivals.written(blob.blob_name)


@app.queue_trigger(arg_name="msg", queue_name="indexing", connection=STORAGE)
async def check_indexing(msg: func.QueueMessage) -> None:
    """Do one step of the indexing of a document, or one batch of a longer task."""
    async with step("check_indexing", msg.get_body()):
        await services().library.worker.do(msg.get_body())


@app.queue_trigger(arg_name="msg", queue_name="document-events", connection=STORAGE)
async def remove_document(msg: func.QueueMessage) -> None:
    """Event Grid reports a deleted blob: remove everything that was made from it."""
    async with step("remove_document", msg.get_body()):
        await services().library.documents.remove(deleted_path(msg.get_body()))


@app.queue_trigger(arg_name="msg", queue_name="webjobs-blobtrigger-poison", connection=STORAGE)
async def fail_document(msg: func.QueueMessage) -> None:
    """The host gave up on a blob's event: look at the document again later."""
    await give_up(services().library.worker.give_up_event, msg.get_body(), message_id=msg.id)


@app.queue_trigger(arg_name="msg", queue_name="indexing-poison", connection=STORAGE)
async def fail_indexing(msg: func.QueueMessage) -> None:
    """The host gave up on a message of `indexing`: give up its task, so that a document becomes `failed`."""
    await give_up(services().library.worker.give_up, msg.get_body(), message_id=msg.id)


@app.queue_trigger(arg_name="msg", queue_name="document-events-poison", connection=STORAGE)
async def fail_removal(msg: func.QueueMessage) -> None:
    """The host gave up on a deleted blob: a reconcile pass of its collection removes what is left."""
    await give_up(services().library.worker.give_up_deletion, msg.get_body(), message_id=msg.id)


@app.timer_trigger(arg_name="timer", schedule=RECONCILE)
async def reconcile_documents(timer: func.TimerRequest) -> None:
    """Find and repair what lost events have left."""
    async with step("reconcile_documents"):
        await services().library.reconciliation.order_by_timer()


@app.timer_trigger(arg_name="timer", schedule=SWEEP)
async def sweep_documents(timer: func.TimerRequest) -> None:
    """Find documents whose event or message is lost, or hidden by the death of a host."""
    async with step("sweep_documents"):
        await services().library.sweep.run()


@app.route(route="api/documents", methods=["GET"])
async def list_documents(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/documents?collection=&status=&limit=&cursor=`: list documents. `?path=`: get one, as below."""
    return await answer(services, req, documents.list_documents)


@app.route(route="api/documents", methods=["DELETE"])
async def delete_below(req: func.HttpRequest) -> func.HttpResponse:
    """`DELETE /api/documents?prefix=folder/`: delete all documents of a folder. `?path=`: delete one, as below."""
    return await answer(services, req, documents.delete_below)


@app.route(route="api/documents/reconcile", methods=["POST"])
async def reconcile(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/documents/reconcile?dry_run=false`: compare container, records and service, and repair."""
    return await answer(services, req, reconciling.reconcile)


@app.route(route="api/documents/upload", methods=["POST"])
async def create_upload(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/documents/upload?path=`: get a URL to which the document can be uploaded."""
    return await answer(services, req, documents.create_upload)


@app.route(route="api/documents/content", methods=["GET"])
async def get_content(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/documents/content?path=`: get the bytes of a document."""
    return await answer(services, req, content.get_content)


@app.route(route="api/documents/text", methods=["GET"])
async def get_text(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/documents/text?path=&page=`: get the text of a document, or of one of its pages."""
    return await answer(services, req, text.get_text)


# `{*path}` also matches an empty path (PUT and POST with `?path=`), `reconcile` and `upload`. The host tries functions
# in the order of their names, whatever their templates, so the functions above need names that sort first:
# `delete_below` < `delete_document`, `create_upload`, `reconcile` < `retry_document`, `get_content`,
# `get_text` < `read_document`.


@app.route(route="api/documents/{*path}", methods=["GET"])
async def read_document(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/documents/{path}?wait=`: get a document with its attempts. `.../content`, `.../text`: what is in it."""
    return await answer(services, req, documents.read_document)


@app.route(route="api/documents/{*path}", methods=["HEAD"])
async def head_content(req: func.HttpRequest) -> func.HttpResponse:
    """`HEAD /api/documents/{path}/content`: get size, type and version of a document's bytes."""
    return await answer(services, req, content.head_content)


@app.route(route="api/documents/{*path}", methods=["PUT"])
async def put_document(req: func.HttpRequest) -> func.HttpResponse:
    """`PUT /api/documents/{path}`: upload a document; for callers without access to the storage account."""
    return await answer(services, req, documents.put_document)


@app.route(route="api/documents/{*path}", methods=["POST"])
async def retry_document(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/documents/{path}`: index a document again. `.../{path}/upload`: as `create_upload`."""
    return await answer(services, req, documents.retry_document)


@app.route(route="api/documents/{*path}", methods=["DELETE"])
async def delete_document(req: func.HttpRequest) -> func.HttpResponse:
    """`DELETE /api/documents/{path}`: delete the blob and everything made from it."""
    return await answer(services, req, documents.delete_document)


@app.route(route="api/receipts", methods=["GET"])
async def list_receipts(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/receipts?collection=&path=`: list what was removed with each deleted document."""
    return await answer(services, req, documents.list_receipts)


@app.route(route="api/reports/{id}", methods=["GET"])
async def get_report(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/reports/{id}`: 202 until the reconcile pass has ended, then 200."""
    return await answer(services, req, reconciling.get_report)


@app.route(route="api/search", methods=["POST"])
async def search(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/search {"query": "..."}`: search passages without calling a model."""
    return await answer(services, req, documents.search)


@app.route(route="api/collections", methods=["GET"])
async def list_collections(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/collections?limit=&cursor=`: list collections with their size and cost."""
    return await answer(services, req, collections.list_collections)


@app.route(route="api/collections/{name}", methods=["GET"])
async def get_collection(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/collections/{name}`: get a collection with its size and cost."""
    return await answer(services, req, collections.get_collection)


@app.route(route="api/collections/{name}", methods=["PUT"])
async def put_collection(req: func.HttpRequest) -> func.HttpResponse:
    """`PUT /api/collections/{name} {"expires_days": 30}`: set when its vector stores expire."""
    return await answer(services, req, collections.put_collection)


@app.route(route="api/collections/{name}", methods=["DELETE"])
async def delete_collection(req: func.HttpRequest) -> func.HttpResponse:
    """`DELETE /api/collections/{name}`: delete all its documents and its vector stores."""
    return await answer(services, req, collections.delete_collection)


# ---- runs --------------------------------------------------------------------------------------------------------


@app.route(route="api/runs", methods=["POST"])
async def start_run(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/runs {"question": "..."}`: 202 with the run's id and URL."""
    return await answer(services, req, runs.start_run)


@app.route(route="api/runs/{id}", methods=["GET"])
async def get_run(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/runs/{id}?wait=`: 202 until the run has ended, then 200 with the answer."""
    return await answer(services, req, runs.get_run)


@app.route(route="api/runs/{id}/events", methods=["GET"])
async def get_events(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/runs/{id}/events`: 501, there is no stream of events."""
    return await answer(services, req, runs.get_events)


@app.route(route="api/runs/{id}/charts/{n}", methods=["GET"])
async def get_chart(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/runs/{id}/charts/{n}`: get the image of a chart."""
    return await answer(services, req, runs.get_chart)


@app.route(route="api/runs", methods=["GET"])
async def list_runs(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/runs?status=&thread_id=&limit=&cursor=`: list runs, newest first."""
    return await answer(services, req, runs.list_runs)


@app.route(route="api/runs/{id}/cancel", methods=["POST"])
async def cancel_run(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/runs/{id}/cancel`: cancel a run."""
    return await answer(services, req, runs.cancel_run)


@app.route(route="api/runs/{id}/tool_outputs", methods=["POST"])
async def hand_in_outputs(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/runs/{id}/tool_outputs`: submit the outputs of the caller's functions."""
    return await answer(services, req, runs.hand_in_outputs)


@app.route(route="api/runs/{id}", methods=["DELETE"])
async def delete_run(req: func.HttpRequest) -> func.HttpResponse:
    """`DELETE /api/runs/{id}`: delete record, answer, charts, and the copies at the service."""
    return await answer(services, req, runs.delete_run)


@app.queue_trigger(arg_name="msg", queue_name="runs", connection=STORAGE)
async def advance_run(msg: func.QueueMessage) -> None:
    """Look at one run: start it, finish it, or enqueue its next look."""
    async with step("advance_run", msg.get_body()):
        await services().poller.advance(run_look(msg.get_body()))


@app.queue_trigger(arg_name="msg", queue_name="runs-poison", connection=STORAGE)
async def fail_run(msg: func.QueueMessage) -> None:
    """The host gave up on a run's message: end the run as `failed`."""
    await give_up(lambda body: services().poller.fail(run_look(body)), msg.get_body(), message_id=msg.id)


@app.timer_trigger(arg_name="timer", schedule=SWEEP)
async def sweep_runs(timer: func.TimerRequest) -> None:
    """Enqueue a look for each run whose message was lost."""
    async with step("sweep_runs"):
        await services().poller.sweep()


@app.queue_trigger(arg_name="msg", queue_name="callbacks", connection=STORAGE)
async def send_callback(msg: func.QueueMessage) -> None:
    """Send one notification to one receiver."""
    async with step("send_callback", msg.get_body()):
        await services().push.deliver(msg.get_body())


@app.queue_trigger(arg_name="msg", queue_name="callbacks-poison", connection=STORAGE)
async def fail_callback(msg: func.QueueMessage) -> None:
    """The host gave up on a notification: put it back, since a receiver is tried for a day."""
    await give_up(services().push.give_up, msg.get_body(), message_id=msg.id)


@app.route(route="api/webhooks/openai", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
async def service_event(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/webhooks/openai`: the model service reports the end of a response. Its signature replaces the key."""
    return await answer(services, req, hooks.service_event)


# ---- threads, assistants, hooks ----------------------------------------------------------------------------------


@app.route(route="api/threads", methods=["POST"])
async def create_thread(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/threads`: create a thread."""
    return await answer(services, req, threads.create_thread)


@app.route(route="api/threads/{id}", methods=["GET"])
async def get_thread(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/threads/{id}`: get its collection and its active run."""
    return await answer(services, req, threads.get_thread)


@app.route(route="api/threads/{id}/messages", methods=["GET"])
async def list_messages(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/threads/{id}/messages`: list its questions and answers."""
    return await answer(services, req, threads.list_messages)


@app.route(route="api/threads/{id}", methods=["DELETE"])
async def delete_thread(req: func.HttpRequest) -> func.HttpResponse:
    """`DELETE /api/threads/{id}`: delete the thread with all its runs."""
    return await answer(services, req, threads.delete_thread)


@app.route(route="api/assistants", methods=["GET"])
async def list_assistants(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/assistants`: list the current version of each assistant."""
    return await answer(services, req, assistants.list_assistants)


@app.route(route="api/assistants/{name}", methods=["GET"])
async def get_assistant(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/assistants/{name}`: get its current version."""
    return await answer(services, req, assistants.get_assistant)


@app.route(route="api/assistants/{name}", methods=["PUT"])
async def put_assistant(req: func.HttpRequest) -> func.HttpResponse:
    """`PUT /api/assistants/{name}`: store its next version."""
    return await answer(services, req, assistants.put_assistant)


@app.route(route="api/assistants/{name}", methods=["DELETE"])
async def delete_assistant(req: func.HttpRequest) -> func.HttpResponse:
    """`DELETE /api/assistants/{name}`: delete it; active runs keep it."""
    return await answer(services, req, assistants.delete_assistant)


@app.route(route="api/hooks", methods=["POST"])
async def subscribe(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/hooks`: send a notification to this URL for every run that ends."""
    return await answer(services, req, hooks.subscribe)


@app.route(route="api/hooks", methods=["GET"])
async def list_hooks(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/hooks`: list the subscriptions, and which of them fail."""
    return await answer(services, req, hooks.list_hooks)


@app.route(route="api/hooks/{id}", methods=["DELETE"])
async def unsubscribe(req: func.HttpRequest) -> func.HttpResponse:
    """`DELETE /api/hooks/{id}`: end a subscription."""
    return await answer(services, req, hooks.unsubscribe)


# ---- about the app -----------------------------------------------------------------------------------------------


@app.route(route="api/openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def get_openapi(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/openapi.json`: describe this API as OpenAPI 3.0, or 3.1 with `?version=3.1`."""
    from shared.http import openapi  # imported on use: a cold start does not need it

    return openapi.get_openapi(req)


@app.route(route="api/swagger.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def get_swagger(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/swagger.json`: describe this API as a custom connector, in OpenAPI 2.0."""
    from shared.http import swagger

    return swagger.get_swagger(req)


@app.route(route="api/health/deep", methods=["GET"])
async def deep_health(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/health/deep`: check storage, queues and the model service."""
    return await answer(services, req, about.deep_health)


@app.route(route="api/health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/health`: check that the app is loaded."""
    return about.health()


# ---- the console: the host tries no other function for these paths, since all others begin with `api` -------------


@app.route(route="{file?}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def get_page(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /`: the page for people, and its files. They hold no data: the page asks the API for all of it."""
    return console.get_page(req, storage=blob_origin(os.environ))
