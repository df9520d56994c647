"""The console: a page for people, served as plain files from the folder `console/`.

It is anonymous and empty: everything it shows comes from the API, with the caller's key. What it shows was written by
models and in documents, so its Content-Security-Policy allows no inline script and nothing from elsewhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import azure.functions as func

from shared.http.route import NOSNIFF

FOLDER = Path(__file__).parents[2] / "console"
INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob:",
    "frame-src blob:",  # a PDF, in the viewer of the browser
    "object-src blob:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
HEADERS = {
    **NOSNIFF,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",  # asked for with its etag, and answered with 304
}


@dataclass(frozen=True, kw_only=True)
class File:
    content: bytes
    media_type: str
    etag: str


@cache
def files() -> dict[str, File]:
    """The page's files by name. Anything else in the folder, such as licences, is not served."""
    found = {}
    for path in sorted(FOLDER.iterdir()):
        if media_type := TYPES.get(path.suffix):
            content = path.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[path.name] = File(content=content, media_type=media_type, etag=etag)
    return found


def policy(storage: str | None) -> str:
    return "; ".join((*POLICY, f"connect-src 'self' {storage or ''}".rstrip()))


def get_page(req: func.HttpRequest, *, storage: str | None) -> func.HttpResponse:
    """`storage`: the origin of upload URLs, to which the page sends large files."""
    file = files().get(req.route_params.get("file") or INDEX)
    if file is None:
        return func.HttpResponse(status_code=404)
    headers = {**HEADERS, "Content-Security-Policy": policy(storage), "ETag": file.etag}
    if file.etag in (req.headers.get("if-none-match") or ""):
        return func.HttpResponse(status_code=304, headers=headers)
    return func.HttpResponse(
        file.content, headers={**headers, "Content-Type": file.media_type}, mimetype=file.media_type
    )
