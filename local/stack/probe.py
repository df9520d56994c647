"""Whether a part of the stack answers in time: a process that hangs still accepts connections."""

import http.client
import ssl
import urllib.parse
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

TIMEOUT_S = 4.0


def answers(url: str, *, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether the server at a URL answers `GET` in time. Any status below 500 counts: it may want a key."""
    status = status_of(url, timeout_s=timeout_s)
    return status is not None and status < 500


def status_of(url: str, *, timeout_s: float = TIMEOUT_S) -> int | None:
    """The status of `GET url`; None without an answer in time."""
    try:
        parts = urllib.parse.urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
        try:
            connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
            return connection.getresponse().status
        finally:
            connection.close()
    except ssl.SSLCertVerificationError:
        return 495  # it answers; the caller's own TLS settings decide
    except (OSError, ValueError, http.client.HTTPException):
        return None


def silent(urls: Iterable[str], *, timeout_s: float = TIMEOUT_S) -> list[str]:
    """Those of these URLs whose servers do not answer; all are asked at the same time."""
    listed = list(urls)
    with ThreadPoolExecutor(max(1, len(listed))) as pool:
        found = list(pool.map(lambda url: answers(url, timeout_s=timeout_s), listed))
    return [url for url, ok in zip(listed, found, strict=True) if not ok]


def storage_urls(connection_string: str) -> list[str]:
    """The endpoints of blobs and queues in a connection string with endpoints; they answer 400 or 403 without a key."""
    parts = dict(part.split("=", 1) for part in connection_string.split(";") if "=" in part)
    return [f"{parts[name]}?comp=list" for name in ("BlobEndpoint", "QueueEndpoint") if name in parts]
