"""The routes of documents, of their deletion receipts, and of search."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import azure.functions as func
import msgspec

from shared.documents.record import summary_of
from shared.errors import BadRequest, TooLarge, WrongMediaType
from shared.http.content import CONTENTS, get_content
from shared.http.document_input import (
    ANY_TYPE,
    FORM,
    blob_metadata_from,
    condition_from,
    document_status_from,
    file_in_form,
    filters_from,
    media_type_from,
    query_from,
)
from shared.http.fields import (
    BIG_PAGE_DEFAULT,
    BIG_PAGE_MAX,
    BigLimit,
    CollectionName,
    Cursor,
    DocumentPath,
    DocumentState,
    IfMatch,
    IfNoneMatch,
    Prefix,
    Wait,
)
from shared.http.paths import (
    UPLOAD,
    asked_path,
    asks_for_content,
    asks_for_text,
    asks_for_upload,
    document_path_from,
    prefix_from,
)
from shared.http.reading import (
    asked,
    body_of,
    collection_from,
    cursor_from,
    limit_from,
    media_type_of,
    optional_collection_from,
    sent_bytes,
)
from shared.http.route import UNRECEIVED, Operation, Parameter, Reply, json_response, query, read_body
from shared.http.shapes.documents import (
    Deleting,
    DocumentPage,
    DocumentView,
    ReceiptPage,
    SearchBody,
    SearchResults,
    UploadBody,
    Uploaded,
    UploadTarget,
)
from shared.http.text import TEXTS, get_text
from shared.http.waiting import changed, wait_from
from shared.models.documents import Document, collection_of

if TYPE_CHECKING:
    from shared.services import Services


async def list_documents(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    """With `path`, the page has this document alone, and the answer also has the fields of `read_document`.

    So the answer has one schema, and both a client that expects a page and one that expects a document can read it.
    """
    if asked(req, "path") is not None:
        document = await _waited_for(services, asked_path(req, "path"), asked(req, "wait"))
        page = DocumentPage(documents=[summary_of(document)], cursor=None)
        return json_response(200, msgspec.structs.asdict(document_view(document)) | msgspec.structs.asdict(page))
    documents, cursor = await services.library.catalogue.page(
        collection=optional_collection_from(asked(req, "collection")),
        status=document_status_from(asked(req, "status")),
        limit=_big_limit(asked(req, "limit")),
        cursor=cursor_from(asked(req, "cursor")),
    )
    return json_response(200, DocumentPage(documents=documents, cursor=cursor))


async def read_document(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    if asks_for_content(req):
        return await get_content(services, req)
    if asks_for_text(req):
        return await get_text(services, req)
    document = await _waited_for(services, asked_path(req, "path"), asked(req, "wait"))
    return json_response(200, document_view(document))


async def _waited_for(services: Services, path: str, wait: str | None) -> Document:
    """The document, read when it has changed or `?wait=` is over. One with a final status is not waited for."""
    return await changed(
        lambda: services.library.catalogue.get(path),
        shown=lambda document: (document.status, document.etag, document.reason, document.tries),
        is_final=lambda document: document.status in FINAL,
        wait_s=wait_from(wait, most=services.settings.wait_max_s),
    )


async def put_document(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    path, metadata, only_if = asked_path(req, "path"), blob_metadata_from(req.headers), condition_from(req.headers)
    limit = services.settings.upload_max_bytes
    if (size := sent_bytes(req)) > limit:
        raise TooLarge(
            f"The document has {size:,} bytes; the limit of this route is {limit:,}. "
            f"POST /api/documents/upload?path={quote(path)} returns a URL to upload larger documents to.",
            code="document_too_large",
        )
    content, media_type = body_of(req, max_bytes=limit), req.headers.get("content-type") or ANY_TYPE
    if media_type_of(req.headers) == FORM:
        content, media_type = await asyncio.to_thread(file_in_form, req)
    media_type = media_type_from(media_type)
    etag = await services.library.uploads.put(path, content, media_type=media_type, metadata=metadata, only_if=only_if)
    return json_response(201, Uploaded(path=path, collection=collection_of(path), etag=etag, size_bytes=len(content)))


async def retry_document(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    if asks_for_upload(req):
        return await create_upload(services, req)
    path = asked_path(req, "path")
    if media_type_of(req.headers) == FORM:
        raise WrongMediaType(
            "POST indexes a document again and takes no file. Send each file with a PUT of its own to "
            "/api/documents/{path}, as the body, or as the only file of a form."
        )
    await services.library.documents.retry(path, reset_tries=True)
    return json_response(202, document_view(await services.library.catalogue.get(path)))


async def create_upload(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    """A signature cannot fix content type and metadata, so the answer has the headers to send.

    Metadata comes in the body or, as for `put_document`, in headers x-ms-meta-*.
    """
    path = asked_path(req, "path", ending=UPLOAD)
    body = read_body(services, req, UploadBody, default=UploadBody())
    in_body = {f"x-ms-meta-{name}": value for name, value in body.metadata.items()}
    metadata = blob_metadata_from({**req.headers, **in_body})
    signed = await services.upload_urls.create(path)
    target = UploadTarget(
        path=path,
        collection=collection_of(path),
        url=signed.url,
        headers={
            "x-ms-blob-type": "BlockBlob",
            "Content-Type": media_type_from(body.content_type),
            **{f"x-ms-meta-{name}": value for name, value in metadata.items()},
        },
        expires_at=signed.expires_at,
        max_bytes=services.settings.document_max_bytes,
    )
    return json_response(200, target, {"Cache-Control": "no-store"})


async def delete_document(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    path, only_if = asked_path(req, "path"), condition_from(req.headers)
    await services.library.catalogue.get(path)
    await services.library.removal.begin(path, only_if=only_if)
    return json_response(202, Deleting(deleting=path))


async def delete_below(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    """Without a folder or a document, also with an empty one, nothing is deleted."""
    if asked(req, "path") is not None:
        return await delete_document(services, req)
    prefix = prefix_from(asked(req, "prefix"))
    if condition_from(req.headers):
        raise BadRequest("A folder has no etag: delete its documents one by one.", code="invalid_condition")
    await services.library.removal.begin_folder(prefix)
    return json_response(202, Deleting(deleting=prefix))


async def list_receipts(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    path = asked(req, "path")
    receipts, cursor = await services.library.catalogue.receipts(
        collection=optional_collection_from(asked(req, "collection")),
        path=document_path_from(path) if path is not None else None,
        limit=_big_limit(asked(req, "limit")),
        cursor=cursor_from(asked(req, "cursor")),
    )
    return json_response(200, ReceiptPage(receipts=receipts, cursor=cursor))


async def search(services: Services, req: func.HttpRequest) -> func.HttpResponse:
    body = read_body(services, req, SearchBody)
    query = query_from(body.query, services.settings.question_max_chars)
    collection = collection_from(body.collection)
    where = filters_from(body.filters)
    found = await services.library.search.search(query, collection=collection, where=where, limit=body.limit)
    return json_response(
        200, SearchResults(query=query, collection=collection, results=found.hits, indexing=found.indexing)
    )


# ---- what comes in ---------------------------------------------------------------------------------------------------


def _big_limit(text: str | None) -> int:
    return limit_from(text, default=BIG_PAGE_DEFAULT, most=BIG_PAGE_MAX)


# ---- what goes out ---------------------------------------------------------------------------------------------------


def document_view(document: Document) -> DocumentView:
    shown = document.incoming or document.live
    return DocumentView(
        path=document.path,
        collection=document.collection,
        status=document.status,
        size_bytes=document.size_bytes,
        etag=document.etag,
        answers_etag=document.live.etag if document.live else None,
        kind=shown.kind if shown else None,
        parts=len(document.live.parts) if document.live else 0,
        reason=document.reason,
        notice=shown.notice if shown else None,
        metadata=shown.metadata if shown else {},
        tries=document.tries,
        attempts=list(reversed(document.attempts)),
        updated_at=document.updated_at,
        indexed_at=document.indexed_at,
        deadline_at=document.deadline_at if document.incoming else None,
    )


# ---- the description -------------------------------------------------------------------------------------------------

PATH = Parameter(name="path", type=DocumentPath)
PATH_IN_QUERY = Parameter(name="path", type=DocumentPath, where="query")
WAIT = query("wait", Wait, visibility="advanced")
FINAL = frozenset({"indexed", "failed", "unsupported"})
BAD_PATH = ("invalid_collection", "invalid_path", "path_given_twice")
IF_MATCH = Parameter(name="If-Match", type=IfMatch, where="header", required=False, visibility="advanced")
IF_NONE_MATCH = Parameter(name="If-None-Match", type=IfNoneMatch, where="header", required=False, visibility="advanced")
NOT_THE_VERSION = {412: ("not_the_version",)}
NO_DOCUMENT = {400: BAD_PATH, 404: ("document_not_found",)}

PUT = Operation(
    id="PutDocument",
    method="PUT",
    path="/documents/{path}",
    handler="put_document",
    summary="Upload a document",
    description="Stores the body, or the only file of a form (multipart/form-data), as the document; the app then "
    "indexes it. Headers x-ms-meta-* become metadata for search filters. "
    "The body needs a Content-Length; Azure answers one over 100 MiB with an empty 500. For large documents, use "
    "CreateUpload.",
    parameters=(PATH, IF_MATCH, IF_NONE_MATCH),
    body=bytes,
    replies=(Reply(status=201, type=Uploaded, description="The document is stored."),),
    problems={
        400: (*BAD_PATH, "invalid_metadata", "invalid_content_type", "invalid_form", "invalid_condition"),
        **UNRECEIVED,
        **NOT_THE_VERSION,
        413: ("document_too_large",),
    },
)
RETRY = Operation(
    id="RetryDocument",
    method="POST",
    path="/documents/{path}",
    handler="retry_document",
    summary="Index a document again",
    description="Indexes it again, also after the app has stopped its own tries.",
    visibility="advanced",
    parameters=(PATH,),
    replies=(Reply(status=202, type=DocumentView, description="The document is being indexed."),),
    problems={**NO_DOCUMENT, 409: ("document_busy",), 415: ("wrong_media_type",)},
)
UPLOAD_URL = Operation(
    id="CreateUploadByPath",
    method="POST",
    path="/documents/upload",
    handler="create_upload",
    summary="Get a URL to upload a large document",
    description="PUT the file to the URL with the headers of the answer; storage answers 201, and the app then indexes "
    "it. The URL can only write this document. It needs no function key and ends after 15 minutes.",
    visibility="advanced",
    parameters=(PATH_IN_QUERY,),
    body=UploadBody,
    body_required=False,
    example={"content_type": "application/pdf", "metadata": {"team": "hr"}},
    replies=(Reply(status=200, type=UploadTarget, description="The URL, and the headers to send."),),
    problems={400: (*BAD_PATH, "invalid_metadata", "invalid_content_type"), **UNRECEIVED},
)

DOCUMENTS = (
    Operation(
        id="ListDocuments",
        method="GET",
        path="/documents",
        handler="list_documents",
        summary="List documents",
        description="Returns documents with their index status, sorted by path within each collection. Documents "
        "without a record come last, as pending. With `path`, the page has this document alone, and "
        "the answer also has the fields of GetDocument.",
        parameters=(
            query("path", DocumentPath, visibility="advanced"),
            WAIT,
            query("collection", CollectionName),
            query("status", DocumentState),
            query("limit", BigLimit, visibility="advanced"),
            query("cursor", Cursor, visibility="advanced"),
        ),
        replies=(Reply(status=200, type=DocumentPage, description="A page of documents."),),
        problems={
            400: (*BAD_PATH, "invalid_status", "invalid_limit", "invalid_cursor", "invalid_wait"),
            404: ("document_not_found",),
        },
    ),
    Operation(
        id="GetDocument",
        method="GET",
        path="/documents/{path}",
        handler="read_document",
        summary="Get a document",
        description="Returns its status, the reason, and the result of each attempt to index it. With `wait`, the "
        "answer comes when the status has changed, or after that time. A path that ends in `/content` or `/text` asks "
        "for what is in the document before it; name a document that ends so with `GET /documents?path=`.",
        parameters=(PATH, WAIT),
        replies=(Reply(status=200, type=DocumentView, description="The document."),),
        problems={404: ("document_not_found", "text_not_found"), 400: (*BAD_PATH, "invalid_wait", "invalid_place")},
    ),
    *CONTENTS,
    *TEXTS,
    PUT,
    replace(
        PUT,
        id="PutDocumentByPath",
        path="/documents",
        parameters=(PATH_IN_QUERY, IF_MATCH, IF_NONE_MATCH),
        route="/documents/{path}",
    ),
    RETRY,
    replace(RETRY, id="RetryDocumentByPath", path="/documents", parameters=(PATH_IN_QUERY,), route="/documents/{path}"),
    replace(
        UPLOAD_URL,
        id="CreateUpload",
        path="/documents/{path}/upload",
        parameters=(PATH,),
        route="/documents/{path}",
        function="retry_document",
    ),
    UPLOAD_URL,
    Operation(
        id="DeleteDocument",
        method="DELETE",
        path="/documents/{path}",
        handler="delete_document",
        summary="Delete a document",
        description="Deletes the blob and everything made from it. A receipt lists what was removed.",
        parameters=(PATH, IF_MATCH, IF_NONE_MATCH),
        replies=(Reply(status=202, type=Deleting, description="The blob is deleted; the rest is being removed."),),
        problems={**NO_DOCUMENT, 400: (*BAD_PATH, "invalid_condition"), **NOT_THE_VERSION},
    ),
    Operation(
        id="DeleteFolder",
        method="DELETE",
        path="/documents",
        handler="delete_below",
        summary="Delete a folder",
        description="Deletes all documents of the folder and of its subfolders. With `path` instead of `prefix`, it "
        "deletes that document. One of them is required.",
        visibility="advanced",
        parameters=(query("prefix", Prefix), query("path", DocumentPath), IF_MATCH, IF_NONE_MATCH),
        replies=(Reply(status=202, type=Deleting, description="The documents are being deleted."),),
        problems={
            400: ("invalid_prefix", *BAD_PATH, "invalid_condition"),
            404: ("document_not_found",),
            **NOT_THE_VERSION,
        },
    ),
    Operation(
        id="ListReceipts",
        method="GET",
        path="/receipts",
        handler="list_receipts",
        summary="List deletion receipts",
        description="Returns what was removed with each document; a check confirms that it no longer exists.",
        visibility="advanced",
        parameters=(
            query("collection", CollectionName),
            query("path", DocumentPath),
            query("limit", BigLimit, visibility="advanced"),
            query("cursor", Cursor, visibility="advanced"),
        ),
        replies=(Reply(status=200, type=ReceiptPage, description="A page of receipts."),),
        problems={400: ("invalid_collection", "invalid_path", "invalid_limit", "invalid_cursor")},
    ),
)

SEARCH = (
    Operation(
        id="Search",
        method="POST",
        path="/search",
        handler="search",
        summary="Search documents",
        description="Returns the passages that match a query best, with document, page and score. No model is called.",
        visibility="important",
        body=SearchBody,
        example={"query": "alert thresholds"},
        replies=(Reply(status=200, type=SearchResults, description="The passages."),),
        problems={
            400: ("empty_query", "query_too_long", "invalid_collection", "invalid_filters"),
            **UNRECEIVED,
            404: ("collection_not_found",),
            409: ("collection_rebuilding",),
        },
    ),
)
