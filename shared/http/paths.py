"""The path of a document in a request.

It stands in the URL, `/api/documents/{path}`, or in the query, `/api/documents?path=`. Both mean the same.

In the URL, `/` and `%2F` mean the same, because hosts differ and clients do, too. Microsoft's host decodes a URL before
it routes, all but `%2F`: `a%2Fb` arrives as `a%2Fb`, and so does `a%252Fb`. Other hosts decode `%2F`, and `%252F` to
`%2F`. Many generated clients encode every slash. So a `%2F` that arrives in a URL is a slash, whatever was sent.

A name with a literal `%2F` cannot be told from one with a slash there, so no document can have one: where a path is
decoded exactly once (the query, a JSON body), a `%2F` that is left is refused.

Microsoft's host also resolves dot segments before the app sees them: `PUT a/../b.md` and `a/%2E%2E/b.md` write `b.md`
there, and are 400 on a host that passes them on. What holds on both: a path that arrives with a segment `.` or `..` is
refused, also when an encoded slash hid it (`a%2F..%2Fb`), and no request reaches a blob outside the container.
"""

from __future__ import annotations

import azure.functions as func

from shared.errors import BadRequest
from shared.formats.filetypes import bad_path
from shared.http.reading import ENCODED_SLASH, asked, collection_from
from shared.models.documents import collection_of

TEXT = "/text"  # at the end of the URL of a document: the request is for its text
CONTENT = "/content"  # at the end of the URL of a document: the request is for its bytes
UPLOAD = "/upload"  # at the end of the URL of a document: the request is for its upload URL


def asked_path(req: func.HttpRequest, name: str, *, ending: str = "") -> str:
    """The document of the request, from its URL or its query.

    Args:
        ending: Of the URL; it is not part of the path.

    Raises:
        BadRequest: it names none, or more than one thing, or the path is not allowed.
    """
    in_url = url_path(req)
    if ending and f"/{in_url}".lower().endswith(ending):
        in_url = in_url[: -len(ending)]
    in_query = asked(req, name)
    if sum((in_url != "", in_query is not None, asked(req, "prefix") is not None)) > 1:
        raise BadRequest(
            "Name one thing: a document, in the URL or as ?path=, or a folder as ?prefix=.", code="path_given_twice"
        )
    return document_path_from(in_url if in_query is None else in_query)


def url_path(req: func.HttpRequest) -> str:
    """What stands in the place of `{*path}`, decoded; "" on a route without one."""
    return ENCODED_SLASH.sub("/", req.route_params.get("path") or "")


def asks_for_upload(req: func.HttpRequest) -> bool:
    """Whether the URL of a POST is `/api/documents/{path}/upload`. The case of a route does not matter.

    A route template cannot have text behind `{*path}`, so the app looks for it. A document named `upload` is
    tried again with `POST /api/documents?path=`.
    """
    return url_path(req).lower().endswith(UPLOAD)


def asks_for_content(req: func.HttpRequest) -> bool:
    """Whether the URL of a GET is `/api/documents/{path}/content`; see `asks_for_upload`."""
    return url_path(req).lower().endswith(CONTENT)


def asks_for_text(req: func.HttpRequest) -> bool:
    """Whether the URL of a GET is `/api/documents/{path}/text`; see `asks_for_upload`."""
    return url_path(req).lower().endswith(TEXT)


def document_path_from(path: str) -> str:
    """`reports/a.pdf` is in the collection `reports`; `a.pdf`, without a folder, is in `default`."""
    if why := bad_path(path):
        raise BadRequest(why, code="invalid_path")
    collection_from(collection_of(path))
    return path


def prefix_from(text: str | None) -> str:
    """A folder with a slash at its end; without the slash it could match other folders."""
    if not text or not text.endswith("/") or bad_path(text.removesuffix("/")):
        raise BadRequest(
            "Name a folder as ?prefix=, with a slash at its end, or a document as ?path=.", code="invalid_prefix"
        )
    return text
