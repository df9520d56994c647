"""Names of the blobs in the container `state`: every prefix stands here, once.

active/<run id>                    empty marker of a run that has not ended
app.json                           the id that marks this app's vector stores
assistants/<name>.json             an assistant, current version
assistants/<name>/<version>.json   an assistant, each version
collections/<collection>.json      a collection and its vector stores
hooks/<id>.json                    a subscription
idempotency/<hash of key>.json     the run that an Idempotency-Key stands for
index/<collection>/<path>.json     a document
receipts/<collection>/<path>/<id>.json   the receipt of a removal
reconcile/timer.json               the last report that the timer ordered
reports/<id>.json                  a reconcile report
runs/<id>.json                     a run
text/<collection>/<path>/<version>  a long text of a version, by pages or sections; a short one is in the record
threads/<id>.json                  a thread
upload-rate/documents.json         when the next upload may start
visibility/<collection>/<path>     what questions may use of a document
"""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from shared.models.documents import collection_of

ACTIVE = "active/"
ASSISTANTS = "assistants/"
COLLECTIONS = "collections/"
DOCUMENTS = "index/"
HOOKS = "hooks/"
RECEIPTS = "receipts/"
RUNS = "runs/"
TEXTS = "text/"
VISIBILITY = "visibility/"
APP = "app.json"
TIMER_REPORT = "reconcile/timer.json"
UPLOAD_RATE = "upload-rate/documents.json"

KEY_MAX_CHARS = 430  # a blob name has at most 1,024 characters, and a name here holds up to two keys


def key_of(path: str) -> str:
    """A name from outside as part of a blob name: one to one, without `.` and `..` as whole segments.

    HTTP clients shorten `a/../b` to `b`, so a document of that name could otherwise overwrite another record.
    """
    key = "/".join(
        segment.replace(".", "%2E") if segment.strip(".") == "" else segment
        for segment in quote(path, safe="/ ()+,;=@-._~").split("/")
    )
    if len(key) <= KEY_MAX_CHARS:
        return key
    return f"{key[:KEY_MAX_CHARS]}~{hashlib.sha256(path.encode()).hexdigest()}"


# ---- documents ---------------------------------------------------------------------------------------------------


def document_name(path: str) -> str:
    # The key is the whole path: `a.pdf` and `default/a.pdf` are two documents of the same collection.
    return f"{documents_in(collection_of(path))}{key_of(path)}.json"


def documents_in(collection: str | None) -> str:
    """The prefix of a collection's document records; None: of all document records."""
    return f"{DOCUMENTS}{key_of(collection)}/" if collection else DOCUMENTS


def receipts_of(path: str) -> str:
    """The prefix of one document's receipts."""
    return f"{receipts_in(collection_of(path))}{key_of(path)}/"


def receipts_in(collection: str | None) -> str:
    return f"{RECEIPTS}{key_of(collection)}/" if collection else RECEIPTS


def texts_of(path: str) -> str:
    """The prefix of the texts of one document's versions."""
    return f"{TEXTS}{key_of(collection_of(path))}/{key_of(path)}/"


def text_name(path: str, version: str) -> str:
    return f"{texts_of(path)}{version}"


def visibility_name(path: str) -> str:
    return f"{visibility_in(collection_of(path))}{key_of(path)}"


def visibility_in(collection: str) -> str:
    return f"{VISIBILITY}{key_of(collection)}/"


def collection_name(name: str) -> str:
    return f"{COLLECTIONS}{key_of(name)}.json"


def report_name(report_id: str) -> str:
    return f"reports/{report_id}.json"


# ---- runs --------------------------------------------------------------------------------------------------------


def run_name(run_id: str) -> str:
    return f"{RUNS}{run_id}.json"


def active_name(run_id: str) -> str:
    return f"{ACTIVE}{run_id}"


def active_run_id(name: str) -> str:
    """`active/<run id>` -> the run id."""
    return name.removeprefix(ACTIVE)


def thread_name(thread_id: str) -> str:
    return f"threads/{thread_id}.json"


def idempotency_name(key: str) -> str:
    return f"idempotency/{hashlib.sha256(key.encode()).hexdigest()}.json"


def assistant_name(name: str, version: int | None = None) -> str:
    """None: the current version."""
    return f"{ASSISTANTS}{name}.json" if version is None else f"{ASSISTANTS}{name}/{version}.json"


def hook_name(hook_id: str) -> str:
    return f"{HOOKS}{hook_id}.json"


def hook_id_in(name: str) -> str:
    """`hooks/<id>.json` -> the id."""
    return name.removeprefix(HOOKS).removesuffix(".json")
